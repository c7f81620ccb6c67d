/**
 * Keys and stored data of domains: PUT KEY, DELETE [key], STORE DATA in both forms, clear and
 * enciphered, with each refusal that users of other tools met.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex } from '../../bytes/index.ts';
import type { CommandApdu } from '../../iso7816/index.ts';
import * as gp from '../data/index.ts';
import { type Managed, TestCard, type TestCardOptions, testCode } from '../managed.test-kit.ts';
import * as off from '../offcard/index.ts';

const NAMES = { file: 'D0D1D2D300', module: 'D0D1D2D301', aid: 'D0D1D2D302' };

/** A key set of three different keys of one length. */
function newKeys(keyBytes: number, fill = 0x50): off.StaticKeys {
  return off.staticKeys({
    encryption: new Uint8Array(keyBytes).fill(fill),
    mac: new Uint8Array(keyBytes).fill(fill + 1),
    dataEncryption: new Uint8Array(keyBytes).fill(fill + 2),
  });
}

function put(
  managed: Managed,
  request: {
    readonly keys: off.StaticKeys;
    readonly replaces: number;
    readonly version: number;
    readonly type?: 'aes' | 'des';
  },
): string {
  const { keys, replaces, version, type = 'aes' } = request;
  const made = off.putKeySet(nodeCiphers, managed.session, {
    ...{ type, keys, replaces, newKeyVersionNumber: version },
  });
  const response = managed.sendAll(made.commands);
  if (response.statusWord === 0x9000) off.checkPutKeyAnswer(made, response);
  return response.statusWord.toString(16).toUpperCase();
}

function versions(card: TestCard): readonly number[] {
  const [domain] = card.card.state().entries;
  return domain?.kind === 'domain' ? domain.keySets.map(({ version }) => version) : [];
}

test('the factory set FF is replaced whole, first, and is gone after it (§11.8.2.3)', () => {
  for (const keyBytes of [16, 24, 32] as const) {
    for (const replaces of [0, 0xff]) {
      const card = new TestCard({ keyVersion: 0xff });
      const managed = card.open();
      const keys = newKeys(keyBytes);
      const dap = off.putEccPublicKey(managed.session, {
        ...{ replaces: 0, newKeyVersionNumber: 0x73 },
        point: new Uint8Array(65).fill(4),
      });
      assert.equal(managed.status(...dap.commands), '6985');
      assert.equal(put(managed, { keys, replaces, version: 0x30 }), '9000');
      assert.deepEqual(versions(card), [0x30]);
      const [domain] = card.card.state().entries;
      assert.equal(domain?.lifeCycle, gp.DOMAIN_0F_PERSONALIZED);
      assert.throws(() => card.open(), { code: 'ERR_GP_CARD_CRYPTOGRAM' });
      assert.equal(card.open({ keys }).session.facts.keyVersionNumber, 0x30);
    }
  }
});

test('report 12: three different keys; a version that is not there is 6A88, one that is 6A80', () => {
  const card = new TestCard();
  const managed = card.open();
  const keys = newKeys(16);
  assert.equal(put(managed, { keys, replaces: 0x20, version: 0x20 }), '6A88');
  assert.equal(put(managed, { keys, replaces: 0, version: 0x30 }), '6A80');
  assert.equal(put(managed, { keys, replaces: 0, version: 0x80 }), '6A80');
  assert.equal(put(managed, { keys, replaces: 0, version: 0x31 }), '9000');
  assert.deepEqual(versions(card), [0x30, 0x31]);
  const bytes = card.open({ keys, keyVersionNumber: 0x31 });
  assert.equal(bytes.session.facts.keyVersionNumber, 0x31);
  assert.equal(card.open({ keyVersionNumber: 0x30 }).session.facts.keyVersionNumber, 0x30);
});

