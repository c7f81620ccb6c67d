/** Shows that bytes, BCD, branded values, secrets and errors accept what is right and name what is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import {
  AmountMinor,
  bcdToCompressed,
  bcdToNumeric,
  bytesToUint,
  compressedToBcd,
  equalBytes,
  errorBody,
  errorFromBody,
  formatAmount,
  fromHex,
  KeyCheckValue,
  maskPan,
  numericToBcd,
  Pan,
  parseAmount,
  Secret,
  Stan,
  TapError,
  toHex,
  uintToBytes,
  xorBytes,
} from './index.ts';

const code = (wanted: string) => (thrown: unknown) =>
  thrown instanceof TapError && thrown.code === wanted;

test('hex: decode of encode is identity', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => equalBytes(fromHex(toHex(bytes)), bytes)));
});

test('hex: a bad digit and an odd length are named with their place', () => {
  assert.throws(() => fromHex('0G'), code('ERR_BYTES_HEX'));
  assert.throws(() => fromHex('012'), code('ERR_BYTES_HEX'));
  assert.equal(toHex(fromHex('9f 26\n08')), '9F2608');
});

test('unsigned integers: round trip up to six bytes, and the range is checked', () => {
  fc.assert(fc.property(fc.nat(), (value) => bytesToUint(uintToBytes(value, 6)) === value));
  assert.throws(() => uintToBytes(256, 1), code('ERR_BYTES_RANGE'));
  assert.throws(() => uintToBytes(-1, 1), code('ERR_BYTES_RANGE'));
  assert.throws(() => xorBytes(new Uint8Array(1), new Uint8Array(2)), code('ERR_BYTES_LENGTH'));
});

test('BCD n is right-justified, cn is left-justified with F (EMV 4.3 B3 §4.3)', () => {
  assert.equal(toHex(numericToBcd('1234', 6)), '000000001234');
  assert.equal(bcdToNumeric(fromHex('0156')), '0156');
  assert.equal(toHex(compressedToBcd('62109480', 5)), '62109480FF');
  assert.equal(bcdToCompressed(fromHex('123F')), '123');
  assert.throws(() => bcdToNumeric(fromHex('0A')), code('ERR_BCD_DIGIT'));
  assert.throws(() => numericToBcd('12345', 2), code('ERR_BYTES_LENGTH'));
});

test('PAN: Luhn and length are checked, and the message never holds the number', () => {
  assert.equal(Pan('6299990000000009').length, 16);
  for (const wrong of ['6299990000000001', '123', '62999900000000x8']) {
    assert.throws(
      () => Pan(wrong),
      (thrown) => code('ERR_VALUE')(thrown) && !String(thrown).includes(wrong),
    );
  }
  assert.equal(maskPan('6299990000000009'), '629999******0009');
});

test('amounts: minor units by the exponent of the currency, never rounded', () => {
  assert.equal(parseAmount('12.34', '156'), 1234n);
  assert.equal(parseAmount('12', '392'), 12n);
  assert.equal(parseAmount('1.234', '414'), 1234n);
  assert.equal(formatAmount(1234n, '156'), '12.34');
  assert.equal(formatAmount(-5n, '414'), '-0.005');
  assert.equal(formatAmount(12n, '392'), '12');
});

test('amounts: zero, negative, over-long, over-precise and non-numeric ones are refused', () => {
  const wrong = ['0', '0.00', '-1', '+1', '1e3', '12.345', '', ' 1', '1,00', 'NaN', '1'.repeat(13)];
  for (const text of wrong) assert.throws(() => parseAmount(text, '156'), code('ERR_VALUE'), text);
  assert.throws(() => parseAmount('99999999999', '156'), code('ERR_VALUE'));
  assert.throws(() => parseAmount('1', '999'), code('ERR_VALUE'));
  assert.throws(() => AmountMinor(10n ** 12n), code('ERR_VALUE'));
});

test('STAN and KCV constructors refuse what is not one', () => {
  assert.equal(Stan('000001'), '000001');
  for (const wrong of ['000000', '1', '1234567'])
    assert.throws(() => Stan(wrong), code('ERR_VALUE'));
  assert.equal(KeyCheckValue('8D0A74B8'), '8D0A74B8');
  assert.throws(() => KeyCheckValue('8d0a'), code('ERR_VALUE'));
});

test('a secret masks itself in text, JSON and inspection, and opens only by expose', () => {
  const secret = new Secret('6299990000000009', '629999******0009');
  const printed = `${secret} ${JSON.stringify({ secret })} ${inspect({ secret })}`;
  assert.equal(printed.includes('6299990000000009'), false);
  assert.equal(printed.match(/629999\*{6}0009/g)?.length, 3);
  assert.equal(secret.expose(), '6299990000000009');
  assert.equal(new Secret(fromHex('01')).equals(new Secret(fromHex('01'))), true);
  assert.equal(new Secret(fromHex('01')).equals(new Secret(fromHex('02'))), false);
});

test('an error crosses a boundary by code; a foreign one becomes ERR_INTERNAL', () => {
  const error = new TapError('ERR_X', 'what was wrong', { where: 3 });
  const rebuilt = errorFromBody(JSON.parse(JSON.stringify(error)));
  assert.deepEqual(rebuilt.toJSON(), error.toJSON());
  assert.equal(errorBody(new Error('x')).code, 'ERR_INTERNAL');
});
