/**
 * Shows that what users reported of other programs' codecs does not happen here, with bytes of our
 * own. The numbers are the rows of the table of reports.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesToLatin1, concatBytes, fromHex, toHex } from '../bytes/index.ts';
import {
  ASCII_DIALECT,
  BCD_DIALECT,
  bytesField,
  CUPS_DIALECT,
  type Dialect,
  decodeMessage,
  decodeSubfields,
  decodeTlvElements,
  defineDialect,
  EBCDIC_DIALECT,
  encodeMessage,
  encodeSubfields,
  encodeTlvElements,
  type FieldRow,
  type FieldValue,
  fieldTable,
  Iso8583Error,
  importJposPackager,
  indexFrame,
  macBlock,
  makeMessage,
  NO_HEADER,
  POS_DIALECT,
  type PosHeader,
  replyHeader,
  type Style,
  swapTpdu,
  textField,
  withTlvElement,
} from './index.ts';

const code = (wanted: string, fieldPath?: string, offsetBytes?: number) => (thrown: unknown) =>
  thrown instanceof Iso8583Error &&
  thrown.code === wanted &&
  (fieldPath === undefined || thrown.fieldPath === fieldPath) &&
  (offsetBytes === undefined || thrown.offsetBytes === offsetBytes);

const TPDU = '6000030000';
const POS_VERSION = '603100311312';
const TRACK_2 = '6299990000000009D30122010000000000000';
/** Written by hand: fields 2 3 4 11 22 23 25 35 41 42 49 60 64. */
const POS_SALE = fromHex(`
  ${TPDU} ${POS_VERSION} 0200 7020068020C08011
  16 6299990000000009  000000  000000001234  000001  0510  0001  00
  37 ${TRACK_2}0  3030303030303031  383938393939393030303030303031  313536
  0014 22000001000601  1122334455667788
`);
const POS_ROUTE: PosHeader = {
  ...{ destination: '0003', source: '0000', applicationType: '60', softwareVersion: '31' },
  ...{ terminalState: 0, processingRequest: 0, subVersion: '311312' },
};

const BCD_STYLE: Style = {
  ...{ text: 'ascii', digits: 'bcd', bytes: 'binary' },
  ...{ prefixEncoding: 'bcd', counts: 'units', align: 'left', filler: '0' },
};

/** A dialect of a few rows. */
function dialectOf(
  rows: readonly FieldRow[],
  style: Partial<Style> = {},
  more: Partial<Dialect<null, null>> = {},
): Dialect<null, null> {
  return defineDialect({
    ...{ name: 'test', header: NO_HEADER, mtiEncoding: 'bcd', versions: '0' },
    ...{ bitmap: 'binary', bitmaps: 'two', messageBytesMax: 1_024 },
    ...more,
    fields: fieldTable(rows, { ...BCD_STYLE, ...style }),
  });
}

const encoded = (
  dialect: Dialect<null, null>,
  ...fields: readonly [number, FieldValue][]
): string => toHex(encodeMessage(dialect, null, makeMessage('0200', fields)));
const decoded = <Read>(dialect: Dialect<never, Read>, hex: string) =>
  decodeMessage(dialect, fromHex(hex));

test('row 1: track 2 of 37 digits with D in BCD moves no later field (moov#457)', () => {
  const message = decodeMessage(POS_DIALECT, POS_SALE);
  assert.equal(textField(message, 35), TRACK_2);
  assert.equal(textField(message, 41), '00000001');
  assert.equal(textField(message, 60), '22000001000601');
  assert.deepEqual(encodeMessage(POS_DIALECT, POS_ROUTE, message), POS_SALE);
  // 37 counts digits, not bytes: a frame that holds 37 bytes there is refused at the next field.
  const asBytes = dialectOf([
    [35, 'z', 'LL', 37, 'hidden'],
    [41, 'ans', 'fixed', 8, 'clear'],
  ]);
  const wrong = `0200 0000000020800000 37${TRACK_2}0`.replace(/ /g, '');
  assert.throws(() => decoded(asBytes, wrong), code('ERR_ISO8583_TRUNCATED', 'F41'));
});

