/**
 * Shows for every dialect that well-formed messages come back as they were, that the routing view
 * agrees with the codec, and that any bytes end in a value or a coded error.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ASCII_DIALECT,
  BCD_DIALECT,
  CUPS_DIALECT,
  type Dialect,
  decodeMessage,
  decodeSignInKeys,
  decodeSubfields,
  decodeTlvElements,
  defineDialect,
  describeFields,
  EBCDIC_DIALECT,
  encodeMessage,
  encodeSubfields,
  encodeTlvElements,
  type FieldSpec,
  type FieldValue,
  fieldTable,
  Iso8583Error,
  type Iso8583Message,
  importJposPackager,
  indexFrame,
  makeMessage,
  NO_HEADER,
  POS_DIALECT,
} from './index.ts';

type Case = {
  readonly dialect: Dialect;
  readonly encode: (message: Iso8583Message) => Uint8Array;
};

const CUPS_ROUTE = { destination: '00010000000', source: '49990000001' };
const POS_ROUTE = {
  ...{ destination: '0003', source: 'ABCD', applicationType: '60', softwareVersion: '31' },
  ...{ terminalState: 1, processingRequest: 4, subVersion: '311312' },
};
/** Every encoding and prefix at once, over three bitmaps. */
const MIXED = defineDialect({
  ...{ name: 'mixed', header: NO_HEADER, mtiEncoding: 'ebcdic', versions: '012' },
  ...{ bitmap: 'ebcdicHex', bitmaps: 'threeInOrder', messageBytesMax: 8_192 },
  fields: fieldTable([
    [2, 'n', 'LL', 19, 'pan', { content: 'bcd', align: 'right', filler: 'F', counts: 'bytes' }],
    [3, 'n', 'LLL', 19, 'clear', { content: 'bcd', prefixEncoding: 'binary' }],
    [4, 'x+n', 'fixed', 9, 'clear', { content: 'bcd' }],
    [35, 'z', 'LL', 37, 'hidden', { content: 'bcd', align: 'left', prefixEncoding: 'bcd' }],
    [43, 'any', 'LLLL', 99, 'clear', { content: 'ebcdic', prefixEncoding: 'ebcdic' }],
    [52, 'b', 'fixed', 8, 'hidden', { content: 'hex' }],
    [55, 'b', 'LLL', 99, 'hidden', { content: 'ebcdicHex', counts: 'bytes' }],
    [70, 'an', 'LL', 9, 'clear', { content: 'ebcdic', prefixEncoding: 'binary' }],
    [128, 'b', 'LLLL', 20, 'hidden', { content: 'binary', prefixEncoding: 'bcd' }],
    [130, 'ans', 'LL', 30, 'clear', { content: 'ascii', prefixEncoding: 'ebcdic' }],
    [192, 'n', 'fixed', 3, 'clear', { content: 'bcd', align: 'right' }],
  ]),
});

const CASES: readonly Case[] = [
  { dialect: CUPS_DIALECT, encode: (message) => encodeMessage(CUPS_DIALECT, CUPS_ROUTE, message) },
  { dialect: POS_DIALECT, encode: (message) => encodeMessage(POS_DIALECT, POS_ROUTE, message) },
  ...[ASCII_DIALECT, BCD_DIALECT, EBCDIC_DIALECT, MIXED].map((dialect) => ({
    dialect,
    encode: (message: Iso8583Message) => encodeMessage(dialect, null, message),
  })),
];

const CHARACTERS: Readonly<Record<string, string>> = {
  n: '0123456789',
  an: '0123456789ABCXYZabcxyz ',
  ans: ' !"#$%&()*+,-./0189:;<=>?@AZ[]^_`az{|}~',
  any: '\u0000\u0041\u007f\u0080\u00a0\u00ff',
  z: '0123456789D',
};

