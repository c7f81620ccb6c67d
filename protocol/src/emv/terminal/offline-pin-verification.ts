/** The card checks the PIN: try counter, key and challenge for an enciphered one, VERIFY. */
import { byteAt, TapError } from '../../bytes/index.ts';
import {
  decodeTlv,
  type StatusWord,
  SW_6983_AUTHENTICATION_METHOD_BLOCKED,
  SW_6984_REFERENCED_DATA_INVALIDATED,
  SW_9000_OK,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { pinEnciphermentKey } from './certificate-chain.ts';
import { countCommand, type KernelContext, markTvr, transmit } from './context.ts';
import { CHALLENGE_BYTES } from './offline-pin.ts';
import { askPin, type PinMemory } from './pin-entry.ts';
import { responseOf } from './transport.ts';
import type { Kernel, PinVerification } from './types.ts';

/** How the card's check ended. */
export type OfflinePinResult = 'successful' | 'failed' | 'cancelled';

/** One rule that wants the card to check the PIN. */
export type OfflinePinStep = {
  readonly form: PinVerification['form'];
  readonly memory: PinMemory;
};

/**
 * Offline PIN: try counter (a card need not tell it), PIN, VERIFY, again while tries are left.
 * The key is recovered before anybody is asked: without one no PIN could be used.
 * @throws KernelError `ERR_KERNEL_ANSWER`, `ERR_CARD_LIMIT`.
 * @see EMV 4.3 B3 §10.5.1; B4 §6.3.4.1
 */
export function* verifyOfflinePin(
  context: KernelContext,
  step: OfflinePinStep,
): Kernel<OfflinePinResult> {
  const { form, memory } = step;
  if (memory.refused) return 'failed';
  if (memory.isBlocked === true) return 'failed';
  const tries = yield* pinTryCounter(context);
  if (tries === 0) return blocked(context, memory);
  const key = form === 'enciphered' ? encipheringKey(context) : null;
  if (form === 'enciphered' && key === null) return 'failed';
  return yield* tryPins(context, { memory, key, tries });
}

type Attempts = {
  readonly memory: PinMemory;
  /** Null: the PIN goes in clear. */
  readonly key: data.EmvRsaPublicKey | null;
  readonly tries: number | null;
};

/**
 * Each wrong PIN must lower the number of tries; a card whose number does not fall would have the
 * cardholder type for ever, so that its rule fails. That bounds the loop to 16 rounds.
 */
function* tryPins(context: KernelContext, attempts: Attempts): Kernel<OfflinePinResult> {
  const { memory, key } = attempts;
  let triesLeft = attempts.tries;
  let isRetry = false;
  for (;;) {
    const asked = yield* askPin(context, memory, { purpose: 'offline', triesLeft, isRetry });
    if (asked !== 'entered') return asked;
    const verification = yield* verificationOf(context, key);
    if (verification === null) return 'failed';
    const statusWord = yield* verifyPin(context, verification);
    if (statusWord === SW_9000_OK) return 'successful';
    if (isBlockedWord(statusWord)) return blocked(context, memory);
    const left = triesLeftOf(statusWord);
    if (left === null || (triesLeft !== null && left >= triesLeft)) return 'failed';
    triesLeft = left;
    isRetry = true;
  }
}

/** 6983, 6984 and 63C0: no try is left. @see EMV 4.3 B3 §10.5.1, §6.5.12.5 */
function isBlockedWord(statusWord: StatusWord): boolean {
  return (
    statusWord === SW_6983_AUTHENTICATION_METHOD_BLOCKED ||
    statusWord === SW_6984_REFERENCED_DATA_INVALIDATED ||
    triesLeftOf(statusWord) === 0
  );
}

/** x of 63Cx. */
function triesLeftOf(statusWord: StatusWord): number | null {
  return (statusWord & 0xfff0) === 0x63c0 ? statusWord & 0x0f : null;
}

function blocked(context: KernelContext, memory: PinMemory): 'failed' {
  memory.isBlocked = true;
  markTvr(context, data.TVR_3_PIN_TRY_LIMIT_EXCEEDED);
  return 'failed';
}

/** GET DATA 9F17; null when the card does not tell. @see EMV 4.3 B3 §6.5.7; B4 §6.3.4.1 */
function* pinTryCounter(context: KernelContext): Kernel<number | null> {
  const command = { cla: 0x80, ins: 0xca, p1: 0x9f, p2: 0x17, le: 256 };
  const response = yield* transmit(context, command);
  if (response.statusWord !== SW_9000_OK) return null;
  try {
    const object = decodeTlv(response.data)[0];
    const isCounter = object?.tag === data.TAG_9F17_PIN_TRY_COUNTER && object.value.length === 1;
    if (!isCounter) return null;
    context.data.set(data.TAG_9F17_PIN_TRY_COUNTER, object.value);
    return byteAt(object.value, 0);
  } catch (fault) {
    if (fault instanceof TapError) return null;
    throw fault;
  }
}

/** The PIN's way into the card; null when it gives no challenge of 8 bytes. */
function* verificationOf(
  context: KernelContext,
  key: data.EmvRsaPublicKey | null,
): Kernel<PinVerification | null> {
  if (key === null) return { form: 'plaintext' };
  const command = { cla: 0x00, ins: 0x84, p1: 0x00, p2: 0x00, le: 256 };
  const response = yield* transmit(context, command);
  const challenge = response.data.slice();
  if (response.statusWord !== SW_9000_OK || challenge.length !== CHALLENGE_BYTES) return null;
  return { form: 'enciphered', modulus: key.modulus, exponent: key.exponent, challenge };
}

function* verifyPin(context: KernelContext, verification: PinVerification): Kernel<StatusWord> {
  countCommand(context);
  return responseOf(yield { kind: 'verifyPin', verification }).statusWord;
}

/** The card's key for the PIN; null when none can be recovered or used. @see EMV 4.3 B2 §7.1 */
function encipheringKey(context: KernelContext): data.EmvRsaPublicKey | null {
  const key = pinEnciphermentKey(context);
  return key.ok && isModulus(key.value.modulus) ? key.value : null;
}

/** Odd and with its highest bit set, so that every datum that begins with 7F lies below it. */
function isModulus(modulus: Uint8Array): boolean {
  const last = modulus.length - 1;
  return (byteAt(modulus, 0) & 0x80) !== 0 && (byteAt(modulus, last) & 0x01) !== 0;
}
