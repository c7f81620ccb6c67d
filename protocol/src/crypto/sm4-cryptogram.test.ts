/**
 * Shows the SM4 card keys, cryptograms and MACs against OpenSSL's own SM4 in ECB and CBC, and that
 * each input byte counts. No vector of these formulas is published.
 */
import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodeCiphers } from '../../node/index.ts';
import { asciiToBytes, concatBytes, fromHex, toHex } from '../bytes/index.ts';
import {
  deriveSm4IccMasterKey,
  deriveSm4SessionKey,
  kcvSm4,
  sm4ApplicationCryptogram,
  sm4Arpc,
  sm4CbcMac,
  sm4LineMac,
  sm4ScriptMac4,
} from './index.ts';

const KEY = fromHex('0123456789ABCDEFFEDCBA9876543210');
const ATC = fromHex('0102');
const code = (expected: string) => (error: unknown) =>
  (error as { readonly code?: unknown }).code === expected;

function openssl(mode: 'ecb' | 'cbc', key: Uint8Array, data: Uint8Array): Uint8Array {
  const vector = mode === 'ecb' ? null : new Uint8Array(16);
  const cipher = createCipheriv(`sm4-${mode}`, key, vector).setAutoPadding(false);
  return new Uint8Array(Buffer.concat([cipher.update(data), cipher.final()]));
}

test('the card key is SM4 of Y and NOT Y, Y the last 16 digits of PAN and PSN', () => {
  const card = { pan: '6299990000000009', panSequenceNumber: '01' };
  const y = fromHex('9999000000000901');
  const block = concatBytes(y, fromHex('6666FFFFFFFFF6FE'));
  assert.deepEqual(deriveSm4IccMasterKey(nodeCiphers, KEY, card), openssl('ecb', KEY, block));
  const short = deriveSm4IccMasterKey(nodeCiphers, KEY, { ...card, pan: '629999000009' });
  const padded = fromHex('0062999900000901FF9D6666FFFFF6FE');
  assert.deepEqual(short, openssl('ecb', KEY, padded), 'left-filled with zeros');
});

test('the session key is one block of the counter and its inverse', () => {
  const block = fromHex('0000000000000102000000000000FEFD');
  assert.deepEqual(deriveSm4SessionKey(nodeCiphers, KEY, ATC), openssl('ecb', KEY, block));
});

test('the MAC is the last block of SM4-CBC over data padded with 80, at every length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (data) => {
      const zeros = new Uint8Array(15 - (data.length % 16));
      const padded = concatBytes(data, Uint8Array.of(0x80), zeros);
      const whole = openssl('cbc', KEY, padded);
      assert.deepEqual(sm4CbcMac(nodeCiphers, KEY, data), whole.slice(-16));
      assert.deepEqual(sm4ApplicationCryptogram(nodeCiphers, KEY, data), whole.slice(-16, -8));
    }),
    { numRuns: 60 },
  );
});

test('the ARPC is the left half of one block, and every bit of cryptogram and code counts', () => {
  const cryptogram = fromHex('5D016C91005E7CC2');
  const authorisationResponseCode = asciiToBytes('00');
  const arpc = sm4Arpc(nodeCiphers, KEY, { cryptogram, authorisationResponseCode });
  const block = fromHex('6D316C91005E7CC20000000000000000');
  assert.deepEqual(arpc, openssl('ecb', KEY, block).slice(0, 8));
  const other = asciiToBytes('01');
  const declined = sm4Arpc(nodeCiphers, KEY, { cryptogram, authorisationResponseCode: other });
  assert.notDeepEqual(declined, arpc);
});

test('the script MAC covers header, counter, cryptogram and data, 4 bytes', () => {
  const parts = {
    header: fromHex('04DA9F790A'),
    atc: ATC,
    cryptogram: fromHex('5D016C91005E7CC2'),
    data: fromHex('000000002000'),
  };
  const mac = sm4ScriptMac4(nodeCiphers, KEY, parts);
  const input = concatBytes(parts.header, ATC, parts.cryptogram, parts.data);
  assert.equal(toHex(mac), toHex(sm4CbcMac(nodeCiphers, KEY, input)).slice(0, 8));
  for (const name of ['header', 'atc', 'cryptogram', 'data'] as const) {
    const bent = {
      ...parts,
      [name]: parts[name].map((value, at) => (at === 0 ? value ^ 1 : value)),
    };
    assert.notDeepEqual(sm4ScriptMac4(nodeCiphers, KEY, bent), mac, name);
  }
});

test('wrong sizes are refused by code', () => {
  const card = { pan: '6299990000000009', panSequenceNumber: '1' };
  assert.throws(() => deriveSm4IccMasterKey(nodeCiphers, KEY, card), code('ERR_CRYPTO_DIGITS'));
  const badPan = { pan: '62', panSequenceNumber: '01' };
  assert.throws(() => deriveSm4IccMasterKey(nodeCiphers, KEY, badPan), code('ERR_CRYPTO_PAN'));
  const short = KEY.slice(1);
  assert.throws(() => sm4CbcMac(nodeCiphers, short, ATC), code('ERR_CRYPTO_KEY_LENGTH'));
  assert.throws(() => deriveSm4SessionKey(nodeCiphers, short, ATC), code('ERR_CRYPTO_KEY_LENGTH'));
  assert.throws(() => deriveSm4SessionKey(nodeCiphers, KEY, KEY), code('ERR_CRYPTO_DATA_LENGTH'));
  const arpc = { cryptogram: ATC, authorisationResponseCode: ATC };
  assert.throws(() => sm4Arpc(nodeCiphers, KEY, arpc), code('ERR_CRYPTO_DATA_LENGTH'));
  const script = { header: ATC, atc: ATC, cryptogram: new Uint8Array(8), data: ATC };
  assert.throws(() => sm4ScriptMac4(nodeCiphers, KEY, script), code('ERR_CRYPTO_DATA_LENGTH'));
});

test('the MAC of a line is zero padded, its left eight bytes; open and full blocks alike', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (data) => {
      const blocks = Math.max(1, Math.ceil(data.length / 16));
      const padded = concatBytes(data, new Uint8Array(16 * blocks - data.length));
      const whole = openssl('cbc', KEY, padded);
      assert.deepEqual(sm4LineMac(nodeCiphers, KEY, data), whole.slice(-16, -8));
    }),
    { numRuns: 60 },
  );
  assert.throws(
    () => sm4LineMac(nodeCiphers, KEY.slice(8), fromHex('00')),
    code('ERR_CRYPTO_KEY_LENGTH'),
  );
});

test('the check value of an SM4 key is the head of a zero block enciphered', () => {
  const zeros = new Uint8Array(16);
  assert.equal(kcvSm4(nodeCiphers, KEY), toHex(openssl('ecb', KEY, zeros)).slice(0, 8));
  assert.throws(() => kcvSm4(nodeCiphers, KEY.slice(1)), code('ERR_CRYPTO_KEY_LENGTH'));
});
