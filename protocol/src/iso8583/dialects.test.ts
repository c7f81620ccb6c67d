/**
 * Shows the POS and generic dialects byte for byte, what is inside their fields, the routing view,
 * packager files of jPOS and masked descriptions; and a wrong input per rule.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesToLatin1, fromHex, toHex } from '../bytes/index.ts';
import {
  ASCII_DIALECT,
  BCD_DIALECT,
  CUPS_DIALECT,
  decodeMessage,
  decodeSignInKeys,
  decodeSubfields,
  describeFields,
  describeMessage,
  EBCDIC_DIALECT,
  encodeMessage,
  encodeSignInKeys,
  encodeSubfields,
  Iso8583Error,
  importJposPackager,
  indexFrame,
  makeMessage,
  POS_DIALECT,
  textField,
  withFields,
} from './index.ts';

const code = (wanted: string, fieldPath?: string, offsetBytes?: number) => (thrown: unknown) =>
  thrown instanceof Iso8583Error &&
  thrown.code === wanted &&
  (fieldPath === undefined || thrown.fieldPath === fieldPath) &&
  (offsetBytes === undefined || thrown.offsetBytes === offsetBytes);

const CUPS_ROUTE = { destination: '00010000000', source: '49990000001' };
const POS_ROUTE = {
  ...{ destination: '0003', source: '0000', applicationType: '60', softwareVersion: '31' },
  ...{ terminalState: 0, processingRequest: 4, subVersion: '311312' },
};

/** Written by hand, the fields of a sale with PIN and chip. @see Q/CUP 009.1 */
const POS_SALE_HEX = [
  ...['6000030000', '603104311312', '0200', '7024068020C09A11'],
  ...['166299990000000009', '000000', '000000001234', '000001', '3012', '0510', '0001', '00'],
  ...['376299990000000009D301220100000000000000', '3030303030303031'],
  ...['383938393939393030303030303031', '313536', '0123456789ABCDEF', '2610000000000000'],
  ...['0016', '9F2608A1B2C3D4E5F607089F36020012', '0014', '22000001000601', '1122334455667788'],
].join('');

test('POS: the fields of a sale stand as the standard says (Q/CUP 009.1)', () => {
  const message = makeMessage('0200', [
    [2, '6299990000000009'],
    [3, '000000'],
    [4, '000000001234'],
    [11, '000001'],
    [14, '3012'],
    [22, '051'],
    [23, '001'],
    [25, '00'],
    [35, '6299990000000009D30122010000000000000'],
    [41, '00000001'],
    [42, '898999900000001'],
    [49, '156'],
    [52, fromHex('0123456789ABCDEF')],
    [53, '2610000000000000'],
    [55, fromHex('9F2608A1B2C3D4E5F607089F36020012')],
    [60, '22000001000601'],
    [64, fromHex('1122334455667788')],
  ]);
  const bytes = encodeMessage(POS_DIALECT, POS_ROUTE, message);
  assert.equal(toHex(bytes), POS_SALE_HEX);
  const read = decodeMessage(POS_DIALECT, bytes);
  assert.deepEqual([...read.fields], [...message.fields]);
  assert.deepEqual(read.header, POS_ROUTE);
});

test('POS: only 64 fields; unknown ones, wrong digits and wrong headers are refused', () => {
  const encode = (number: number, value: string) =>
    encodeMessage(POS_DIALECT, POS_ROUTE, makeMessage('0200', [[number, value]]));
  assert.throws(() => encode(70, '301'), code('ERR_ISO8583_FIELD', 'F70'));
  assert.throws(() => encode(7, '1125120000'), code('ERR_ISO8583_FIELD', 'F7'));
  assert.throws(() => encode(4, '00000000123A'), code('ERR_ISO8583_FIELD', 'F4', 21));
  assert.throws(() => encode(60, '2'.repeat(1_000)), code('ERR_ISO8583_LENGTH', 'F60'));
  const state = { ...POS_ROUTE, terminalState: 16 };
  const wrongState = code('ERR_ISO8583_HEADER', 'header.state', 7);
  assert.throws(() => encodeMessage(POS_DIALECT, state, makeMessage('0800', [])), wrongState);
  const nibble = fromHex(`6000030000603104311312 0200 1000000000000000 00000000123A`);
  assert.throws(() => decodeMessage(POS_DIALECT, nibble), code('ERR_ISO8583_FIELD', 'F4', 21));
});

