/** The text over which field 128 is computed. @see Q/CUP 006 part 4, message authentication */
import { asciiToBytes } from '../bytes/index.ts';
import { CUPS_DIALECT } from './cups.ts';
import { type Iso8583Message, messageClass } from './message.ts';

/** Fields under the MAC, beside the message type. Neither 52 nor 55 is among them. */
const MAC_FIELDS: readonly number[] = [
  2, 3, 4, 7, 11, 18, 25, 28, 32, 33, 38, 39, 41, 42, 90, 102, 103,
];
/** The same for network management. */
const MAC_FIELDS_NETWORK: readonly number[] = [7, 11, 39, 53, 70, 90, 100];
/** Of field 90 only type, trace number and transmission time count. */
const ORIGINAL_DIGITS = 20;

/**
 * MTI and the present fields, variable ones with their length digits in front, joined by blanks.
 * Field 128 itself may be present or not.
 * @throws BytesError `ERR_VALUE` when a field is not ASCII (it could not be encoded either).
 */
export function macBlock(message: Iso8583Message): Uint8Array {
  const numbers = messageClass(message.mti) === '8' ? MAC_FIELDS_NETWORK : MAC_FIELDS;
  const parts = [message.mti];
  for (const number of numbers) {
    const value = message.fields.get(number);
    if (typeof value !== 'string') continue;
    const prefixDigits = CUPS_DIALECT.fields.get(number)?.prefix.lengthBytes ?? 0;
    const text = number === 90 ? value.slice(0, ORIGINAL_DIGITS) : value;
    const prefix = prefixDigits === 0 ? '' : String(value.length).padStart(prefixDigits, '0');
    parts.push(prefix + text);
  }
  return asciiToBytes(parts.join(' '));
}
