/**
 * An incoming 0420 or 0421: the switch takes the reversal over durably, answers 0430, and forwards
 * it by itself. Repeats have the effect of one. A reversal that comes before its original is
 * remembered, so that the original is refused. @see Q/CUP 006, reversal advice
 */
import { errorBody } from '@tapnpay/protocol/bytes';
import { type Iso8583Message, textField, transactionSpec } from '@tapnpay/protocol/iso8583';
import { reversedKeyOf } from './checks.ts';
import { barrierOf, newAdvice } from './journal.ts';
import { KIND_RULES } from './kinds.ts';
import { ownAnswer, unpackMessage, withMac } from './messages.ts';
import type { Transaction, TransactionKey } from './model.ts';
import type { LineKeys, SwitchScene } from './ports.ts';
import { ResponseCode, today, traceOf, verifyMember } from './responses.ts';

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
type Step = (scene: SwitchScene, context: Context) => Promise<Partial<Context>>;

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
  scene: SwitchScene,
  memberId: string,
  request: Iso8583Message,
): Promise<Iso8583Message | null> {
  let context: Context = { memberId, request };
  let current = 'answer';
  try {
    for (const [name, step] of REVERSAL_STEPS) {
      current = name;
      context = { ...context, ...(await step(scene, context)) };
      if (context.end) break;
    }
    current = 'answer';
    return await answerOf(scene, context);
  } catch (fault) {
    // Not acknowledged: the acquirer repeats it.
    const { code } = errorBody(fault);
    scene.log({ event: 'reversalStepFailed', step: current, code, ...traceOf(request) });
    return null;
  }
}

async function verifyMac(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const { keys, verified } = await verifyMember(scene, context.memberId, context.request);
  if (!keys) return { end: 'silent' };
  return verified ? { keys } : { keys, end: { responseCode: ResponseCode.mac, reason: 'mac' } };
}

async function identify(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const { memberId, request } = context;
  if (!scene.profile.acquirerIds.includes(memberId)) {
    return { end: { responseCode: ResponseCode.invalid, reason: 'notAnAcquirer' } };
  }
  const original = reversedKeyOf(memberId, request);
  if ('key' in original) return { key: original.key };
  return { end: { responseCode: ResponseCode.format, reason: original.fault } };
}

/** The transaction of field 90; for an unknown one, a row that bars it from ever being sent. */
async function findOriginal(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const { key } = context;
  if (!key) throw new TypeError('a step ran before the one it needs');
  const found = await scene.store.find(key);
  if (found) return { original: found };
  const barrier = barrierOf(scene, key, context.request);
  const earlier = await scene.store.begin(barrier);
  if (earlier) return { original: earlier };
  const end = { responseCode: ResponseCode.approved, reason: null };
  return { original: barrier, effect: 'remembered', end };
}

/** A reversal speaks of the card and amount of a transaction that may be reversed. */
async function compare(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const { original, request } = context;
  if (!original || original.sealedOriginal === null || original.destination === null) return {};
  const invalid = (reason: string): Partial<Context> => ({
    end: { responseCode: ResponseCode.invalid, reason },
  });
  const mti = textField(request, 90)?.slice(0, 4);
  const spec = original.kind === null ? null : transactionSpec(original.kind);
  const isReversible = original.kind !== null && KIND_RULES[original.kind].isReversible;
  if (spec?.nature !== 'request' || spec.mti !== mti || !isReversible) {
    return invalid('originalKind');
  }
  // What a void or a completion has ended is theirs to undo.
  if (original.endedBy !== null) return invalid('originalEnded');
  const sent = unpackMessage(scene.vault.open(original.sealedOriginal));
  for (const number of [2, 4, 37]) {
    if (textField(sent, number) === textField(request, number)) continue;
    return invalid(`original${number}`);
  }
  return {};
}

async function takeOver(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const { original } = context;
  if (!original) throw new TypeError('a step ran before the one it needs');
  const { transactionId } = original;
  const end = { responseCode: ResponseCode.approved, reason: null };
  if (original.state === 'reversing' || original.state === 'reversed') {
    return { effect: 'repeat', end };
  }
  const advice = await newAdvice(scene, { kind: 'reversal', reason: 'acquirer' });
  const atMs = scene.clock.nowMs();
  const { transaction, moved } = await scene.store.reverse({ transactionId, advice, atMs });
  if (!moved) return { effect: 'repeat', end };
  const effect = transaction.destination === null ? 'neverSent' : 'forward';
  scene.wake();
  return { effect, end };
}

async function answerOf(scene: SwitchScene, context: Context): Promise<Iso8583Message | null> {
  const { end, request, effect = null, original } = context;
  if (end === undefined || end === 'silent') return null;
  const { responseCode, reason } = end;
  const originalStan = original?.stan ?? null;
  const facts = { responseCode, reason, effect, originalStan, ...traceOf(request) };
  scene.log({ event: 'reversalTaken', mti: request.mti, ...facts });
  // Under the keys of its request, whatever came since: the member checks it with these.
  const macKey = context.keys?.mac ?? scene.lines.keys(context.memberId)?.mac;
  if (macKey === undefined) return null;
  const answer = { responseCode, reason, settlementDate: today(scene) };
  return withMac(scene.hsm, macKey, ownAnswer(request, answer));
}
