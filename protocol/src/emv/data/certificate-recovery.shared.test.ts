/**
 * Issuer certificates of published test cards of three payment systems open with their CA keys, and
 * do not at another date, for another card, or with any byte changed.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex } from '../../bytes/index.ts';
import { recoverIssuerCertificate } from './index.ts';

const INPUTS = new URL('../../../../../shared/vectors/inputs.jsonl', import.meta.url);
const skip = !existsSync(INPUTS) && process.env['CI'] !== 'true' ? 'no ../shared/vectors' : false;

type Input = Readonly<Record<string, string>>;

/** The input of one published case by its identifier. */
function inputOf(id: string): Input {
  const rows = readFileSync(INPUTS, 'utf8').trim().split('\n');
  const row = rows.map((line) => JSON.parse(line)).find((parsed) => parsed.id === id);
  assert.ok(row, id);
  return row.input;
}

function recover(id: string, change: Input = {}, dateYymmdd?: string) {
  const given: Input = { ...inputOf(id), ...change };
  const hex = (name: string): Uint8Array => fromHex(given[name] ?? '');
  const pan = given['tag5A'];
  return recoverIssuerCertificate(nodeCiphers, {
    caKey: { modulus: hex('capk_modulus'), exponent: fromHex(given['capk_exponent'] ?? '03') },
    certificate: hex('tag90'),
    remainder: hex('tag92'),
    exponent: hex('tag9F32'),
    ...(pan === undefined ? {} : { pan }),
    ...(dateYymmdd === undefined ? {} : { dateYymmdd }),
  });
}

test('a UnionPay test card: identifier, expiry, serial and key of 176 bytes', { skip }, () => {
  const result = recover('upi-08-issuer-cert');
  assert.ok(result.ok);
  assert.equal(result.identifier, '621094');
  assert.equal(result.expiryMmyy, '1230');
  assert.equal(toHex(result.serialNumber), '001156');
  assert.equal(result.key.modulus.length, 176);
  assert.match(toHex(result.key.modulus), /^9E584E1BDA1E9DF3657DAE6B28B9D755/);
  const other = recover('upi-08-issuer-cert', { tag5A: '6299990000000009' });
  assert.ok(!other.ok && other.fault === 'issuerIdentifier');
});

test('a Visa test card without remainder: good on 2031-12-31, expired the day after', {
  skip,
}, () => {
  const on = (date: string) => recover('visa-18-issuer-cert', {}, date);
  const result = on('311231');
  assert.ok(result.ok);
  assert.equal(result.identifier, '476173');
  assert.equal(toHex(result.serialNumber), '03DA0A');
  const late = on('320101');
  assert.ok(!late.ok && late.fault === 'expired' && late.where.offsetBytes === 6);
});

test('a changed byte of certificate or remainder opens nothing', { skip }, () => {
  const { tag90 = '', tag92 = '' } = inputOf('upi-08-issuer-cert');
  const flipped = (text: string): string => `${text[0] === '1' ? '2' : '1'}${text.slice(1)}`;
  assert.equal(recover('upi-08-issuer-cert', { tag90: flipped(tag90) }).ok, false);
  const wrong = recover('upi-08-issuer-cert', { tag92: flipped(tag92) });
  assert.ok(!wrong.ok && wrong.fault === 'hash');
  const none = recover('upi-08-issuer-cert', { tag92: '' });
  assert.ok(!none.ok && none.fault === 'remainderMissing');
});
