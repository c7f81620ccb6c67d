/**
 * Content of the card: load, install, personalise, move, lock and delete, by whom it may be done,
 * and that a refusal or a torn write leaves everything as it was.
 */
import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import * as gp from '../data/index.ts';
import { hexOf, type Managed, TestCard, testCode } from '../managed.test-kit.ts';
import * as off from '../offcard/index.ts';

const ISSUER = 'A000000151000000';
const PROVIDER = 'A00000015100AA01';
const OTHER = 'A00000015100AA02';
const FILE = 'D0D1D2D300';
const NAMES = { file: FILE, module: 'D0D1D2D301', aid: 'D0D1D2D30101' };
const CODE = testCode(['D0D1D2D301', 'D0D1D2D302'], 600);
const APPS = gp.STATUS_40_APPLICATIONS;
const FILES = gp.STATUS_20_LOAD_FILES;

/** A card with one application loaded, installed and selectable. */
function withApplication(): Managed {
  const managed = new TestCard().open();
  assert.equal(managed.load({ aid: FILE, code: CODE }), '9000');
  assert.equal(managed.install(NAMES, { application: fromHex('CAFE') }), '9000');
  return managed;
}

test('a file is loaded, its module installed, selected and used (§9.3)', () => {
  const managed = withApplication();
  const { card } = managed;
  assert.deepEqual(managed.list(APPS), { [NAMES.aid]: 7 });
  const { entries } = managed.run(off.readRegistry(gp.STATUS_10_LOAD_FILES_AND_MODULES, FILE));
  assert.deepEqual(entries[0]?.moduleAids, ['D0D1D2D301', 'D0D1D2D302']);
  assert.equal(toHex(card.send(off.selectCommand(NAMES.aid)).data), NAMES.aid);
  const read = { cla: 0x80, ins: 0x02, p1: 0, p2: 0 };
  assert.equal(toHex(card.send(read).data), 'CAFE');
  card.send({ cla: 0x80, ins: 0x01, p1: 0, p2: 0, data: fromHex('BEEF01') });
  card.restart();
  card.send(off.selectCommand(NAMES.aid));
  assert.equal(toHex(card.send(read).data), 'BEEF01');
  const kept = card.card.state().loadFiles.find(({ aid }) => aid === FILE);
  assert.deepEqual(kept?.code, CODE);
  assert.deepEqual(kept?.hash, nodeCiphers.sha256(CODE));
});

test('the hash is over exactly the bytes sent; one bit more or less is refused (§11.5.2.3.1)', () => {
  const managed = new TestCard().open();
  const hash = nodeCiphers.sha256(CODE);
  const altered = CODE.slice();
  altered[300] = (altered[300] ?? 0) ^ 1;
  assert.equal(managed.load({ aid: FILE, code: altered, hash }), '6A80');
  assert.equal(managed.load({ aid: FILE, code: CODE.slice(0, -1), hash }), '6A80');
  assert.equal(managed.load({ aid: FILE, code: CODE, hash: hash.slice(0, 20) }), 'install 6A80');
  assert.equal(managed.load({ aid: FILE, code: new Uint8Array(9) }), '6F00');
  assert.deepEqual(Object.keys(managed.list(FILES)), ['A0000001515350']);
  assert.equal(managed.load({ aid: FILE, code: CODE, hash }), '9000');
  assert.equal(managed.load({ aid: FILE, code: CODE, hash }), 'install 6A89');
});

test('blocks come in their turn and begin with INSTALL [for load] (§11.6)', () => {
  const managed = new TestCard().open();
  const [first, second] = off.loadCommands({ dapBlocks: [], code: CODE }, managed.session);
  assert.ok(first && second);
  assert.equal(managed.status(first), '6985');
  const hash = nodeCiphers.sha256(CODE);
  const begin = off.installForLoad({ loadFileAid: FILE, domainAid: '', hash });
  assert.equal(managed.status(begin, first), '9000');
  assert.equal(managed.status(first), '6985');
  assert.equal(managed.status(second), '6985');
  assert.equal(managed.status(begin), '9000');
  managed.card.open();
  assert.equal(new Set(managed.card.card.state().loadFiles).size, 1);
});

test('report 15: a file in full blocks arrives at every level of protection', () => {
  for (const [securityLevel, options] of [
    [0x33, {}],
    [0x01, {}],
    [0x33, { profile: { scp03ParameterI: 0x71 } }],
    [0x03, { isDes: true }],
  ] as const) {
    const managed = new TestCard(options).open({ securityLevel });
    for (const fillBytes of [0, 1, 2, 15, 16, 200, 217, 218, 233, 234, 235, 700]) {
      const aid = `D0D1D2D3${fillBytes.toString(16).padStart(4, '0')}`;
      const code = testCode(['D0D1D2D301'], fillBytes);
      assert.equal(managed.load({ aid, code }), '9000', `${securityLevel} ${fillBytes}`);
    }
  }
});

