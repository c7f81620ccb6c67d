/** Shows that the CUPS codec writes what it reads, and that junk meets a coded error. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesToLatin1, fromHex, toHex } from '../bytes/index.ts';
import {
  buildKeyReset,
  buildNetworkReply,
  buildNetworkRequest,
  buildReply,
  CUPS_DIALECT,
  decodeIssuerFacts,
  decodeKeyReset,
  decodeMessage,
  decodeOriginalDataElements,
  describeMessage,
  encodeIssuerFacts,
  encodeMessage,
  encodeOriginalDataElements,
  type FieldValue,
  Iso8583Error,
  type Iso8583Message,
  isRequest,
  macBlock,
  makeMessage,
  requireText,
  responseMti,
  transmissionDateTime,
  withFields,
} from './index.ts';

const HEADER = { destination: '00010000000', source: '49990000001' };
const code = (wanted: string, fieldPath?: string) => (thrown: unknown) =>
  thrown instanceof Iso8583Error &&
  thrown.code === wanted &&
  (fieldPath === undefined || thrown.fieldPath === fieldPath) &&
  typeof thrown.data['offsetBytes'] === 'number';

const SALE: Iso8583Message = makeMessage('0200', [
  [2, '6299990000000009'],
  [3, '000000'],
  [4, '000000001234'],
  [7, '1125120000'],
  [11, '000001'],
  [14, '3012'],
  [18, '5311'],
  [22, '051'],
  [23, '001'],
  [25, '00'],
  [32, '49990000001'],
  [33, '49990000001'],
  [35, '6299990000000009D30122010000000000000'],
  [41, '00000001'],
  [42, '898999900000001'],
  [49, '156'],
  [52, fromHex('0123456789ABCDEF')],
  [55, fromHex('9F26080102030405060708')],
  [128, fromHex('1122334455667788')],
]);
const encode = (message: Iso8583Message): Uint8Array =>
  encodeMessage(CUPS_DIALECT, HEADER, message);
const decode = (bytes: Uint8Array) => decodeMessage(CUPS_DIALECT, bytes);

/** Replaces bytes and repairs the total length. */
function patched(bytes: Uint8Array, offset: number, replacement: string): Uint8Array {
  const copy = bytes.slice();
  for (let index = 0; index < replacement.length; index++) {
    copy[offset + index] = replacement.charCodeAt(index);
  }
  return copy;
}

test('header: 46 bytes, total length in ASCII, destination before source (Q/CUP 006)', () => {
  const bytes = encode(SALE);
  const text = bytesToLatin1(bytes);
  assert.equal(bytes[0], 46);
  assert.equal(text.slice(2, 6), String(bytes.length).padStart(4, '0'));
  assert.equal(text.slice(6, 28), '0001000000049990000001');
  assert.equal(text.slice(46, 50), '0200');
  assert.equal(decode(bytes).header.source, '49990000001');
});

test('bitmap: 16 binary bytes with bit 1 when a field above 64 is there, else 8', () => {
  const bytes = encode(SALE);
  assert.equal(toHex(bytes.subarray(50, 66)), 'F2244681A0C092000000000000000001');
  const short = encode(withFields(SALE, [[128, undefined]]));
  assert.equal((short[50] ?? 0) & 0x80, 0);
  assert.equal(bytes.length - short.length, 8 + 8);
});

test('fields: LLVAR and LLLVAR lengths are ASCII digits, binary fields are raw', () => {
  const text = bytesToLatin1(encode(SALE));
  assert.ok(text.includes('166299990000000009000000000000001234'));
  assert.ok(text.includes('376299990000000009D30122010000000000000'));
  assert.ok(text.includes('011\x9f\x26\x08'));
});

test('round trip: every message of the dialect (fast-check)', () => {
  fc.assert(
    fc.property(anyMessage(), (message) => {
      const decoded = decode(encode(message));
      assert.equal(decoded.mti, message.mti);
      const sorted = [...message.fields].sort(([left], [right]) => left - right);
      assert.deepEqual([...decoded.fields], sorted);
    }),
    { numRuns: 200 },
  );
});

test('junk: nothing but Iso8583Error, also with a right header and after one changed byte', () => {
  const only = (bytes: Uint8Array): void => {
    try {
      decode(bytes);
    } catch (thrown) {
      assert.ok(thrown instanceof Iso8583Error, String(thrown));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), only));
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 300 }), (tail) => {
      const head = encode(SALE).slice(0, 46);
      const bytes = new Uint8Array(46 + tail.length);
      bytes.set(patched(head, 2, String(bytes.length).padStart(4, '0')));
      bytes.set(tail, 46);
      only(bytes);
    }),
  );
  fc.assert(
    fc.property(fc.nat(encode(SALE).length - 1), fc.nat(255), (offset, value) => {
      const bytes = encode(SALE);
      bytes[offset] = value;
      only(bytes);
    }),
  );
});

