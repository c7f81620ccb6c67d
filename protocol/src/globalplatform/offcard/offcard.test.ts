/**
 * The manager's side against scripted cards: what users reported of other tools, each wrong answer
 * with its code, and nothing sent that a card would count against wrong keys.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex } from '../../bytes/index.ts';
import { type CommandApdu, encodeCommand, type ResponseApdu } from '../../iso7816/index.ts';
import { decodeInitializeUpdate, decodeLoadFile } from '../data/index.ts';
import { SESSION_VECTORS, type SessionVector } from '../sessions.test-vectors.ts';
import * as off from './index.ts';
import { answer, code, keysOf, openVector, run } from './offcard.test-kit.ts';

function vectorOf(id: string): SessionVector {
  const found = SESSION_VECTORS.find((vector) => vector.id === id);
  assert.ok(found, id);
  return found;
}
const SCP03 = vectorOf('scp03-aes128-level33');
const SCP02 = vectorOf('scp02-cenc');

test('report 4: wrong keys stop before EXTERNAL AUTHENTICATE, so the card counts nothing', () => {
  for (const vector of [SCP03, SCP02]) {
    const sent: number[] = [];
    const steps = off.openSecureChannel({
      ciphers: nodeCiphers,
      random: () => fromHex(vector.hostChallenge),
      candidates: () => [{ name: 'old', keys: keysOf('000102030405060708090A0B0C0D0E0E') }],
      securityLevel: 0x01,
    });
    assert.throws(
      () =>
        run(steps, ({ ins }) => {
          sent.push(ins);
          return answer(vector.initializeUpdateAnswer);
        }),
      code('ERR_GP_CARD_CRYPTOGRAM'),
    );
    assert.deepEqual(sent, [0x50]);
  }
});

test('report 3: the answer decides the protocol; a 32-byte key is no DES key', () => {
  const long = '000102030405060708090A0B0C0D0E0F000102030405060708090A0B0C0D0E0F';
  const wrong = { candidates: () => [{ name: 'long', keys: keysOf(long) }] };
  assert.throws(() => openVector(SCP02, wrong), code('ERR_GP_CARD_CRYPTOGRAM'));
  assert.equal(openVector(SCP02).result.session.protocol, 2);
  assert.equal(openVector(SCP03).result.session.protocol, 3);
  const keys = keysOf(long);
  const challenges = { hostChallenge: new Uint8Array(8), cardChallenge: new Uint8Array(6) };
  const sequenceCounter = new Uint8Array(2);
  assert.throws(
    () => off.scp02Messages(keys, { ...challenges, sequenceCounter }),
    code('ERR_GP_PROTOCOL'),
  );
  assert.throws(
    () => off.scp03Messages(nodeCiphers, keysOf('0011223344556677'), challenges),
    code('ERR_GP_PROTOCOL'),
  );
});

test('report 25: old and new key sets are probed on one answer; the one that fits opens', () => {
  const old = keysOf(SCP03.encryption, SCP03.mac, SCP03.dataEncryption);
  const candidates = () => [
    { name: 'new', keys: keysOf('FFEEDDCCBBAA99887766554433221100') },
    { name: 'old', keys: old },
  ];
  const { result, commands } = openVector(SCP03, { candidates });
  assert.equal(result.keyName, 'old');
  assert.equal(commands.length, 2);
});

test('report 1: a master is tried by every way of diversification, and check values are shown', () => {
  const master = keysOf('404142434445464748494A4B4C4D4E4F');
  const scp03 = decodeInitializeUpdate(fromHex(SCP03.initializeUpdateAnswer));
  const scp02 = decodeInitializeUpdate(fromHex(SCP02.initializeUpdateAnswer));
  const names = (of: typeof scp03, keys = master) =>
    off.diversifiedCandidates(nodeCiphers, keys, of).map(({ name }) => name);
  assert.deepEqual(names(scp03), ['none', 'emv', 'visa2', 'kdf3']);
  assert.deepEqual(names(scp02), ['none', 'emv', 'visa2']);
  assert.deepEqual(names(scp03, keysOf('00'.repeat(32))), ['none', 'kdf3']);
  const values = off.keyCheckValues(nodeCiphers, master, 2);
  assert.equal(toHex(values.mac), '8BAF47');
  assert.equal(toHex(off.keyCheckValues(nodeCiphers, master, 3).mac), '504A77');
  assert.equal(`${master.encryption}`, '[key]');
});

test('report 10: a card that answers 6700 gets the other size of challenge, once', () => {
  const vector = vectorOf('scp03-aes256-s16');
  const keys = keysOf(vector.encryption, vector.mac, vector.dataEncryption);
  const steps = off.openSecureChannel({
    ciphers: nodeCiphers,
    random: (lengthBytes) => fromHex(vector.hostChallenge).slice(0, lengthBytes),
    candidates: () => [{ name: 'card', keys }],
    securityLevel: 0x33,
  });
  const { commands } = run(steps, ({ ins, data }) => {
    if (ins === 0x82) return answer('');
    return data?.length === 16 ? answer(vector.initializeUpdateAnswer) : answer('', 0x6700);
  });
  assert.deepEqual(
    commands.map(({ data }) => data?.length),
    [8, 16, 32],
  );
  const stubborn = off.openSecureChannel({
    ciphers: nodeCiphers,
    random: (lengthBytes) => new Uint8Array(lengthBytes),
    ...{ candidates: () => [], securityLevel: 1 },
  });
  assert.throws(() => run(stubborn, () => answer('', 0x6700)), code('ERR_GP_STATUS'));
});

test('an answer whose challenges have not the size that i says is refused (GP-D table 5-1)', () => {
  const lying = `${SCP03.initializeUpdateAnswer.slice(0, 24)}71${SCP03.initializeUpdateAnswer.slice(26)}`;
  assert.throws(
    () => openVector({ ...SCP03, initializeUpdateAnswer: lying }),
    code('ERR_GP_FORMAT'),
  );
  const unknown = `${SCP03.initializeUpdateAnswer.slice(0, 24)}04${SCP03.initializeUpdateAnswer.slice(26)}`;
  assert.throws(
    () => openVector({ ...SCP03, initializeUpdateAnswer: unknown }),
    code('ERR_GP_PROTOCOL'),
  );
});

test('a level that the card does not offer is refused before it is asked for', () => {
  assert.throws(() => openVector(SCP02, { securityLevel: 0x11 }), code('ERR_GP_PROTOCOL'));
  assert.throws(() => openVector(SCP03, { securityLevel: 0x31 }), code('ERR_GP_PROTOCOL'));
  const bare = SCP03.initializeUpdateAnswer.replace('300370', '300310');
  assert.throws(
    () => openVector({ ...SCP03, initializeUpdateAnswer: bare }, { securityLevel: 0x33 }),
    code('ERR_GP_PROTOCOL'),
  );
});

test('report 21: an answer with a wrong, missing or forged MAC ends the session', () => {
  const [first] = SCP03.commands;
  const good = fromHex(first?.responseWrapped ?? '').slice(0, -2);
  const wrong = good.slice();
  wrong[3] = (wrong[3] ?? 0) ^ 1;
  for (const data of [wrong, good.slice(0, 7), new Uint8Array()]) {
    const { session } = openVector(SCP03).result;
    session.wrap({ cla: 0x80, ins: 0xe2, p1: 0x91, p2: 0, data: fromHex('BF3E035C015A'), le: 256 });
    const response = { data, statusWord: answer('').statusWord };
    assert.throws(() => session.unwrap(response), code('ERR_GP_RESPONSE_MAC'));
    assert.equal(session.isEnded, true);
    assert.throws(() => session.unwrap(response), code('ERR_GP_SESSION_ENDED'));
    assert.throws(
      () => session.wrap({ cla: 0x80, ins: 0xf2, p1: 0, p2: 0 }),
      code('ERR_GP_SESSION_ENDED'),
    );
  }
});

test('an error comes without MAC and is taken as one; with data it is refused (GP-D §6.2.5)', () => {
  const { session } = openVector(SCP03).result;
  session.wrap({ cla: 0x80, ins: 0xe4, p1: 0, p2: 0, data: fromHex('4F00') });
  assert.equal(session.unwrap(answer('', 0x6a88)).statusWord, 0x6a88);
  session.wrap({ cla: 0x80, ins: 0xe4, p1: 0, p2: 0, data: fromHex('4F00') });
  assert.throws(() => session.unwrap(answer('AA', 0x6a88)), code('ERR_GP_RESPONSE_MAC'));
});

test('report 11: an extended command is wrapped under SCP03 and refused with a code under SCP02', () => {
  const command = { cla: 0x80, ins: 0xe8, p1: 0, p2: 0, data: new Uint8Array(1000) };
  const { session } = openVector(SCP03, { commandBytesMax: 4096 }).result;
  const wire = encodeCommand(session.wrap(command));
  assert.equal(toHex(wire.subarray(0, 7)), '84E80000000' + '3F8');
  const older = openVector(SCP02, { commandBytesMax: 4096 }).result.session;
  assert.throws(() => older.wrap(command), code('ERR_GP_LIMIT'));
});

test('report 15: blocks leave room for MAC and padding at every level', () => {
  const content = { dapBlocks: [], code: new Uint8Array(5000).map((_, index) => index) };
  const cases: readonly (readonly [SessionVector, number, number])[] = [
    [SCP03, 0x33, 239],
    [SCP03, 0x01, 247],
    [vectorOf('scp03-aes128-s16'), 0x33, 223],
    [vectorOf('scp03-aes128-s16'), 0x11, 239],
    [SCP02, 0x03, 239],
    [SCP02, 0x01, 247],
  ];
  for (const [vector, securityLevel, most] of cases) {
    const { session } = openVector(vector, { securityLevel }).result;
    assert.equal(session.dataBytesMax, most);
    const commands = off.loadCommands(content, session);
    for (const command of commands) {
      const wrapped = session.wrap(command).data?.length ?? 0;
      assert.ok(wrapped <= 255, `${vector.id} ${securityLevel}: ${wrapped}`);
    }
    const joined = commands.flatMap(({ data = new Uint8Array() }) => [...data]);
    assert.deepEqual(decodeLoadFile(Uint8Array.from(joined)), content);
    assert.equal(commands.at(-1)?.p1, 0x80);
  }
  const small = off.loadCommands(content, { dataBytesMax: 100 });
  assert.equal(small.length, 51);
  assert.throws(() => off.loadCommands(content, { dataBytesMax: 10 }), code('ERR_GP_LIMIT'));
});

test('reports 5 and 8: pages go on after 6310; an AID of length 0 is listed and can be deleted', () => {
  const pages: Readonly<Record<number, ResponseApdu>> = {
    2: answer('E31C4F08A0000001510000009F70010FC5039EFE80C407A0000000620001', 0x6310),
    3: answer('E3084F009F700103C500'),
  };
  const { result, commands } = run(
    off.readRegistry(0x40),
    ({ p2 }) => pages[p2] ?? answer('', 0x6f00),
  );
  assert.deepEqual(
    commands.map((command) => toHex(encodeCommand(command))),
    ['80F24002024F0000', '80F24003024F0000'],
  );
  assert.equal(result.isTruncated, false);
  assert.deepEqual(result.entries[0], {
    ...{ aid: 'A000000151000000', lifeCycle: 0x0f, privileges: 0x9efe80, domainAid: null },
    ...{ loadFileAid: 'A0000000620001', moduleAids: [] },
  });
  assert.deepEqual(result.entries[1]?.aid, '');
  assert.equal(toHex(off.deleteCommand('').data ?? new Uint8Array()), '4F00');
});

test('report 5: 61xx and 6Cxx between the pages are followed', () => {
  const script: readonly ResponseApdu[] = [
    answer('', 0x6c0a),
    answer('E3084F009F', 0x6105),
    answer('700103C500'),
  ];
  const { result, commands } = run(
    off.overTransport(off.readRegistry(0x40)),
    (_, index) => script[index] ?? answer('', 0x6f00),
  );
  assert.equal(result.entries.length, 1);
  assert.deepEqual(
    commands.map((command) => toHex(encodeCommand(command))),
    ['80F24002024F0000', '80F24002024F000A', '00C0000005'],
  );
});

test('report 6: a listing cut at 256 bytes without 6310 keeps what is whole and says so', () => {
  const entry = 'E30F4F07D0D1D2D3D4D5019F7001078200';
  const whole = entry.repeat(16).slice(0, 512);
  const { result } = run(off.readRegistry(0x20), () => answer(whole));
  assert.equal(result.isTruncated, true);
  assert.equal(result.entries.length, 15);
  const broken = run(off.readRegistry(0x20), () => answer('E3044F09AABB'));
  assert.deepEqual(broken.result, { entries: [], isTruncated: true });
});

test('report 7: a card without the TLV form is read in the older one, an empty one is no fault', () => {
  const older = '07D0D1D2D3D4D5010100' + '08A0000000030000000F9E';
  const { result, commands } = run(off.readRegistry(0x40), ({ p2 }) =>
    p2 === 0 ? answer(older) : answer('', 0x6a86),
  );
  assert.equal(commands.length, 2);
  assert.deepEqual(
    result.entries.map(({ aid, lifeCycle }) => [aid, lifeCycle]),
    [
      ['D0D1D2D3D4D501', 1],
      ['A000000003000000', 0x0f],
    ],
  );
  const modules = off.parseOlderForm(fromHex('05D0D1D2D3D401000105AABBCCDDEE'), 0x10);
  assert.deepEqual(modules.entries[0]?.moduleAids, ['AABBCCDDEE']);
  assert.equal(off.parseOlderForm(fromHex('05D0D1'), 0x40).isTruncated, true);
  const empty = run(off.readRegistry(0x40), () => answer('', 0x6a88));
  assert.deepEqual(empty.result, { entries: [], isTruncated: false });
  assert.throws(() => run(off.readRegistry(0x40), () => answer('', 0x6985)), code('ERR_GP_STATUS'));
});

test('report 9: CPLC is asked for in either class, may be absent, and is read with or without tag', () => {
  const cplc = '4790'.padEnd(84, '0');
  const only00 = run(off.readCardObject('9F7F'), ({ cla }) =>
    cla === 0 ? answer(`9F7F2A${cplc}`) : answer('', 0x6e00),
  );
  assert.deepEqual(
    only00.commands.map((command) => toHex(encodeCommand(command))),
    ['80CA9F7F00', '00CA9F7F00'],
  );
  assert.equal(toHex(only00.result ?? new Uint8Array()), cplc);
  const bare = run(off.readCardObject('9F7F'), () => answer(cplc));
  assert.equal(toHex(bare.result ?? new Uint8Array()), cplc);
  const alike = run(off.readCardObject('9F7F'), () => answer('9F7F05'));
  assert.equal(toHex(alike.result ?? new Uint8Array()), '9F7F05');
  for (const word of [0x6a86, 0x6a88]) {
    assert.equal(run(off.readCardObject('9F7F'), () => answer('', word)).result, null);
  }
  assert.throws(
    () => run(off.readCardObject('9F7F'), () => answer('', 0x6985)),
    code('ERR_GP_STATUS'),
  );
});

test('SELECT says how long a command may be; an answer that is no TLV says nothing', () => {
  const fci = '6F118408A000000151000000A5059F65020FFF';
  assert.deepEqual(off.decodeSelectAnswer(fromHex(fci)), {
    ...{ aid: 'A000000151000000', commandBytesMax: 0x0fff },
  });
  const nothing = { aid: null, commandBytesMax: null };
  assert.deepEqual(off.decodeSelectAnswer(fromHex('6F')), nothing);
  assert.deepEqual(off.decodeSelectAnswer(new Uint8Array()), nothing);
});

test('report 23: a card without INSTALL [for personalization] is personalised in its own channel', () => {
  assert.equal(off.personalisationWay(answer('00')), 'domain');
  assert.equal(off.personalisationWay(answer('', 0x6a86)), 'ownChannel');
  assert.throws(() => off.personalisationWay(answer('', 0x6985)), code('ERR_GP_STATUS'));
});

test('report 13: PUT KEY of AES keys under SCP02 is the published field; answers are compared', () => {
  const { session } = openVector(SCP02).result;
  const keys = keysOf('404142434445464748494A4B4C4D4E4F');
  const request = off.putKeySet(nodeCiphers, session, {
    ...{ type: 'aes', keys, replaces: 0, newKeyVersionNumber: 0x30 },
  });
  const { commands, expectedAnswer } = request;
  const [command] = commands;
  assert.equal(toHex(expectedAnswer), '30504A77504A77504A77');
  assert.equal(toHex((command?.data ?? new Uint8Array()).subarray(0, 4)), '30881110');
  off.checkPutKeyAnswer(request, answer('30504A77504A77504A77'));
  assert.throws(
    () => off.checkPutKeyAnswer(request, answer('30504A77504A77504A78')),
    code('ERR_GP_KEY_CHECK_VALUE'),
  );
  assert.throws(() => off.checkPutKeyAnswer(request, answer('', 0x6a80)), code('ERR_GP_STATUS'));
});

test('report 14: STORE DATA in groupings says so in P1, on every block', () => {
  const { session } = openVector(SCP03).result;
  const groupings = [{ identifier: 0x0101, value: new Uint8Array(400) }];
  const p1s = (commands: readonly CommandApdu[]) => commands.map(({ p1 }) => p1);
  assert.deepEqual(p1s(off.storeDataGroupings(session, groupings)), [0x08, 0x88]);
  assert.deepEqual(p1s(off.storeDataGroupings(session, groupings, { isEncrypted: true })), [
    ...[0x68, 0xe8],
  ]);
  const objects = [{ tag: '9F27', value: fromHex('01') }];
  assert.deepEqual(p1s(off.storeDataObjects(session, objects)), [0x90]);
  assert.deepEqual(p1s(off.storeDataObjects(session, objects, { isEncrypted: true })), [0xf0]);
});

test('single commands are the bytes of the standard (§11)', () => {
  const hex = (command: CommandApdu): string => toHex(encodeCommand(command));
  assert.equal(hex(off.selectCommand('')), '00A4040000');
  assert.equal(hex(off.selectCommand('A000000151', { isNext: true })), '00A4040205A00000015100');
  assert.equal(
    hex(off.deleteCommand('D0D1D2D3D4', { isWithRelated: true })),
    '80E40080074F05D0D1D2D3D400',
  );
  assert.equal(hex(off.deleteKeyCommand({ keyVersionNumber: 0x30 })), '80E4000003D2013000');
  assert.equal(
    hex(off.deleteKeyCommand({ keyVersionNumber: 0x30, keyIdentifier: 1 })),
    '80E4000006D00101D2013000',
  );
  assert.equal(
    hex(off.setStatusCommand({ scope: 0x40, state: 0x80, aid: 'D0D1D2D3D4' })),
    '80F0408005D0D1D2D3D4',
  );
  assert.equal(hex(off.setStatusCommand({ scope: 0x80, state: 0x7f, aid: '' })), '80F0807F');
  assert.equal(hex(off.openChannelCommand()), '0070000001');
  assert.equal(hex(off.closeChannelCommand(2)), '00708002');
  assert.equal(
    hex(off.installForLoad({ loadFileAid: 'D0D1D2D3D4', domainAid: '', hash: new Uint8Array() })),
    '80E602000A05D0D1D2D3D40000000000',
  );
  assert.equal(
    hex(
      off.installForInstall({
        ...{ loadFileAid: 'D0D1D2D3D4', moduleAid: 'D0D1D2D3D5', applicationAid: 'D0D1D2D3D6' },
        privileges: 0,
      }),
    ),
    '80E60C001A05D0D1D2D3D405D0D1D2D3D505D0D1D2D3D60300000002C9000000',
  );
  assert.equal(
    hex(off.installForPersonalization('D0D1D2D3D6')),
    '80E620000B000005D0D1D2D3D600000000',
  );
  assert.equal(
    hex(off.installForExtradition('D0D1D2D3D6', 'D0D1D2D3D7')),
    '80E610001005D0D1D2D3D70005D0D1D2D3D600000000',
  );
  assert.throws(() => off.aidBytes('00'.repeat(17)), code('ERR_GP_LIMIT'));
});

test('a script of unpredictable challenges, or of too many commands, is refused', () => {
  const request = {
    keys: keysOf(SCP03.encryption, SCP03.mac, SCP03.dataEncryption),
    ...{ hostChallenge: new Uint8Array(8), securityLevel: 1 },
    commands: (): readonly CommandApdu[] => [],
  };
  const target: off.ScriptTarget = {
    protocol: 3,
    ...{ parameterI: 0x10, keyVersionNumber: 0x30 },
    ...{ sequenceCounter: 1, invokerAid: 'A000000151000000' },
  };
  const script = off.computeScript(nodeCiphers, target, request);
  assert.equal(script.steps.length, 2);
  assert.throws(
    () => off.computeScript(nodeCiphers, { ...target, parameterI: 0x60 }, request),
    code('ERR_GP_PROTOCOL'),
  );
  assert.throws(
    () => off.computeScript(nodeCiphers, target, { ...request, securityLevel: 0x33 }),
    code('ERR_GP_PROTOCOL'),
  );
  const many = { ...request, commands: () => Array(601).fill(off.deleteCommand('D0D1D2D3D4')) };
  assert.throws(() => off.computeScript(nodeCiphers, target, many), code('ERR_GP_LIMIT'));
});

test('the MAC of a command on another channel is that of channel 0 (GPCS §E.4.4, GP-D §6.2.4)', () => {
  for (const vector of [SCP03, SCP02]) {
    const command = { cla: 0x80, ins: 0xf2, p1: 0x80, p2: 0x02, data: fromHex('4F00') };
    const basic = openVector(vector).result.session.wrap(command);
    const other = openVector(vector).result.session.wrap({ ...command, cla: 0x82 });
    assert.deepEqual(other, { ...basic, cla: 0x86 });
  }
});

test('an answer that no command waits for is refused; too many waiting ones are a limit', () => {
  const { session } = openVector(SCP03).result;
  assert.throws(() => session.unwrap(answer('')), code('ERR_GP_RESPONSE_MAC'));
  const busy = openVector(SCP03).result.session;
  const command = off.deleteCommand('D0D1D2D3D4');
  for (let count = 0; count < off.PENDING_ANSWERS_MAX; count++) busy.wrap(command);
  assert.throws(() => busy.wrap(command), code('ERR_GP_LIMIT'));
  const bare = openVector(SCP03, { securityLevel: 0x03 }).result.session;
  for (let count = 0; count <= off.PENDING_ANSWERS_MAX; count++) bare.wrap(command);
});