test('generic dialects: one message in ASCII, BCD and EBCDIC', () => {
  const message = makeMessage('0800', [
    [2, '629999000000007'],
    [22, '051'],
    [70, '301'],
  ]);
  const bytes = [ASCII_DIALECT, BCD_DIALECT, EBCDIC_DIALECT].map((dialect) => {
    const encoded = encodeMessage(dialect, null, message);
    assert.deepEqual([...decodeMessage(dialect, encoded).fields], [...message.fields]);
    return encoded;
  });
  const [ascii, bcd, ebcdic] = bytes.map((one) => toHex(one));
  assert.equal(
    bytesToLatin1(fromHex(ascii ?? '')),
    '0800C0000400000000000400000000000000' + '15629999000000007' + '051301',
  );
  assert.equal(bcd, '0800C0000400000000000400000000000000' + '150629999000000007' + '00510301');
  assert.equal(
    ebcdic,
    'F0F8F0F0C0000400000000000400000000000000F1F5F6F2F9F9F9F9F0F0F0F0F0F0F0F0F7F0F5F1F3F0F1',
  );
  const version = encodeMessage(ASCII_DIALECT, null, { ...message, mti: '1804' });
  assert.equal(decodeMessage(ASCII_DIALECT, version).mti, '1804');
  assert.throws(
    () => encodeMessage(ASCII_DIALECT, null, { ...message, mti: '3800' }),
    code('ERR_ISO8583_MTI', 'MTI', 0),
  );
});

test('F60 of CUPS: parts with their paths; the last may be missing, none in between', () => {
  const text = '0000' + '05060703011' + '000000000';
  const parts = decodeSubfields(CUPS_DIALECT, makeMessage('0200', [[60, text]]), 60, 200);
  const at = (path: string) => parts.find((part) => part.path === path);
  assert.equal(at('F60.2.2')?.value, '5');
  assert.equal(at('F60.2.5')?.value, '07');
  assert.equal(at('F60.2.5')?.offsetBytes, 208);
  assert.equal(at('F60.2.8')?.value, '01');
  assert.equal(encodeSubfields(CUPS_DIALECT, 60, parts), text);
  const cut = makeMessage('0200', [[60, text.slice(0, 9)]]);
  const ends = code('ERR_ISO8583_TRUNCATED', 'F60.2.5', 208);
  assert.throws(() => decodeSubfields(CUPS_DIALECT, cut, 60, 200), ends);
  const wrong = makeMessage('0200', [[60, `${text.slice(0, 8)}-7`]]);
  const notAn = code('ERR_ISO8583_FIELD', 'F60.2.5', 8);
  assert.throws(() => decodeSubfields(CUPS_DIALECT, wrong, 60), notAn);
  const gap = [
    { path: 'F60.1', value: '0000' },
    { path: 'F60.2.2', value: '5' },
  ];
  assert.throws(
    () => encodeSubfields(CUPS_DIALECT, 60, gap),
    code('ERR_ISO8583_MISSING', 'F60.2.1'),
  );
  const strange = [{ path: 'F60.9', value: '0' }];
  assert.throws(
    () => encodeSubfields(CUPS_DIALECT, 60, strange),
    code('ERR_ISO8583_FIELD', 'F60.9'),
  );
  const short = [{ path: 'F60.1', value: '000' }];
  assert.throws(
    () => encodeSubfields(CUPS_DIALECT, 60, short),
    code('ERR_ISO8583_LENGTH', 'F60.1'),
  );
});

test('F60 of a POS: digits are two to a byte, and so are offsets; what follows is kept', () => {
  const message = makeMessage('0200', [[60, '220000010006010009']]);
  const parts = decodeSubfields(POS_DIALECT, message, 60, 100);
  assert.deepEqual(
    parts.map(({ path, value, offsetBytes }) => [path, value, offsetBytes]),
    [
      ['F60.1', '22', 100],
      ['F60.2', '000001', 101],
      ['F60.3', '000', 104],
      ['F60.4', '6', 105],
      ['F60.5', '0', 106],
      ['F60.6', '1', 106],
      ['F60.7', '000', 107],
      ['F60.rest', '9', 108],
    ],
  );
  assert.equal(encodeSubfields(POS_DIALECT, 60, parts), '220000010006010009');
});