test('row 2: odd track 2, and n3 in two bytes on either side (moov#327)', () => {
  const rows: readonly FieldRow[] = [
    [22, 'n', 'fixed', 3, 'clear'],
    [24, 'n', 'fixed', 3, 'clear', { align: 'right' }],
    [35, 'z', 'LL', 37, 'hidden'],
  ];
  const hex = encoded(dialectOf(rows), [22, '051'], [24, '831'], [35, '629999=3012']);
  assert.equal(hex, `0200${'0000050020000000'}${'0510'}${'0831'}11${'629999D30120'}`);
  const message = decoded(dialectOf(rows), hex);
  assert.deepEqual([...message.fields.values()], ['051', '831', '629999D3012']);
  // Another digit than a filler beside them is no filler.
  const wrong = hex.replace('0510', '0511');
  assert.throws(() => decoded(dialectOf(rows), wrong), code('ERR_ISO8583_FIELD', 'F22', 10));
});

test('row 3: a BCD length counts the same when written and when read (moov#220)', () => {
  const row: FieldRow = [32, 'n', 'LL', 11, 'clear'];
  const digits = dialectOf([row]);
  const bytes = dialectOf([row], { counts: 'bytes' });
  assert.equal(encoded(digits, [32, '1234567']).slice(20), '0712345670');
  assert.equal(encoded(bytes, [32, '1234567']).slice(20), '0412345670');
  assert.equal(textField(decoded(digits, encoded(digits, [32, '1234567'])), 32), '1234567');
  assert.equal(textField(decoded(bytes, encoded(bytes, [32, '123456'])), 32), '123456');
});

test('rows 4, 22: bit 65 is refused with a code, or a third bitmap where the dialect has it', () => {
  const row: FieldRow = [130, 'n', 'fixed', 4, 'clear'];
  const f70: FieldRow = [70, 'n', 'fixed', 4, 'clear'];
  const f3: FieldRow = [3, 'n', 'fixed', 4, 'clear'];
  const two = '0800 A000000000000000 8000000000000000 4000000000000000 1111 2222'.replace(/ /g, '');
  const wanted = code('ERR_ISO8583_BITMAP', 'bitmap', 10);
  assert.throws(() => decoded(dialectOf([f3]), two), wanted);
  assert.throws(() => indexFrame(dialectOf([f3]), fromHex(two)), wanted);
  const together = dialectOf([f3, f70, row], {}, { bitmaps: 'threeTogether' });
  const inOrder = dialectOf([f3, f70, row], {}, { bitmaps: 'threeInOrder' });
  const fields = [
    [3, '1111'],
    [70, '7777'],
    [130, '2222'],
  ] as const;
  const head = '0200A0000000000000008400000000000000';
  const after = encoded(together, ...fields.map(([n, v]): [number, string] => [n, v]));
  assert.equal(after, `${head}4000000000000000111177772222`);
  const between = encoded(inOrder, ...fields.map(([n, v]): [number, string] => [n, v]));
  assert.equal(between, `${head}1111400000000000000077772222`);
  for (const [dialect, hex] of [
    [together, after],
    [inOrder, between],
  ] as const) {
    assert.deepEqual(
      [...decoded(dialect, hex).fields],
      fields.map((one) => [...one]),
    );
    const view = indexFrame(dialect, fromHex(hex));
    assert.deepEqual([view.text(3), view.text(70), view.text(130)], ['1111', '7777', '2222']);
    for (let cut = 0; cut < hex.length / 2; cut++) {
      assert.throws(() => decoded(dialect, hex.slice(0, 2 * cut)), Iso8583Error);
      assert.throws(() => indexFrame(dialect, fromHex(hex.slice(0, 2 * cut))), Iso8583Error);
    }
  }
  // A third bitmap behind the last field, without a field of the second.
  const bare = '0200A00000000000000080000000000000001111400000000000000022222222'.slice(0, -4);
  assert.equal(textField(decoded(inOrder, bare), 130), '2222');
  assert.equal(indexFrame(inOrder, fromHex(bare)).text(130), '2222');
});

