/**
 * Dynamic tokens (动态令牌): the computation of the Chip Authentication Program on a PBOC
 * application, modes 1, 2 and 2 with data. A token's cryptogram has a shape of its own, which no
 * payment has, and is ended by an AAC.
 *
 * DEVIATION: the issuer proprietary bitmap comes from parameters, for 9F56 of a PBOC card is the
 * issuer authentication indicator; a token has as many digits as its bitmap can need, with zeros in
 * front; data are signed by a retail MAC under the cryptogram. Not certified, and no Q/CUP 047.3.
 */
import { asciiToBytes, concatBytes, fromHex, numericToBcd } from '../../bytes/index.ts';
import { retailMac } from '../../crypto/index.ts';
import { EmvDataError } from './errors.ts';
import * as tags from './tags.ts';

/** 1: over a challenge. 2: over nothing. 2 with data: the cryptogram signs what the person saw. */
export type TokenMode =
  | { readonly mode: 'challenge'; readonly challenge: string }
  | { readonly mode: 'plain' }
  | { readonly mode: 'sign'; readonly data: readonly string[] };

/**
 * Bitmap of an installation that has no other: eight bits of the ATC, 24 of the cryptogram, and the
 * bytes of the CVR in which a card tells of its past; fifteen digits.
 */
export const TOKEN_BITMAP_DEFAULT = '0000FF0000000000FFFFFF0000000000FFFF00';

/** Digits of a challenge, at most: 9F37. */
export const TOKEN_CHALLENGE_DIGITS_MAX = 8;
/** Texts that one token signs, and characters of each: a person has to read them. */
export const TOKEN_DATA_ITEMS_MAX = 4;
export const TOKEN_DATA_CHARACTERS_MAX = 40;
/** CID, ATC and cryptogram, in front of the issuer application data. */
const RESPONSE_HEAD_BYTES = 11;
const RESPONSE_BYTES_MAX = RESPONSE_HEAD_BYTES + 32;
const BIT_COUNT_MIN = 20;

/**
 * The terminal's part of a token's cryptogram: no amount, country 0000, date 000000, data
 * authentication not performed.
 */
const SHAPE: Readonly<Record<string, string>> = {
  [tags.TAG_9F02_AMOUNT_AUTHORISED]: '000000000000',
  [tags.TAG_9F03_AMOUNT_OTHER]: '000000000000',
  [tags.TAG_9F1A_TERMINAL_COUNTRY_CODE]: '0000',
  [tags.TAG_95_TERMINAL_VERIFICATION_RESULTS]: '8000000000',
  [tags.TAG_5F2A_TRANSACTION_CURRENCY_CODE]: '0000',
  [tags.TAG_9A_TRANSACTION_DATE]: '000000',
  [tags.TAG_9C_TRANSACTION_TYPE]: '00',
};

/** The card's answer to the first GENERATE AC of a token. */
export type TokenResponse = {
  readonly cryptogramInformationData: number;
  readonly applicationTransactionCounter: Uint8Array;
  readonly cryptogram: Uint8Array;
  readonly issuerApplicationData: Uint8Array;
};

/** Values that the card is given, by tag; 9F37 is the challenge or zero. @throws EmvDataError. */
export function tokenTerminalValues(mode: TokenMode): ReadonlyMap<string, Uint8Array> {
  const values = new Map(Object.entries(SHAPE).map(([tag, hex]) => [tag, fromHex(hex)]));
  const challenge = mode.mode === 'challenge' ? mode.challenge : '0';
  if (!/^[0-9]{1,8}$/.test(challenge)) throw wrong('a challenge has 1 to 8 digits');
  values.set(tags.TAG_9F37_UNPREDICTABLE_NUMBER, numericToBcd(challenge, 4));
  return values;
}

/** Whether a cryptogram was made for a token: no payment has such a country and date. */
export function isTokenShaped(values: ReadonlyMap<string, Uint8Array>): boolean {
  const isZero = (tag: string): boolean => values.get(tag)?.every((byte) => byte === 0) ?? false;
  const { TAG_9F1A_TERMINAL_COUNTRY_CODE: country, TAG_9A_TRANSACTION_DATE: date } = tags;
  return isZero(country) || isZero(date);
}