test('F48, F61, F62, F63, F90: usages, results of checks, parts of the original', () => {
  const parts = (number: number, value: string, dialect = CUPS_DIALECT) =>
    decodeSubfields(dialect, makeMessage('0200', [[number, value]]), number).map(
      ({ path, value: part }) => `${path}=${String(part)}`,
    );
  assert.deepEqual(parts(48, 'AO01'), ['F48.usage=AO', 'F48.AO.1=01']);
  assert.deepEqual(parts(48, 'NK8D0A74B8'), ['F48.usage=NK', 'F48.NK.1=8D0A74B8']);
  assert.deepEqual(parts(48, 'ASAO00201IP003abc'), [
    'F48.usage=AS',
    'F48.AS.AO=01',
    'F48.AS.IP=abc',
  ]);
  assert.deepEqual(parts(48, 'XYwhat'), ['F48.usage=XY', 'F48.rest=what']);
  assert.ok(parts(61, `01${'x'.repeat(20)}12CUP00001`).includes('F61.8=1'));
  assert.deepEqual(parts(62, 'IOT00CUP'), ['F62.usage=IO', 'F62.IO.1=T00CUP']);
  assert.deepEqual(parts(63, 'TK003abcSM001x'), ['F63.TK=abc', 'F63.SM=x']);
  const original = `0200${'000001'}${'1125120000'}${'00010000000'}${'49990000001'}`;
  assert.deepEqual(parts(90, original).slice(0, 3), [
    'F90.1=0200',
    'F90.2=000001',
    'F90.3=1125120000',
  ]);
  const settlement = decodeSubfields(
    POS_DIALECT,
    makeMessage('0500', [[48, '000000001234001000000000000000' + '1']]),
    48,
  );
  assert.deepEqual(
    settlement.map(({ value }) => value),
    ['000000001234', '001', '000000000000', '000', '1'],
  );
  const operator = decodeSubfields(POS_DIALECT, makeMessage('0800', [[63, '001']]), 63);
  assert.deepEqual(
    operator.map(({ path, value }) => [path, value]),
    [['F63.1', '001']],
  );
});

test('F62 of a sign-in: layouts of 24, 40 and 60 bytes, and no other (Q/CUP 009.1)', () => {
  const bytes = Uint8Array.from({ length: 60 }, (_, index) => index);
  const triple = decodeSignInKeys(bytes);
  assert.equal(toHex(triple.pinKey.checkValue), '10111213');
  assert.equal(toHex(triple.macKey.checkValue), '24252627');
  assert.equal(triple.trackKey?.enciphered.length, 16);
  assert.deepEqual(encodeSignInKeys(triple), bytes);
  const single = decodeSignInKeys(bytes.subarray(0, 24));
  assert.equal(toHex(single.macKey.enciphered), '0C0D0E0F10111213');
  assert.equal(single.trackKey, null);
  assert.deepEqual(encodeSignInKeys(single), bytes.slice(0, 24));
  assert.deepEqual(encodeSignInKeys(decodeSignInKeys(bytes.subarray(0, 40))), bytes.slice(0, 40));
  for (const length of [0, 23, 25, 41, 59]) {
    const wanted = code('ERR_ISO8583_LENGTH', 'F62');
    assert.throws(() => decodeSignInKeys(bytes.subarray(0, length)), wanted);
  }
  const mixed = { ...single, trackKey: triple.trackKey };
  assert.throws(() => encodeSignInKeys(mixed), code('ERR_ISO8583_LENGTH', 'F62'));
});

test('routing view: single fields are read and patched; a refused patch changes nothing', () => {
  const sale = makeMessage('0200', [
    [2, '6299990000000009'],
    [11, '000001'],
    [37, '000000000001'],
    [39, '00'],
    [44, 'kept as it is'],
    [52, fromHex('0123456789ABCDEF')],
    [128, fromHex('1122334455667788')],
  ]);
  const frame = encodeMessage(CUPS_DIALECT, CUPS_ROUTE, sale).slice();
  const view = indexFrame(CUPS_DIALECT, frame);
  assert.equal(view.mti, '0200');
  assert.equal(view.leadingDigits(2, 6), 629_999);
  assert.equal(view.leadingDigits(11, 6), 1);
  assert.equal(view.leadingDigits(11, 7), undefined);
  assert.equal(view.leadingDigits(44, 2), undefined);
  assert.equal(view.text(52), undefined);
  assert.equal(view.get(4), undefined);
  assert.equal(view.spanOf(4), null);
  view.patchMti('0210');
  view.patch(11, '999999');
  view.patch(39, 'A0');
  view.patch(52, new Uint8Array(8));
  const read = decodeMessage(CUPS_DIALECT, frame);
  const wanted = withFields({ ...sale, mti: '0210' }, [
    [11, '999999'],
    [39, 'A0'],
    [52, new Uint8Array(8)],
  ]);
  assert.deepEqual([read.mti, ...read.fields], ['0210', ...wanted.fields]);
  const before = frame.slice();
  assert.throws(() => view.patch(11, '1'), code('ERR_ISO8583_LENGTH', 'F11'));
  assert.throws(() => view.patch(11, '99999x'), code('ERR_ISO8583_FIELD', 'F11'));
  assert.throws(() => view.patch(44, 'longer than it was'), code('ERR_ISO8583_LENGTH', 'F44'));
  assert.throws(() => view.patch(12, '000000'), code('ERR_ISO8583_MISSING', 'F12'));
  assert.throws(() => view.patchMti('02'), code('ERR_ISO8583_MTI'));
  assert.deepEqual(frame, before);
  const bare = indexFrame(
    CUPS_DIALECT,
    encodeMessage(CUPS_DIALECT, CUPS_ROUTE, makeMessage('0820', [])),
  );
  assert.throws(() => bare.macInput(), code('ERR_ISO8583_MISSING', 'F64'));
});