test('row 5: nothing behind 128 fields is read as one more bitmap (moov#177, #172)', () => {
  const ones = 'FF'.repeat(40);
  const dialects: readonly Dialect[] = [POS_DIALECT, CUPS_DIALECT, BCD_DIALECT];
  for (const dialect of dialects) {
    const head = dialect === POS_DIALECT ? `${TPDU}${POS_VERSION}0200` : '0200';
    assert.throws(() => decoded(dialect, head + ones), Iso8583Error);
    assert.throws(() => indexFrame(dialect, fromHex(head + ones)), Iso8583Error);
  }
  const one = code('ERR_ISO8583_BITMAP', 'bitmap', 13);
  assert.throws(() => decoded(POS_DIALECT, `${TPDU}${POS_VERSION}0200${ones}`), one);
});

test('row 6: a length with a sign or blank is no length; a part that is too long is refused', () => {
  for (const length of ['-1', '-3', '+1', ' 1', '1 ', '1a']) {
    const bytes = concatBytes(ascii('0200'), ascii('4000000000000000'), ascii(`${length}1`));
    assert.throws(() => decodeMessage(ASCII_DIALECT, bytes), code('ERR_ISO8583_LENGTH', 'F2', 20));
    assert.throws(() => indexFrame(ASCII_DIALECT, bytes), code('ERR_ISO8583_LENGTH', 'F2', 20));
  }
  const parts = makeMessage('0200', [[63, 'SM999']]);
  const over = code('ERR_ISO8583_TRUNCATED', 'F63.SM', 5);
  assert.throws(() => decodeSubfields(CUPS_DIALECT, parts, 63), over);
  const negative = makeMessage('0200', [[63, 'SM-01x']]);
  const none = code('ERR_ISO8583_LENGTH', 'F63.SM', 2);
  assert.throws(() => decodeSubfields(CUPS_DIALECT, negative, 63), none);
});

test('rows 7, 36: a MAC covers the type to the field before it, and is patched in place', () => {
  const frame = POS_SALE.slice();
  const view = indexFrame(POS_DIALECT, frame);
  assert.deepEqual(view.macInput(), POS_SALE.subarray(11, POS_SALE.length - 8));
  view.patch(64, fromHex('AABBCCDDEEFF0011'));
  assert.equal(toHex(frame.subarray(-8)), 'AABBCCDDEEFF0011');
  assert.deepEqual(frame.subarray(0, -8), POS_SALE.subarray(0, -8));
  // A MAC written as hex characters has twice the length and is refused, not truncated.
  const hex = 'AABBCCDDEEFF0011';
  assert.throws(() => view.patch(64, ascii(hex)), code('ERR_ISO8583_LENGTH', 'F64'));
  assert.throws(() => view.patch(64, hex), code('ERR_ISO8583_FIELD', 'F64'));
  // In the interbank dialect named fields only are covered.
  const sale = makeMessage('0200', [
    [2, '6299990000000009'],
    [14, '3012'],
    [60, '0000'],
  ]);
  assert.equal(bytesToLatin1(macBlock(sale)), '0200 166299990000000009');
});

test('row 8: EBCDIC 1047 is one byte a character, 0x41 too (moov PR#339)', () => {
  const rows: readonly FieldRow[] = [[43, 'any', 'LL', 40, 'clear']];
  const style: Partial<Style> = { text: 'ebcdic', prefixEncoding: 'ebcdic' };
  const dialect = dialectOf(rows, style, { mtiEncoding: 'ebcdic' });
  const hex = 'F0F2F0F0 0000000000200000 F0F3 41C1F1'.replace(/ /g, '');
  const message = decoded(dialect, hex);
  assert.equal(textField(message, 43), '\u00a0A1');
  assert.equal(toHex(encodeMessage(dialect, null, message)), hex);
});

