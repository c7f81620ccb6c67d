/**
 * Frames, keys, PIN blocks and sessions as people get them wrong: each wrong form is told with its
 * place, each right one passes its check, and a wrong key never does.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../node/index.ts';
import { asciiToBytes, fromHex, toHex } from '../bytes/index.ts';
import {
  kcvTdes,
  retailMac,
  tdesEncrypt,
  tr31WrapD,
  unionPayPosMac,
  x99Mac,
} from '../crypto/index.ts';
import { CUPS_DIALECT, encodeMessage, macBlock, makeMessage } from '../iso8583/index.ts';
import { ExplainError, type ExplainKind, type Explanation, explain } from './index.ts';

const KEY = '0123456789ABCDEFFEDCBA9876543210';
const OTHER = '11223344556677889900AABBCCDDEEFF';
const PAN = '6299990000000017';

function ask(
  input: string | Readonly<Record<string, string>>,
  keys: Readonly<Record<string, string>> = {},
  as?: ExplainKind,
): Explanation {
  const text = typeof input === 'string' ? input : JSON.stringify(input);
  return explain(nodeCiphers, text, as === undefined ? { keys } : { keys, as });
}

const codes = ({ findings }: Explanation): readonly string[] => findings.map(({ code }) => code);
const result = ({ checks }: Explanation, name: string): string | undefined =>
  checks.find((check) => check.name === name)?.result;
const refused =
  (code: string, facts: Readonly<Record<string, unknown>> = {}) =>
  (thrown: unknown): boolean => {
    assert.ok(thrown instanceof ExplainError, String(thrown));
    assert.equal(thrown.code, code);
    for (const [name, wanted] of Object.entries(facts)) assert.equal(thrown.data[name], wanted);
    return true;
  };

/** A POS request without TPDU: fields 3, 11, 41 and the MAC. */
const BODY = `0200 2020000000800001 000000 000123 ${toHex(asciiToBytes('10000001'))}`;
const MAC = toHex(unionPayPosMac(fromHex(KEY), fromHex(BODY)));
const FRAME = `6000030000 603100311312 ${BODY} ${MAC}`;
const framed = (length: number): string => `${length.toString(16).padStart(4, '0')} ${FRAME}`;
const SIZE = fromHex(FRAME).length;

test('a frame with its length, TPDU and header is read and its MAC verified (Q/CUP 009.1)', () => {
  const good = ask(framed(SIZE), { mak: KEY });
  assert.equal(good.kind, 'iso8583');
  assert.equal(good.facts['dialect'], 'unionPayPos');
  assert.equal(result(good, 'mac'), 'passed');
  assert.deepEqual(codes(good), []);
  assert.equal(result(ask(framed(SIZE), { mak: OTHER }), 'mac'), 'failed');
});

test('a length in another unit is told at byte 0', () => {
  assert.deepEqual(codes(ask(framed(2 * SIZE))), ['ISO8583_LENGTH_HEX_DIGITS']);
  assert.deepEqual(codes(ask(framed(SIZE + 2))), ['ISO8583_LENGTH_BYTES_WITH_ITSELF']);
  assert.deepEqual(codes(ask(`00${SIZE} ${FRAME}`)), ['ISO8583_LENGTH_BCD_BYTES']);
  const wrong = ask(framed(SIZE + 9));
  assert.deepEqual(codes(wrong), ['ISO8583_LENGTH_WRONG']);
  assert.equal(wrong.findings[0]?.offsetBytes, 0);
});

test('a frame that is cut says in which field and how many bytes are missing', () => {
  const cut = ask(FRAME.replaceAll(' ', '').slice(0, -20));
  assert.deepEqual(codes(cut), ['ISO8583_TRUNCATED']);
  assert.deepEqual(
    { ...(cut.facts['missing'] as object), rest: '' },
    {
      field: 41,
      offsetBytes: 27,
      why: 'truncated',
      neededBytes: 8,
      presentBytes: 6,
      missingBytes: 2,
      rest: '',
    },
  );
  assert.deepEqual(codes(ask(`${FRAME} 00`)), ['ISO8583_TRAILING']);
});

