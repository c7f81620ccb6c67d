/** Terminal risk management: floor limit, random selection, velocity, new card. */
import { bytesToUint, Secret, TapError } from '../../bytes/index.ts';
import { decodeTlv, SW_9000_OK } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import {
  aipSays,
  askRandom,
  cardValue,
  type KernelContext,
  markTsi,
  markTvr,
  onlineCapability,
  selectedAid,
  transmit,
} from './context.ts';
import { KernelError } from './errors.ts';
import { panOf, panSequenceNumberOf } from './read-data.ts';
import type { Kernel } from './types.ts';

/** Random numbers of 1 to 99 are drawn from this many bytes; the bias is below 2^-25. */
const RANDOM_BYTES = 4;

/**
 * Sets the TVR bits of byte 4 and "new card"; answers whether the card wanted it at all. The
 * merchant's wish to go online and the exception file count whatever the card says of it.
 * @throws KernelError `ERR_KERNEL_ANSWER`; `ERR_CARD_DATA` for a malformed consecutive limit.
 * @see EMV 4.3 B3 §10.6; B4 §6.3.5, §6.5.3
 */
export function* manageRisk(context: KernelContext): Kernel<boolean> {
  if (context.input.forceOnline === true) markTvr(context, data.TVR_4_MERCHANT_FORCED_ONLINE);
  checkExceptionFile(context);
  if (!aipSays(context, data.AIP_1_TERMINAL_RISK_MANAGEMENT_TO_BE_PERFORMED)) return false;
  if (exceedsFloorLimit(context)) {
    markTvr(context, data.TVR_4_FLOOR_LIMIT_EXCEEDED);
  } else if (onlineCapability(context.input.terminal.terminalType) === 'both') {
    yield* selectRandomly(context);
  }
  yield* checkVelocity(context);
  markTsi(context, data.TSI_1_TERMINAL_RISK_MANAGEMENT_PERFORMED);
  return true;
}

/** Terminal exception file, where the terminal has one. @see EMV 4.3 B4 §6.3.5 */
export function checkExceptionFile(context: KernelContext): void {
  const { isOnExceptionFile } = context.input.terminal;
  if (isOnExceptionFile?.(new Secret(panOf(context)), panSequenceNumberOf(context)) === true) {
    markTvr(context, data.TVR_1_CARD_ON_EXCEPTION_FILE);
  }
}

/**
 * The amount with what the terminal approved for this card before, so that a sale split in two
 * counts as one; at the limit counts as above it. @see EMV 4.3 B3 §10.6.1
 */
function exceedsFloorLimit(context: KernelContext): boolean {
  const { terminal, amountMinor } = context.input;
  const pan = new Secret(panOf(context));
  const logged = terminal.amountLog?.amountMinorOf(pan, panSequenceNumberOf(context)) ?? 0n;
  if (typeof logged !== 'bigint' || logged < 0n) {
    throw new KernelError('ERR_KERNEL_ANSWER', 'the amount log gives no amount');
  }
  return amountMinor + logged >= selectedAid(context).floorLimitMinor;
}

/**
 * Below the threshold by the target percentage, from it on by interpolation up to the maximum at
 * the floor limit; in whole numbers, both sides multiplied by the span. @see EMV 4.3 B3 §10.6.2
 */
function* selectRandomly(context: KernelContext): Kernel<void> {
  const { floorLimitMinor, randomSelection } = selectedAid(context);
  const { maximumTargetPercentage, thresholdMinor } = randomSelection;
  if (maximumTargetPercentage === 0) return;
  const target = BigInt(randomSelection.targetPercentage);
  const amount = context.input.amountMinor;
  // The amount lies below the floor limit, and the threshold too, so the span is positive.
  const span = floorLimitMinor - thresholdMinor;
  const beyond = amount < thresholdMinor ? 0n : amount - thresholdMinor;
  const percentage = target * span + (BigInt(maximumTargetPercentage) - target) * beyond;
  const drawn = BigInt((bytesToUint(yield* askRandom(RANDOM_BYTES)) % 99) + 1);
  if (drawn * span <= percentage) markTvr(context, data.TVR_4_SELECTED_RANDOMLY_FOR_ONLINE);
}

/**
 * Only when the card has both limits. Counters that cannot be read, or do not fit each other,
 * count as both limits exceeded; "new card" needs a register that was read and is zero.
 * @see EMV 4.3 B3 §10.6.3, §7.5
 */
function* checkVelocity(context: KernelContext): Kernel<void> {
  const lower = cardValue(context, data.TAG_9F14_LOWER_CONSECUTIVE_OFFLINE_LIMIT, 1);
  const upper = cardValue(context, data.TAG_9F23_UPPER_CONSECUTIVE_OFFLINE_LIMIT, 1);
  if (lower === undefined || upper === undefined) return;
  const atc = yield* getCounter(context, data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER);
  const lastOnline = yield* getCounter(context, data.TAG_9F13_LAST_ONLINE_ATC_REGISTER);
  if (atc === null || lastOnline === null) markTvr(context, data.TVR_1_ICC_DATA_MISSING);
  // §10.6.3: an ATC that is not above the register says nothing of the number between them.
  const isKnown = atc !== null && lastOnline !== null && atc > lastOnline;
  const consecutive = isKnown ? atc - lastOnline : Number.POSITIVE_INFINITY;
  if (consecutive > bytesToUint(lower)) markTvr(context, data.TVR_4_LOWER_OFFLINE_LIMIT_EXCEEDED);
  if (consecutive > bytesToUint(upper)) markTvr(context, data.TVR_4_UPPER_OFFLINE_LIMIT_EXCEEDED);
  if (lastOnline === 0) markTvr(context, data.TVR_2_NEW_CARD);
}

/** GET DATA of a two-byte counter; null when the card does not give it. @see EMV 4.3 B3 §6.5.7 */
function* getCounter(context: KernelContext, tag: string): Kernel<number | null> {
  const p1 = Number.parseInt(tag.slice(0, 2), 16);
  const p2 = Number.parseInt(tag.slice(2), 16);
  const response = yield* transmit(context, { cla: 0x80, ins: 0xca, p1, p2, le: 256 });
  if (response.statusWord !== SW_9000_OK) return null;
  const value = counterOf(response.data, tag);
  if (value === null) return null;
  context.data.set(tag, value);
  return bytesToUint(value);
}

function counterOf(answer: Uint8Array, tag: string): Uint8Array | null {
  try {
    const object = decodeTlv(answer)[0];
    return object?.tag === tag && object.value.length === 2 ? object.value : null;
  } catch (fault) {
    if (fault instanceof TapError) return null;
    throw fault;
  }
}