test('report 11: a large file is loaded in extended commands under SCP03', () => {
  const managed = new TestCard().open({ commandBytesMax: 0x4000 });
  const code = testCode(['D0D1D2D301'], 200_000);
  assert.equal(managed.load({ aid: FILE, code }), '9000');
  assert.deepEqual(managed.card.card.state().loadFiles[1]?.code, code);
});

test('an application waits in INSTALLED until it is made selectable (§5.3)', () => {
  const managed = withApplication();
  const later = { ...NAMES, aid: 'D0D1D2D30102' };
  assert.equal(managed.install(later, { isSelectableLater: true }), '9000');
  assert.equal(managed.list(APPS)[later.aid], 3);
  assert.equal(managed.card.status(off.selectCommand(later.aid)), '6A82');
  assert.equal(managed.status(off.installForMakeSelectable(later.aid)), '9000');
  assert.equal(managed.status(off.installForMakeSelectable(later.aid)), '6985');
  assert.equal(managed.list(APPS)[later.aid], 7);
});

test('unknown file or module, a name that is there, and foreign privileges are refused', () => {
  const managed = withApplication();
  assert.equal(managed.install({ ...NAMES, file: 'D0D1D2D399', aid: 'D0D1D2D305' }), '6A88');
  assert.equal(managed.install({ ...NAMES, module: 'D0D1D2D399', aid: 'D0D1D2D305' }), '6A88');
  assert.equal(managed.install(NAMES), '6A89');
  assert.equal(managed.install({ ...NAMES, aid: ISSUER }), '6A89');
  assert.equal(managed.install({ ...NAMES, aid: 'D0D1D2' }), '6A80');
  const domainOnly = gp.privilegesOf('authorizedManagement');
  assert.equal(
    managed.install({ ...NAMES, aid: 'D0D1D2D306' }, { privileges: domainOnly }),
    '6A80',
  );
  assert.equal(managed.domain('A000000151000009', gp.PRIVILEGE.tokenVerification), '6A80');
});

test('SELECT by part of a name, and the next of it, in the order of the registry (§11.9)', () => {
  const managed = withApplication();
  assert.equal(managed.install({ ...NAMES, aid: 'D0D1D2D30102' }), '9000');
  assert.equal(managed.install({ ...NAMES, aid: 'D0D1D2D30103' }), '9000');
  const { card } = managed;
  const next = () => card.send(off.selectCommand('D0D1D2D3', { isNext: true }));
  assert.equal(hexOf(next()), '6985');
  assert.equal(toHex(card.send(off.selectCommand('D0D1D2D3')).data), NAMES.aid);
  assert.equal(toHex(next().data), 'D0D1D2D30102');
  assert.equal(toHex(next().data), 'D0D1D2D30103');
  assert.equal(hexOf(next()), '6A82');
  assert.equal(card.status(off.selectCommand('D0D1D2D399')), '6A82');
  assert.equal(card.status({ cla: 0, ins: 0xa4, p1: 0, p2: 0 }), '6A86');
  assert.equal(toHex(card.send({ cla: 0x80, ins: 0x02, p1: 0, p2: 0 }).data), '');
});

test('a locked application refuses SELECT like an absent one and keeps its data (§5.3)', () => {
  const managed = withApplication();
  const lock = off.setStatusCommand({ scope: 0x40, state: 0x80, aid: NAMES.aid });
  assert.equal(managed.status(lock), '9000');
  assert.equal(managed.status(lock), '6985');
  const { card } = managed;
  assert.equal(card.status(off.selectCommand(NAMES.aid)), '6A82');
  assert.equal(card.status(off.selectCommand('D0D1D2D3')), '6A82');
  card.restart();
  const again = card.open();
  assert.equal(again.list(APPS)[NAMES.aid], 0x87);
  assert.equal(again.status(off.installForPersonalization(NAMES.aid)), '6985');
  const unlock = off.setStatusCommand({ scope: 0x40, state: 0x07, aid: NAMES.aid });
  assert.equal(again.status(unlock), '9000');
  card.send(off.selectCommand(NAMES.aid));
  assert.equal(toHex(card.send({ cla: 0x80, ins: 0x02, p1: 0, p2: 0 }).data), 'CAFE');
});

test('an application that is selected while it is locked answers nothing any more', () => {
  const managed = withApplication();
  const { card } = managed;
  assert.equal(toHex(card.send(off.openChannelCommand()).data), '01');
  assert.equal(card.status(off.selectCommand(NAMES.aid, { channel: 1 })), '9000');
  const read = { cla: 0x81, ins: 0x02, p1: 0, p2: 0 };
  assert.equal(card.status(read), '9000');
  const lock = off.setStatusCommand({ scope: 0x40, state: 0x80, aid: NAMES.aid });
  assert.equal(managed.status(lock), '9000');
  assert.equal(card.status(read), '6985');
  assert.ok(card.log.includes(`forget ${NAMES.aid}`));
});