test('an interbank message has its header read and field 128 verified (Q/CUP 006)', () => {
  const fields: [number, string | Uint8Array][] = [
    [2, PAN],
    [3, '000000'],
    [4, '000000001234'],
    [11, '000123'],
    [41, '10000001'],
  ];
  const mac = x99Mac(fromHex(KEY), macBlock(makeMessage('0200', fields)));
  const header = { destination: '00010000', source: '00020000' };
  const bytes = encodeMessage(CUPS_DIALECT, header, makeMessage('0200', [...fields, [128, mac]]));
  const good = ask(toHex(bytes), { mak: KEY });
  assert.equal(good.facts['dialect'], 'cups');
  assert.equal(good.facts['privateDialect'], false);
  assert.equal(result(good, 'mac'), 'passed');
  assert.equal(good.tree[0]?.children.length, 10, 'ten parts of the 46-byte header');
  assert.equal(result(ask(toHex(bytes), { mak: OTHER }), 'mac'), 'failed');
});

test('field 55 of a frame is taken apart with offsets of the frame', () => {
  const icc = '9F0206000000001234950500000488009C0100';
  const length = String(icc.length / 2).padStart(4, '0');
  const read = ask(`0200 3000000000000200 000000 000000001234 ${length}${icc}`);
  const field = read.tree.find(({ tag }) => tag === 'F55');
  assert.deepEqual(
    field?.children.map(({ tag }) => tag),
    ['9F02', '95', '9C'],
  );
  assert.equal(field?.children[0]?.offsetBytes, 21);
});

test('the MAC kind finds algorithm and range, and says when the range is unusual', () => {
  const data = fromHex('0102030405060708090A');
  const target = toHex(retailMac(fromHex(KEY), data.subarray(2), { padding: 1 })).slice(0, 8);
  const found = ask({ frame: toHex(data), mak: KEY, mac: target }, {}, 'mac');
  assert.equal(found.facts['algorithm'], 'x919');
  assert.equal(found.facts['mabOffsetBytes'], 2);
  assert.deepEqual(codes(found), ['MAC_UNUSUAL_RANGE']);
  const lost = ask({ frame: toHex(data), mak: OTHER, mac: target }, {}, 'mac');
  assert.equal(result(lost, 'mac'), 'failed');
  const bare = ask({ mab: toHex(data) });
  assert.equal(bare.kind, 'mac');
  assert.equal(result(bare, 'mac'), 'notPossible');
});

test('sign-in layouts of 24, 36, 40 and 60 bytes; a wrong master key fails every check value', () => {
  const under = (key: string): string => toHex(tdesEncrypt(fromHex(KEY), fromHex(key)));
  const kcv = (key: string): string => kcvTdes(fromHex(key));
  const single = '13579BDF02468ACE';
  const long = OTHER;
  const layouts: readonly (readonly [string, string, readonly boolean[]])[] = [
    [
      under(single) + kcv(single) + under(single) + kcv(single),
      'PIK8 KCV4 MAK8 KCV4',
      [true, true],
    ],
    [under(long) + kcv(long) + under(long), 'PIK16 KCV4 MAK16', [true]],
    [
      `${under(long)}${kcv(long)}${under(single)}0000000000000000${kcv(single)}`,
      'PIK16 KCV4 MAK8 ZERO8 KCV4',
      [true, true],
    ],
    [
      [long, long, long].map((key) => under(key) + kcv(key)).join(''),
      'PIK16 KCV4 MAK16 KCV4 TDK16 KCV4',
      [true, true, true],
    ],
  ];
  for (const [field, layout, matches] of layouts) {
    const good = ask(field, { tmk: KEY });
    assert.equal(good.kind, 'workingKeys', layout);
    assert.equal(good.facts['layout'], layout);
    const passed = good.checks.filter((check) => check.result === 'passed');
    assert.equal(passed.length, matches.length, layout);
    const bad = ask(field, { tmk: OTHER }, 'workingKeys');
    assert.ok(
      bad.checks.every((check) => check.result !== 'passed'),
      layout,
    );
  }
  const odd = 'AB'.repeat(41);
  assert.throws(
    () => ask(odd, {}, 'workingKeys'),
    refused('ERR_EXPLAIN_FORMAT', { offsetBytes: 41 }),
  );
});