test('truncated at every byte: a coded error each time', () => {
  const bytes = encode(SALE);
  for (let length = 0; length < bytes.length; length++) {
    const cut = bytes.slice(0, length);
    const repaired = length < 46 ? cut : patched(cut, 2, String(length).padStart(4, '0'));
    assert.throws(() => decode(repaired), Iso8583Error);
  }
});

test('every error code has its input, field and byte', () => {
  const bytes = encode(SALE);
  assert.throws(() => decode(bytes.slice(0, 20)), code('ERR_ISO8583_TRUNCATED', 'header'));
  assert.throws(() => decode(patched(bytes, 0, 'x')), code('ERR_ISO8583_HEADER', 'header.length'));
  assert.throws(() => decode(patched(bytes, 2, '9999')), code('ERR_ISO8583_HEADER'));
  assert.throws(() => decode(patched(bytes, 46, '02x0')), code('ERR_ISO8583_MTI', 'MTI'));
  assert.throws(() => decode(patched(bytes, 46, '1200')), code('ERR_ISO8583_MTI', 'MTI'));
  assert.throws(() => decode(patched(bytes, 66, '-1')), code('ERR_ISO8583_LENGTH', 'F2'));
  assert.throws(() => decode(patched(bytes, 66, '00')), code('ERR_ISO8583_LENGTH', 'F2'));
  assert.throws(() => decode(patched(bytes, 66, '20')), code('ERR_ISO8583_LENGTH', 'F2'));
  assert.throws(() => decode(patched(bytes, 68, 'A')), code('ERR_ISO8583_FIELD', 'F2'));
  const longer = new Uint8Array(bytes.length + 1);
  longer.set(patched(bytes, 2, String(longer.length).padStart(4, '0')));
  assert.throws(() => decode(longer), code('ERR_ISO8583_TRAILING'));
  assert.throws(() => decode(new Uint8Array(5000)), code('ERR_ISO8583_LENGTH'));
  const third = patched(bytes, 58, '\x80');
  assert.throws(() => decode(third), code('ERR_ISO8583_BITMAP', 'bitmap'));
  assert.throws(() => requireText(SALE, 38), Iso8583Error);
});

test('encoding refuses unknown fields, wrong types, wrong lengths, wrong alphabets', () => {
  const wrong = (number: number, value: FieldValue, wanted: string): void => {
    assert.throws(() => encode(withFields(SALE, [[number, value]])), code(wanted, `F${number}`));
  };
  wrong(127, 'x', 'ERR_ISO8583_FIELD');
  wrong(4, '1234', 'ERR_ISO8583_LENGTH');
  wrong(4, '00000000123x', 'ERR_ISO8583_FIELD');
  wrong(52, '0123456789ABCDEF', 'ERR_ISO8583_FIELD');
  wrong(52, new Uint8Array(7), 'ERR_ISO8583_LENGTH');
  wrong(55, new Uint8Array(256), 'ERR_ISO8583_LENGTH');
  wrong(41, new Uint8Array(8), 'ERR_ISO8583_FIELD');
  wrong(43, 'ü'.padEnd(40), 'ERR_ISO8583_FIELD');
  assert.throws(() => encode({ ...SALE, mti: '200' }), code('ERR_ISO8583_MTI'));
});

test('MAC block: present fields, lengths in front, blanks between, 52 and 55 outside', () => {
  const wanted =
    '0200 166299990000000009 000000 000000001234 1125120000 000001 5311 00 ' +
    '1149990000001 1149990000001 00000001 898999900000001';
  assert.equal(bytesToLatin1(macBlock(SALE)), wanted);
  const changed = withFields(SALE, [
    [52, new Uint8Array(8)],
    [55, new Uint8Array(3)],
    [128, undefined],
  ]);
  assert.deepEqual(macBlock(changed), macBlock(SALE));
  const reversal = makeMessage('0420', [[90, '9'.repeat(42)]]);
  assert.equal(bytesToLatin1(macBlock(reversal)), `0420 ${'9'.repeat(20)}`);
});

test('description: card number masked; track, expiry, PIN block, field 55 and MAC hidden', () => {
  const shown = describeMessage(SALE);
  const text = JSON.stringify(shown);
  assert.equal(shown['F2'], '629999******0009');
  assert.equal(shown['F4'], '000000001234');
  for (const secret of ['6299990000000009', '3012', '0123456789ABCDEF', '9F26']) {
    assert.equal(text.includes(secret), false, secret);
  }
  assert.equal(describeMessage(makeMessage('0200', [[127, 'x']]))['F127'], '[1 bytes]');
});