test('only its own domain or one with Global Lock locks; only such a one lifts a global lock', () => {
  const { card, provider, managed } = withProvider(gp.PRIVILEGE.authorizedManagement);
  const aid = 'D0D1D2D30201';
  assert.equal(provider.load({ aid: 'D0D1D2D3F2', code: testCode(['D0D1D2D302']) }), '9000');
  const names = { file: 'D0D1D2D3F2', module: 'D0D1D2D302', aid };
  assert.equal(provider.install(names), '9000');
  const lock = off.setStatusCommand({ scope: 0x40, state: 0x80, aid });
  const unlock = off.setStatusCommand({ scope: 0x40, state: 0x07, aid });
  assert.equal(provider.status(lock, unlock), '9000');
  const issuer = card.open();
  assert.equal(issuer.status(lock), '9000');
  const back = card.open({ aid: PROVIDER, keys: PROVIDER_KEYS });
  assert.equal(back.status(unlock), '6985');
  assert.equal(card.open().status(unlock), '9000');
  assert.equal(managed.card.card.state().entries.length, 3);
  const foreign = card.open({ aid: PROVIDER, keys: PROVIDER_KEYS });
  assert.equal(
    foreign.status(off.setStatusCommand({ scope: 0x40, state: 0x80, aid: PROVIDER })),
    '6985',
  );
});

test('a domain and everything below it are locked together (§11.10, P1 60)', () => {
  const { card } = withProvider(gp.PRIVILEGE.authorizedManagement);
  const issuer = card.open();
  const aid = 'D0D1D2D30201';
  const file = { aid: 'D0D1D2D3F2', code: testCode(['D0D1D2D302']), domainAid: PROVIDER };
  assert.equal(issuer.load(file), '9000');
  assert.equal(issuer.install({ file: 'D0D1D2D3F2', module: 'D0D1D2D302', aid }), '9000');
  const change = (state: number) => off.setStatusCommand({ scope: 0x60, state, aid: PROVIDER });
  assert.equal(issuer.status(change(0x80)), '9000');
  assert.deepEqual(issuer.list(APPS), { [PROVIDER]: 0x8f, [aid]: 0x87 });
  assert.equal(issuer.status(change(0x0f)), '9000');
  assert.deepEqual(issuer.list(APPS), { [PROVIDER]: 0x0f, [aid]: 0x07 });
});

test('the card goes its ways; locked it has its issuer only, terminated nothing (§5.1)', () => {
  const managed = withApplication();
  const { card } = managed;
  const to = (state: number) => off.setStatusCommand({ scope: 0x80, state, aid: '' });
  assert.equal(managed.status(to(0x0f)), '6985');
  assert.equal(managed.status(to(0x07), to(0x0f), to(0x7f)), '9000');
  assert.equal(card.status(off.selectCommand(NAMES.aid)), '6A82');
  assert.equal(card.status(off.selectCommand('')), '6283');
  const locked = card.open();
  assert.equal(locked.status(to(0x0f)), '9000');
  assert.equal(card.status(off.selectCommand(NAMES.aid)), '9000');
  const last = card.open();
  assert.equal(last.status(to(0xff)), '9000');
  card.restart();
  assert.equal(card.status(off.selectCommand('')), '6985');
  assert.equal(card.status(off.initializeUpdateCommand(0, new Uint8Array(8))), '6985');
  assert.equal(card.status(off.getDataCommand('9F7F')), '9000');
});

test('DELETE takes an object alone or with all that depends on it (§9.5)', () => {
  const managed = withApplication();
  assert.equal(managed.status(off.deleteCommand(FILE)), '6985');
  assert.equal(managed.status(off.deleteCommand('D0D1D2D399')), '6A88');
  assert.equal(managed.status(off.deleteCommand(ISSUER)), '6985');
  assert.equal(managed.status(off.deleteCommand('A0000001515350')), '6985');
  assert.equal(managed.status(off.deleteCommand(NAMES.aid)), '9000');
  assert.equal(managed.install(NAMES), '9000');
  assert.equal(managed.status(off.deleteCommand(FILE, { isWithRelated: true })), '9000');
  assert.deepEqual(managed.list(APPS), {});
  assert.deepEqual(Object.keys(managed.list(FILES)), ['A0000001515350']);
  assert.equal(managed.card.log.filter((line) => line.startsWith('uninstall')).length, 2);
});