test('routing view: a value of a wrong alphabet passes through and is refused only when read', () => {
  const frame = encodeMessage(
    CUPS_DIALECT,
    CUPS_ROUTE,
    makeMessage('0200', [
      [4, '000000001234'],
      [11, '000001'],
    ]),
  ).slice();
  frame[frame.length - 1] = 0x2a;
  const view = indexFrame(CUPS_DIALECT, frame);
  assert.equal(view.text(4), '000000001234');
  assert.throws(() => view.text(11), code('ERR_ISO8583_FIELD', 'F11', frame.length - 6));
  assert.equal(toHex(view.raw(11) ?? frame), '30303030302A');
});

test('routing view: a view is used again, and keeps its frame when the next one is refused', () => {
  const frames = ['000001', '000002'].map((stan) =>
    encodeMessage(
      BCD_DIALECT,
      null,
      makeMessage('0200', [
        [2, '6299990000000009'],
        [11, stan],
      ]),
    ),
  );
  const [first = new Uint8Array(), second = new Uint8Array()] = frames;
  const view = indexFrame(BCD_DIALECT, first);
  assert.equal(indexFrame(BCD_DIALECT, second, view).text(11), '000002');
  assert.throws(() => indexFrame(BCD_DIALECT, first.subarray(0, 12), view), Iso8583Error);
});

const PACKAGER = `<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!DOCTYPE isopackager PUBLIC "-//jPOS/jPOS Generic Packager DTD 1.0//EN"
  "http://127.0.0.1/generic-packager-1.0.dtd" [ <!ENTITY evil SYSTEM "file:///etc/passwd"> ]>
<!-- A small one of our own -->
<isopackager headerLength="0">
  <isofield id="0" length="4" name="MESSAGE TYPE" class="org.jpos.iso.IFB_NUMERIC" pad="true"/>
  <isofield id="1" length="16" name="BIT MAP" class="org.jpos.iso.IFB_BITMAP"/>
  <isofield id="2" length="19" name="PAN" class="org.jpos.iso.IFB_LLHNUM" pad="false"/>
  <isofield id="4" length="12" name='AMOUNT &amp; MORE' class="org.jpos.iso.IFB_NUMERIC" pad="true"/>
  <isofield id="22" length="3" name="ENTRY" class="org.jpos.iso.IFB_NUMERIC" pad="true"/>
  <isofield id="35" length="37" name="TRACK 2" class="org.jpos.iso.IFB_LLNUM" pad="false"/>
  <isofield id="41" length="8" name="TERMINAL" class="org.jpos.iso.IF_CHAR"/>
  <isofield id="43" length="9" name="EBCDIC" class="org.jpos.iso.IFE_LLCHAR"/>
  <isofieldpackager id="48" length="99" name="PARTS" class="org.jpos.iso.IFA_LLLCHAR"
      packager="org.jpos.iso.packager.GenericSubFieldPackager">
    <isofield id="1" length="2" name="A" class="org.jpos.iso.IFA_NUMERIC"/>
    <isofield id="2" length="9" name="B" class="org.jpos.iso.IFA_LLCHAR"/>
  </isofieldpackager>
  <isofield id="52" length="8" name="PIN" class="org.jpos.iso.IFB_BINARY"/>
  <isofield id="64" length="8" name="MAC" class="org.jpos.iso.IFA_BINARY"/>
</isopackager>
<!-- the end -->`;