test('rows 9, 13: unknown tags survive a change of their neighbour byte for byte', () => {
  // DF04 is unknown, 9F36 has a long form, 00 00 is filler, 95 comes twice.
  const icc = fromHex(
    '9F2608AAAAAAAAAAAAAAAA DF0402BEEF 9F36810200120000 9501AA 9501BB DF8116023132',
  );
  const place = { fieldPath: 'F55', offsetBytes: 100 };
  const elements = decodeTlvElements(icc, place);
  assert.deepEqual(encodeTlvElements(elements), icc);
  assert.equal(elements.find(({ tag }) => tag === 'DF04')?.offsetBytes, 114);
  const changed = encodeTlvElements(withTlvElement(elements, '9F26', fromHex('0102')));
  assert.equal(toHex(changed), `9F26020102${toHex(icc).slice(22)}`);
  const removed = encodeTlvElements(withTlvElement(elements, 'DF04', null));
  assert.equal(toHex(removed), toHex(icc).replace('DF0402BEEF', ''));
  const parts = decodeSubfields(CUPS_DIALECT, makeMessage('0200', [[55, icc]]), 55);
  assert.deepEqual(encodeSubfields(CUPS_DIALECT, 55, parts), icc);
});

test('row 10: binary length before BCD digits (moov#132)', () => {
  const rows: readonly FieldRow[] = [[32, 'n', 'LL', 11, 'clear']];
  const dialect = dialectOf(rows, { prefixEncoding: 'binary', align: 'right' });
  const hex = encoded(dialect, [32, '49990000001']);
  assert.equal(hex.slice(20), '0B049990000001');
  assert.equal(textField(decoded(dialect, hex), 32), '49990000001');
  const wrong = code('ERR_ISO8583_LENGTH', 'F32', 10);
  assert.throws(() => decoded(dialect, `${hex.slice(0, 20)}FF`), wrong);
});

test('row 11: a fixed field takes no short value in any encoding (moov PR#325)', () => {
  const header = null;
  for (const dialect of [ASCII_DIALECT, BCD_DIALECT, EBCDIC_DIALECT]) {
    for (const [number, value] of [
      [4, '1234'],
      [41, 'T1'],
      [49, '15'],
    ] as const) {
      const message = makeMessage('0200', [[number, value]]);
      const wanted = code('ERR_ISO8583_LENGTH', `F${number}`);
      assert.throws(() => encodeMessage(dialect, header, message), wanted);
    }
  }
  // Where a dialect says so, it is filled up.
  const filled = dialectOf([
    [4, 'n', 'fixed', 12, 'clear', { padding: { side: 'left', character: '0' } }],
    [41, 'ans', 'fixed', 8, 'clear', { padding: { side: 'right', character: ' ' } }],
  ]);
  const hex = encoded(filled, [4, '1234'], [41, 'T1']);
  assert.deepEqual([...decoded(filled, hex).fields.values()], ['000000001234', 'T1      ']);
});

test('row 12: tags of three bytes in field 55 (jPOS#453)', () => {
  const icc = fromHex('DF81160201 02 DF812901FF');
  const place = { fieldPath: 'F55', offsetBytes: 0 };
  const tags = decodeTlvElements(icc, place).map(({ tag }) => tag);
  assert.deepEqual(tags, ['DF8116', 'DF8129']);
  const endless = fromHex('DF81818181818100');
  assert.throws(() => decodeTlvElements(endless, place), code('ERR_ISO8583_FIELD', 'F55', 0));
  const cut = code('ERR_ISO8583_TRUNCATED', 'F55.DF8116', 5);
  assert.throws(() => decodeTlvElements(icc.subarray(0, 5), place), cut);
});