test('a domain goes with its content, and not while it or its content is selected', () => {
  const { card, provider } = withProvider(gp.PRIVILEGE.authorizedManagement);
  const aid = 'D0D1D2D30201';
  assert.equal(provider.load({ aid: 'D0D1D2D3F2', code: testCode(['D0D1D2D302']) }), '9000');
  assert.equal(provider.install({ file: 'D0D1D2D3F2', module: 'D0D1D2D302', aid }), '9000');
  assert.equal(provider.status(off.deleteCommand(PROVIDER, { isWithRelated: true })), '6985');
  const issuer = card.open();
  card.send(off.openChannelCommand());
  card.send(off.selectCommand(aid, { channel: 1 }));
  const remove = off.deleteCommand(PROVIDER, { isWithRelated: true });
  assert.equal(issuer.status(off.deleteCommand(PROVIDER)), '6985');
  assert.equal(issuer.status(remove), '6985');
  assert.equal(card.status(off.closeChannelCommand(1)), '9000');
  assert.equal(issuer.status(remove), '9000');
  assert.deepEqual(issuer.list(APPS), {});
});

test('a domain without Authorized Management manages nothing; one sees only what is below it', () => {
  const { card, provider } = withProvider(0);
  assert.equal(provider.load({ aid: FILE, code: CODE }), 'install 6985');
  const delegated = new TestCard();
  const issuer = delegated.open();
  assert.equal(issuer.domain(PROVIDER, gp.PRIVILEGE.delegatedManagement), '9000');
  const inside = delegated.open({ aid: PROVIDER });
  assert.equal(inside.load({ aid: FILE, code: CODE }), 'install 6985');
  assert.equal(provider.status(off.deleteCommand(ISSUER)), '6985');
  assert.deepEqual(provider.list(APPS), { [PROVIDER]: 0x0f });
  assert.equal(provider.status(off.getStatusCommand({ scope: 0x80, p2: 2 })), '6A88');
  assert.equal(provider.domain(OTHER), '6985');
  assert.equal(card.open().domain(OTHER), '9000');
});

test('report 17: content moves to a domain that takes it from one that lets it go (§9.4.1)', () => {
  const managed = withApplication();
  assert.equal(managed.domain(PROVIDER), '9000');
  const move = off.installForExtradition(NAMES.aid, PROVIDER);
  assert.equal(managed.status(move), '6985');
  const rules = { isToAllowed: true, isFromAllowed: false };
  assert.equal(managed.domain(OTHER, 0, rules), '9000');
  assert.equal(managed.status(off.installForExtradition(NAMES.aid, OTHER)), '9000');
  const { entries } = managed.run(off.readRegistry(APPS, NAMES.aid));
  assert.equal(entries[0]?.domainAid, OTHER);
  assert.equal(managed.status(off.installForExtradition(NAMES.aid, ISSUER)), '6985');
  assert.equal(managed.status(off.installForExtradition(ISSUER, OTHER)), '6985');
  assert.equal(managed.status(off.installForExtradition(OTHER, OTHER)), '6985');
  assert.equal(managed.status(off.installForExtradition(FILE, OTHER)), '9000');
  assert.equal(managed.status(off.installForExtradition('D0D1D2D399', OTHER)), '6A88');
});

test('registry update changes privileges; who is selected after reset is one at most (§6.6.2)', () => {
  const managed = withApplication();
  const reset = gp.PRIVILEGE.cardReset;
  assert.equal(managed.status(off.installForRegistryUpdate(NAMES.aid, reset)), '9000');
  const other = { ...NAMES, aid: 'D0D1D2D30102' };
  assert.equal(managed.install(other, { privileges: reset }), '9000');
  const privileges = managed.run(off.readRegistry(APPS)).entries.map((entry) => entry.privileges);
  assert.deepEqual(privileges, [0, reset]);
  managed.card.card.reset();
  assert.equal(managed.card.status({ cla: 0x80, ins: 0x02, p1: 0, p2: 0 }), '9000');
  const again = managed.card.open();
  assert.equal(again.status(off.installForRegistryUpdate(ISSUER, 0)), '6985');
  const domain = gp.PRIVILEGE.securityDomain;
  assert.equal(again.status(off.installForRegistryUpdate(NAMES.aid, domain)), '6A80');
});

