/**
 * Seals the typed PIN to the element's key of this payment; the agent carries it unread.
 * @see RFC 8017 §7.1 RSAES-OAEP, with SHA-256 and an empty label.
 */
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { type PinEntry, wipePin } from './pin-entry.ts';

const ALGORITHM = { name: 'RSA-OAEP', hash: 'SHA-256' } as const;
/** Shorter moduli are refused: the seal would not hold. */
const MODULUS_BITS_MIN = 2048;

/** The key is no RSA key of 2048 bits or more. */
export class PinSealError extends Error {}

/**
 * Upper-case hex of the sealed digits. The entry is wiped, whatever happens.
 * @throws PinSealError when the key is not usable.
 */
export async function sealPin(entry: PinEntry, pinKeySpki: string): Promise<string> {
  try {
    const key = await importKey(pinKeySpki);
    const digits = entry.digits.subarray(0, entry.length);
    const sealed = await crypto.subtle.encrypt({ name: ALGORITHM.name }, key, digits);
    return toHex(new Uint8Array(sealed));
  } finally {
    wipePin(entry);
  }
}

async function importKey(pinKeySpki: string): Promise<CryptoKey> {
  let key: CryptoKey;
  try {
    const spki = new Uint8Array(fromHex(pinKeySpki));
    key = await crypto.subtle.importKey('spki', spki, ALGORITHM, false, ['encrypt']);
  } catch (cause) {
    throw new PinSealError('the key for the PIN is no RSA key', { cause });
  }
  const { modulusLength } = key.algorithm as RsaHashedKeyAlgorithm;
  if (modulusLength >= MODULUS_BITS_MIN) return key;
  throw new PinSealError(`a key of ${modulusLength} bits is too short for a PIN`);
}
