/** Shows that the PIN pad takes 4 to 12 digits, shows none, and leaves none behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createPinEntry,
  PIN_DIGITS_MAX,
  type PinEntry,
  pinKeyOf,
  pressPinKey,
  wipePin,
} from './pin-entry.ts';

function typed(text: string): PinEntry {
  const entry = createPinEntry();
  for (const digit of text) pressPinKey(entry, { key: 'digit', digit: Number(digit) });
  return entry;
}

test('digits are kept as ASCII in order, and the last is taken back', () => {
  const entry = typed('1204');
  assert.deepEqual([...entry.digits.subarray(0, entry.length)], [0x31, 0x32, 0x30, 0x34]);
  assert.equal(pressPinKey(entry, { key: 'backspace' }), 'changed');
  assert.equal(entry.length, 3);
  assert.equal(entry.digits[3], 0, 'a digit taken back is overwritten');
});

test('OK needs four digits', () => {
  assert.equal(pressPinKey(typed(''), { key: 'ok' }), 'tooShort');
  assert.equal(pressPinKey(typed('123'), { key: 'ok' }), 'tooShort');
  assert.equal(pressPinKey(typed('1234'), { key: 'ok' }), 'complete');
});

test('a thirteenth digit is refused and changes nothing', () => {
  const entry = typed('123456789012');
  assert.equal(pressPinKey(entry, { key: 'digit', digit: 3 }), 'full');
  assert.equal(entry.length, PIN_DIGITS_MAX);
  assert.equal(pressPinKey(entry, { key: 'ok' }), 'complete');
});

test('what is no digit is not taken', () => {
  const entry = typed('12');
  for (const digit of [-1, 10, 1.5, Number.NaN]) {
    assert.equal(pressPinKey(entry, { key: 'digit', digit }), 'unchanged', String(digit));
  }
  assert.equal(entry.length, 2);
  assert.equal(pressPinKey(createPinEntry(), { key: 'backspace' }), 'unchanged');
});

test('cancel and wipe leave only zeros', () => {
  const cancelled = typed('123456');
  assert.equal(pressPinKey(cancelled, { key: 'cancel' }), 'cancelled');
  const wiped = typed('123456');
  wipePin(wiped);
  for (const entry of [cancelled, wiped]) {
    assert.equal(entry.length, 0);
    assert.ok(entry.digits.every((byte) => byte === 0));
  }
});

test('the keyboard works the pad', () => {
  assert.deepEqual(pinKeyOf('7'), { key: 'digit', digit: 7 });
  assert.deepEqual(pinKeyOf('Backspace'), { key: 'backspace' });
  assert.deepEqual(pinKeyOf('Enter'), { key: 'ok' });
  assert.deepEqual(pinKeyOf('Escape'), { key: 'cancel' });
  for (const key of ['a', 'Tab', '12', '', ' ', '٣']) assert.equal(pinKeyOf(key), null, key);
});