test('memory: each domain has its limit, an application its own (§9.7)', () => {
  const card = new TestCard();
  const managed = card.open();
  assert.equal(managed.domain(PROVIDER, gp.PRIVILEGE.authorizedManagement, undefined, 800), '9000');
  const provider = card.open({ aid: PROVIDER });
  assert.equal(provider.load({ aid: FILE, code: testCode(['D0D1D2D301'], 900) }), '6A84');
  assert.equal(provider.load({ aid: FILE, code: CODE, codeBytes: 801 }), 'install 6A84');
  assert.equal(provider.load({ aid: FILE, code: CODE }), '9000');
  assert.equal(provider.install(NAMES, { persistentBytes: 20 }), '9000');
  card.send(off.selectCommand(NAMES.aid));
  const store = (bytes: number) => ({
    ...{ cla: 0x80, ins: 0x01, p1: 0, p2: 0, data: new Uint8Array(bytes) },
  });
  assert.equal(card.status(store(20)), '9000');
  assert.equal(card.status(store(21)), '6A84');
  assert.ok(card.log.includes(`forget ${NAMES.aid}`));
  const second = card.open({ aid: PROVIDER });
  const big = { ...NAMES, aid: 'D0D1D2D30102' };
  assert.equal(second.install(big, { application: new Uint8Array(200) }), '6A84');
  assert.equal(second.install(big, { application: new Uint8Array(100) }), '9000');
  const issuer = card.open();
  assert.equal(issuer.load({ aid: 'D0D1D2D3F0', code: testCode(['D0D1D2D303'], 5000) }), '9000');
});

test('an application that fails or wants too much changes nothing, and the card lives on', () => {
  const managed = withApplication();
  const { card } = managed;
  card.send(off.selectCommand(NAMES.aid));
  const before = card.card.state();
  assert.equal(card.status({ cla: 0x80, ins: 0x03, p1: 0, p2: 0 }), '6F00');
  assert.equal(card.status({ cla: 0x80, ins: 0x04, p1: 0x80, p2: 0 }), '6985');
  assert.equal(card.status({ cla: 0x80, ins: 0x04, p1: 0x03, p2: 0 }), '6985');
  assert.equal(card.card.state(), before);
  assert.equal(card.faults[0]?.message, 'applet fails');
  assert.equal(card.status({ cla: 0x80, ins: 0x04, p1: 0x0f, p2: 0 }), '9000');
  assert.equal(card.open().list(APPS)[NAMES.aid], 0x0f);
  const again = card.open();
  const names = { ...NAMES, aid: 'D0D1D2D30105' };
  assert.equal(again.install(names, { application: fromHex('EE') }), '6F00');
  assert.equal(again.list(APPS)['D0D1D2D30105'], undefined);
});

test('report 19: after a cut at any write the card is as before or as after, never between', () => {
  const steps = (managed: Managed): readonly (() => string)[] => [
    () => managed.load({ aid: FILE, code: CODE }),
    () => managed.install(NAMES, { application: fromHex('01') }),
    () => managed.status(off.setStatusCommand({ scope: 0x40, state: 0x80, aid: NAMES.aid })),
    () => managed.status(off.deleteCommand(FILE, { isWithRelated: true })),
  ];
  for (let cut = 0; cut < 4; cut++) {
    const card = new TestCard();
    const managed = card.open();
    for (const [index, step] of steps(managed).entries()) {
      if (index < cut) assert.equal(step(), '9000');
    }
    const before = card.card.state();
    card.failingCommits = 1;
    assert.equal(steps(managed)[cut]?.(), '6581');
    assert.equal(card.card.state(), before);
    card.restart();
    assert.deepEqual(card.card.state(), before);
    const resumed = steps(card.open());
    for (const [index, step] of resumed.entries()) if (index >= cut) assert.equal(step(), '9000');
  }
});

test('four logical channels, each with its own selection and session (§11.7)', () => {
  const managed = withApplication();
  const { card } = managed;
  const opened = [1, 2, 3].map(() => toHex(card.send(off.openChannelCommand()).data));
  assert.deepEqual(opened, ['01', '02', '03']);
  assert.equal(card.status(off.openChannelCommand()), '6A81');
  assert.equal(card.status(off.selectCommand(NAMES.aid, { channel: 2 })), '9000');
  assert.equal(card.status({ cla: 0x82, ins: 0x02, p1: 0, p2: 0 }), '9000');
  assert.equal(managed.status(off.getStatusCommand({ scope: 0x80, p2: 2 })), '9000');
  assert.equal(card.status({ ...off.getStatusCommand({ scope: 0x80, p2: 2 }), cla: 0x81 }), '6982');
  assert.equal(card.status(off.closeChannelCommand(2)), '9000');
  assert.equal(card.status(off.closeChannelCommand(2)), '6881');
  assert.equal(card.status({ cla: 0x82, ins: 0x02, p1: 0, p2: 0 }), '6881');
  assert.equal(card.status({ cla: 0, ins: 0x70, p1: 0, p2: 1 }), '6A86');
  card.card.reset();
  assert.equal(card.status(off.selectCommand('', { channel: 1 })), '6881');
});