test('row 15: addresses of a TPDU are hex, A to F too (jPOS#510)', () => {
  const route = { ...POS_ROUTE, destination: 'ABCD', source: '0FED' };
  const bytes = encodeMessage(POS_DIALECT, route, makeMessage('0800', [[11, '000001']]));
  assert.equal(toHex(bytes.subarray(0, 5)), '60ABCD0FED');
  const { header } = decodeMessage(POS_DIALECT, bytes);
  assert.deepEqual(header, route);
  assert.equal(replyHeader(header).destination, '0FED');
  swapTpdu(bytes);
  assert.equal(toHex(bytes.subarray(0, 5)), '600FEDABCD');
  for (const destination of ['ABC', 'ABCG', '=234', 'ABCDE']) {
    const wrong = { ...route, destination };
    const wanted = code('ERR_ISO8583_HEADER', 'header.tpdu.destination', 1);
    assert.throws(() => encodeMessage(POS_DIALECT, wrong, makeMessage('0800', [])), wanted);
  }
});

const NESTED = `
  <isopackager>
    <isofield id="0" length="4" name="MTI" class="org.jpos.iso.IFA_NUMERIC"/>
    <isofield id="1" length="16" name="BITMAP" class="org.jpos.iso.IFB_BITMAP"/>
    <isofield id="72" length="999" name="LLL" class="org.jpos.iso.IFA_LLLCHAR"/>
    <isofield id="73" length="9999" name="LLLL" class="org.jpos.iso.IFA_LLLLCHAR"/>
    <isofieldpackager id="127" length="255" name="OWN" class="org.jpos.iso.IFB_LLHBINARY"
        packager="org.jpos.iso.packager.GenericSubFieldPackager">
      <isofield id="0" length="8" name="BITMAP" class="org.jpos.iso.IFB_BITMAP"/>
      <isofield id="1" length="2" name="ONE" class="org.jpos.iso.IFA_NUMERIC"/>
      <isofield id="3" length="5" name="THREE" class="org.jpos.iso.IFA_LLCHAR"/>
    </isofieldpackager>
    <isofield id="128" length="8" name="MAC" class="org.jpos.iso.IFB_BINARY"/>
  </isopackager>`;

test('rows 16, 25: a nested bitmap has 8 bytes and its bit 1 is a field; an empty field is one', () => {
  const dialect = importJposPackager(NESTED);
  const none = new Uint8Array();
  const value = fromHex('A000000000000000 3432 3033414243');
  const bytes = encodeMessage(dialect, none, makeMessage('0800', [[127, value]]));
  const message = decodeMessage(dialect, bytes);
  const parts = decodeSubfields(dialect, message, 127);
  const read = parts.map(({ path, value: part }) => [path, part]);
  assert.deepEqual(read, [
    ['F127.1', '42'],
    ['F127.3', 'ABC'],
  ]);
  assert.deepEqual(encodeSubfields(dialect, 127, parts), value);
  const unknown = makeMessage('0800', [[127, fromHex('4000000000000000')]]);
  const notDefined = code('ERR_ISO8583_FIELD', 'F127.2');
  assert.throws(() => decodeSubfields(dialect, unknown, 127), notDefined);
  // An empty field 127 is followed by field 128.
  const empty = makeMessage('0800', [
    [127, none],
    [128, fromHex('1122334455667788')],
  ]);
  const again = decodeMessage(dialect, encodeMessage(dialect, none, empty));
  assert.equal(bytesField(again, 127)?.length, 0);
  assert.equal(toHex(bytesField(again, 128) ?? none), '1122334455667788');
  assert.deepEqual(decodeSubfields(dialect, again, 127), []);
});

test('row 17: three and four digits of a length are two fields (jPOS PR#686)', () => {
  const dialect = importJposPackager(NESTED);
  const fields = [
    [72, 'abc'],
    [73, 'abc'],
  ] as const;
  const text = bytesToLatin1(encodeMessage(dialect, new Uint8Array(), makeMessage('0200', fields)));
  assert.ok(text.endsWith('003abc0003abc'));
});

