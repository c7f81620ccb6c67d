/** Offline PIN for drivers: the PIN block, its encipherment and the VERIFY that carries it. */
import { concatBytes, fromHex } from '../../bytes/index.ts';
import { rsaRaw } from '../../crypto/index.ts';
import type { CommandApdu } from '../../iso7816/index.ts';
import { KernelError } from './errors.ts';
import type { PinVerification } from './types.ts';

/** Bytes of the answer to GET CHALLENGE. @see EMV 4.3 B2 §7.2 */
export const CHALLENGE_BYTES = 8;
/** Header of the enciphered data, PIN block and challenge before the random padding. */
const PIN_DATA_HEADER = 0x7f;
const PIN_DATA_FIXED_BYTES = 17;
/** P2 of VERIFY. @see EMV 4.3 B3 §6.5.12 table 23 */
const VERIFY_P2: Readonly<Record<PinVerification['form'], number>> = {
  plaintext: 0x80,
  enciphered: 0x88,
};

/** Gives that many unpredictable bytes. */
type Random = (lengthBytes: number) => Uint8Array;

/** What is enciphered for the card, and under which of its keys. */
export type EncipheredPin = {
  readonly modulus: Uint8Array;
  readonly exponent: Uint8Array;
  readonly challenge: Uint8Array;
  readonly pin: string;
  readonly random: Random;
};

/**
 * Clear PIN block of format 2: `2L`, the digits, filler F, 8 bytes.
 * @throws KernelError `ERR_KERNEL_INPUT` unless the PIN has 4 to 12 digits.
 * @see EMV 4.3 B3 §6.5.12 table 24; ISO 9564-1 §9.3.4
 */
export function plaintextPinBlock(pin: string): Uint8Array {
  if (!/^[0-9]{4,12}$/.test(pin)) {
    throw new KernelError('ERR_KERNEL_INPUT', 'PIN needs 4 to 12 digits', { member: 'pin' });
  }
  return fromHex(`2${pin.length.toString(16)}${pin}`.padEnd(16, 'F'));
}

/**
 * The enciphered PIN as long as the modulus: 7F, PIN block, challenge and random padding under the
 * card's public key.
 * @throws KernelError `ERR_KERNEL_INPUT` for a wrong PIN, challenge or random padding; CryptoError
 *   `ERR_CRYPTO_RSA` for a modulus that is none.
 * @see EMV 4.3 B2 §7.2 table 25
 */
export function encipheredPinData(input: EncipheredPin): Uint8Array {
  const { modulus, exponent, challenge } = input;
  const padding = modulus.length - PIN_DATA_FIXED_BYTES;
  if (padding < 0) throw inputError('modulus');
  if (challenge.length !== CHALLENGE_BYTES) throw inputError('challenge');
  const random = input.random(padding);
  if (random.length !== padding) throw inputError('random');
  const block = plaintextPinBlock(input.pin);
  const datum = concatBytes(Uint8Array.of(PIN_DATA_HEADER), block, challenge, random);
  return rsaRaw(modulus, exponent, datum);
}

/**
 * VERIFY as the kernel's `verifyPin` asks for it.
 * @throws as `plaintextPinBlock` and `encipheredPinData`. @see EMV 4.3 B3 §6.5.12
 */
export function verifyCommand(
  verification: PinVerification,
  secret: { readonly pin: string; readonly random: Random },
): CommandApdu {
  const data =
    verification.form === 'plaintext'
      ? plaintextPinBlock(secret.pin)
      : encipheredPinData({ ...verification, ...secret });
  return { cla: 0x00, ins: 0x20, p1: 0x00, p2: VERIFY_P2[verification.form], data };
}

function inputError(member: string): KernelError {
  return new KernelError('ERR_KERNEL_INPUT', `offline PIN: wrong ${member}`, { member });
}
