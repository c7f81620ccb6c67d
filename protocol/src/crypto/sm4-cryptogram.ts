/**
 * Card keys, session keys and cryptograms under SM4, the algorithm of the domestic path.
 * No SM4 cryptogram is published with its key: the formulas are those of two public issuer tools
 * and of the 3DES ones, block for block. @see PBOC3 P17; GM/T 0002
 */
import { concatBytes, fromHex, xorBytes } from '../bytes/index.ts';
import { APPLICATION_CRYPTOGRAM_BYTES } from './derivation.ts';
import { assertDataLength, assertKeyLength, assertPan, CryptoError } from './errors.ts';
import { padIso9797Method1, padIso9797Method2 } from './mac.ts';
import type { CipherProvider } from './provider.ts';

/** Bytes of an SM4 key and of an SM4 block. */
export const SM4_KEY_BYTES = 16;
export const SM4_BLOCK_BYTES = 16;
/** Bytes of a script command's MAC, whichever the cipher. */
const SCRIPT_MAC_BYTES = 4;
const LINE_MAC_BYTES = 8;

type Sm4 = Pick<CipherProvider, 'sm4EcbEncrypt'>;

/**
 * Card key: SM4 of Y ‖ NOT Y as one block, Y the last 16 digits of PAN ‖ PSN.
 * @see PBOC3 P17 (card keys)
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_PAN`, `ERR_CRYPTO_DIGITS`.
 */
export function deriveSm4IccMasterKey(
  ciphers: Sm4,
  issuerMasterKey: Uint8Array,
  card: { readonly pan: string; readonly panSequenceNumber: string },
): Uint8Array {
  const { pan, panSequenceNumber } = card;
  assertKeyLength(issuerMasterKey, [SM4_KEY_BYTES]);
  assertPan(pan);
  if (!/^[0-9]{2}$/.test(panSequenceNumber)) {
    throw new CryptoError('ERR_CRYPTO_DIGITS', 'PAN sequence number needs 2 digits');
  }
  const y = fromHex(`${pan}${panSequenceNumber}`.slice(-16).padStart(16, '0'));
  return ciphers.sm4EcbEncrypt(issuerMasterKey, concatBytes(y, inverted(y)));
}

/**
 * Session key for AC, MAC and ENC alike: SM4 of (0^6 ‖ ATC ‖ 0^6 ‖ NOT ATC) as one block.
 * @see PBOC3 P17 (session keys)
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_DATA_LENGTH`.
 */
export function deriveSm4SessionKey(
  ciphers: Sm4,
  iccMasterKey: Uint8Array,
  atc: Uint8Array,
): Uint8Array {
  assertKeyLength(iccMasterKey, [SM4_KEY_BYTES]);
  assertDataLength(atc, 2, 'ATC');
  const zeros = new Uint8Array(6);
  return ciphers.sm4EcbEncrypt(iccMasterKey, concatBytes(zeros, atc, zeros, inverted(atc)));
}

/**
 * CBC-MAC under SM4 with zero start and `80` padding, all 16 bytes.
 * @see ISO 9797-1 §7.2 (MAC algorithm 1), §6.3.3
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function sm4CbcMac(ciphers: Sm4, key: Uint8Array, data: Uint8Array): Uint8Array {
  return sm4Chain(ciphers, key, padIso9797Method2(data, SM4_BLOCK_BYTES));
}

/**
 * MAC of a line (field 128 of CUPS under SM4): CBC-MAC with zero padding as under 3DES, left 8
 * bytes. DEVIATION: public texts name the algorithm and the cut only; the padding is that of X9.9.
 * @see Q/CUP 006.4, ISO 9797-1 §7.2, §6.3.2
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function sm4LineMac(ciphers: Sm4, key: Uint8Array, data: Uint8Array): Uint8Array {
  return sm4Chain(ciphers, key, padIso9797Method1(data, SM4_BLOCK_BYTES)).slice(0, LINE_MAC_BYTES);
}

function sm4Chain(ciphers: Sm4, key: Uint8Array, padded: Uint8Array): Uint8Array {
  assertKeyLength(key, [SM4_KEY_BYTES]);
  let chain: Uint8Array = new Uint8Array(SM4_BLOCK_BYTES);
  for (let offset = 0; offset < padded.length; offset += SM4_BLOCK_BYTES) {
    const block = padded.subarray(offset, offset + SM4_BLOCK_BYTES);
    chain = ciphers.sm4EcbEncrypt(key, xorBytes(chain, block));
  }
  return chain;
}

/** Application cryptogram: left 8 bytes of the CBC-MAC over the assembled input. */
export function sm4ApplicationCryptogram(
  ciphers: Sm4,
  sessionKey: Uint8Array,
  data: Uint8Array,
): Uint8Array {
  return sm4CbcMac(ciphers, sessionKey, data).slice(0, APPLICATION_CRYPTOGRAM_BYTES);
}

/**
 * Authorisation response cryptogram: left 8 bytes of SM4 of (AC XOR (ARC ‖ 0^6)) ‖ 0^8.
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_DATA_LENGTH`.
 */
export function sm4Arpc(
  ciphers: Sm4,
  sessionKey: Uint8Array,
  parts: { readonly cryptogram: Uint8Array; readonly authorisationResponseCode: Uint8Array },
): Uint8Array {
  const { cryptogram, authorisationResponseCode } = parts;
  assertKeyLength(sessionKey, [SM4_KEY_BYTES]);
  assertDataLength(cryptogram, APPLICATION_CRYPTOGRAM_BYTES, 'cryptogram');
  assertDataLength(authorisationResponseCode, 2, 'authorisation response code');
  const mixed = xorBytes(cryptogram, concatBytes(authorisationResponseCode, new Uint8Array(6)));
  const block = concatBytes(mixed, new Uint8Array(SM4_BLOCK_BYTES - mixed.length));
  return ciphers.sm4EcbEncrypt(sessionKey, block).slice(0, APPLICATION_CRYPTOGRAM_BYTES);
}

/**
 * MAC of an issuer script command: left 4 bytes of the CBC-MAC over header ‖ ATC ‖ AC ‖ data. The
 * header's Lc counts the MAC itself.
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_DATA_LENGTH`.
 */
export function sm4ScriptMac4(
  ciphers: Sm4,
  sessionKeyMac: Uint8Array,
  parts: {
    readonly header: Uint8Array;
    readonly atc: Uint8Array;
    readonly cryptogram: Uint8Array;
    readonly data: Uint8Array;
  },
): Uint8Array {
  const { header, atc, cryptogram, data } = parts;
  assertDataLength(header, 5, 'command header');
  assertDataLength(atc, 2, 'ATC');
  assertDataLength(cryptogram, APPLICATION_CRYPTOGRAM_BYTES, 'cryptogram');
  const input = concatBytes(header, atc, cryptogram, data);
  return sm4CbcMac(ciphers, sessionKeyMac, input).slice(0, SCRIPT_MAC_BYTES);
}

function inverted(bytes: Uint8Array): Uint8Array {
  return bytes.map((value) => ~value);
}