test('row 19: a second bitmap is sent only when a field is in it (iso_8583#100)', () => {
  const short = encodeMessage(ASCII_DIALECT, null, makeMessage('0200', [[3, '000000']]));
  assert.equal(bytesToLatin1(short), '02002000000000000000000000');
  const long = encodeMessage(ASCII_DIALECT, null, makeMessage('0820', [[70, '301']]));
  assert.equal(bytesToLatin1(long), '082080000000000000000400000000000000301');
});

test('row 20: a bitmap of hex characters takes 16 of them, a binary one 8 bytes', () => {
  const hex = ascii('0200400000000000000016' + '6299990000000009');
  assert.equal(textField(decodeMessage(ASCII_DIALECT, hex), 2), '6299990000000009');
  const binary = dialectOf(
    [[2, 'n', 'LL', 19, 'pan']],
    { digits: 'ascii', prefixEncoding: 'ascii' },
    {
      mtiEncoding: 'ascii',
    },
  );
  assert.throws(() => decodeMessage(binary, hex), Iso8583Error);
  const notHex = ascii('0200400000000000000G');
  assert.throws(
    () => decodeMessage(ASCII_DIALECT, notHex),
    code('ERR_ISO8583_BITMAP', 'bitmap', 19),
  );
});

test('row 21: a number instead of text is refused with a code (iso_8583#122)', () => {
  for (const value of [1234, 123456789012, {}, [], new Array(12).fill(1), true]) {
    const message = makeMessage('0200', [[4, value as unknown as string]]);
    assert.throws(
      () => encodeMessage(CUPS_DIALECT, ROUTE, message),
      code('ERR_ISO8583_FIELD', 'F4'),
    );
    const pin = makeMessage('0200', [[52, value as unknown as Uint8Array]]);
    assert.throws(() => encodeMessage(CUPS_DIALECT, ROUTE, pin), code('ERR_ISO8583_FIELD', 'F52'));
  }
  const nothing = makeMessage('0200', [[4, null as unknown as string]]);
  assert.throws(
    () => encodeMessage(CUPS_DIALECT, ROUTE, nothing),
    code('ERR_ISO8583_LENGTH', 'F4'),
  );
});

test('rows 23, 26: where an odd digit stands is chosen per field, and no filler becomes a digit', () => {
  for (const [align, hex] of [
    ['left', '12345670'],
    ['right', '01234567'],
  ] as const) {
    const dialect = dialectOf([[32, 'n', 'LL', 11, 'clear', { align }]]);
    assert.equal(encoded(dialect, [32, '1234567']).slice(22), hex);
    assert.equal(textField(decoded(dialect, encoded(dialect, [32, '1234567'])), 32), '1234567');
    const filled = dialectOf([[32, 'n', 'LL', 11, 'clear', { align, filler: 'F' }]]);
    assert.equal(encoded(filled, [32, '1234567']).slice(22), hex.replace(/^0|0$/, 'F'));
  }
  // A card number of 19 digits whose length counts 10 bytes.
  const pan = '6299990000000000007';
  for (const filler of ['0', 'F'] as const) {
    const rows: readonly FieldRow[] = [[2, 'n', 'LL', 19, 'pan']];
    const dialect = dialectOf(rows, { counts: 'bytes', align: 'right', filler });
    const hex = encoded(dialect, [2, pan]);
    assert.equal(hex.slice(20), `10${filler}${pan}`);
    assert.equal(textField(decoded(dialect, hex), 2), pan);
  }
});