test('field 90: 42 digits, institutions with zeros in front', () => {
  const original = {
    mti: '0200',
    stan: '000001',
    transmission: '1125120000',
    acquirer: '00010000000',
    forwarder: '49990000001',
  };
  const text = encodeOriginalDataElements(original);
  assert.equal(text.length, 42);
  assert.deepEqual(decodeOriginalDataElements(makeMessage('0420', [[90, text]])), original);
  assert.throws(
    () => encodeOriginalDataElements({ ...original, stan: '1' }),
    code('ERR_ISO8583_FIELD', 'F90'),
  );
  assert.throws(() => decodeOriginalDataElements(makeMessage('0420', [])), Iso8583Error);
});

test('issuer facts travel in field 57 and junk there is refused', () => {
  const facts = { arqcVerified: true, ledgerEntryId: '0193-ab', reason: null };
  assert.equal(encodeIssuerFacts(facts), 'AV=1;LE=0193-ab');
  assert.deepEqual(decodeIssuerFacts(encodeIssuerFacts(facts)), facts);
  const refused = { arqcVerified: false, ledgerEntryId: null, reason: 'cryptogram' };
  assert.deepEqual(decodeIssuerFacts(encodeIssuerFacts(refused)), refused);
  const silent = { arqcVerified: null, ledgerEntryId: null, reason: null };
  assert.deepEqual(decodeIssuerFacts('AV=-'), silent);
  assert.throws(() => encodeIssuerFacts({ ...facts, ledgerEntryId: 'a;b' }), Iso8583Error);
  assert.throws(() => decodeIssuerFacts(''), Iso8583Error);
  assert.throws(() => decodeIssuerFacts('x=1'), Iso8583Error);
});

test('network management: sign-on 0820/001, key reset 0800/101, their answers', () => {
  const identity = { stan: '000007', transmission: '1125120000', institution: '49990000001' };
  const signOn = buildNetworkRequest(identity, '001');
  assert.equal(signOn.mti, '0820');
  assert.equal(buildNetworkReply(signOn, '00').mti, '0830');
  const reset = { key: 'mac', kcv: '8D0A74B8', enciphered: '00112233445566778899AABBCCDDEEFF' };
  const message = buildKeyReset(identity, { ...reset, key: 'mac' });
  assert.deepEqual(decodeKeyReset(decode(encode(message))), reset);
  assert.equal(requireText(buildNetworkReply(message, 'A0'), 53), '2600000000000000');
  assert.equal(buildNetworkReply(message, 'A0').mti, '0810');
  assert.throws(
    () => decodeKeyReset(withFields(message, [[48, 'NK12']])),
    code('ERR_ISO8583_FIELD'),
  );
  assert.throws(
    () => decodeKeyReset(withFields(message, [[53, '9600000000000000']])),
    code('ERR_ISO8583_FIELD'),
  );
});

test('answers repeat what they answer; 0421 is answered like 0420', () => {
  const reply = buildReply(SALE, '00', [[38, '123456']]);
  assert.equal(reply.mti, '0210');
  assert.equal(reply.fields.get(41), '00000001');
  assert.equal(reply.fields.has(52) || reply.fields.has(35) || reply.fields.has(128), false);
  assert.equal(responseMti('0421'), '0430');
  assert.equal(responseMti('0820'), '0830');
  assert.deepEqual(['0200', '0421', '0210', '0830'].map(isRequest), [true, true, false, false]);
});

test('field 7 is local time of China, MMDDhhmmss', () => {
  assert.equal(transmissionDateTime(Date.UTC(2026, 11, 31, 16, 0, 1)), '0101000001');
});

/** Messages with random known fields. */
function anyMessage(): fc.Arbitrary<Iso8583Message> {
  const digits = (length: number): fc.Arbitrary<string> =>
    fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: length, maxLength: length });
  const bytes = (min: number, max: number): fc.Arbitrary<Uint8Array> =>
    fc.uint8Array({ minLength: min, maxLength: max });
  const printable = (max: number): fc.Arbitrary<string> =>
    fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: max });
  const fields = fc.record(
    {
      2: fc.integer({ min: 1, max: 19 }).chain(digits),
      4: digits(12),
      11: digits(6),
      28: digits(8).map((value) => `D${value}`),
      44: printable(25),
      52: bytes(8, 8),
      55: bytes(1, 255),
      63: printable(512),
      90: digits(42),
      96: bytes(16, 16),
      100: fc.integer({ min: 1, max: 11 }).chain(digits),
      128: bytes(8, 8),
    },
    { requiredKeys: [] },
  );
  const mti = fc.constantFrom('0200', '0210', '0420', '0421', '0430', '0800', '0830');
  return fc.tuple(mti, fields).map(([type, record]) =>
    makeMessage(
      type,
      Object.entries(record).map(([number, value]) => [Number(number), value] as const),
    ),
  );
}