test('reports 5 and 7: a long registry comes in pages of 6310; the older form is 6A86', () => {
  const managed = withApplication();
  const all = Array.from({ length: 30 }, (_, index) => `D0D1D2D3FF${(16 + index).toString(16)}`);
  for (const aid of all) assert.equal(managed.install({ ...NAMES, aid }), '9000');
  const command = off.getStatusCommand({ scope: APPS, p2: 2, aid: 'D0D1D2D3FF' });
  const first = managed.send(command);
  assert.equal(hexOf(first), '6310');
  assert.ok(first.data.length <= 223);
  const upper = all.map((aid) => aid.toUpperCase());
  assert.deepEqual(Object.keys(managed.list(APPS)).slice(1), upper);
  assert.equal(managed.status({ ...command, p2: 3 }), '6985');
  assert.equal(managed.status({ ...command, p2: 0 }), '6A86');
  assert.equal(managed.status({ ...command, data: fromHex('5C00') }), '6A80');
  assert.equal(managed.status({ ...command, p1: 0x50 }), '6A86');
  const missing = off.getStatusCommand({ scope: APPS, p2: 2, aid: 'D0D1D2D388' });
  assert.equal(managed.status(missing), '6A88');
});

test('GET DATA: production data, recognition, capabilities, keys, counter, in either class', () => {
  const card = new TestCard({ keyBytes: 32 });
  const read = (tag: string, cla = 0x80): Uint8Array =>
    card.send(off.getDataCommand(tag, cla)).data;
  assert.equal(gp.decodeCplc(read('9F7F', 0x00).slice(3)).length, 18);
  const recognition = gp.decodeCardRecognition(read('66'));
  assert.equal(recognition.globalPlatformVersion, '2.3.1');
  assert.deepEqual(recognition.secureChannels, [{ protocol: 3, parameterI: 0x70 }]);
  assert.equal(toHex(read('67')), '670EA0098001038101708201078301' + '02');
  assert.deepEqual(
    gp
      .decodeKeyInformation(read('E0'))
      .map(({ keyIdentifier, components }) => [keyIdentifier, components[0]?.lengthBytes]),
    [
      [1, 32],
      [2, 32],
      [3, 32],
    ],
  );
  assert.equal(toHex(read('C1')), 'C103000000');
  assert.equal(toHex(read('CF')), 'CF0A00010203040506070809');
  assert.equal(card.status(off.getDataCommand('5F50')), '6A88');
  const both = new TestCard({ profile: { scp02ParameterI: 0x15 } });
  const { secureChannels } = gp.decodeCardRecognition(both.send(off.getDataCommand('66')).data);
  assert.deepEqual(secureChannels[0], { protocol: 2, parameterI: 0x15 });
});

test('unknown class, instruction, kind and length each have their status word', () => {
  const card = new TestCard();
  assert.equal(toHex(card.card.process(fromHex('00A4'))), '6700');
  assert.equal(toHex(card.card.process(fromHex('80F2800209AA'))), '6700');
  assert.equal(card.status({ cla: 0x80, ins: 0x99, p1: 0, p2: 0 }), '6D00');
  assert.equal(card.status({ cla: 0xf0, ins: 0xca, p1: 0, p2: 0x66 }), '6E00');
  const managed = card.open();
  assert.equal(managed.status({ cla: 0x80, ins: 0xe6, p1: 0x01, p2: 0 }), '6A86');
  assert.equal(managed.status({ cla: 0x80, ins: 0xf0, p1: 0x20, p2: 0 }), '6A86');
  assert.equal(managed.status({ cla: 0x80, ins: 0xe4, p1: 1, p2: 0 }), '6A86');
  const token = gp.encodeLengthValues(...[FILE, '', '', '', 'AA'].map((hex) => fromHex(hex)));
  assert.equal(managed.status({ cla: 0x80, ins: 0xe6, p1: 2, p2: 0, data: token }), '6A80');
});

test('report 16: mandated DAP by RSA-PSS and ECDSA: unsigned, altered and foreign code is refused', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ecc = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  for (const kind of ['rsa', 'ecc'] as const) {
    const card = new TestCard();
    const privileges = gp.PRIVILEGE.mandatedDapVerification;
    assert.equal(card.open().domain(PROVIDER, privileges), '9000');
    const inside = card.open({ aid: PROVIDER });
    const key = (managed: Managed) =>
      kind === 'rsa' ? rsaKey(managed, rsa.publicKey) : eccKey(managed, ecc.publicKey);
    assert.equal(inside.status(...key(inside).commands), '9000');
    const issuer = card.open();
    const privateKey = kind === 'rsa' ? rsa.privateKey : ecc.privateKey;
    const hash = nodeCiphers.sha256(CODE);
    const dap = (signature: Uint8Array, domainAid = PROVIDER) => [{ domainAid, signature }];
    const good = signed(privateKey, hash);
    assert.equal(issuer.load({ aid: FILE, code: CODE }), '6985');
    const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const wrong = [signed(foreign, hash), good.map((byte, at) => (at === 9 ? byte ^ 1 : byte))];
    for (const signature of wrong) {
      assert.equal(issuer.load({ aid: FILE, code: CODE, dapBlocks: dap(signature) }), '6A80');
    }
    const altered = testCode(['D0D1D2D301'], 601);
    assert.equal(issuer.load({ aid: FILE, code: altered, dapBlocks: dap(good) }), '6A80');
    assert.equal(issuer.load({ aid: FILE, code: CODE, dapBlocks: dap(good, ISSUER) }), '6985');
    const noHash = { aid: FILE, code: CODE, dapBlocks: dap(good), hash: new Uint8Array() };
    assert.equal(issuer.load(noHash), '6985');
    assert.equal(Object.keys(issuer.list(FILES)).length, 1);
    assert.equal(issuer.load({ aid: FILE, code: CODE, dapBlocks: dap(good) }), '9000');
    assert.equal(issuer.install(NAMES), '9000');
  }
});

