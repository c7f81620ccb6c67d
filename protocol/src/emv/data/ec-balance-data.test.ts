/**
 * Shows the e-cash balance in issuer application data: layout of a published message, our MAC as a
 * regression value, both ciphers, and each refusal.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex } from '../../bytes/index.ts';
import { retailMac } from '../../crypto/index.ts';
import {
  decodeEcBalanceData,
  decodeIad,
  encodeEcBalanceData,
  IAD_ALGORITHM_3DES,
  IAD_ALGORITHM_SM4,
  isEcBalanceAuthentic,
} from './index.ts';

const sessionKeyMac = fromHex('EA80DA2ED32A471AC343F55484147A0F');
const atc = fromHex('0240');

test('a published 9F10: id 01, balance 10.00, four bytes of MAC (PBOC3 P13)', () => {
  const iad = decodeIad(fromHex('07000103A04002010A010000001000D1F61152'));
  const found = decodeEcBalanceData(iad.discretionary);
  assert.equal(found?.balanceMinor, 1000n);
  assert.equal(toHex(found?.mac ?? fromHex('')), 'D1F61152');
});

for (const algorithm of [IAD_ALGORITHM_3DES, IAD_ALGORITHM_SM4]) {
  test(`algorithm ${algorithm}: the issuer finds its card's MAC right and no other`, () => {
    const input = { algorithm, sessionKeyMac, atc, balance: fromHex('0000002000') };
    const made = encodeEcBalanceData(nodeCiphers, input);
    assert.equal(toHex(made.subarray(0, 6)), '010000002000');
    const found = decodeEcBalanceData(made);
    assert.ok(found);
    const keys = { algorithm, sessionKeyMac, atc };
    assert.equal(isEcBalanceAuthentic(nodeCiphers, found, keys), true);
    const later = { ...keys, atc: fromHex('0241') };
    assert.equal(isEcBalanceAuthentic(nodeCiphers, found, later), false, 'another counter');
    const richer = { ...found, balance: fromHex('0000003000') };
    assert.equal(isEcBalanceAuthentic(nodeCiphers, richer, keys), false, 'another balance');
  });
}

test('under 3DES the MAC is the left half of the retail MAC over counter and balance', () => {
  const balance = fromHex('0000002000');
  const input = { algorithm: IAD_ALGORITHM_3DES, sessionKeyMac, atc, balance };
  const whole = retailMac(sessionKeyMac, fromHex('02400000002000'), { padding: 2 });
  assert.deepEqual(encodeEcBalanceData(nodeCiphers, input).subarray(6), whole.subarray(0, 4));
});

test('other discretionary data is none of this; a broken balance is a coded fault', () => {
  assert.equal(decodeEcBalanceData(new Uint8Array(0)), undefined);
  assert.equal(decodeEcBalanceData(fromHex('02AABB')), undefined);
  for (const hex of ['01', '0100000020', '010000002A0000000000', '01000000A00000000000']) {
    assert.throws(() => decodeEcBalanceData(fromHex(hex)), { code: 'ERR_EMV_IAD' }, hex);
  }
  const input = { algorithm: IAD_ALGORITHM_3DES, sessionKeyMac, atc, balance: fromHex('00') };
  assert.throws(() => encodeEcBalanceData(nodeCiphers, input), { code: 'ERR_EMV_IAD' });
});