test('a check value is found in the form that gives it, and refused when none does', () => {
  const aes = ask({ key: '404142434445464748494A4B4C4D4E4F', kcv: '504A77' });
  assert.equal(aes.kind, 'kcv');
  assert.equal(result(aes, 'kcv'), 'passed');
  assert.equal(result(ask({ key: KEY, kcv: '123456' }), 'kcv'), 'failed');
  assert.throws(() => ask({ key: '0011', kcv: '123456' }, {}, 'kcv'), refused('ERR_EXPLAIN_VALUE'));
});

test('a PIN block under another key or PAN says at which byte it breaks (ISO 9564-1 §9.3)', () => {
  const block = String(ask({ pin: '1234', pan: PAN, pik: KEY }).facts['encipheredBlock']);
  const right = ask({ block, pan: PAN, pik: KEY });
  assert.equal(right.facts['pin'], '1234');
  assert.equal(right.facts['format'], 0);
  const wrong = ask({ block, pan: PAN, pik: OTHER });
  assert.equal(wrong.facts['pin'], null);
  assert.deepEqual(codes(wrong), ['PIN_BLOCK_MALFORMED']);
  assert.equal(typeof wrong.findings[0]?.offsetBytes, 'number');
  assert.throws(() => ask({ pin: '123', pan: PAN }), refused('ERR_EXPLAIN_VALUE', { name: 'pin' }));
  assert.throws(
    () => ask({ pin: '1234', format: '0' }),
    refused('ERR_EXPLAIN_MISSING', { name: 'pan' }),
  );
});

test('format 4 is made and read under an AES key', () => {
  const key = '00112233445566778899AABBCCDDEEFF';
  const parts = { pan: '1234567890123456789', format: '4', key };
  const made = ask({ ...parts, pin: '1234', filler: 'FFFFFFFFFFFFFFFF' });
  assert.equal(made.facts['block'], '28B41FDDD29B743E93124BD8E32D921E');
  const block = String(made.facts['block']);
  assert.equal(ask({ ...parts, block }).facts['pin'], '1234');
  assert.equal(ask({ ...parts, block, key: KEY }).facts['pin'], null);
});

test('key blocks of versions B and D open under their key only (X9.143)', () => {
  const b = 'B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E';
  const kbpk = 'DD7515F2BFC17F85CE48F3CA25CB21F6';
  const opened = ask(b, { kbpk });
  assert.equal(opened.kind, 'keyBlock');
  assert.equal(opened.facts['key'], '3F419E1CB7079442AA37474C2EFBF8B8');
  assert.equal(opened.facts['usage'], 'P0');
  assert.equal(result(opened, 'keyBlock.mac'), 'passed');
  const shut = ask(b, { kbpk: OTHER });
  assert.equal(shut.facts['key'], null);
  assert.equal(result(shut, 'keyBlock.mac'), 'failed');
  assert.equal(result(ask(b), 'keyBlock.mac'), 'notPossible');
  const header = { usage: 'K0', algorithm: 'A', modeOfUse: 'B', exportability: 'N' };
  const random = { bytes: (size: number): Uint8Array => new Uint8Array(size).fill(7) };
  const d = tr31WrapD(nodeCiphers, fromHex(KEY), header, fromHex(OTHER), random);
  assert.equal(ask(d, { kbpk: KEY }).facts['key'], OTHER);
  assert.ok(codes(ask(`${d}00`)).includes('KEY_BLOCK_LENGTH'));
});

