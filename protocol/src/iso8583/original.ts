/** Field 90: which message a reversal speaks of. @see ISO 8583:1987 §4.3, Q/CUP 006 */
import { fault } from './errors.ts';
import { DE_90_ORIGINAL_DATA_ELEMENTS } from './fields.ts';
import { type Iso8583Message, requireText } from './message.ts';

/** Identity of the original message. */
export type OriginalDataElements = {
  readonly mti: string;
  readonly stan: string;
  /** Field 7 of the original, MMDDhhmmss. */
  readonly transmission: string;
  /** Field 32 of the original. */
  readonly acquirer: string;
  /** Field 33 of the original. */
  readonly forwarder: string;
};

/** 42 digits: MTI 4, STAN 6, transmission 10, institutions 11 and 11 with zeros in front. */
export function encodeOriginalDataElements(original: OriginalDataElements): string {
  const text =
    original.mti +
    original.stan +
    original.transmission +
    original.acquirer.padStart(11, '0') +
    original.forwarder.padStart(11, '0');
  if (/^[0-9]{42}$/.test(text)) return text;
  throw fault('ERR_ISO8583_FIELD', { fieldPath: 'F90', offsetBytes: 0 }, 'parts are malformed');
}

/** Parts of field 90; institutions keep their 11 digits. @throws Iso8583Error `_MISSING`. */
export function decodeOriginalDataElements(message: Iso8583Message): OriginalDataElements {
  const text = requireText(message, DE_90_ORIGINAL_DATA_ELEMENTS);
  if (!/^[0-9]{42}$/.test(text)) {
    throw fault('ERR_ISO8583_FIELD', { fieldPath: 'F90', offsetBytes: 0 }, 'is not 42 digits');
  }
  return {
    mti: text.slice(0, 4),
    stan: text.slice(4, 10),
    transmission: text.slice(10, 20),
    acquirer: text.slice(20, 31),
    forwarder: text.slice(31, 42),
  };
}