/**
 * The bytes under the signature of mode 2 with data: each text by its length, in the order shown.
 * @throws EmvDataError `ERR_EMV_TOKEN`.
 */
export function tokenDataBytes(data: readonly string[]): Uint8Array {
  if (data.length === 0 || data.length > TOKEN_DATA_ITEMS_MAX) {
    throw wrong(`a token signs 1 to ${TOKEN_DATA_ITEMS_MAX} texts`);
  }
  return concatBytes(
    ...data.map((text) => {
      if (text.length > TOKEN_DATA_CHARACTERS_MAX || !/^[\x20-\x7e]+$/.test(text)) {
        throw wrong(`a signed text has 1 to ${TOKEN_DATA_CHARACTERS_MAX} ASCII characters`);
      }
      return concatBytes(Uint8Array.of(text.length), asciiToBytes(text));
    }),
  );
}

/**
 * What stands for the cryptogram in a token of mode 2 with data: the retail MAC of the data under
 * the cryptogram as a key. @see ISO 9797-1 §7.4 (MAC algorithm 3, padding method 2)
 */
export function tokenSignature(cryptogram: Uint8Array, data: Uint8Array): Uint8Array {
  return retailMac(concatBytes(cryptogram, cryptogram), data, { padding: 2 });
}

/** The answer in the order of a bitmap; data beyond 32 bytes there is none. */
function responseBytes(response: TokenResponse): Uint8Array {
  return concatBytes(
    Uint8Array.of(response.cryptogramInformationData),
    response.applicationTransactionCounter,
    response.cryptogram,
    response.issuerApplicationData,
  );
}

/**
 * The digits of an answer: the bits that the bitmap names, first bit highest, as a number.
 * @throws EmvDataError `ERR_EMV_TOKEN`: a bitmap that names too few bits, or more than there are.
 */
export function tokenDigits(bitmap: Uint8Array, response: TokenResponse): string {
  const bytes = responseBytes(response);
  let value = 0n;
  for (const place of placesOf(bitmap)) {
    if (place >> 3 >= bytes.length) throw wrong('the bitmap names more than the card answered');
    value = (value << 1n) | BigInt(bitAt(bytes, place));
  }
  return value.toString().padStart(tokenDigitCount(bitmap), '0');
}

/** Digits of every token of a bitmap. */
export function tokenDigitCount(bitmap: Uint8Array): number {
  return ((1n << BigInt(placesOf(bitmap).length)) - 1n).toString().length;
}

/** What a token tells of an answer: `value` where `mask` has a bit, as long as the bitmap. */
export type TokenBits = { readonly mask: Uint8Array; readonly value: Uint8Array };

/** The reverse of `tokenDigits`. @throws EmvDataError `ERR_EMV_TOKEN`: no token of this bitmap. */
export function tokenBits(bitmap: Uint8Array, digits: string): TokenBits {
  const places = placesOf(bitmap);
  if (!/^[0-9]+$/.test(digits) || digits.length !== tokenDigitCount(bitmap)) {
    throw wrong('the token has another number of digits');
  }
  let rest = BigInt(digits);
  if (rest >> BigInt(places.length) !== 0n) throw wrong('the token is above the highest one');
  const value = new Uint8Array(bitmap.length);
  for (const place of places.toReversed()) {
    if ((rest & 1n) === 1n) {
      value[place >> 3] = (value[place >> 3] ?? 0) | (0x80 >> (place & 7));
    }
    rest >>= 1n;
  }
  return { mask: bitmap.slice(), value };
}

function placesOf(bitmap: Uint8Array): readonly number[] {
  if (bitmap.length < RESPONSE_HEAD_BYTES || bitmap.length > RESPONSE_BYTES_MAX) {
    throw wrong('the bitmap has 11 to 43 bytes');
  }
  const places = Array.from({ length: 8 * bitmap.length }, (_, place) => place).filter(
    (place) => bitAt(bitmap, place) === 1,
  );
  if (places.length >= BIT_COUNT_MIN) return places;
  throw wrong(`the bitmap names fewer than ${BIT_COUNT_MIN} bits`);
}

function bitAt(bytes: Uint8Array, place: number): number {
  return ((bytes[place >> 3] ?? 0) >> (7 - (place & 7))) & 1;
}

function wrong(why: string): EmvDataError {
  return new EmvDataError('ERR_EMV_TOKEN', why);
}