test('report 12: a key in place keeps type and length; a new version takes the whole set', () => {
  const card = new TestCard({ profile: { scp02ParameterI: 0x55 } });
  const managed = card.open();
  assert.equal(put(managed, { keys: newKeys(32), replaces: 0x30, version: 0x30 }), '6A80');
  const des = { keys: newKeys(16), type: 'des', replaces: 0x30, version: 0x30 } as const;
  assert.equal(put(managed, des), '6A80');
  assert.equal(put(managed, { keys: newKeys(16), replaces: 0x30, version: 0x32 }), '9000');
  assert.deepEqual(versions(card), [0x32]);
  const again = card.open({ keys: newKeys(16) });
  assert.equal(put(again, { keys: newKeys(32), replaces: 0, version: 0x33 }), '9000');
  const aes256 = card.open({ keys: newKeys(32), keyVersionNumber: 0x33 });
  assert.equal(aes256.status(off.deleteKeyCommand({ keyVersionNumber: 0x32 })), '9000');
  assert.deepEqual(versions(card), [0x33]);
});

test('SCP02 keys come in under SCP03 where they are on, and AES keys under SCP02', () => {
  const mixed = new TestCard({ profile: { scp02ParameterI: 0x15 } });
  const des = { keys: newKeys(16), type: 'des', replaces: 0, version: 0x20 } as const;
  assert.equal(put(mixed.open(), des), '9000');
  const older = mixed.open({ keys: newKeys(16), keyVersionNumber: 0x20, securityLevel: 0x03 });
  assert.equal(older.session.protocol, 2);
  assert.equal(put(older, { keys: newKeys(32, 0x60), replaces: 0, version: 0x34 }), '9000');
  const newer = mixed.open({ keys: newKeys(32, 0x60), keyVersionNumber: 0x34 });
  assert.equal(newer.session.protocol, 3);
});

test('report 13: a wrong check value is 9485, and no key changes', () => {
  const card = new TestCard();
  const managed = card.open();
  const { commands } = off.putKeySet(nodeCiphers, managed.session, {
    ...{ type: 'aes', keys: newKeys(16), replaces: 0, newKeyVersionNumber: 0x31 },
  });
  const [command] = commands;
  assert.ok(command?.data);
  for (const at of [3, 10, command.data.length - 1]) {
    const data: Uint8Array = command.data.slice();
    data[at] = (data[at] ?? 0) ^ 1;
    const words = at === 3 ? ['6A80'] : ['9485'];
    assert.ok(words.includes(managed.status({ ...command, data })), `${at}`);
  }
  assert.deepEqual(versions(card), [0x30]);
});

test('PUT KEY: P2, cut data, unknown algorithms and a DAP key of no DAP domain are refused', () => {
  const managed = new TestCard().open();
  const command: CommandApdu = { cla: 0x80, ins: gp.INS_D8_PUT_KEY, p1: 0, p2: 1 };
  const status = (hex: string, p2 = 1) => managed.status({ ...command, p2, data: fromHex(hex) });
  const aes = `881110${'00'.repeat(16)}03AABBCC`;
  assert.equal(status(`31${aes}`, 0), '6A86');
  assert.equal(status(`31${aes}`, 0x81), '6A86');
  assert.equal(status(`31${aes}`), '9485');
  assert.equal(status('318811'), '6A80');
  assert.equal(status('31850101000'.slice(0, -1)), '9484');
  assert.equal(status('73B00104F0010000'), '9484');
  const point = `B041${'04'.repeat(65)}F0010000`;
  assert.equal(status(`73${point}`), '6985');
  assert.equal(status(`70${point}`), '9000');
});

test('a key in use and the last set of a domain are not deleted (§11.2)', () => {
  const card = new TestCard();
  const managed = card.open();
  const remove = (keyVersionNumber: number, keyIdentifier?: number): string =>
    managed.status(
      off.deleteKeyCommand(
        keyIdentifier === undefined ? { keyVersionNumber } : { keyVersionNumber, keyIdentifier },
      ),
    );
  assert.equal(remove(0x30), '6985');
  assert.equal(put(managed, { keys: newKeys(16), replaces: 0, version: 0x31 }), '9000');
  assert.equal(remove(0x30, 3), '6985');
  assert.equal(remove(0x31), '9000');
  assert.equal(remove(0x31), '6A88');
  assert.equal(
    managed.status({ cla: 0x80, ins: 0xe4, p1: 0, p2: 0, data: fromHex('D200') }),
    '6A80',
  );
});

