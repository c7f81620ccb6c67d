/**
 * An incoming 0420 or 0421: the switch takes the reversal over durably, answers 0430, and forwards
 * it by itself. Repeats have the effect of one. A reversal that comes before its original is
 * remembered, so that the original is refused. @see Q/CUP 006, reversal advice
 */
import { errorBody } from '@tapnpay/protocol/bytes';
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import { uuidv7 } from '../runtime/index.ts';
import { originalKeyOf } from './checks.ts';
import { ownAnswer, unpackMessage, withMac } from './messages.ts';
import type { Transaction, TransactionKey } from './model.ts';
import type { LineKeys, SwitchPorts } from './ports.ts';
import { newAdvice, ResponseCode, traceOf, verifyMember } from './transaction.ts';

/** What the steps know of the reversal under way. */
type Context = {
  readonly memberId: string;
  readonly request: Iso8583Message;
  readonly keys?: LineKeys;
  readonly key?: TransactionKey;
  /** What became of it, for the log. */
  readonly effect?: 'forward' | 'neverSent' | 'remembered' | 'repeat';
  readonly original?: Transaction;
  readonly end?: { readonly responseCode: string; readonly reason: string | null } | 'silent';
};
type Step = (ports: SwitchPorts, context: Context) => Promise<Partial<Context>>;

/** The steps in order. The name of a step is what the log calls it. */
export const REVERSAL_STEPS: readonly (readonly [name: string, step: Step])[] = [
  ['verifyMac', verifyMac],
  ['identify', identify],
  ['findOriginal', findOriginal],
  ['compare', compare],
  ['takeOver', takeOver],
];

/** The 0430 of a member's 0420 or 0421; null when it must hear nothing. Never throws. */
export async function switchReversal(
  ports: SwitchPorts,
  memberId: string,
  request: Iso8583Message,
): Promise<Iso8583Message | null> {
  let context: Context = { memberId, request };
  let current = 'answer';
  try {
    for (const [name, step] of REVERSAL_STEPS) {
      current = name;
      context = { ...context, ...(await step(ports, context)) };
      if (context.end) break;
    }
    current = 'answer';
    return await answerOf(ports, context);
  } catch (fault) {
    // Not acknowledged: the acquirer repeats it.
    const { code } = errorBody(fault);
    ports.log({ event: 'reversalStepFailed', step: current, code, ...traceOf(request) });
    return null;
  }
}

async function verifyMac(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const { keys, verified } = await verifyMember(ports, context.memberId, context.request);
  if (!keys) return { end: 'silent' };
  return verified ? { keys } : { keys, end: { responseCode: ResponseCode.mac, reason: 'mac' } };
}

async function identify(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const { memberId, request } = context;
  if (!ports.profile.acquirerIds.includes(memberId)) {
    return { end: { responseCode: ResponseCode.invalid, reason: 'notAnAcquirer' } };
  }
  const original = originalKeyOf(memberId, request);
  if ('key' in original) return { key: original.key };
  return { end: { responseCode: ResponseCode.format, reason: original.fault } };
}

/** The transaction of field 90; for an unknown one, a row that bars it from ever being sent. */
async function findOriginal(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const { key } = context;
  if (!key) throw new TypeError('a step ran before the one it needs');
  const found = await ports.store.find(key);
  if (found) return { original: found };
  const barrier = reversedBefore(ports, key, context.request);
  const earlier = await ports.store.begin(barrier);
  if (earlier) return { original: earlier };
  const end = { responseCode: ResponseCode.approved, reason: null };
  return { original: barrier, effect: 'remembered', end };
}

/** A reversal must speak of the same card and amount as the transaction that it names. */
async function compare(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const { original, request } = context;
  if (!original || original.sealedOriginal === null || original.destination === null) return {};
  const sent = unpackMessage(ports.vault.open(original.sealedOriginal));
  for (const number of [2, 4, 37]) {
    if (textField(sent, number) === textField(request, number)) continue;
    return { end: { responseCode: ResponseCode.invalid, reason: `original${number}` } };
  }
  return {};
}

async function takeOver(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const { original } = context;
  if (!original) throw new TypeError('a step ran before the one it needs');
  const { transactionId } = original;
  const end = { responseCode: ResponseCode.approved, reason: null };
  if (original.state === 'reversing' || original.state === 'reversed') {
    return { effect: 'repeat', end };
  }
  const advice = await newAdvice(ports, 'acquirer');
  const atMs = ports.clock.nowMs();
  const { transaction, moved } = await ports.store.reverse({ transactionId, advice, atMs });
  if (!moved) return { effect: 'repeat', end };
  const effect = transaction.destination === null ? 'neverSent' : 'forward';
  ports.wake();
  return { effect, end };
}

async function answerOf(ports: SwitchPorts, context: Context): Promise<Iso8583Message | null> {
  const { end, request, effect = null, original } = context;
  if (end === undefined || end === 'silent') return null;
  const { responseCode, reason } = end;
  const originalStan = original?.stan ?? null;
  const facts = { responseCode, reason, effect, originalStan, ...traceOf(request) };
  ports.log({ event: 'reversalTaken', mti: request.mti, ...facts });
  const macKey = ports.lines.keys(context.memberId)?.mac ?? context.keys?.mac;
  if (macKey === undefined) return null;
  return withMac(ports.hsm, macKey, ownAnswer(request, responseCode, reason));
}

/** Stands in the journal where the late 0200 would go. */
function reversedBefore(
  ports: SwitchPorts,
  key: TransactionKey,
  request: Iso8583Message,
): Transaction {
  const nowMs = ports.clock.nowMs();
  return {
    ...key,
    transactionId: uuidv7(ports.clock, ports.random),
    bodyDigest: null,
    destination: null,
    retrievalReference: textField(request, 37) ?? null,
    amountMinor: null,
    currency: null,
    panMasked: null,
    sealedOriginal: null,
    state: 'reversed',
    responseCode: null,
    approvalCode: null,
    sealedAnswer: null,
    reason: 'reversedBefore',
    lateResponseCode: null,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  };
}
