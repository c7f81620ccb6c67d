/**
 * Derived keys, check values, key fields, parameters, groupings and load files against published
 * bytes and by round trips; each wrong form has its code.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, TapError, toHex } from '../../bytes/index.ts';
import { tdesEncrypt } from '../../crypto/index.ts';
import { StatusWord, SW_6A82_FILE_NOT_FOUND } from '../../iso7816/index.ts';
import * as gp from './index.ts';

const code =
  (wanted: string) =>
  (thrown: unknown): boolean =>
    thrown instanceof TapError && thrown.code === wanted;

const MASTER = fromHex('404142434445464748494A4B4C4D4E4F505152535455565758595A5B5C5D5E5F');
const KDD = fromHex('00010203040506070809');
const USAGES = ['encryption', 'mac', 'dataEncryption'] as const;

test('reports 1 and 2: keys from a master by EMV, VISA2 and KDF3 have the published check values', () => {
  const cases: readonly (readonly [gp.Diversification, number, string, boolean])[] = [
    ['emv', 16, 'C33013 6F4CA6 BB8179', false],
    ['visa2', 16, '2BE598 58DA38 3C328E', false],
    ['kdf3', 16, 'E79C05 D1BD77 3FDE8C', true],
    ['kdf3', 24, '1DE8EA 47C00C C04D76', true],
    ['kdf3', 32, '2972D2 036F94 5D57B8', true],
  ];
  for (const [way, keyBytes, expected, isAes] of cases) {
    const values = USAGES.map((usage) => {
      const master = MASTER.slice(0, keyBytes);
      const key = gp.diversifyKey(nodeCiphers, master, {
        ...{ way, usage, keyDiversificationData: KDD },
      });
      const value = isAes ? gp.aesKeyCheckValue(nodeCiphers, key) : gp.desKeyCheckValue(key);
      return toHex(value);
    });
    assert.equal(values.join(' '), expected, `${way} ${keyBytes}`);
  }
});

test('KDF3 with a master of 32 bytes gives the published key (report 1)', () => {
  const key = gp.diversifyKey(
    nodeCiphers,
    fromHex('8C72C72CF908411653018807950D82FBAD947562F0828A0B10B8B9606ABF3BCD'),
    {
      ...{ way: 'kdf3', usage: 'encryption' },
      keyDiversificationData: fromHex('D9B1DE5D0362DEDCE4FB'),
    },
  );
  assert.equal(toHex(key), '9AAC5D0B3601F89438A0D9D0B6B256CFB47E6462DFA5228D3420C4AC7C224781');
});

test('report 13: the check value of an AES key is over sixteen 01, of a DES key over zeros', () => {
  assert.equal(toHex(gp.aesKeyCheckValue(nodeCiphers, MASTER.slice(0, 16))), '504A77');
  assert.equal(toHex(gp.desKeyCheckValue(MASTER.slice(0, 16))), '8BAF47');
  const other = fromHex('000102030405060708090A0B0C0D0E0F');
  assert.equal(toHex(gp.aesKeyCheckValue(nodeCiphers, other)), 'C35280');
  assert.throws(() => gp.aesKeyCheckValue(nodeCiphers, new Uint8Array(8)), code('ERR_GP_LENGTH'));
  assert.throws(() => gp.desKeyCheckValue(new Uint8Array(32)), code('ERR_GP_LENGTH'));
});

test('session keys of SCP02 at counter 0 have the published check values (§E.4.1)', () => {
  const usages = ['encryption', 'commandMac', 'dataEncryption', 'responseMac'] as const;
  const values = usages.map((usage) =>
    toHex(gp.desKeyCheckValue(gp.scp02SessionKey(MASTER.slice(0, 16), usage, new Uint8Array(2)))),
  );
  assert.deepEqual(values, ['F2DCDD', '5FCC69', '85272E', '9F749A']);
});

test('session keys of SCP03 from given challenges are the published ones (GP-D §6.2.1)', () => {
  const challenges = {
    hostChallenge: fromHex('B2BDE1A2DC66BD56'),
    cardChallenge: fromHex('C40932A6FEFEAEB2'),
  };
  const enc = fromHex('F995D0A069335C7DF42E590317FFEA6D');
  const mac = fromHex('58563362EC5A4541ABCD32B34B1EAE7D');
  const derive = (key: Uint8Array, usage: 'encryption' | 'commandMac' | 'responseMac'): string =>
    toHex(gp.scp03SessionKey(nodeCiphers, key, usage, challenges));
  assert.equal(derive(enc, 'encryption'), '9B841BB63D1087484FF7F16802017243');
  assert.equal(derive(mac, 'commandMac'), '8117FE5ADED74AC0DAABE9FB81DBDB67');
  assert.equal(derive(mac, 'responseMac'), '4521D75E4D6F60DBFB8AB4EE254EF6F1');
});

test('report 13: an AES key field has the length of the clear key inside, a DES one not', () => {
  const sessionDek = fromHex('C61DF24D2C9A770E32E969984B5B7074');
  const bytes = tdesEncrypt(sessionDek, MASTER.slice(0, 16));
  const aes = {
    components: [{ type: gp.KEY_TYPE_88_AES, bytes, clearBytes: 16 }],
    keyCheckValue: fromHex('504A77'),
  };
  const published = '881110B23034FA4329DE9AD8E91583618813B303504A77';
  assert.equal(toHex(gp.encodeKeyData(aes)), published);
  const des = {
    components: [{ type: gp.KEY_TYPE_80_DES, bytes, clearBytes: null }],
    keyCheckValue: fromHex('8BAF47'),
  };
  const data = gp.encodePutKeyData({ newKeyVersionNumber: 0x30, keys: [aes, des] });
  assert.deepEqual(gp.decodePutKeyData(data), { newKeyVersionNumber: 0x30, keys: [aes, des] });
});

test('a public key has its components and an empty check value', () => {
  const rsa = {
    components: [
      { type: gp.KEY_TYPE_A1_RSA_MODULUS, bytes: new Uint8Array(256).fill(3), clearBytes: null },
      { type: gp.KEY_TYPE_A0_RSA_EXPONENT, bytes: fromHex('010001'), clearBytes: null },
    ],
    keyCheckValue: new Uint8Array(),
  };
  const data = gp.encodePutKeyData({ newKeyVersionNumber: 0x73, keys: [rsa] });
  assert.equal(toHex(data.subarray(0, 5)), '73A1820100');
  assert.deepEqual(gp.decodePutKeyData(data).keys, [rsa]);
});

test('cut, empty and over-full PUT KEY data are refused with their place', () => {
  for (const wrong of [
    '',
    '30',
    '308810',
    '30881100',
    '3080020102',
    '3003AABBCC',
    '30800101037F',
  ]) {
    assert.throws(() => gp.decodePutKeyData(fromHex(wrong)), code('ERR_GP_FORMAT'), wrong);
  }
  const many = `30${'80010103AABBCC'.repeat(9)}`;
  assert.throws(() => gp.decodePutKeyData(fromHex(many)), code('ERR_GP_FORMAT'));
});

test('data groupings: one length byte, or FF and two (EMV CPS 1.1)', () => {
  const short = { identifier: 0x0101, value: new Uint8Array(254).fill(1) };
  const long = { identifier: 0x9102, value: new Uint8Array(255).fill(2) };
  const bytes = new Uint8Array([
    ...gp.encodeDataGrouping(short),
    ...gp.encodeDataGrouping(long),
    ...gp.encodeDataGrouping({ identifier: 0x7fff, value: new Uint8Array() }),
  ]);
  assert.equal(toHex(bytes.subarray(0, 3)), '0101FE');
  assert.equal(toHex(bytes.subarray(257, 262)), '9102FF00FF');
  assert.deepEqual(gp.decodeDataGroupings(bytes).slice(0, 2), [short, long]);
  for (const wrong of ['01', '0101', '01010200', '0101FF00', '0101FF000100'.slice(0, -2)]) {
    assert.throws(() => gp.decodeDataGroupings(fromHex(wrong)), code('ERR_GP_FORMAT'), wrong);
  }
  const endless = new Uint8Array(3 * 257);
  assert.throws(() => gp.decodeDataGroupings(endless), code('ERR_GP_LIMIT'));
});

test('report 18: install parameters are wrapped once, C9 for the application, EF for limits', () => {
  const application = fromHex('C90101');
  const bytes = gp.encodeInstallParameters({
    ...{ application, codeBytes: 0x1234, volatileBytes: 0x100, persistentBytes: 0x12345 },
  });
  assert.equal(toHex(bytes), 'C903C90101EF0EC6021234C7020100C80400012345');
  assert.deepEqual(gp.decodeInstallParameters(bytes), {
    ...{ application, codeBytes: 0x1234, volatileBytes: 0x100, persistentBytes: 0x12345 },
  });
  assert.deepEqual(gp.decodeInstallParameters(new Uint8Array()), {
    ...{ application: null, codeBytes: null, volatileBytes: null, persistentBytes: null },
  });
  assert.throws(() => gp.decodeInstallParameters(fromHex('C905')), code('ERR_GP_FORMAT'));
  assert.throws(() => gp.decodeInstallParameters(fromHex('EF03C80101')), code('ERR_GP_FORMAT'));
});

test('report 17: a domain says by 82 and 87 whether content may come and go', () => {
  const both = gp.encodeExtraditionRules({ isToAllowed: true, isFromAllowed: true });
  assert.equal(toHex(both), '8202202087022020');
  assert.deepEqual(gp.decodeExtraditionRules(both), { isToAllowed: true, isFromAllowed: true });
  assert.deepEqual(gp.decodeExtraditionRules(fromHex('820120')), {
    ...{ isToAllowed: true, isFromAllowed: false },
  });
  assert.deepEqual(gp.decodeExtraditionRules(null), { isToAllowed: false, isFromAllowed: false });
});

test('length-value fields are exactly as many as asked, with long lengths', () => {
  const long = new Uint8Array(300).fill(7);
  const bytes = gp.encodeLengthValues(fromHex('A0'), new Uint8Array(), long);
  assert.deepEqual(gp.decodeLengthValues(bytes, 3), [fromHex('A0'), new Uint8Array(), long]);
  assert.throws(() => gp.decodeLengthValues(bytes, 2), code('ERR_GP_FORMAT'));
  assert.throws(() => gp.decodeLengthValues(bytes, 4), code('ERR_GP_FORMAT'));
  assert.throws(() => gp.decodeLengthValues(fromHex('80'), 1), code('ERR_GP_FORMAT'));
  assert.throws(() => gp.decodeLengthValues(fromHex('8400000001AA'), 1), code('ERR_GP_FORMAT'));
});

test('a load file is DAP blocks and C4; its code comes back byte for byte (§11.6.2.3)', () => {
  const content = {
    dapBlocks: [{ domainAid: 'A000000151000000', signature: new Uint8Array(256).fill(9) }],
    code: new Uint8Array(70_000).map((_, index) => index),
  };
  const bytes = gp.encodeLoadFile(content);
  assert.equal(bytes[0], 0xe2);
  assert.deepEqual(gp.decodeLoadFile(bytes), content);
  const bare = gp.encodeLoadFile({ dapBlocks: [], code: content.code.subarray(0, 5) });
  assert.equal(toHex(bare), 'C4050001020304');
  for (const wrong of [
    '',
    'C5',
    'C402AA',
    'C401AABB',
    'E202C300C401AA',
    'E2034F05AAC400',
    'E205',
  ]) {
    assert.throws(() => gp.decodeLoadFile(fromHex(wrong)), code('ERR_GP_FORMAT'), wrong);
  }
});

test('privileges are three bytes; the older single byte is read as the first', () => {
  const bits = gp.privilegesOf('mandatedDapVerification', 'globalLock');
  assert.equal(toHex(gp.encodePrivileges(bits)), 'C10800');
  assert.equal(gp.decodePrivileges(fromHex('C10800')), bits);
  assert.equal(gp.decodePrivileges(fromHex('A0')), gp.PRIVILEGE.delegatedManagement);
  assert.deepEqual(gp.privilegeNames(bits), [
    ...['securityDomain', 'dapVerification', 'mandatedDapVerification', 'globalLock'],
  ]);
  assert.equal(gp.hasPrivilege(gp.privilegesOf('securityDomain'), 'dapVerification'), false);
  assert.throws(() => gp.decodePrivileges(new Uint8Array(2)), code('ERR_GP_LENGTH'));
});

test('the card goes only the ways of figure 5-1; only locking can be undone', () => {
  const states = [0x01, 0x07, 0x0f, 0x7f, 0xff];
  const ways = states.flatMap((from) =>
    states.filter((to) => gp.isCardStep(from, to)).map((to) => `${from}-${to}`),
  );
  assert.deepEqual(ways, [
    ...['1-7', '1-255', '7-15', '7-255', '15-127', '15-255', '127-15', '127-255'],
  ]);
});

test('a lock keeps the state before it, and unlocking gives that back (§5.3)', () => {
  assert.deepEqual(gp.applicationStep(0x0f, 0x80), { state: 0x8f, kind: 'lock' });
  assert.deepEqual(gp.applicationStep(0x8f, 0x07), { state: 0x0f, kind: 'unlock' });
  assert.deepEqual(gp.applicationStep(0x83, 0x07), { state: 0x03, kind: 'unlock' });
  assert.deepEqual(gp.applicationStep(0x07, 0x0f), { state: 0x0f, kind: 'own' });
  assert.equal(gp.applicationStep(0x8f, 0x80), null);
  assert.equal(gp.applicationStep(0x03, 0x07), null);
  assert.equal(gp.applicationStep(0x07, 0x08), null);
  assert.equal(gp.isSelectable(0x8f), false);
  assert.equal(gp.applicationStateName(0x8f), 'LOCKED');
  assert.equal(gp.applicationStateName(0x17), 'APPLICATION_SPECIFIC');
  assert.equal(gp.cardStateName(0x0f), 'SECURED');
  assert.equal(gp.cardStateName(0x02), null);
});

test('a status word has a text in both languages, an unknown one none', () => {
  assert.equal(gp.statusWordText(SW_6A82_FILE_NOT_FOUND)?.en, 'application not found');
  assert.equal(gp.statusWordText(gp.SW_9485_INVALID_KEY_CHECK_VALUE)?.zh, '密钥校验值不符');
  assert.equal(gp.statusWordText(StatusWord(0x6fff)), null);
});

test('messages of SCP03: no data stay none, a wrong padding and half a block have codes', () => {
  const key = MASTER.slice(0, 16);
  const message = { direction: 'command', number: 1 } as const;
  const empty = new Uint8Array();
  assert.equal(gp.scp03Encrypt(nodeCiphers, key, message, empty).length, 0);
  assert.equal(gp.scp03Decrypt(nodeCiphers, key, message, empty).length, 0);
  const data = fromHex('BF3E035C015A');
  const enciphered = gp.scp03Encrypt(nodeCiphers, key, message, data);
  assert.deepEqual(gp.scp03Decrypt(nodeCiphers, key, message, enciphered), data);
  const decrypt = (bytes: Uint8Array) => gp.scp03Decrypt(nodeCiphers, key, message, bytes);
  assert.throws(() => decrypt(enciphered.subarray(1)), code('ERR_GP_LENGTH'));
  assert.throws(() => decrypt(new Uint8Array(16)), code('ERR_GP_FORMAT'));
  assert.throws(() => gp.unpadIso9797Method2(new Uint8Array(8)), code('ERR_GP_FORMAT'));
});
