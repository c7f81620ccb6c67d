/**
 * One field of a dialect as data: alphabet, content encoding, length prefix, padding and visibility
 * are chosen independently of one another. @see ISO 8583:1987 §4.4
 */
import { assert } from './assert.ts';
import {
  type Alphabet,
  CLASS_OF,
  CLASS_Z_BCD,
  EBCDIC_TO_LATIN1,
  LATIN1,
  LATIN1_TO_EBCDIC,
} from './characters.ts';
import type { Inside } from './inside.ts';

/** How a value is written: characters, packed digits, bytes, or bytes as hex characters. */
export type ContentName = 'ascii' | 'ebcdic' | 'bcd' | 'binary' | 'hex' | 'ebcdicHex';

/** How a length is written. */
export type PrefixEncoding = 'ascii' | 'ebcdic' | 'bcd' | 'binary';

/** What a log shows of a field: all, a masked card number, or its length only. */
export type Visibility = 'clear' | 'pan' | 'hidden';

/** Where the value ends: at a fixed length, or where these digits in front say. */
export type LengthPrefix = {
  readonly encoding: PrefixEncoding;
  /** 0 for a field of fixed length. */
  readonly digits: number;
  /** Bytes of the prefix on the wire. */
  readonly lengthBytes: number;
  /** `units` are digits, characters or bytes of the value; `bytes` are those on the wire. */
  readonly counts: 'units' | 'bytes';
};

/** Shorter values are filled up when written; what was filled is kept when read. */
export type Padding = { readonly side: 'left' | 'right'; readonly character: string };

/** What a dialect's author chooses; the rest follows. */
export type FieldChoice = {
  readonly number: number;
  /** `F60` unless it is a part of a field. */
  readonly fieldPath?: string;
  readonly alphabet: Alphabet;
  readonly content: ContentName;
  /** Digits of the length in front, 0 for none. */
  readonly prefixDigits: number;
  readonly prefixEncoding: PrefixEncoding;
  readonly counts: 'units' | 'bytes';
  /** Smallest and largest length in digits, characters or bytes of the value. */
  readonly min?: number;
  readonly max: number;
  /** Where an odd digit stands in BCD, and what fills the other half of its byte. */
  readonly align: 'left' | 'right';
  readonly filler: '0' | 'F';
  readonly padding?: Padding | null;
  readonly visibility: Visibility;
  readonly inside?: Inside | null;
};

/** How the codec treats a content: one loop each. */
export type Operation = 'text' | 'bcd' | 'signedBcd' | 'bytes' | 'hex';

/** One field of a dialect. */
export type FieldSpec = Required<
  Omit<FieldChoice, 'prefixDigits' | 'prefixEncoding' | 'counts'>
> & {
  readonly prefix: LengthPrefix;
  /** Bytes on the wire, without the prefix. */
  readonly contentBytesMin: number;
  readonly contentBytesMax: number;
  readonly operation: Operation;
  /** Bit of `CLASSES` that every character must have. */
  readonly classBit: number;
  readonly toWire: Uint8Array;
  readonly fromWire: Uint8Array;
};

/** Completes a choice. A choice that contradicts itself is a programmer's mistake. */
export function fieldSpec(choice: FieldChoice): FieldSpec {
  const { alphabet, content, prefixDigits, prefixEncoding, counts, ...rest } = choice;
  const isFixed = prefixDigits === 0;
  const min = choice.min ?? (isFixed ? choice.max : 1);
  const operation = operationOf(alphabet, content);
  const lengthBytes = prefixBytes(prefixEncoding, prefixDigits);
  const isEbcdic = content === 'ebcdic' || content === 'ebcdicHex';
  const isPlainCount = operation === 'text' || operation === 'bytes';
  const counted = counts === 'units' ? choice.max : wireBytes(operation, choice.max);
  const sayable = prefixEncoding === 'binary' ? 256 ** lengthBytes : 10 ** prefixDigits;
  assert(isFixed || counted < sayable, 'prefix is too short');
  assert(!isFixed || min === choice.max, 'a fixed length is one length');
  return {
    fieldPath: `F${choice.number}`,
    padding: null,
    inside: null,
    ...rest,
    alphabet,
    content,
    min,
    prefix: {
      ...{ encoding: prefixEncoding, digits: prefixDigits, lengthBytes },
      counts: isPlainCount ? 'units' : counts,
    },
    contentBytesMin: wireBytes(operation, min),
    contentBytesMax: wireBytes(operation, choice.max),
    operation,
    classBit: content === 'bcd' && alphabet === 'z' ? CLASS_Z_BCD : CLASS_OF[alphabet],
    toWire: isEbcdic ? LATIN1_TO_EBCDIC : LATIN1,
    fromWire: isEbcdic ? EBCDIC_TO_LATIN1 : LATIN1,
  };
}

/** Bytes on the wire of a value of so many digits, characters or bytes. */
export function wireBytes(operation: Operation, units: number): number {
  switch (operation) {
    case 'bcd':
      return (units + 1) >> 1;
    case 'signedBcd':
      return 1 + (units >> 1);
    case 'hex':
      return 2 * units;
    default:
      return units;
  }
}

function operationOf(alphabet: Alphabet, content: ContentName): Operation {
  if (content === 'bcd') {
    assert(alphabet === 'n' || alphabet === 'z' || alphabet === 'x+n', 'BCD holds digits');
    return alphabet === 'x+n' ? 'signedBcd' : 'bcd';
  }
  const isText = content === 'ascii' || content === 'ebcdic';
  assert(isText !== (alphabet === 'b'), 'bytes are binary or hex, and nothing else is');
  if (isText) return 'text';
  return content === 'binary' ? 'bytes' : 'hex';
}

/** A binary length of two digits is a byte, of more digits two. */
function prefixBytes(encoding: PrefixEncoding, digits: number): number {
  if (digits === 0) return 0;
  if (encoding === 'bcd') return (digits + 1) >> 1;
  if (encoding === 'binary') return digits <= 2 ? 1 : 2;
  return digits;
}