test('report 25: after a lost answer to PUT KEY old and new sets are probed on one answer', () => {
  for (const isDone of [false, true]) {
    const card = new TestCard();
    const managed = card.open();
    const keys = newKeys(16);
    if (isDone) put(managed, { keys, replaces: 0x30, version: 0x31 });
    card.restart();
    const opened = card.run(
      off.openSecureChannel({
        ...{ ciphers: nodeCiphers, random: (bytes) => card.random.bytes(bytes) },
        securityLevel: 0x33,
        candidates: () => [
          { name: 'new', keys },
          { name: 'old', keys: card.keys },
        ],
      }),
    );
    assert.equal(opened.keyName, isDone ? 'new' : 'old');
    const [domain] = card.card.state().entries;
    assert.equal(domain?.kind === 'domain' && domain.failures.count, 0);
  }
});

test('STORE DATA to the domain: objects come back by GET DATA, the card’s own are refused', () => {
  const card = new TestCard();
  const managed = card.open();
  const stored = (objects: readonly off.StoredObject[], options = {}) =>
    managed.status(...off.storeDataObjects(managed.session, objects, options));
  assert.equal(stored([{ tag: '42', value: fromHex('622800') }]), '9000');
  assert.equal(toHex(managed.send(off.getDataCommand('42')).data), '4203622800');
  assert.equal(
    stored([{ tag: '5F50', value: fromHex('68747470') }], { isEncrypted: true }),
    '9000',
  );
  assert.equal(toHex(managed.send(off.getDataCommand('5F50')).data), '5F500468747470');
  assert.equal(stored([{ tag: '9F7F', value: new Uint8Array(42) }]), '6A80');
  const inside = [{ identifier: gp.DGI_0070_TLV, value: fromHex('4501AA') }];
  assert.equal(managed.status(...off.storeDataGroupings(managed.session, inside)), '9000');
  assert.equal(toHex(managed.send(off.getDataCommand('45')).data), '4501AA');
  const unknown = [{ identifier: 0x0101, value: fromHex('00') }];
  assert.equal(managed.status(...off.storeDataGroupings(managed.session, unknown)), '6A80');
});

test('report 16: keys of a new domain by 00B9 and 8113 through the domain above it (§11.11.4)', () => {
  const provider = 'A00000015100AA01';
  for (const keyBytes of [16, 24, 32]) {
    const card = new TestCard();
    const managed = card.open();
    assert.equal(managed.domain(provider), '9000');
    const keys = newKeys(keyBytes);
    const groupings = off.STATIC_KEY_USAGES.flatMap((usage, index) => {
      const bytes = keys[usage].expose();
      return off.keyGroupings({
        ...{ keyIdentifier: index + 1, keyVersionNumber: 0x30, type: gp.KEY_TYPE_88_AES, bytes },
        keyCheckValue: gp.aesKeyCheckValue(nodeCiphers, bytes),
      });
    });
    assert.equal(managed.status(off.installForPersonalization(provider)), '9000');
    const commands = off.storeDataGroupings(managed.session, groupings, { isEncrypted: true });
    assert.equal(managed.status(...commands), '9000');
    const inside = card.open({ aid: provider, keys });
    assert.equal(inside.session.facts.keyVersionNumber, 0x30);
    const wrong = groupings.map((grouping) =>
      grouping.identifier === 0x8113 ? { ...grouping, value: new Uint8Array(keyBytes) } : grouping,
    );
    const again = card.open();
    again.status(off.installForPersonalization(provider));
    const refused = off.storeDataGroupings(again.session, wrong, { isEncrypted: true });
    assert.equal(again.status(...refused), '9485');
  }
});

