/**
 * CA key files of every form, with the published UnionPay keys where they are at hand, and each
 * wrong file: which key, which field, at which byte.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { nodeCiphers, systemRandom } from '../../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { sm2KeyPair } from '../../crypto/index.ts';
import { encodeTlv } from '../../iso7816/index.ts';
import {
  type CaKeyFileEntry,
  type EmvDataError,
  isCaKeyExpired,
  parseCaKeyFile,
  readCaKeyFile,
} from './index.ts';

const RID = 'A000000333';
const MODULUS = `C0${'5A'.repeat(126)}01`;
const POINT = toHex(sm2KeyPair(systemRandom).publicKey);

const sha1Of = (index: string, modulus = MODULUS, exponent = '03'): string =>
  toHex(nodeCiphers.sha1(fromHex(RID + index + modulus + exponent)));

type Objects = Readonly<Record<string, string | null>>;

/** One key of UnionPay's list; null drops an object. */
function listEntry(index: string, change: Objects = {}): string {
  const objects: Objects = {
    '9F06': RID,
    '9F22': index,
    DF05: '3230333531323331',
    DF06: '01',
    DF07: '01',
    DF02: MODULUS,
    DF04: '03',
    DF03: sha1Of(index),
    ...change,
  };
  const parts = Object.entries(objects).map(([tag, value]) =>
    value === null ? new Uint8Array(0) : encodeTlv(tag, fromHex(value)),
  );
  return toHex(concatBytes(...parts));
}

const smEntry = (index: string, change: Objects = {}): string =>
  listEntry(index, { DF06: '07', DF07: '04', DF02: POINT, DF04: null, DF03: null, ...change });

const jsonKey = (index: string, change: Readonly<Record<string, unknown>> = {}) => ({
  rid: RID,
  index,
  modulus: MODULUS,
  exponent: '03',
  sha1: sha1Of(index),
  expiryYymmdd: '351231',
  ...change,
});

const read = (text: string) => readCaKeyFile(nodeCiphers, text);
const parse = (text: string) => parseCaKeyFile(nodeCiphers, text);
const names = (keys: readonly CaKeyFileEntry[]) => keys.map(({ index }) => index);

/** Code, entry, byte and field of the only fault. */
function fault(text: string): readonly unknown[] {
  const { faults } = read(text);
  assert.equal(faults.length, 1, JSON.stringify(faults));
  const { code, data } = faults[0] as EmvDataError;
  return [code, data['entry'], data['offsetBytes'], data['field']];
}

test("UnionPay's list: one key a line, all in one, over several lines, with remarks", () => {
  const [first, second] = [listEntry('F0'), listEntry('F1')];
  for (const text of [
    `${first}\n${second}\n`,
    first + second,
    `# keys of the lab\n\n${first} ; first\r\n${second.slice(0, 60)}\n${second.slice(60)}`,
    `${first.replace(/../g, '$& ').toLowerCase()}\n${second}`,
  ]) {
    const keys = parse(text);
    assert.deepEqual(names(keys), ['F0', 'F1']);
    const expected = {
      rid: RID,
      index: 'F0',
      modulus: MODULUS,
      exponent: '03',
      sha1: sha1Of('F0'),
    };
    assert.deepEqual(keys[0], {
      ...expected,
      algorithm: 'RSA',
      expiryYymmdd: '351231',
      use: 'unknown',
      label: '',
    });
  }
});

test('the last day is ASCII YYYYMMDD, BCD YYYYMMDD or BCD YYMMDD; EMV 4.3 B4 §6.7.3', () => {
  for (const [value, expected] of [
    ['3230333531323331', '351231'],
    ['20351231', '351231'],
    ['351231', '351231'],
    ['19991231', '991231'],
    [null, ''],
  ] as const) {
    assert.equal(parse(listEntry('F0', { DF05: value }))[0]?.expiryYymmdd, expected);
  }
  for (const value of ['20351331', '2035', '3230333531323332AA', '20991231', 'FFFFFF']) {
    const [code, entry, , field] = fault(listEntry('F0', { DF05: value }));
    assert.deepEqual([code, entry, field], ['ERR_CA_KEY_FIELD', 1, 'DF05'], value);
  }
});

test('a key is good on its last day and expired on the next; one without a day never is', () => {
  const [key] = parse(listEntry('F0'));
  const [endless] = parse(listEntry('F0', { DF05: null }));
  assert.ok(key && endless);
  assert.equal(isCaKeyExpired(key, '351231'), false);
  assert.equal(isCaKeyExpired(key, '360101'), true);
  assert.equal(isCaKeyExpired(key, '991231'), false);
  assert.equal(isCaKeyExpired(endless, '491231'), false);
});