function rsaKey({ session }: Managed, publicKey: KeyObject): off.PutKeyRequest {
  const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
  const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'));
  const versions = { replaces: 0, newKeyVersionNumber: gp.KEY_VERSION_73_DAP };
  return off.putRsaPublicKey(session, { ...versions, modulus: bytes(n), exponent: bytes(e) });
}

function eccKey({ session }: Managed, publicKey: KeyObject): off.PutKeyRequest {
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'));
  const point = concatBytes(Uint8Array.of(4), bytes(x), bytes(y));
  return off.putEccPublicKey(session, {
    point,
    replaces: 0,
    newKeyVersionNumber: gp.KEY_VERSION_73_DAP,
  });
}

function signed(key: KeyObject, message: Uint8Array): Uint8Array {
  const options =
    key.asymmetricKeyType === 'rsa'
      ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
      : ({ key, dsaEncoding: 'ieee-p1363' } as const);
  return new Uint8Array(sign('sha256', message, options));
}

const PROVIDER_KEYS = off.staticKeys({
  encryption: new Uint8Array(16).fill(0x11),
  mac: new Uint8Array(16).fill(0x22),
  dataEncryption: new Uint8Array(16).fill(0x33),
});

/** A card with a provider's domain of its own keys, and a session with each. */
function withProvider(privileges: number): {
  readonly card: TestCard;
  readonly managed: Managed;
  readonly provider: Managed;
} {
  const card = new TestCard();
  const managed = card.open();
  assert.equal(managed.domain(PROVIDER, privileges), '9000');
  // While the domain has no keys, those of the one above it open its channel.
  const first = card.open({ aid: PROVIDER });
  const request = off.putKeySet(nodeCiphers, first.session, {
    ...{ type: 'aes', keys: PROVIDER_KEYS, replaces: 0, newKeyVersionNumber: 0x31 },
  });
  off.checkPutKeyAnswer(request, first.sendAll(request.commands));
  const provider = card.open({ aid: PROVIDER, keys: PROVIDER_KEYS });
  return { card, managed, provider };
}

test('memory of a domain counts in those above it; none gives more than it has', () => {
  const card = new TestCard({ profile: { cardMemoryBytes: 2000 } });
  const managed = card.open();
  const rules = { isToAllowed: true, isFromAllowed: true };
  const manager = gp.PRIVILEGE.authorizedManagement;
  assert.equal(managed.domain(PROVIDER, manager, rules, 1000), '9000');
  const provider = card.open({ aid: PROVIDER });
  assert.equal(provider.domain(OTHER, manager, rules, 9000), '9000');
  const inner = card.open({ aid: OTHER });
  assert.equal(inner.load({ aid: FILE, code: testCode(['D0D1D2D301'], 1000) }), '6A84');
  assert.equal(inner.load({ aid: FILE, code: testCode(['D0D1D2D301'], 600) }), '9000');
  const outer = card.open();
  const big = { aid: 'D0D1D2D3F0', code: testCode(['D0D1D2D303'], 900) };
  assert.equal(outer.load({ ...big, code: testCode(['D0D1D2D303'], 1500) }), '6A84');
  assert.equal(outer.load(big), '9000');
  assert.equal(outer.status(off.installForExtradition(big.aid, PROVIDER)), '6A84');
  assert.equal(outer.status(off.deleteCommand(FILE)), '9000');
  assert.equal(outer.status(off.installForExtradition(big.aid, PROVIDER)), '9000');
});

test('Mandated DAP is the issuer to give: another domain could stop every loading with it', () => {
  const { provider } = withProvider(gp.PRIVILEGE.authorizedManagement);
  assert.equal(provider.domain(OTHER, gp.PRIVILEGE.mandatedDapVerification), '6985');
  assert.equal(provider.domain(OTHER, gp.PRIVILEGE.dapVerification), '9000');
});