function fieldValueOf(spec: FieldSpec): fc.Arbitrary<FieldValue> {
  const { alphabet, min, max } = spec;
  const size = { minLength: min, maxLength: Math.min(max, 60 + min) };
  if (alphabet === 'b') return fc.uint8Array(size);
  if (alphabet === 'x+n') return digits(max - 1).map((value) => `D${value}`);
  const unit = fc.constantFrom(...(CHARACTERS[alphabet] ?? '0'));
  return fc.string({ unit, ...size });
}

function digits(length: number): fc.Arbitrary<string> {
  return fc.string({
    unit: fc.constantFrom(...'0123456789'),
    minLength: length,
    maxLength: length,
  });
}

/** A message of some fields of the dialect, in any order. */
function messageOf(dialect: Dialect): fc.Arbitrary<Iso8583Message> {
  const specs = [...dialect.fields.values()];
  const entry = fc
    .constantFrom(...specs)
    .chain((spec) => fieldValueOf(spec).map((value) => [spec.number, value] as const));
  const mti = fc.constantFrom('0200', '0210', '0420', '0800', '0830');
  return fc
    .tuple(mti, fc.array(entry, { maxLength: 14 }))
    .map(([type, fields]) => makeMessage(type, fields));
}

/** Only a coded error is allowed. */
function valueOrError<Result>(run: () => Result): Result | null {
  try {
    return run();
  } catch (thrown) {
    assert.ok(thrown instanceof Iso8583Error, String(thrown));
    assert.ok(thrown.fieldPath !== '' && thrown.offsetBytes >= 0, thrown.message);
    return null;
  }
}

/** The parts of a field, if it has any, make the same field again. */
function assertParts(dialect: Dialect, message: Iso8583Message, number: number): void {
  const parts = valueOrError(() => decodeSubfields(dialect, message, number));
  if (parts === null || parts.length === 0) return;
  const again = encodeSubfields(dialect, number, parts);
  assert.deepEqual(again, message.fields.get(number), `F${number}`);
}

for (const { dialect, encode } of CASES) {
  test(`${dialect.name}: what is written is read, by the codec and by the view`, () => {
    fc.assert(
      fc.property(messageOf(dialect), (message) => {
        const bytes = encode(message);
        const read = decodeMessage(dialect, bytes);
        assert.equal(read.mti, message.mti);
        const view = indexFrame(dialect, bytes.slice());
        assert.deepEqual(view.numbers, [...message.fields.keys()]);
        // A half byte that a length in bytes cannot count may have become a digit in front.
        const isAmbiguous = ({ prefix, operation }: FieldSpec): boolean =>
          prefix.counts === 'bytes' && operation === 'bcd' && dialect.name !== 'mixed';
        for (const [number, value] of message.fields) {
          const spec = dialect.fields.get(number);
          if (spec === undefined || isAmbiguous(spec)) continue;
          assert.deepEqual(read.fields.get(number), value, `F${number}`);
          assert.deepEqual(view.get(number), value, `F${number}`);
          const [start = 0, end = 0] = view.spanOf(number) ?? [];
          assert.deepEqual(view.raw(number), bytes.slice(start, end));
          // Putting a value where it is changes nothing.
          view.patch(number, value);
        }
        assert.deepEqual(view.bytes, bytes);
        assert.deepEqual(encode(read), bytes);
      }),
      { numRuns: 150 },
    );
  });

  test(`${dialect.name}: junk ends in a value or a coded error, and both readers agree`, () => {
    const both = (bytes: Uint8Array): void => {
      const read: Iso8583Message | null = valueOrError(() => decodeMessage(dialect, bytes));
      const view = valueOrError(() => indexFrame(dialect, bytes.slice()));
      if (read === null) {
        for (const number of view?.numbers ?? []) valueOrError(() => view?.get(number));
        return;
      }
      assert.deepEqual(view?.numbers, [...read.fields.keys()]);
      for (const number of read.fields.keys()) {
        assert.deepEqual(view?.get(number), read.fields.get(number));
        assertParts(dialect, read, number);
      }
      describeFields(read, dialect);
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), both), { numRuns: 150 });
    const changed = fc.tuple(
      messageOf(dialect),
      fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 3 }),
      fc.nat(400),
    );
    fc.assert(
      fc.property(changed, ([message, changes, cut]) => {
        const bytes = encode(message).slice();
        for (const [offset, value] of changes) bytes[offset % bytes.length] = value;
        both(bytes);
        both(bytes.subarray(0, cut % bytes.length));
      }),
      { numRuns: 300 },
    );
  });
}