test('AES DUKPT gives the published keys (X9.24-3:2017)', () => {
  const keys = ask({
    bdk: 'FEDCBA9876543210F1F1F1F1F1F1F1F1',
    ksn: '123456789012345600000001',
  });
  assert.equal(keys.facts['initialKey'], '1273671EA26AC29AFA4D1084127652A1');
  assert.equal(keys.facts['transactionKey'], '4F21B565BAD9835E112B6465635EAE44');
  assert.equal(keys.facts['pinKey'], 'AF8CB133A78F8DC2D1359F18527593FB');
  assert.throws(
    () => ask({ bdk: KEY, ksn: 'FFFF9876543210E00000' }),
    refused('ERR_EXPLAIN_VALUE', { cause: 'ERR_CRYPTO_COUNTER' }),
  );
});

/** From the published session of SCP03 with AES-128 at level 11. */
const SCP03_LOG = `
=> 8050300008B13E5F938FC108C400
<= 000000000000000000003003703EB51047495B249F66C484C1D2EF19480000029000
=> 84821100107D5F5826A993EBC89EEA24957FA0B3CE
<= 9000`;
const SCP03_KEYS = {
  enc: '000102030405060708090A0B0C0D0E0F',
  mac: '101112131415161718191A1B1C1D1E1F',
};

test('a logged SCP03 session: both cryptograms and the C-MAC, by its keys only (GP-D §6.2)', () => {
  const good = ask(SCP03_LOG, SCP03_KEYS);
  assert.equal(good.kind, 'globalPlatform');
  assert.equal(good.facts['parameterI'], '70');
  assert.equal(good.facts['sequenceCounter'], '000002');
  assert.equal(result(good, 'cardCryptogram'), 'passed');
  assert.equal(result(good, 'externalAuthenticate'), 'passed');
  const bad = ask(SCP03_LOG, { ...SCP03_KEYS, mac: KEY });
  assert.equal(result(bad, 'cardCryptogram'), 'failed');
  assert.equal(result(bad, 'externalAuthenticate'), 'failed');
  assert.equal(result(ask(SCP03_LOG), 'cardCryptogram'), 'notPossible');
});

test('an SM2 signature stands under its key and message only (GM/T 0003)', () => {
  const publicKey = new Uint8Array(64).fill(1);
  const wrong = ask({ publicKey: toHex(publicKey), signature: '00'.repeat(64), data: '00' });
  assert.equal(wrong.kind, 'smCrypto');
  assert.equal(wrong.facts['publicKeyOnCurve'], false);
  assert.equal(result(wrong, 'sm2'), 'failed');
  assert.throws(() => ask({ key: KEY, data: '00' }, {}, 'smCrypto'), refused('ERR_EXPLAIN_VALUE'));
});

test('bitmaps: a missing second one and one that nobody announced are told', () => {
  assert.deepEqual(codes(ask('F23A400108E1800E', {}, 'bitmap')), ['BITMAP_SECOND_MISSING']);
  const surplus = ask('723A400108E1800E0000000000000001', {}, 'bitmap');
  assert.deepEqual(codes(surplus), ['BITMAP_SECOND_NOT_ANNOUNCED']);
  assert.throws(
    () => ask('723A40', {}, 'bitmap'),
    refused('ERR_EXPLAIN_FORMAT', { offsetBytes: 3 }),
  );
});

test('what cannot be a message, a session or a receipt is refused with its code', () => {
  assert.throws(
    () => ask('FFFFFFFF', {}, 'iso8583'),
    refused('ERR_EXPLAIN_FORMAT', { offsetBytes: 0 }),
  );
  assert.throws(() => ask('E005C003010180', {}, 'globalPlatform'), refused('ERR_EXPLAIN_FORMAT'));
  assert.throws(() => ask({ note: 'x' }, {}, 'receipt'), refused('ERR_EXPLAIN_MISSING'));
  assert.throws(
    () => ask('00', { mak: '0011' }, 'mac'),
    refused('ERR_EXPLAIN_VALUE', { name: 'mak' }),
  );
});