test('rows 24, 28: TPDU and header of a POS frame are no part of the message', () => {
  const message = decodeMessage(POS_DIALECT, POS_SALE);
  assert.equal(message.mti, '0200');
  assert.deepEqual(message.header, POS_ROUTE);
  const other = POS_SALE.slice();
  other[0] = 0x61;
  const notTpdu = code('ERR_ISO8583_HEADER', 'header.tpdu', 0);
  assert.throws(() => decodeMessage(POS_DIALECT, other), notTpdu);
  assert.throws(() => indexFrame(POS_DIALECT, other), notTpdu);
  // The message without them begins elsewhere and is refused, not misread.
  assert.throws(() => decodeMessage(POS_DIALECT, POS_SALE.subarray(11)), Iso8583Error);
});

test('row 27: a BCD length with a hex digit is no length (j8583#96)', () => {
  for (const length of ['1A', 'A1', 'FF']) {
    const frame = `0200 4000000000000000 ${length} 1234`.replace(/ /g, '');
    assert.throws(() => decoded(BCD_DIALECT, frame), code('ERR_ISO8583_LENGTH', 'F2', 10));
  }
  const rows: readonly FieldRow[] = [[2, 'n', 'LL', 19, 'pan']];
  const binary = dialectOf(rows, { prefixEncoding: 'binary' });
  assert.equal(
    textField(decoded(binary, '0200400000000000000010' + '6299990000000009'), 2)?.length,
    16,
  );
});

test('row 29: twelve digits and leading zeros stay as they are (juks#47)', () => {
  const rows: readonly FieldRow[] = [
    [4, 'n', 'fixed', 12, 'clear'],
    [24, 'n', 'fixed', 4, 'clear'],
  ];
  const hex = encoded(dialectOf(rows), [4, '260725164401'], [24, '0831']);
  assert.equal(hex.slice(20), '2607251644010831');
  assert.deepEqual([...decoded(dialectOf(rows), hex).fields.values()], ['260725164401', '0831']);
});

test('row 30: bytes behind the last field are refused, and said where (juks#61)', () => {
  const longer = concatBytes(POS_SALE, fromHex('000000'));
  const trailing = code('ERR_ISO8583_TRAILING', 'message', POS_SALE.length);
  assert.throws(() => decodeMessage(POS_DIALECT, longer), trailing);
  assert.throws(() => indexFrame(POS_DIALECT, longer), trailing);
});

test('row 37: a length read from text is capped before anything is taken (jmeter-iso8583#97)', () => {
  // Field 55 given as text where a binary length of two bytes is: 0x4633 is 17971.
  const dialect = dialectOf([[55, 'b', 'LLL', 255, 'hidden']], { prefixEncoding: 'binary' });
  const frame = '0200 0000000000000200 4633 39463236'.replace(/ /g, '');
  assert.throws(() => decoded(dialect, frame), code('ERR_ISO8583_LENGTH', 'F55', 10));
  const tlv = fromHex('9F2683FFFFFF00');
  const place = { fieldPath: 'F55', offsetBytes: 0 };
  assert.throws(() => decodeTlvElements(tlv, place), code('ERR_ISO8583_TRUNCATED', 'F55.9F26'));
});

test('row 41: the fees of 28 to 31 are a sign and eight digits, in every encoding', () => {
  for (const [dialect, contentBytes] of [
    [ASCII_DIALECT, 9],
    [EBCDIC_DIALECT, 9],
    [BCD_DIALECT, 5],
  ] as const) {
    const message = makeMessage('0200', [
      [28, 'D00000150'],
      [31, 'C00000001'],
    ]);
    const bytes = encodeMessage(dialect, null, message);
    const bare = encodeMessage(dialect, null, makeMessage('0200', []));
    assert.equal(bytes.length - bare.length, 2 * contentBytes);
    assert.deepEqual([...decodeMessage(dialect, bytes).fields], [...message.fields]);
    for (const wrong of ['000000150', 'X00000150', 'D0000015', 'D0000015X']) {
      const other = makeMessage('0200', [[28, wrong]]);
      assert.throws(() => encodeMessage(dialect, null, other), Iso8583Error);
    }
  }
});

const ROUTE = { destination: '00010000000', source: '49990000001' };

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