test('a command longer than the card takes is 6700 and ends the session', () => {
  const managed = new TestCard({ profile: { commandBytesMax: 300 } }).open({
    commandBytesMax: 1000,
  });
  const long = { cla: 0x80, ins: 0xe8, p1: 0, p2: 0, data: new Uint8Array(500) };
  assert.equal(hexOf(managed.card.send(managed.session.wrap(long))), '6700');
  assert.equal(managed.status(off.getStatusCommand({ scope: 0x80, p2: 2 })), '6982');
});

test('a domain with Authorized Management manages what is its own, nothing of the issuer', () => {
  const { card, provider } = withProvider(gp.PRIVILEGE.authorizedManagement);
  const issuer = card.open();
  assert.equal(issuer.load({ aid: FILE, code: CODE }), '9000');
  assert.equal(issuer.install(NAMES), '9000');
  assert.equal(provider.status(off.getDataCommand('66')), '6982');
  const again = card.open({ aid: PROVIDER, keys: PROVIDER_KEYS });
  assert.equal(again.status(off.deleteCommand(NAMES.aid)), '6985');
  assert.equal(again.status(off.deleteCommand(FILE, { isWithRelated: true })), '6985');
  assert.equal(again.install({ ...NAMES, aid: 'D0D1D2D30199' }), '6985');
  assert.equal(again.load({ aid: 'D0D1D2D3F0', code: CODE, domainAid: ISSUER }), 'install 6985');
  assert.equal(again.status(off.installForExtradition(NAMES.aid, PROVIDER)), '6985');
  assert.equal(again.status(off.installForRegistryUpdate(NAMES.aid, 0)), '6985');
  assert.equal(again.status(off.installForPersonalization(NAMES.aid)), '6985');
  assert.equal(again.status(off.setStatusCommand({ scope: 0x80, state: 7, aid: '' })), '6985');
  assert.equal(again.status(off.setStatusCommand({ scope: 0x80, state: 0xff, aid: '' })), '6985');
});

test('what is locked after INSTALL [for personalization] is not personalised (§11.5.2.3.5)', () => {
  const managed = withApplication();
  assert.equal(managed.status(off.installForPersonalization(NAMES.aid)), '9000');
  const lock = off.setStatusCommand({ scope: 0x40, state: 0x80, aid: NAMES.aid });
  assert.equal(managed.status(lock), '9000');
  const groupings = [{ identifier: 0x0101, value: fromHex('AA') }];
  assert.equal(managed.status(...off.storeDataGroupings(managed.session, groupings)), '6985');
});

test('a session on another channel: its MACs are those of channel 0 (§E.4.4)', () => {
  const card = new TestCard();
  card.send(off.openChannelCommand());
  const opened = card.run(
    off.openSecureChannel({
      ...{ ciphers: nodeCiphers, random: (bytes) => card.random.bytes(bytes), channel: 1 },
      ...{ candidates: () => [{ name: 'own', keys: card.keys }], securityLevel: 0x33 },
    }),
  );
  const command = { ...off.getStatusCommand({ scope: 0x80, p2: 2 }), cla: 0x81 };
  const wrapped = opened.session.wrap(command);
  assert.equal(wrapped.cla, 0x85);
  assert.equal(hexOf(opened.session.unwrap(card.send(wrapped))), '9000');
  assert.equal(card.status(off.getStatusCommand({ scope: 0x80, p2: 2 })), '6982');
});

test('a domain gives no privilege that it has not itself (§6.6)', () => {
  const { provider } = withProvider(gp.PRIVILEGE.authorizedManagement);
  for (const name of ['globalLock', 'globalDelete', 'globalRegistry', 'cardLock'] as const) {
    assert.equal(provider.domain(OTHER, gp.PRIVILEGE[name]), '6985', name);
  }
  assert.equal(provider.domain(OTHER, gp.PRIVILEGE.authorizedManagement), '9000');
});

test('SELECT ends the session of its channel, also of the domain that is selected (§10.2.3)', () => {
  const managed = new TestCard().open();
  assert.equal(managed.card.status(off.selectCommand('')), '9000');
  assert.equal(managed.status(off.getStatusCommand({ scope: 0x80, p2: 2 })), '6982');
});

test('an application that does not want to be left or deleted is, and the fault is reported', () => {
  const managed = withApplication();
  const names = { ...NAMES, aid: 'D0D1D2D301ED' };
  assert.equal(managed.install(names, { application: fromHex('ED') }), '9000');
  const { card } = managed;
  card.send(off.selectCommand(names.aid));
  const again = card.open();
  assert.equal(again.status(off.deleteCommand(names.aid)), '9000');
  assert.deepEqual(
    card.faults.map(({ message }) => message),
    ['does not leave', 'does not go'],
  );
  assert.equal(again.list(APPS)[names.aid], undefined);
});
