/** PIN blocks of format 0 and 4 and the PVV: round trips, wrong PAN, key and digits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodeCiphers } from '../../node/index.ts';
import { fromHex } from '../bytes/index.ts';
import {
  CryptoError,
  decipherPinBlockFormat4,
  encipherPinBlockFormat4,
  pinBlockFormat0,
  pinBlockFormat3,
  pinOfBlockFormat0,
  pinOfBlockFormat3,
  pinVerificationValue,
  visaPvv,
} from './index.ts';

const AES_KEY = fromHex('00112233445566778899AABBCCDDEEFF');
const PVK = fromHex('0123456789ABCDEFFEDCBA9876543210');
const PAN = '6299990000000011';
const digits = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789'), minLength, maxLength });
const code = (expected: string) => (error: unknown) =>
  (error as { readonly code?: unknown }).code === expected;

test('ISO 9564-1 §9.3.2: format 0 gives back every PIN of 4 to 12 digits', () => {
  fc.assert(
    fc.property(digits(4, 12), digits(12, 19), (pin, pan) => {
      assert.equal(pinOfBlockFormat0(pinBlockFormat0(pin, pan), pan), pin);
    }),
  );
});

test('ISO 9564-1 §9.3.5: format 3 gives back every PIN and is no block of format 0', () => {
  fc.assert(
    fc.property(
      digits(4, 12),
      digits(12, 19),
      fc.uint8Array({ minLength: 10, maxLength: 10 }),
      (pin, pan, random10) => {
        const block = pinBlockFormat3({ pin, pan, random10 });
        assert.equal(pinOfBlockFormat3(block, pan), pin);
        assert.throws(() => pinOfBlockFormat0(block, pan), code('ERR_CRYPTO_PIN_BLOCK'));
        assert.throws(
          () => pinOfBlockFormat3(pinBlockFormat0(pin, pan), pan),
          code('ERR_CRYPTO_PIN_BLOCK'),
        );
      },
    ),
  );
  const short = { pin: '1234', pan: PAN, random10: new Uint8Array(9) };
  assert.throws(() => pinBlockFormat3(short), code('ERR_CRYPTO_DATA_LENGTH'));
});

test('a longer PIN has a check value for each four digits, the last for its last four', () => {
  const of = (pin: string): string => visaPvv(PVK, { pan: PAN, pvki: '1', pin });
  const whole = (pin: string): string => pinVerificationValue(PVK, { pan: PAN, pvki: '1', pin });
  assert.equal(whole('1234'), of('1234'));
  assert.equal(whole('12345'), `${of('1234')}${of('2345')}`);
  assert.equal(whole('123456789'), `${of('1234')}${of('5678')}${of('6789')}`);
});

test('ISO 9564-1 §9.4.2: format 4 gives back every PIN, and no block looks like another', () => {
  fc.assert(
    fc.property(
      digits(4, 12),
      digits(12, 19),
      fc.uint8Array({ minLength: 8, maxLength: 8 }),
      (pin, pan, random8) => {
        const block = encipherPinBlockFormat4(nodeCiphers, AES_KEY, { pin, pan, random8 });
        assert.equal(decipherPinBlockFormat4(nodeCiphers, AES_KEY, block, pan), pin);
        const other = random8.map((value) => value ^ 0xff);
        const again = encipherPinBlockFormat4(nodeCiphers, AES_KEY, { pin, pan, random8: other });
        assert.notDeepEqual(again, block);
      },
    ),
  );
});

test('a format 0 block under another PAN is refused when the PIN field breaks', () => {
  const block = pinBlockFormat0('1234', PAN);
  const refused = code('ERR_CRYPTO_PIN_BLOCK');
  assert.throws(() => pinOfBlockFormat0(block, '6299991111111111'), refused);
  assert.throws(() => pinOfBlockFormat0(new Uint8Array(8).fill(0xff), PAN), refused);
});

test('a format 4 block under another PAN, key or one changed bit is refused', () => {
  const random8 = fromHex('0102030405060708');
  const block = encipherPinBlockFormat4(nodeCiphers, AES_KEY, { pin: '1234', pan: PAN, random8 });
  const refused = code('ERR_CRYPTO_PIN_BLOCK');
  const open = (key: Uint8Array, enciphered: Uint8Array, pan: string) => () =>
    decipherPinBlockFormat4(nodeCiphers, key, enciphered, pan);
  assert.throws(open(AES_KEY, block, '6299990000000012'), refused);
  assert.throws(
    open(
      AES_KEY.map((value) => value ^ 1),
      block,
      PAN,
    ),
    refused,
  );
  for (let bit = 0; bit < 128; bit++) {
    const changed = block.map((value, index) =>
      index === bit >> 3 ? value ^ (1 << (bit & 7)) : value,
    );
    assert.throws(open(AES_KEY, changed, PAN), refused);
  }
});

test('junk never decodes to anything but a PIN or the one error, which tells no cause', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (junk) => {
      for (const decode of [
        () => pinOfBlockFormat0(junk.subarray(0, 8), PAN),
        () => decipherPinBlockFormat4(nodeCiphers, AES_KEY, junk, PAN),
      ]) {
        try {
          assert.match(decode(), /^[0-9]{4,12}$/);
        } catch (error) {
          assert.ok(error instanceof CryptoError);
          assert.equal(error.message, 'PIN block does not decode');
          assert.deepEqual(error.data, {});
        }
      }
    }),
  );
});

test('PINs and PANs of a wrong shape are refused, and their digits stay out of the error', () => {
  const random8 = new Uint8Array(8);
  for (const pin of ['', '123', '1234567890123', '12a4', '１２３４']) {
    const refused = (error: unknown): boolean => {
      assert.ok(error instanceof CryptoError);
      assert.equal(error.code, 'ERR_CRYPTO_PIN');
      return pin === '' || !JSON.stringify(error).includes(pin);
    };
    assert.throws(() => pinBlockFormat0(pin, PAN), refused);
    assert.throws(() => {
      encipherPinBlockFormat4(nodeCiphers, AES_KEY, { pin, pan: PAN, random8 });
    }, refused);
    assert.throws(() => visaPvv(PVK, { pan: PAN, pvki: '1', pin }), refused);
  }
  for (const pan of ['', '12345678901', '12345678901234567890', '62999900000000x1']) {
    const refused = code('ERR_CRYPTO_PAN');
    assert.throws(() => pinBlockFormat0('1234', pan), refused);
    assert.throws(() => pinOfBlockFormat0(new Uint8Array(8), pan), refused);
    assert.throws(() => visaPvv(PVK, { pan, pvki: '1', pin: '1234' }), refused);
  }
});

test('wrong lengths of keys, blocks and filler are refused', () => {
  const clear = { pin: '1234', pan: PAN, random8: new Uint8Array(8) };
  const short = { ...clear, random8: new Uint8Array(7) };
  const key = new Uint8Array(8);
  const keyRefused = code('ERR_CRYPTO_KEY_LENGTH');
  const dataRefused = code('ERR_CRYPTO_DATA_LENGTH');
  assert.throws(() => encipherPinBlockFormat4(nodeCiphers, key, clear), keyRefused);
  assert.throws(() => encipherPinBlockFormat4(nodeCiphers, AES_KEY, short), dataRefused);
  const block = new Uint8Array(15);
  assert.throws(() => decipherPinBlockFormat4(nodeCiphers, AES_KEY, block, PAN), dataRefused);
  assert.throws(() => decipherPinBlockFormat4(nodeCiphers, key, block, PAN), keyRefused);
  assert.throws(() => pinOfBlockFormat0(new Uint8Array(7), PAN), dataRefused);
});

test('Visa PVV: four digits, only the first four of the PIN count, PVKI is one digit', () => {
  fc.assert(
    fc.property(digits(4, 12), (pin) => {
      const pvv = visaPvv(PVK, { pan: PAN, pvki: '1', pin });
      assert.match(pvv, /^[0-9]{4}$/);
      assert.equal(visaPvv(PVK, { pan: PAN, pvki: '1', pin: pin.slice(0, 4) }), pvv);
    }),
  );
  const clear = { pan: PAN, pin: '1234' };
  assert.throws(() => visaPvv(PVK, { ...clear, pvki: '7' }), code('ERR_CRYPTO_DIGITS'));
  assert.throws(() => visaPvv(PVK, { ...clear, pvki: '12' }), code('ERR_CRYPTO_DIGITS'));
  const single = PVK.subarray(0, 8);
  assert.throws(() => visaPvv(single, { ...clear, pvki: '1' }), code('ERR_CRYPTO_KEY_LENGTH'));
});