test('report 14: groupings reach the application whole and in clear, also over several blocks', () => {
  const options: readonly (readonly [TestCardOptions, number])[] = [
    [{}, 0x33],
    [{ isDes: true }, 0x03],
  ];
  for (const [cardOptions, securityLevel] of options) {
    for (const isEncrypted of [false, true]) {
      const card = new TestCard(cardOptions);
      const managed = card.open({ securityLevel });
      assert.equal(managed.load({ aid: NAMES.file, code: testCode([NAMES.module]) }), '9000');
      assert.equal(managed.install(NAMES), '9000');
      assert.equal(managed.status(off.installForPersonalization(NAMES.aid)), '9000');
      const groupings = [
        { identifier: 0x0101, value: new Uint8Array(300).fill(1) },
        { identifier: 0x8010, value: fromHex('241234FFFFFFFFFF241234FFFFFFFFFF') },
        { identifier: 0x9102, value: fromHex('A5') },
      ];
      const commands = off.storeDataGroupings(managed.session, groupings, { isEncrypted });
      assert.ok(commands.length > 1);
      const sent = commands.flatMap(({ data }) => [...(data ?? [])]);
      assert.equal(toHex(Uint8Array.from(sent)).includes('241234FF'), !isEncrypted);
      assert.equal(managed.status(...commands), '9000');
      card.send(off.selectCommand(NAMES.aid));
      const { data } = card.send({ cla: 0x80, ins: 0x02, p1: 0, p2: 0 });
      assert.deepEqual(gp.decodeDataGroupings(data), groupings);
    }
  }
});

test('STORE DATA out of turn, of two forms, cut, or of half blocks is refused as a whole', () => {
  const managed = new TestCard().open();
  const block = (p1: number, p2: number, hex: string): CommandApdu => ({
    ...{ cla: 0x80, ins: gp.INS_E2_STORE_DATA, p1, p2, data: fromHex(hex) },
  });
  assert.equal(managed.status(block(0x88, 1, '0070034501AA')), '6985');
  assert.equal(managed.status(block(0x08, 0, '007003')), '9000');
  assert.equal(managed.status(block(0x90, 1, '4501AA')), '6A80');
  assert.equal(managed.status(block(0x88, 1, '4501AA')), '6985');
  assert.equal(managed.status(block(0x88, 0, '00700345')), '6A80');
  assert.equal(managed.status(block(0xe8, 0, '0070034501AA')), '6A80');
  assert.equal(managed.status(block(0xe8, 0, `007010${'00'.repeat(16)}`)), '6A80');
  assert.equal(managed.status(block(0x80, 0, '00')), '6A80');
  assert.equal(managed.status(block(0x88, 0, '8113021122')), '6A88');
  assert.equal(managed.status(off.installForPersonalization('D0D1D2D399')), '6A88');
});

test('report 24: an application is personalised in its own channel, with AES-256 keys as well', () => {
  for (const keyBytes of [16, 32] as const) {
    const card = new TestCard({ keyBytes });
    const managed = card.open();
    assert.equal(managed.load({ aid: NAMES.file, code: testCode([NAMES.module]) }), '9000');
    assert.equal(managed.install(NAMES), '9000');
    const own = card.open({ aid: NAMES.aid });
    const key = new Uint8Array(keyBytes).map((_, index) => 0xf0 + index);
    const commands = off.storeDataGroupings(own.session, [{ identifier: 0x8113, value: key }], {
      isEncrypted: true,
    });
    assert.equal(own.status(...commands), '9000');
    const short = { cla: 0x80, ins: 0xe2, p1: 0xe8, p2: 0, data: fromHex('8113021122') };
    assert.equal(own.status(short), '6A80');
    card.send(off.selectCommand(NAMES.aid));
    const { data } = card.send({ cla: 0x80, ins: 0x02, p1: 0, p2: 0 });
    assert.deepEqual(data, key);
  }
});
