/**
 * The PIN while it is typed: digits lie in one buffer that is overwritten when it is no longer
 * needed, and never become text. What is shown is only how many there are.
 * @see ISO 9564-1 §8.1 for 4 to 12 digits.
 */

export const PIN_DIGITS_MIN = 4;
export const PIN_DIGITS_MAX = 12;
const ASCII_ZERO = 0x30;

/** The buffer holds ASCII digits; only the first `length` count. */
export type PinEntry = { readonly digits: Uint8Array<ArrayBuffer>; length: number };

/** A key of the pad or of the keyboard. */
export type PinKey =
  | { readonly key: 'digit'; readonly digit: number }
  | { readonly key: 'backspace' }
  | { readonly key: 'ok' }
  | { readonly key: 'cancel' };

/** What a key came to: `tooShort` and `full` change nothing and are said to the person. */
export type PinStep = 'changed' | 'unchanged' | 'tooShort' | 'full' | 'complete' | 'cancelled';

export function createPinEntry(): PinEntry {
  return { digits: new Uint8Array(PIN_DIGITS_MAX), length: 0 };
}

/** Takes one key. `cancelled` leaves nothing; after `complete` the digits are the caller's. */
export function pressPinKey(entry: PinEntry, key: PinKey): PinStep {
  if (key.key === 'digit') return addDigit(entry, key.digit);
  if (key.key === 'backspace') return removeDigit(entry);
  if (key.key === 'ok') return entry.length < PIN_DIGITS_MIN ? 'tooShort' : 'complete';
  wipePin(entry);
  return 'cancelled';
}

function addDigit(entry: PinEntry, digit: number): PinStep {
  if (!Number.isInteger(digit) || digit < 0 || digit > 9) return 'unchanged';
  if (entry.length >= PIN_DIGITS_MAX) return 'full';
  entry.digits[entry.length] = ASCII_ZERO + digit;
  entry.length += 1;
  return 'changed';
}

function removeDigit(entry: PinEntry): PinStep {
  if (entry.length === 0) return 'unchanged';
  entry.length -= 1;
  entry.digits[entry.length] = 0;
  return 'changed';
}

/** Overwrites every digit. */
export function wipePin(entry: PinEntry): void {
  entry.digits.fill(0);
  entry.length = 0;
}

/** The pad's key for a key of the keyboard; null for every other. */
export function pinKeyOf(keyboardKey: string): PinKey | null {
  if (/^[0-9]$/.test(keyboardKey)) return { key: 'digit', digit: Number(keyboardKey) };
  if (keyboardKey === 'Backspace' || keyboardKey === 'Delete') return { key: 'backspace' };
  if (keyboardKey === 'Enter') return { key: 'ok' };
  if (keyboardKey === 'Escape') return { key: 'cancel' };
  return null;
}
