/** EMV and PBOC card keys, session keys and cryptograms. @see EMV 4.3 B2 A1, PBOC3 P7 */
import { concatBytes } from '../bytes/index.ts';
import { tdesEncryptInPlace } from './des.ts';
import { putDigits } from './digits.ts';
import { assertDataLength, assertKeyLength, assertPan, CryptoError } from './errors.ts';
import { retailMac } from './mac.ts';

const DOUBLE_KEY: readonly number[] = [16];
/** Digits of Y before the sequence number. */
const Y_PAN_DIGITS = 14;

/** Bytes of an application cryptogram. */
export const APPLICATION_CRYPTOGRAM_BYTES = 8;

/**
 * ICC master key, option A: 3DES of Y ‖ NOT Y, Y the last 16 digits of PAN ‖ PSN. Parity bits are
 * left as they come, as in the published vectors; DES ignores them.
 * @see EMV 4.3 B2 A1.4.1
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_PAN`, `ERR_CRYPTO_DIGITS`.
 */
export function deriveIccMasterKey(
  issuerMasterKey: Uint8Array,
  pan: string,
  panSequenceNumber: string,
): Uint8Array {
  assertKeyLength(issuerMasterKey, DOUBLE_KEY);
  assertPan(pan);
  if (!/^[0-9]{2}$/.test(panSequenceNumber)) {
    throw new CryptoError('ERR_CRYPTO_DIGITS', 'PAN sequence number needs 2 digits');
  }
  const input = new Uint8Array(16);
  const panDigits = Math.min(Y_PAN_DIGITS, pan.length);
  const range = { from: pan.length - panDigits, to: pan.length };
  putDigits(input, Y_PAN_DIGITS - panDigits, pan, range);
  putDigits(input, Y_PAN_DIGITS, panSequenceNumber, { from: 0, to: 2 });
  for (let index = 0; index < 8; index++) input[8 + index] = ~input[index]!;
  return tdesEncryptInPlace(issuerMasterKey, input);
}

/**
 * Session key of a PBOC card for AC, MAC and ENC alike: 3DES of (0^6 ‖ ATC) ‖ (0^6 ‖ NOT ATC).
 * @see PBOC3 P7, session keys
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_DATA_LENGTH`.
 */
export function deriveSessionKey(iccMasterKey: Uint8Array, atc: Uint8Array): Uint8Array {
  assertKeyLength(iccMasterKey, DOUBLE_KEY);
  assertDataLength(atc, 2, 'ATC');
  const input = new Uint8Array(16);
  for (let index = 0; index < atc.length; index++) {
    input[6 + index] = atc[index]!;
    input[14 + index] = ~atc[index]!;
  }
  return tdesEncryptInPlace(iccMasterKey, input);
}

/**
 * Application cryptogram: retail MAC with `80` padding over the already assembled input.
 * @see EMV 4.3 B2 §8.1.2, PBOC3 P7 (CVN 01)
 */
export function applicationCryptogram(sessionKey: Uint8Array, data: Uint8Array): Uint8Array {
  return retailMac(sessionKey, data, { padding: 2 });
}

/**
 * Authorisation response cryptogram, method 1: 3DES of AC XOR (ARC ‖ 0^6).
 * @see EMV 4.3 B2 §8.2.1
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_DATA_LENGTH`.
 */
export function arpcMethod1(
  sessionKey: Uint8Array,
  cryptogram: Uint8Array,
  authorisationResponseCode: Uint8Array,
): Uint8Array {
  assertKeyLength(sessionKey, DOUBLE_KEY);
  assertDataLength(cryptogram, APPLICATION_CRYPTOGRAM_BYTES, 'cryptogram');
  assertDataLength(authorisationResponseCode, 2, 'authorisation response code');
  const mixed = cryptogram.slice();
  for (let index = 0; index < 2; index++) mixed[index]! ^= authorisationResponseCode[index]!;
  return tdesEncryptInPlace(sessionKey, mixed);
}

/**
 * MAC of an issuer script command: left 4 bytes of the retail MAC over CLA INS P1 P2 Lc ‖ ATC ‖
 * AC ‖ data, `80` padding. Lc counts the MAC itself; `data` is what stands before it.
 * @see PBOC3 P7, EMV 4.3 B2 §9.2
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_DATA_LENGTH`.
 */
export function scriptMac4(
  sessionKeyMac: Uint8Array,
  header: Uint8Array,
  atc: Uint8Array,
  cryptogram: Uint8Array,
  data: Uint8Array,
): Uint8Array {
  assertDataLength(header, 5, 'command header');
  assertDataLength(atc, 2, 'ATC');
  assertDataLength(cryptogram, APPLICATION_CRYPTOGRAM_BYTES, 'cryptogram');
  const input = concatBytes(header, atc, cryptogram, data);
  return retailMac(sessionKeyMac, input, { padding: 2 }).slice(0, 4);
}
