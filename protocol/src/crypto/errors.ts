/** Faults of the cryptographic functions; messages and data never hold a key, PIN or PAN. */
import { TapError } from '../bytes/index.ts';

/** Faults of this folder. */
export type CryptoErrorCode =
  | 'ERR_CRYPTO_KEY_LENGTH'
  | 'ERR_CRYPTO_DATA_LENGTH'
  | 'ERR_CRYPTO_PIN'
  | 'ERR_CRYPTO_PAN'
  | 'ERR_CRYPTO_PIN_BLOCK'
  | 'ERR_CRYPTO_DIGITS'
  | 'ERR_CRYPTO_COUNTER'
  | 'ERR_CRYPTO_RSA'
  | 'ERR_CRYPTO_SM2'
  | 'ERR_CRYPTO_KEY_BLOCK'
  | 'ERR_CRYPTO_KEY_BLOCK_MAC';

/** A key, datum, PIN block or key block that the algorithm cannot take. */
export class CryptoError extends TapError<CryptoErrorCode> {}

/** Requires a key of one of the given sizes. @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`. */
export function assertKeyLength(key: Uint8Array, allowedBytes: readonly number[]): void {
  for (let index = 0; index < allowedBytes.length; index++) {
    if (allowedBytes[index] === key.length) return;
  }
  const wanted = allowedBytes.join(' or ');
  throw new CryptoError('ERR_CRYPTO_KEY_LENGTH', `key has ${key.length} bytes, needs ${wanted}`, {
    lengthBytes: key.length,
  });
}

/** Requires data of one exact size. @throws CryptoError `ERR_CRYPTO_DATA_LENGTH`. */
export function assertDataLength(data: Uint8Array, lengthBytes: number, what: string): void {
  if (data.length === lengthBytes) return;
  throw new CryptoError(
    'ERR_CRYPTO_DATA_LENGTH',
    `${what} has ${data.length} bytes, needs ${lengthBytes}`,
    { lengthBytes: data.length },
  );
}

/** Requires whole cipher blocks. @throws CryptoError `ERR_CRYPTO_DATA_LENGTH`. */
export function assertWholeBlocks(data: Uint8Array, blockBytes: number): void {
  if (data.length > 0 && data.length % blockBytes === 0) return;
  throw new CryptoError(
    'ERR_CRYPTO_DATA_LENGTH',
    `${data.length} bytes are not whole blocks of ${blockBytes}`,
    { lengthBytes: data.length },
  );
}

/** Requires a PAN of 12 to 19 digits; its check digit is not tested here. */
export function assertPan(pan: string): void {
  if (/^[0-9]{12,19}$/.test(pan)) return;
  throw new CryptoError('ERR_CRYPTO_PAN', 'PAN needs 12 to 19 digits');
}

/** Requires a PIN of 4 to 12 digits. @see ISO 9564-1 §8.1 */
export function assertPin(pin: string): void {
  if (/^[0-9]{4,12}$/.test(pin)) return;
  throw new CryptoError('ERR_CRYPTO_PIN', 'PIN needs 4 to 12 digits');
}