test('JSON of our own form, with and without a wrapping object, and labels told apart', () => {
  const rows = [
    jsonKey('F0', { label: 'production family' }),
    jsonKey('F1', { label: 'test family', expiryYymmdd: '' }),
    jsonKey('F2', { label: 'unlabelled' }),
    jsonKey('F3'),
  ];
  for (const root of [rows, { caPublicKeys: rows }, { keys: rows }]) {
    const keys = parse(JSON.stringify(root));
    assert.deepEqual(names(keys), ['F0', 'F1', 'F2', 'F3']);
    assert.deepEqual(
      keys.map(({ use }) => use),
      ['live', 'test', 'unknown', 'unknown'],
    );
    assert.equal(keys[1]?.expiryYymmdd, '');
    assert.equal(keys[0]?.label, 'production family');
  }
});

test('PBOC3 P17: SM2 keys, with or without check value, in both forms', () => {
  const input = fromHex(`${RID}18${POINT}`);
  const [sm3, sha1] = [toHex(nodeCiphers.sm3(input)), toHex(nodeCiphers.sha1(input))];
  const row = { rid: RID, index: '18', algorithm: 'SM2', publicKey: POINT };
  for (const [text, checkValue] of [
    [smEntry('18'), ''],
    [smEntry('18', { DF03: sm3 }), sm3],
    [smEntry('18', { DF03: sha1 }), sha1],
    [smEntry('18', { DF02: `04${POINT}` }), ''],
    [JSON.stringify([row]), ''],
    [JSON.stringify([{ ...row, sm3 }]), sm3],
  ] as const) {
    const [key] = parse(text);
    assert.ok(key?.algorithm === 'SM2');
    assert.equal(key.publicKey, POINT);
    assert.equal(key.checkValue, checkValue);
  }
  // RSA and SM2 keys count their indexes apart.
  assert.equal(parse(listEntry('18') + smEntry('18')).length, 2);
});

test('an SM2 key off the curve, or with a wrong check value, is refused; PBOC3 P17', () => {
  const offCurve = `${POINT.slice(0, -2)}${POINT.endsWith('00') ? '01' : '00'}`;
  assert.deepEqual(fault(smEntry('18', { DF02: offCurve })).slice(0, 2), ['ERR_CA_KEY_FIELD', 1]);
  const wrong = smEntry('18', { DF03: '00'.repeat(32) });
  assert.equal(fault(wrong)[0], 'ERR_CA_KEY_CHECK_VALUE');
  const length = smEntry('18', { DF03: '00'.repeat(8) });
  assert.deepEqual([fault(length)[0], fault(length)[3]], ['ERR_CA_KEY_FIELD', 'DF03']);
});

test('RfidResearchGroup/proxmark3 #3081: ten wrong bytes of a key are found when it is loaded', () => {
  const bytes = fromHex(MODULUS);
  const wrong = toHex(bytes.map((value, at) => (at >= 40 && at < 50 ? value ^ 0xff : value)));
  const text = `${listEntry('F0')}\n${listEntry('F1', { DF02: wrong })}\n${listEntry('F2')}`;
  const { keys, faults } = read(text);
  assert.deepEqual(names(keys), ['F0', 'F2']);
  assert.equal(faults.length, 1);
  const [code, entry, offsetBytes, field] = fault(text);
  assert.deepEqual([code, entry, field], ['ERR_CA_KEY_CHECK_VALUE', 2, 'DF03']);
  const lengthBytes = listEntry('F0').length / 2;
  const within = listEntry('F1').indexOf('DF0314') / 2;
  assert.equal(offsetBytes, lengthBytes + within);
  assert.throws(() => parse(text), { code: 'ERR_CA_KEY_CHECK_VALUE' });
  const json = JSON.stringify([jsonKey('F0'), jsonKey('F1', { modulus: wrong })]);
  assert.deepEqual(fault(json), ['ERR_CA_KEY_CHECK_VALUE', 2, null, 'sha1']);
});

test('a wrong check value names key and index', () => {
  const { faults } = read(listEntry('F7', { DF03: '00'.repeat(20) }));
  assert.match(faults[0]?.message ?? '', /A000000333 F7/);
});

