/** Digits of dynamic tokens: which bits they are of, both ways, and what is no token or no wish. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '../../bytes/index.ts';
import {
  isTokenShaped,
  TOKEN_BITMAP_DEFAULT,
  type TokenMode,
  tokenBits,
  tokenDataBytes,
  tokenDigitCount,
  tokenDigits,
  tokenSignature,
  tokenTerminalValues,
} from './dynamic-token.ts';

const RESPONSE = {
  cryptogramInformationData: 0x80,
  applicationTransactionCounter: fromHex('01A5'),
  cryptogram: fromHex('1122334455667788'),
  issuerApplicationData: fromHex('07010103A0491001'),
};
const bitmap = fromHex(TOKEN_BITMAP_DEFAULT);
const wrong = { code: 'ERR_EMV_TOKEN' };

test('the default bitmap: low byte of the ATC, 24 bits of the cryptogram, bytes 3 and 4 of the CVR', () => {
  const digits = tokenDigits(bitmap, RESPONSE);
  assert.equal(digits, BigInt('0xA56677884910').toString().padStart(15, '0'));
  assert.equal(tokenDigitCount(bitmap), 15);
  const { mask, value } = tokenBits(bitmap, digits);
  assert.equal(toHex(mask), TOKEN_BITMAP_DEFAULT);
  assert.equal(toHex(value), `0000A50000000000667788${'0000000000491000'}`);
});

test('any bitmap comes back: every bit by itself and all of them', () => {
  const whole = fromHex('80' + '01A5' + '1122334455667788' + '07010103A0491001');
  const all = new Uint8Array(19).fill(0xff);
  assert.equal(toHex(tokenBits(all, tokenDigits(all, RESPONSE)).value), toHex(whole));
  for (let bit = 0; bit < 8 * 19 - 20; bit++) {
    const one = new Uint8Array(19);
    for (let place = bit; place < bit + 20; place++) {
      one[place >> 3] = (one[place >> 3] ?? 0) | (0x80 >> (place & 7));
    }
    const { value } = tokenBits(one, tokenDigits(one, RESPONSE));
    assert.equal(toHex(value), toHex(whole.map((byte, at) => byte & (one[at] ?? 0))));
  }
});

test('no token: other digits, too many of them, a number above the highest', () => {
  for (const digits of [
    '',
    '1',
    '12345678901234x',
    '0'.repeat(16),
    '9'.repeat(15),
    '-00000000000001',
  ]) {
    assert.throws(() => tokenBits(bitmap, digits), wrong, digits);
  }
  assert.equal(toHex(tokenBits(bitmap, '0'.repeat(15)).value), '00'.repeat(19));
});

test('no bitmap: too short, too long, too few bits, or more than the card answered', () => {
  for (const hex of ['FF'.repeat(10), 'FF'.repeat(44), `${'00'.repeat(10)}FF`]) {
    assert.throws(() => tokenDigitCount(fromHex(hex)), wrong);
  }
  assert.throws(() => tokenDigits(new Uint8Array(20).fill(0xff), RESPONSE), wrong);
});

test('the shape of a token is no payment’s, and only the challenge differs', () => {
  const plain = tokenTerminalValues({ mode: 'plain' });
  assert.ok(isTokenShaped(plain));
  assert.equal(toHex(plain.get('9F37') ?? new Uint8Array()), '00000000');
  const challenge = tokenTerminalValues({ mode: 'challenge', challenge: '987' });
  assert.equal(toHex(challenge.get('9F37') ?? new Uint8Array()), '00000987');
  for (const tag of ['9F02', '9F1A', '95', '9A', '9C', '5F2A']) {
    assert.deepEqual(challenge.get(tag), plain.get(tag), tag);
  }
  const paid = new Map([...plain, ['9F1A', fromHex('0156')], ['9A', fromHex('261130')]]);
  assert.ok(!isTokenShaped(paid));
  assert.ok(isTokenShaped(new Map([...paid, ['9A', fromHex('000000')]])));
  assert.ok(isTokenShaped(new Map([...paid, ['9F1A', fromHex('0000')]])));
  for (const challenge of ['', '123456789', 'a', '１']) {
    const mode: TokenMode = { mode: 'challenge', challenge };
    assert.throws(() => tokenTerminalValues(mode), wrong, challenge);
  }
});

test('signed texts keep their borders; what a person cannot read is refused', () => {
  assert.equal(toHex(tokenDataBytes(['AB', 'C'])), '02414201' + '43');
  assert.notEqual(toHex(tokenDataBytes(['AB', 'C'])), toHex(tokenDataBytes(['A', 'BC'])));
  const signature = tokenSignature(RESPONSE.cryptogram, tokenDataBytes(['AB', 'C']));
  assert.equal(signature.length, 8);
  assert.notDeepEqual(signature, tokenSignature(RESPONSE.cryptogram, tokenDataBytes(['A', 'BC'])));
  for (const data of [[], ['茶'], [''], ['x'.repeat(41)], ['1', '2', '3', '4', '5'], ['a\n']]) {
    assert.throws(() => tokenDataBytes(data), wrong);
  }
});
