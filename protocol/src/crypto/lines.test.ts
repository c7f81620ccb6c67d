/** TDES DUKPT, card verification values and TR-31 under 3DES against published values. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, TapError, toHex } from '../bytes/index.ts';
import {
  cardVerificationValue,
  tdesDukptCounter,
  tdesDukptInitialKey,
  tdesDukptTransactionKey,
  tdesDukptVariant,
  tr31Hex,
  tr31UnwrapTdes,
} from './index.ts';

const code =
  (wanted: string) =>
  (thrown: unknown): boolean =>
    thrown instanceof TapError && thrown.code === wanted;

const BDK = fromHex('0123456789ABCDEFFEDCBA9876543210');
const KSN = fromHex('FFFF9876543210E00001');

test('the initial key and the key of counter 1 (X9.24-1:2009 Annex A)', () => {
  const initialKey = tdesDukptInitialKey(BDK, KSN);
  assert.equal(toHex(initialKey), '6AC292FAA1315B4D858AB3A3D7D5933A');
  const key = tdesDukptTransactionKey(initialKey, KSN);
  assert.equal(toHex(key), '042666B49184CFA368DE9628D0397BC9');
  const pinKey = tdesDukptVariant(key, 'pinEncryption');
  assert.equal(toHex(pinKey), '042666B49184CF5C68DE9628D0397B36');
});

test('every counter bit has its own key; bits of the counter are not part of the initial key', () => {
  const initialKey = tdesDukptInitialKey(BDK, KSN);
  const serials = ['E00001', 'E00002', 'E00003', 'F00000', 'FFFFFF'];
  const keys = serials.map((tail) => {
    const ksn = fromHex(`FFFF9876543210${tail}`);
    assert.deepEqual(tdesDukptInitialKey(BDK, ksn), initialKey);
    return toHex(tdesDukptTransactionKey(initialKey, ksn));
  });
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(tdesDukptCounter(KSN), 1);
});

test('a counter of zero, a short serial number and a short key are refused', () => {
  const zero = fromHex('FFFF9876543210E00000');
  assert.throws(() => tdesDukptTransactionKey(BDK, zero), code('ERR_CRYPTO_COUNTER'));
  assert.throws(() => tdesDukptInitialKey(BDK, KSN.slice(1)), code('ERR_CRYPTO_DATA_LENGTH'));
  assert.throws(() => tdesDukptInitialKey(BDK.slice(1), KSN), code('ERR_CRYPTO_KEY_LENGTH'));
});

test('a CVV is three decimal digits of PAN, expiry and service code', () => {
  const key = fromHex('99999999999999998888888888888888');
  const input = { pan: '2222222222222222', expiry: '3333', serviceCode: '111' };
  assert.equal(cardVerificationValue(key, input), '361');
  assert.notEqual(cardVerificationValue(key, { ...input, serviceCode: '999' }), '361');
  const bad = { ...input, expiry: '333' };
  assert.throws(() => cardVerificationValue(key, bad), code('ERR_CRYPTO_DIGITS'));
  assert.throws(() => cardVerificationValue(key.slice(8), input), code('ERR_CRYPTO_KEY_LENGTH'));
});

const KBPK = fromHex('DD7515F2BFC17F85CE48F3CA25CB21F6');
const BLOCK = 'B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E';

function partsOf(block: string): Parameters<typeof tr31UnwrapTdes>[1] {
  return {
    version: 'B',
    headerText: block.slice(0, 16),
    enciphered: tr31Hex(block.slice(16, -16), 16),
    mac: tr31Hex(block.slice(-16), block.length - 16),
  };
}

test('a block of version B gives its key (X9.143 §4.4)', () => {
  const key = tr31UnwrapTdes(KBPK, partsOf(BLOCK));
  assert.equal(toHex(key), '3F419E1CB7079442AA37474C2EFBF8B8');
});

test('a wrong key, any changed part and bad hex are refused', () => {
  const wrong = fromHex('FF7515F2BFC17F85CE48F3CA25CB21F6');
  const mac = code('ERR_CRYPTO_KEY_BLOCK_MAC');
  assert.throws(() => tr31UnwrapTdes(wrong, partsOf(BLOCK)), mac);
  for (const at of [5, 20, 70]) {
    const digit = BLOCK.charAt(at) === '1' ? '2' : '1';
    const changed = `${BLOCK.slice(0, at)}${digit}${BLOCK.slice(at + 1)}`;
    assert.throws(() => tr31UnwrapTdes(KBPK, partsOf(changed)), mac, String(at));
  }
  assert.throws(() => tr31Hex('0G', 3), code('ERR_CRYPTO_KEY_BLOCK'));
  assert.throws(() => tr31UnwrapTdes(KBPK.slice(8), partsOf(BLOCK)), code('ERR_CRYPTO_KEY_LENGTH'));
});
