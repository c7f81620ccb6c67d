/** Shows what single values say: issuer application data, flags, lists, text, dates, amounts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers } from '../../node/index.ts';
import { concatBytes } from '../bytes/index.ts';
import { encodeTlv } from '../iso7816/index.ts';
import type { IadFact, TagFacts, ValueFact } from './facts.ts';
import { ExplainError, type Explanation, explain } from './index.ts';

const ask = (tag: string, hex: string): Explanation =>
  explain(nodeCiphers, hex, { as: 'tag', keys: { tag } });
const readOf = (tag: string, hex: string): ValueFact => {
  const value = (ask(tag, hex).facts as unknown as TagFacts).values[tag];
  assert.ok(value);
  return value;
};
const codesOf = (tag: string, hex: string): readonly string[] =>
  ask(tag, hex).findings.map((found) => found.code);
const iadOf = (hex: string): IadFact => readOf('9F10', hex).detail as unknown as IadFact;
const guessed = (hex: string): string =>
  (explain(nodeCiphers, hex).facts as unknown as TagFacts).tag;

test('9F10 of PBOC: the algorithm byte follows a CVR of four bytes (PBOC3 P5)', () => {
  const iad = iadOf('07010103A4A00204');
  assert.deepEqual(
    [iad.format, iad.cvr, iad.algorithmByte, iad.algorithm, iad.firstAc, iad.secondAc],
    ['PBOC', '03A4A002', '04', 'SM4', 'ARQC', null],
  );
  assert.deepEqual(codesOf('9F10', '07010103A4A00204'), []);
  const names = readOf('9F10', '07010103A4A00204').bits.map((bit) => bit.nameEn);
  assert.deepEqual(names, [
    'Offline PIN verification performed',
    'Last online transaction not completed',
    'Exceeded velocity checking counters',
    'Offline dynamic data authentication performed',
  ]);
});

test('9F10: the second cryptogram is read of bits 8-7, the first of bits 6-5', () => {
  assert.deepEqual(
    [iadOf('0701010390000001').firstAc, iadOf('0701010390000001').secondAc],
    ['TC', null],
  );
  assert.deepEqual(
    [iadOf('0701010360000001').firstAc, iadOf('0701010360000001').secondAc],
    ['ARQC', 'TC'],
  );
  assert.deepEqual(
    [iadOf('0701010320000001').firstAc, iadOf('0701010320000001').secondAc],
    ['ARQC', 'AAC'],
  );
});

test('9F10: issuer discretionary data of id 01 are the e-cash balance and its MAC (PBOC3 P13)', () => {
  const { discretionary } = iadOf('07011703A00000010A010000012345DEADBEEF');
  assert.deepEqual(
    [
      discretionary?.lengthBytes,
      discretionary?.identifier,
      discretionary?.balanceMinor,
      discretionary?.mac,
    ],
    [10, '01', '12345', 'DEADBEEF'],
  );
  assert.deepEqual(codesOf('9F10', '07011703A00000010A010000012345DEADBEEF'), []);
  assert.deepEqual(codesOf('9F10', '07011703A00000010B010000012345DEADBEEF'), [
    'IAD_DISCRETIONARY_LENGTH',
  ]);
  assert.deepEqual(codesOf('9F10', '07011703A00000010A01000001234ADEADBEEF'), ['IAD_BALANCE']);
});

test('9F10: a missing or unknown algorithm byte and a foreign form are said', () => {
  assert.deepEqual(codesOf('9F10', '07010103A00000'), ['IAD_ALGORITHM']);
  assert.deepEqual(codesOf('9F10', '07010103A0000009'), ['IAD_ALGORITHM']);
  assert.equal(iadOf('06010A03A06010').format, 'Visa');
  assert.equal(iadOf('0110A0000322000000000000000000000000').format, 'M/Chip');
  assert.deepEqual(codesOf('9F10', 'AA010103A0000001'), ['IAD_FORMAT']);
});

test('TVR, TSI, AIP, CTQ, TTQ: the bits that are set, and the reserved ones as notes', () => {
  const names = (tag: string, hex: string) =>
    readOf(tag, hex).bits.map((bit) => `${bit.byte}.${bit.bit}`);
  assert.deepEqual(names('95', '8000048040'), ['1.8', '3.3', '4.8', '5.7']);
  assert.deepEqual(names('9B', 'E800'), ['1.8', '1.7', '1.6', '1.4']);
  assert.deepEqual(names('82', '7D00'), ['1.7', '1.6', '1.5', '1.4', '1.3', '1.1']);
  assert.deepEqual(names('9F6C', '8080'), ['1.8', '2.8']);
  assert.deepEqual(names('9F66', '26000080'), ['1.6', '1.3', '1.2', '4.8']);
  assert.deepEqual(codesOf('95', '0100000000'), ['BITS_RESERVED']);
  assert.deepEqual(readOf('95', '0000000000').text, 'no bit is set');
  assert.deepEqual(codesOf('95', '00000000'), ['VALUE_LENGTH']);
});

test('AFL: READ RECORD commands, those for authentication, and every broken rule (EMV 4.3 B3 §10.2)', () => {
  const detail = readOf('94', '0801020118030301').detail as unknown as {
    commands: string[];
    signedCommands: string[];
  };
  assert.deepEqual(detail.commands, ['00B2010C00', '00B2020C00', '00B2031C00']);
  assert.deepEqual(detail.signedCommands, ['00B2010C00', '00B2031C00']);
  assert.deepEqual(codesOf('94', '09010100'), ['AFL_ENTRY']);
  assert.deepEqual(codesOf('94', 'F8010100'), ['AFL_ENTRY']);
  assert.deepEqual(codesOf('94', '08000100'), ['AFL_ENTRY']);
  assert.deepEqual(codesOf('94', '08020100'), ['AFL_ENTRY']);
  assert.deepEqual(codesOf('94', '08010102'), ['AFL_ENTRY']);
  assert.deepEqual(codesOf('94', '0801010000'), ['AFL_LENGTH']);
});

test('CVM results and the identity document of PBOC (PBOC3 P5)', () => {
  assert.equal(
    readOf('9F34', '420302').text,
    'Enciphered PIN verified online; if terminal supports the CVM; successful',
  );
  assert.equal(
    readOf('9F34', '200001').text,
    "Cardholder's identity document (PBOC); always; failed",
  );
  assert.equal(readOf('9F62', '02').textZh, '护照');
});

test('GBK: merchant, cardholder and label; bytes of no text are shown with dots and flagged', () => {
  assert.equal(readOf('9F4E', 'B1B1BEA9C9CCB5EA').text, '北京商店');
  assert.equal(readOf('5F20', 'D5C5C8FD').text, '张三');
  assert.equal(readOf('50', 'D2F8C1AABFA8').text, '银联卡');
  assert.deepEqual(codesOf('9F4E', 'B1B1BEA900000000'), ['VALUE_TEXT_FILLER']);
  assert.equal(readOf('9F4E', 'B1B1BEA900000000').text, '北京');
  assert.deepEqual(codesOf('50', '41FF4200'), ['VALUE_TEXT']);
});

test('amounts by currency, days by century (EMV 4.3 B4 §6.7.3), PAN by its check digit', () => {
  assert.equal(readOf('9F79', '000000012345').text, '123.45 CNY');
  assert.equal(readOf('5F24', '491231').text, '2049-12-31');
  assert.equal(readOf('5F24', '500101').text, '1950-01-01');
  assert.deepEqual(codesOf('5F24', '261301'), ['VALUE_DATE']);
  assert.deepEqual(codesOf('9F02', '0000000000AA'), ['VALUE_DIGIT']);
  assert.deepEqual(codesOf('5A', '6299990000000009'), []);
  assert.deepEqual(codesOf('5A', '6299990000000001'), ['PAN_CHECK_DIGIT']);
  assert.deepEqual(codesOf('57', '6299990000000009D3112201123F'), []);
  assert.deepEqual(codesOf('57', '6299990000000009A3112201123F'), ['TRACK2']);
});

test('91: UnionPay needs 8 bytes of ARPC and 2 of response code; 8A; 9F27; DF31', () => {
  assert.deepEqual(codesOf('91', '1122334455667788'), ['ISSUER_AUTHENTICATION_LENGTH']);
  assert.deepEqual(codesOf('91', '11223344556677883030'), []);
  assert.equal(readOf('8A', '5933').text, '"Y3": unable to go online, offline approved');
  assert.equal(readOf('9F27', '40').text, 'TC: approved');
  assert.equal(readOf('DF31', '2100000001').text, 'successful, command 1, script 00000001');
});

test('an odd date in production life cycle data is shown, not thrown (devnied/EMV-NFC #75)', () => {
  const cplc =
    `4790${'5040'.repeat(4)}FFFF${'11223344'}${'0000'.repeat(9)}${'00000000'}${'00000000'}`.padEnd(
      84,
      '0',
    );
  assert.equal(readOf('9F7F', cplc).lengthBytes, 42);
  assert.ok(codesOf('9F7F', cplc).includes('CPLC_DATE'));
});

test('a bare value is guessed by its form, the other tags named', () => {
  assert.equal(guessed('07000103A0A80201'), '9F10');
  assert.equal(guessed('080103001001050120010100'), '94');
  assert.equal(guessed('0000000000000000410342031E031F02'), '8E');
  assert.equal(guessed('8000048000'), '95');
  assert.equal((explain(nodeCiphers, 'TVR: 8000048000').facts as unknown as TagFacts).tag, '95');
  assert.throws(
    () => explain(nodeCiphers, '0102030405060708090A0B0C0D', { as: 'tag' }),
    (thrown) => thrown instanceof ExplainError && thrown.code === 'ERR_EXPLAIN_MISSING',
  );
  assert.throws(
    () => explain(nodeCiphers, '01', { as: 'tag', keys: { tag: 'zz' } }),
    (thrown) => thrown instanceof ExplainError && thrown.code === 'ERR_EXPLAIN_VALUE',
  );
});

test('a value of any length, empty too, is read for every tag: nothing throws', () => {
  for (let tag = 0x9f01; tag <= 0x9f7f; tag++) {
    for (const length of [0, 1, 2, 3, 5, 8, 9, 12, 40]) {
      const name = tag.toString(16).toUpperCase();
      assert.equal(typeof explainEmptyOrNot(name, length), 'string');
    }
  }
  for (const tag of [
    '57',
    '5A',
    '5F20',
    '5F24',
    '5F2A',
    '87',
    '8A',
    '8E',
    '91',
    '94',
    '95',
    '9A',
    '9C',
  ]) {
    for (const length of [0, 1, 4, 11])
      assert.equal(typeof explainEmptyOrNot(tag, length), 'string');
  }
  for (const tag of [
    'DF05',
    'DF31',
    'DF4D',
    'DF60',
    'DF69',
    'DF71',
    'DF79',
    '81',
    '84',
    '88',
    '8C',
    '97',
  ]) {
    for (const length of [0, 1, 4, 11])
      assert.equal(typeof explainEmptyOrNot(tag, length), 'string');
  }
});

/** Summary of a data object of that length. */
function explainEmptyOrNot(tag: string, length: number): string {
  const bytes = encodeTlv(tag, new Uint8Array(length).fill(0x33));
  return explain(nodeCiphers, concatBytes(encodeTlv('9C', Uint8Array.of(0)), bytes), { as: 'tlv' })
    .summaryEn;
}
