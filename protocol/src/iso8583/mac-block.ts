/** What field 128 protects: chosen fields as text, joined by single spaces. @see Q/CUP 006 */
import { bytesToLatin1 } from '../bytes/index.ts';
import { CUPS } from './cups.ts';
import type { Iso8583Message } from './dialect.ts';

/** Fields of financial messages in the block. Neither 52 nor 55 is covered. */
const FINANCIAL_FIELDS = [2, 3, 4, 7, 11, 18, 25, 28, 32, 33, 38, 39, 41, 42, 90, 102, 103];
/** Fields of key reset messages (0800 and 0810 with field 70 = 101). */
const KEY_RESET_FIELDS = [7, 11, 39, 53, 70, 90, 100];
/** Digits of field 90 that are covered: message type, trace number, transmission time. */
const ORIGINAL_DIGITS = 20;

/**
 * The MAC block of a message in bytes; field 128 itself is never part of it. Letters are upper
 * case, runs of blanks become one. The composition is the public one of two sources.
 */
export function macBlock(message: Iso8583Message): Uint8Array {
  const isKeyReset = message.mti.startsWith('08');
  const numbers = isKeyReset ? KEY_RESET_FIELDS : FINANCIAL_FIELDS;
  const parts = [message.mti, ...numbers.flatMap((number) => fieldText(message, number))];
  const text = parts.join(' ').toUpperCase().replace(/ +/g, ' ').trim();
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}

/** A present field as text, with its length digits in front when it is variable. */
function fieldText(message: Iso8583Message, number: number): readonly string[] {
  const value = message.fields.get(number);
  if (value === undefined) return [];
  const text = typeof value === 'string' ? value : bytesToLatin1(value);
  if (number === 90) return [text.slice(0, ORIGINAL_DIGITS)];
  const prefixDigits = CUPS.fields.get(number)?.prefixDigits ?? 0;
  return [(prefixDigits ? String(text.length).padStart(prefixDigits, '0') : '') + text];
}