test('a key that is there twice is a fault, the first stays', () => {
  const text = listEntry('F0') + listEntry('F1') + listEntry('F0');
  const { keys } = read(text);
  assert.deepEqual(names(keys), ['F0', 'F1']);
  assert.deepEqual(fault(text).slice(0, 2), ['ERR_CA_KEY_DUPLICATE', 3]);
  const json = JSON.stringify([jsonKey('F0'), jsonKey('F0')]);
  assert.deepEqual(fault(json).slice(0, 2), ['ERR_CA_KEY_DUPLICATE', 2]);
});

test('each field that is missing or wrong is named', () => {
  const cases: readonly (readonly [Objects, string])[] = [
    [{ '9F22': null }, '9F22 (index)'],
    [{ '9F22': 'F0F1' }, '9F22'],
    [{ '9F06': 'A0000003330101' }, '9F06'],
    [{ DF02: null }, 'DF02 (modulus or point)'],
    [{ DF02: 'C1'.repeat(63) }, 'DF02'],
    [{ DF02: 'C1'.repeat(249) }, 'DF02'],
    [{ DF04: null }, 'DF04 (exponent)'],
    [{ DF04: '11' }, 'DF04'],
    [{ DF03: null }, 'DF03 (check value)'],
    [{ DF03: 'AA' }, 'DF03'],
    [{ DF07: '02' }, 'DF07'],
    [{ DF07: '0101' }, 'DF07'],
  ];
  for (const [change, field] of cases) {
    const [code, entry, , named] = fault(listEntry('F0', change));
    assert.deepEqual([code, entry, named], ['ERR_CA_KEY_FIELD', 1, field], JSON.stringify(change));
  }
  const twice = `${listEntry('F0')}DF0403`.replace(/DF0403$/, 'DF040103');
  assert.deepEqual(fault(twice).slice(0, 2), ['ERR_CA_KEY_FIELD', 1]);
  const noHex = JSON.stringify([jsonKey('F0'), jsonKey('F1', { exponent: 'three' })]);
  assert.deepEqual(fault(noHex), ['ERR_CA_KEY_FIELD', 2, null, 'exponent']);
  assert.deepEqual(fault(JSON.stringify([7])).slice(0, 2), ['ERR_CA_KEY_FIELD', 1]);
});

test('exponent 65537, also with leading zeros, is a key', () => {
  for (const exponent of ['010001', '000003']) {
    const change = { DF04: exponent, DF03: sha1Of('F0', MODULUS, exponent) };
    assert.equal(parse(listEntry('F0', change)).length, 1, exponent);
  }
});

test('what is no list at all: the byte is told, other lines stay', () => {
  const first = listEntry('F0');
  const length = first.length / 2;
  assert.deepEqual(fault(`${first}\n${first.slice(0, 20)}G0`), [
    'ERR_CA_KEY_FILE',
    2,
    length + 10,
    null,
  ]);
  assert.deepEqual(fault(`${first}\n${listEntry('F1').slice(0, -1)}`).slice(0, 2), [
    'ERR_CA_KEY_FILE',
    2,
  ]);
  const cut = `${first}\n${listEntry('F1').slice(0, -2)}`;
  assert.deepEqual(fault(cut).slice(0, 2), ['ERR_CA_KEY_FILE', 2]);
  assert.deepEqual(names(read(cut).keys), ['F0']);
  for (const text of ['', ' \n# nothing', '[]', '{}', '[', '{"keys":7}', 'null']) {
    assert.equal(fault(text)[0], 'ERR_CA_KEY_FILE', text);
  }
});

test('too long a file and too many keys are refused', () => {
  assert.equal(fault('0'.repeat(1_048_577))[0], 'ERR_CA_KEY_FILE');
  assert.equal(fault(JSON.stringify(new Array(257).fill({})))[0], 'ERR_CA_KEY_FILE');
  assert.ok(read('9F060500\n'.repeat(300)).faults.some(({ code }) => code === 'ERR_CA_KEY_FILE'));
});

const PUBLISHED = new URL('../../../../../shared/data/unionpay-capk.json', import.meta.url);
const skip = !existsSync(PUBLISHED) && process.env['CI'] !== 'true' ? 'no ../shared/data' : false;

test('the published UnionPay keys load, live and test ones told apart', { skip }, () => {
  const keys = parse(readFileSync(PUBLISHED, 'utf8'));
  assert.equal(keys.length, 13);
  const of = (use: string) => names(keys.filter((key) => key.use === use));
  assert.deepEqual(of('live'), ['01', '02', '03', '04']);
  assert.deepEqual(of('test'), ['08', '09', '0A', '0B', '0C']);
  assert.deepEqual(of('unknown'), ['80', '83', '84', '85']);
});