test('jPOS: a packager file becomes a dialect; its classes write what jPOS writes', () => {
  const dialect = importJposPackager(PACKAGER);
  const message = makeMessage('0200', [
    [2, '629999000000007'],
    [4, '1234'],
    [22, '51'],
    [35, '629999=301'],
    [41, 'T1'],
    [43, 'AB'],
    [48, '4203abc'],
    [52, fromHex('0123456789ABCDEF')],
    [64, fromHex('00000000000000FF')],
  ]);
  const bytes = encodeMessage(dialect, new Uint8Array(), message);
  assert.equal(
    toHex(bytes),
    ['0200', '5000040020A11001', '0F6299990000000070', '000000001234', '0051', '10629999D301']
      .concat('5431202020202020', 'F0F2C1C2', '30303734323033616263', '0123456789ABCDEF')
      .concat(toHex(Uint8Array.from('00000000000000FF', (one) => one.charCodeAt(0))))
      .join(''),
  );
  const read = decodeMessage(dialect, bytes);
  assert.equal(textField(read, 35), '629999D301');
  const parts = decodeSubfields(dialect, read, 48);
  assert.deepEqual(
    parts.map(({ path, value }) => [path, value]),
    [
      ['F48.1', '42'],
      ['F48.2', 'abc'],
    ],
  );
  assert.equal(encodeSubfields(dialect, 48, parts), '4203abc');
  assert.equal(describeMessage(read, dialect)['F2'], '629999*****0007');
});

test('jPOS: what is unknown or contradicts itself is refused with line and field', () => {
  const line = (wanted: number, fieldPath?: string) => (thrown: unknown) =>
    code('ERR_ISO8583_SPEC', fieldPath)(thrown) &&
    thrown instanceof Iso8583Error &&
    thrown.data['line'] === wanted;
  const changed = (from: string, to: string) => () =>
    importJposPackager(PACKAGER.replace(from, to));
  assert.throws(changed('IFB_LLHNUM', 'IFX_LLHNUM'), line(8, 'F2'));
  assert.throws(changed('class="org.jpos.iso.IF_CHAR"', ''), line(12, 'F41'));
  assert.throws(changed('id="4"', 'id="2"'), line(9, 'F2'));
  assert.throws(changed('length="12"', 'length="1x"'), line(9));
  assert.throws(changed('length="12"', ''), line(9, 'F4'));
  assert.throws(changed('&amp;', '&evil;'), line(9));
  assert.throws(changed('<isofield id="4"', '<isofeld id="4"'), line(9));
  assert.throws(changed('<isofield id="1" ', '<isofield id="3" '), line(5));
  assert.throws(changed('</isopackager>', ''), line(22));
  assert.throws(changed('</isopackager>', '</isopackager><a/>'), line(21));
  assert.throws(() => importJposPackager('{"fields":[]}'), line(1));
  assert.throws(() => importJposPackager(''), line(1));
});

test('descriptions: what is inside is named and masked, in every dialect', () => {
  const icc = fromHex('5A086299990000000009 9F02060000000012345F2A020156 57031122339F3602000A');
  const message = makeMessage('0200', [
    [2, '6299990000000009'],
    [4, '000000001234'],
    [35, '6299990000000009D30122010000000000000'],
    [55, icc],
    [60, '22000001000601'],
    [62, fromHex('AABB')],
    [63, 'CUP secret\u0001'],
  ]);
  const lines = describeFields(message, POS_DIALECT);
  const at = (path: string) => lines.find((line) => line.path === path)?.text;
  assert.equal(at('F2'), '629999******0009');
  assert.equal(lines.find(({ path }) => path === 'F4')?.name?.zh, '交易金额');
  assert.equal(at('F55'), `[${icc.length} bytes]`);
  assert.equal(at('F55.9F02'), '000000001234');
  assert.equal(at('F55.5A'), '[8 bytes]');
  assert.equal(at('F55.57'), '[3 bytes]');
  assert.equal(at('F60.2'), '000001');
  assert.equal(at('F63.1'), 'CUP');
  const text = JSON.stringify(lines);
  for (const secret of ['6299990000000009', '3012', 'AABB', 'secret', '112233']) {
    assert.equal(text.includes(secret), false, secret);
  }
  const broken = describeFields(makeMessage('0200', [[55, fromHex('9F')]]), CUPS_DIALECT);
  assert.deepEqual(broken.at(-1), { path: 'F55', name: null, text: '[ERR_ISO8583_TRUNCATED]' });
});
