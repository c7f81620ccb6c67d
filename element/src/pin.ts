/**
 * The online PIN: opened from the per-payment key, enciphered at once as an ISO 9564-1 format 4
 * block under AES DUKPT. The counter is durable before its key is used and is never used twice.
 */
import { constants, generateKeyPair, type KeyObject, privateDecrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { fromHex, type Secret, toHex } from '@tapnpay/protocol/bytes';
import {
  aesDukptKsn,
  aesDukptWorkingKey,
  type CipherProvider,
  encipherPinBlockFormat4,
  nextAesDukptCounter,
} from '@tapnpay/protocol/crypto';
import type { EncipheredPin } from '@tapnpay/protocol/wire';
import { ElementError } from './errors.ts';
import type { ElementState } from './state.ts';

const generate = promisify(generateKeyPair);
const PIN_KEY_BITS = 2048;
const RANDOM_BYTES = 8;

/** A key pair for one payment; the window seals the PIN to its public half. */
export type PinKey = { readonly publicKeySpki: string; readonly privateKey: KeyObject };

/** A fresh RSA-2048 pair, made off the main thread (80 to 200 ms). */
export async function createPinKey(): Promise<PinKey> {
  const { publicKey, privateKey } = await generate('rsa', { modulusLength: PIN_KEY_BITS });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return { publicKeySpki: toHex(spki), privateKey };
}

/**
 * Opens the sealed PIN and enciphers it for the gateway's HSM.
 * @throws ElementError `ERR_PIN_FORMAT` (one answer for every wrong seal), `ERR_DUKPT_EXHAUSTED`,
 * `ERR_ELEMENT_NOT_ENROLLED`.
 */
export function encipherPin(facts: {
  readonly sealedPin: Uint8Array;
  readonly pinKey: PinKey;
  readonly pan: Secret<string>;
  readonly state: ElementState;
  readonly ciphers: CipherProvider;
  readonly randomBytes: (lengthBytes: number) => Uint8Array;
}): EncipheredPin {
  const { state, ciphers, pan } = facts;
  const digits = openPin(facts.sealedPin, facts.pinKey.privateKey);
  try {
    const { initialKey, initialKeyId, counter } = takeCounter(state);
    const keyBytes = fromHex(initialKey.expose());
    const keyId = fromHex(initialKeyId);
    const key = aesDukptWorkingKey(ciphers, keyBytes, keyId, counter, 'pinEncryption');
    // The crypto interface takes the PIN as text, which the runtime frees but cannot overwrite.
    const pin = digits.toString('latin1');
    const random8 = facts.randomBytes(RANDOM_BYTES);
    const block = encipherPinBlockFormat4(ciphers, key, { pin, pan: pan.expose(), random8 });
    key.fill(0);
    keyBytes.fill(0);
    return { block, ksn: aesDukptKsn(keyId, counter) };
  } finally {
    digits.fill(0);
  }
}

/** Takes the next counter; durable before this returns. */
function takeCounter(state: ElementState): {
  readonly initialKey: Secret<string>;
  readonly initialKeyId: string;
  readonly counter: number;
} {
  const { identity, pinCounters } = state.record;
  if (identity === null) {
    throw new ElementError('ERR_ELEMENT_NOT_ENROLLED', 'the element has no PIN key');
  }
  const { initialKey, initialKeyId } = identity;
  const counter = counterAfter(pinCounters[initialKeyId] ?? 0);
  state.update({ pinCounters: { ...pinCounters, [initialKeyId]: counter } });
  return { initialKey, initialKeyId, counter };
}

function counterAfter(counter: number): number {
  try {
    return nextAesDukptCounter(counter);
  } catch (cause) {
    throw new ElementError('ERR_DUKPT_EXHAUSTED', 'the PIN key is used up; enrol again', {}, cause);
  }
}

/** PIN digits in ASCII; 4 to 12 of them. @see ISO 9564-1 §8.1 */
function openPin(sealedPin: Uint8Array, privateKey: KeyObject): Buffer {
  let digits: Buffer;
  try {
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    digits = privateDecrypt({ key: privateKey, padding, oaepHash: 'sha256' }, sealedPin);
  } catch (cause) {
    throw new ElementError('ERR_PIN_FORMAT', 'the sealed PIN does not open', {}, cause);
  }
  const isPin = digits.length >= 4 && digits.length <= 12;
  if (isPin && digits.every((byte) => byte >= 0x30 && byte <= 0x39)) return digits;
  digits.fill(0);
  throw new ElementError('ERR_PIN_FORMAT', 'the PIN needs 4 to 12 digits');
}