test('data objects: bytes come back as they were, or end in a coded error', () => {
  const tlv = (bytes: Uint8Array): void => {
    const place = { fieldPath: 'F55', offsetBytes: 7 };
    const elements = valueOrError(() => decodeTlvElements(bytes, place));
    if (elements !== null) assert.deepEqual(encodeTlvElements(elements), bytes);
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), tlv));
  const tag = fc.constantFrom(0x95, 0x9f, 0x82, 0xdf, 0x81, 0x00, 0x01, 0x02);
  fc.assert(fc.property(fc.array(tag, { maxLength: 40 }), (bytes) => tlv(Uint8Array.from(bytes))));
});

test('sub-fields: all text and bytes in every field end in parts or a coded error', () => {
  const text = fc.string({ unit: fc.constantFrom(...'0123456789ASKMNOBPC \u00ff'), maxLength: 90 });
  const value = fc.oneof(text, fc.uint8Array({ maxLength: 90 }));
  for (const { dialect } of CASES) {
    const numbers = [...dialect.fields.keys()];
    fc.assert(
      fc.property(fc.constantFrom(...numbers), value, (number, content) => {
        const message = makeMessage('0200', [[number, content]]);
        valueOrError(() => decodeSubfields(dialect, message, number));
        assert.ok(describeFields(message, dialect).length >= 2);
      }),
      { numRuns: 200 },
    );
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      valueOrError(() => decodeSignInKeys(bytes));
    }),
  );
});

const PIECES = [
  '<isopackager>',
  '</isopackager>',
  '<isopackager headerLength="5">',
  '<isofieldpackager ',
  '</isofieldpackager>',
  '<isofield id="0" length="4" class="org.jpos.iso.IFA_NUMERIC"/>',
  '<isofield id="1" length="16" class="org.jpos.iso.IFB_BITMAP"/>',
  '<isofield ',
  '/>',
  '>',
  'id="2"',
  'id="193"',
  'id="-1"',
  'length="19"',
  'length="x"',
  'class="IFA_LLNUM"',
  'class="IFB_LLHNUM"',
  'class="IFZ_WHAT"',
  'pad="true"',
  '<!DOCTYPE a [<!ENTITY x "y">]>',
  '<!DOCTYPE',
  '<!--',
  '-->',
  '&x;',
  '&amp;',
  '&#0;',
  '<?xml version="1.0"?>',
  '<![CDATA[',
  ']]>',
  ' ',
  '\n',
  '<',
  '"',
  "'",
  '\u0000',
];

test('packager files: each text ends in a dialect or a coded error with a line, in bounded time', () => {
  const attempt = (xml: string): void => {
    const started = performance.now();
    valueOrError(() => importJposPackager(xml));
    assert.ok(performance.now() - started < 2_000);
  };
  fc.assert(fc.property(fc.string({ maxLength: 300 }), attempt));
  const pieces = fc.array(fc.constantFrom(...PIECES), { maxLength: 30 });
  fc.assert(
    fc.property(pieces, (parts) => attempt(parts.join(' '))),
    { numRuns: 500 },
  );
  fc.assert(fc.property(pieces, (parts) => attempt(`<isopackager>${parts.join('')}`)));
  // What a small file can claim.
  attempt('<a '.repeat(100_000));
  attempt(`<isopackager>${'<isofield id="2" '.repeat(50_000)}`);
  attempt(`<isopackager>${'<!--'.repeat(100_000)}`);
  attempt(`<isopackager></isopackager>${'<!-- -- '.repeat(50_000)}`);
  attempt(`<isopackager a="${'&'.repeat(200_000)}"/>`);
  attempt(' '.repeat(1_000_001));
  attempt(`<isopackager${' '.repeat(900_000)}x`);
});
