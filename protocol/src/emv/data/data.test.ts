/** Shows the data that card, terminal and issuer share: dictionary, bits, AFL, CVM, 9F10, image. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, TapError, toHex } from '../../bytes/index.ts';
import * as data from './index.ts';

const code = (wanted: string) => (thrown: unknown) =>
  thrown instanceof TapError && thrown.code === wanted;
const junk = fc.uint8Array({ maxLength: 300 });

function throwsOnly(wanted: string, decode: (bytes: Uint8Array) => unknown): void {
  fc.assert(
    fc.property(junk, (bytes) => {
      try {
        decode(bytes);
      } catch (thrown) {
        assert.ok(code(wanted)(thrown), String(thrown));
      }
    }),
  );
}

test('every tag constant has a dictionary row, and its name begins with its tag', () => {
  const constants = Object.entries(data).filter(([name]) => name.startsWith('TAG_'));
  assert.ok(constants.length > 120);
  for (const [name, tag] of constants) {
    assert.equal(name.split('_')[1], tag);
    assert.equal(data.DATA_ELEMENTS[String(tag)]?.tag, tag, name);
  }
  assert.equal(Object.keys(data.DATA_ELEMENTS).length, constants.length);
});

test('every row has both names, a known format and lengths in order', () => {
  for (const row of Object.values(data.DATA_ELEMENTS)) {
    assert.ok(row.nameEn.length > 2 && /[\u4e00-\u9fff]|DOL/.test(row.nameZh), row.tag);
    assert.ok(['n', 'cn', 'b', 'an', 'ans', 'a'].includes(row.format), row.tag);
    assert.ok(row.lengthBytesMin <= row.lengthBytes && Number.isInteger(row.lengthBytes), row.tag);
    assert.ok(['icc', 'terminal', 'issuer'].includes(row.source), row.tag);
  }
});

test('amount, account number and cryptogram have the format of EMV 4.3 B3 Annex A', () => {
  assert.equal(data.dolFormatOf('9F02'), 'n');
  assert.equal(data.dolFormatOf('5A'), 'cn');
  assert.equal(data.dolFormatOf('9F26'), 'other');
  assert.equal(data.dolFormatOf('DFEE'), 'other');
  assert.equal(data.DATA_ELEMENTS['9F26']?.nameZh, '应用密文');
  assert.equal(data.DATA_ELEMENTS['5A']?.isSensitive, true);
  assert.equal(data.DATA_ELEMENTS['9F36']?.isSensitive, false);
});

test('a value of a length outside its row is told', () => {
  assert.equal(data.isDataElementLength('9F02', new Uint8Array(6)), true);
  assert.equal(data.isDataElementLength('9F02', new Uint8Array(5)), false);
  assert.equal(data.isDataElementLength('9F10', new Uint8Array(33)), false);
  assert.equal(data.isDataElementLength('DFEE', new Uint8Array(99)), true);
});

test('bit tables hold each bit once and fit their field', () => {
  const tables: readonly [readonly data.StatusBit[], number][] = [
    [data.TVR_BITS, data.TVR_BYTES],
    [data.TSI_BITS, data.TSI_BYTES],
    [data.AIP_BITS, data.AIP_BYTES],
    [data.AUC_BITS, data.AUC_BYTES],
    [data.CVR_BITS, data.CVR_BYTES],
    [data.ADA_BITS, data.ADA_BYTES],
    [data.TERMINAL_CAPABILITY_BITS, data.TERMINAL_CAPABILITY_BYTES],
    [data.TTQ_BITS, data.TTQ_BYTES],
    [data.CTQ_BITS, data.CTQ_BYTES],
  ];
  for (const [table, bytes] of tables) {
    const places = table.map((bit) => `${bit.byteNumber}.${bit.mask}`);
    assert.equal(new Set(places).size, table.length);
    assert.ok(table.every((bit) => bit.byteNumber >= 1 && bit.byteNumber <= bytes));
  }
});

test('TVR bits are where EMV 4.3 B3 §C5 has them', () => {
  const tvr = [
    data.TVR_1_DDA_FAILED,
    data.TVR_2_EXPIRED_APPLICATION,
    data.TVR_3_ONLINE_PIN_ENTERED,
    data.TVR_4_FLOOR_LIMIT_EXCEEDED,
    data.TVR_5_ISSUER_AUTHENTICATION_FAILED,
  ].reduce(data.tvrSet, data.tvrEmpty());
  assert.equal(toHex(tvr), '0840048040');
  assert.equal(data.bitsSet(tvr, data.TVR_BITS).length, 5);
  assert.equal(data.tvrHas(tvr, data.TVR_1_SDA_FAILED), false);
  assert.equal(toHex(data.clearBit(tvr, data.TVR_1_DDA_FAILED)), '0040048040');
});

test('qualifiers of reader and card are where EMV C-7 table 3-1 and Annex A have them', () => {
  const names = (hex: string, table: readonly data.StatusBit[]) =>
    data.bitsSet(fromHex(hex), table).map((bit) => bit.nameEn);
  // The reader of vectors/pboc/qpboc-tap.json, and what a purchase of ours adds.
  assert.deepEqual(names('36800080', data.TTQ_BITS), [
    'qPBOC supported',
    'Contact debit/credit supported',
    'Online PIN supported',
    'Signature supported',
    'Online cryptogram required',
    'fDDA version 01 supported',
  ]);
  assert.deepEqual(names('0040', data.CTQ_BITS), [
    'Card supports issuer update processing at the POS',
  ]);
  assert.deepEqual(names('A880', data.CTQ_BITS), [
    'Online PIN required',
    'Go online if offline data authentication fails and reader is online capable',
    'Go online if application expired',
    'Consumer device CVM performed',
  ]);
});

test('a field too short for its bit is a coded error, not a false', () => {
  const short = new Uint8Array(2);
  const bit = data.TVR_5_ISSUER_AUTHENTICATION_FAILED;
  assert.throws(() => data.tvrHas(short, bit), code('ERR_EMV_BITS'));
  assert.throws(() => data.tvrSet(short, bit), code('ERR_EMV_BITS'));
  assert.deepEqual(data.bitsSet(short, data.TVR_BITS), []);
});

test('action codes meet a TVR in at least one bit', () => {
  assert.equal(data.haveCommonBit(fromHex('0010000000'), fromHex('0010000000')), true);
  assert.equal(data.haveCommonBit(fromHex('D84004F800'), fromHex('0010000000')), false);
});

test('AFL: entries in order, and back (EMV 4.3 B3 §10.2)', () => {
  const entries = data.decodeAfl(fromHex('0801010010010201180104 00'));
  assert.deepEqual(entries[1], { sfi: 2, firstRecord: 1, lastRecord: 2, signedRecords: 1 });
  assert.equal(toHex(data.encodeAfl(entries)), '080101001001020118010400');
});

for (const [why, afl] of [
  ['empty', ''],
  ['no whole entry', '080101'],
  ['file 0', '00010100'],
  ['file 31', 'F8010100'],
  ['low bits of the file byte', '09010100'],
  ['first record 0', '08000100'],
  ['last before first', '08020100'],
  ['more signed than read', '08010203'],
] as const) {
  test(`AFL: ${why} is ERR_EMV_AFL (EMV 4.3 B3 §10.2)`, () => {
    assert.throws(() => data.decodeAfl(fromHex(afl)), code('ERR_EMV_AFL'));
  });
}

test('decoders throw nothing but their own error', () => {
  throwsOnly('ERR_EMV_AFL', data.decodeAfl);
  throwsOnly('ERR_EMV_CVM_LIST', data.decodeCvmList);
  throwsOnly('ERR_EMV_CVM_LIST', data.decodeCvmResults);
  throwsOnly('ERR_EMV_IAD', data.decodeIad);
});

test('CVM list: amounts and rules (EMV 4.3 B3 §10.5)', () => {
  const list = data.decodeCvmList(fromHex('000003E8 000007D0 4203 5E03 1F03'));
  assert.deepEqual([list.amountX, list.amountY], [1000n, 2000n]);
  assert.deepEqual(
    list.rules.map((rule) => [rule.method, rule.condition, rule.applyNextOnFailure]),
    [
      [data.CVM_ENCIPHERED_PIN_ONLINE, data.CVM_CONDITION_TERMINAL_SUPPORTS, true],
      [data.CVM_SIGNATURE, data.CVM_CONDITION_TERMINAL_SUPPORTS, true],
      [data.CVM_NO_CVM_REQUIRED, data.CVM_CONDITION_TERMINAL_SUPPORTS, false],
    ],
  );
  assert.throws(() => data.decodeCvmList(new Uint8Array(9)), code('ERR_EMV_CVM_LIST'));
  assert.deepEqual(data.decodeCvmList(new Uint8Array(8)).rules, []);
});

test('9F10 of PBOC: parts, discretionary data and back (spec vector V1)', () => {
  const bytes = fromHex('07010103A04002010A010000001000D1F61152');
  const iad = data.decodeIad(bytes);
  assert.equal(toHex(iad.cvr), '03A04002');
  assert.equal(toHex(iad.discretionary), '010000001000D1F61152');
  assert.equal(iad.algorithm, data.IAD_ALGORITHM_3DES);
  assert.deepEqual(data.encodeIad(iad), bytes);
});

for (const [why, iad] of [
  ['too short', '07010103A04002'],
  ['another length byte', '06010103A0400201'],
  ['another CVR length', '07010104A0400201'],
  ['cut discretionary data', '07010103A04002010A01'],
] as const) {
  test(`9F10: ${why} is ERR_EMV_IAD`, () => {
    assert.throws(() => data.decodeIad(fromHex(iad)), code('ERR_EMV_IAD'));
  });
}

test('cryptogram types of the CID (EMV 4.3 B3 §6.5.5 table 14)', () => {
  assert.deepEqual([0x00, 0x48, 0x80, 0xc0].map(data.cryptogramTypeOf), [
    'AAC',
    'TC',
    'ARQC',
    'RFU',
  ]);
});

test('CVN 01 covers 33 bytes of data and 4 of CVR', () => {
  const bytes = data.AC_INPUT_CVN_01.reduce((sum, entry) => sum + entry.lengthBytes, 0);
  assert.equal(bytes + data.CVR_BYTES, data.AC_INPUT_CVN_01_BYTES);
});

test('CVN 17 covers 12 bytes of data and one of the CVR', () => {
  const bytes = data.AC_INPUT_CVN_17.reduce((sum, entry) => sum + entry.lengthBytes, 0);
  assert.equal(bytes + 1, data.AC_INPUT_CVN_17_BYTES);
});

test('a card image that is no image is refused with a code', () => {
  for (const text of ['', '{', '{"version":3}']) {
    assert.throws(() => data.parseIccImage(text), code('ERR_EMV_IMAGE'));
  }
  for (const text of ['null', '[]', '{}', '{"version":1}', '{"version":2}', '{"version":"3"}']) {
    assert.throws(() => data.parseIccImage(text), code('ERR_EMV_IMAGE_VERSION'));
  }
});

test('CA key hash input is RID, index, modulus, exponent (EMV 4.3 B2 §11.2.2)', () => {
  const key = { rid: 'A000000333', index: 'F0', modulus: 'C1C2', exponent: '03' };
  assert.equal(toHex(data.caPublicKeyHashInput(key)), 'A000000333F0C1C203');
});
