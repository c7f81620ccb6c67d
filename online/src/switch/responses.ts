/** What a member hears: field 39 of the switch's own answers, and what each state allows. */
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import { type AnswerFacts, macIsValid, ownAnswer, unpackMessage } from './messages.ts';
import type { Transaction } from './model.ts';
import type { LineKeys, MemberLines, SwitchScene } from './ports.ts';
import { settlementDateOf } from './settlement.ts';

/** Field 39 of the switch's own answers. */
export const ResponseCode = {
  approved: '00',
  invalid: '12',
  unknownCard: '14',
  noOriginal: '25',
  format: '30',
  issuerDown: '91',
  duplicate: '94',
  system: '96',
  noReply: '98',
  mac: 'A0',
} as const;

/** The settlement date of this instant. */
export function today({ clock, profile }: Pick<SwitchScene, 'clock' | 'profile'>): string {
  return settlementDateOf(clock.nowMs(), profile.cutOffMinute);
}

/** Every set of keys under which a message of a member may be, the current one first. */
export function keySetsOf(lines: MemberLines, memberId: string): readonly LineKeys[] {
  const sets = lines.acceptedKeys?.(memberId) ?? [
    lines.keys(memberId),
    lines.previousKeys(memberId),
  ];
  return sets.filter((set) => set !== null);
}

/**
 * The keys of the set whose MAC key field 128 is right under: the line's own, or a set before while
 * messages under it are still on their way.
 */
export async function verifyMember(
  scene: Pick<SwitchScene, 'lines' | 'hsm'>,
  memberId: string,
  request: Iso8583Message,
): Promise<{ readonly keys: LineKeys | null; readonly verified: boolean }> {
  const { lines, hsm } = scene;
  const current = lines.keys(memberId);
  if (!current) return { keys: null, verified: false };
  for (const keys of keySetsOf(lines, memberId)) {
    if (await macIsValid(hsm, [keys.mac], request)) return { keys, verified: true };
  }
  return { keys: current, verified: false };
}

/** What a repeat hears: the same as the first if its body is the same, 94 if not. */
export function answerToRepeat(
  scene: SwitchScene,
  repeat: { readonly request: Iso8583Message; readonly bodyDigest: string | undefined },
  transaction: Transaction,
): Iso8583Message | null {
  const { request } = repeat;
  const { state, bodyDigest, settlementDate } = transaction;
  scene.log({ event: 'repeat', state, ...traceOf(request) });
  const refused = (responseCode: string, reason: string): Iso8583Message =>
    ownAnswer(request, { responseCode, reason, settlementDate });
  if (bodyDigest === null) return refused(ResponseCode.invalid, 'reversedBefore');
  if (bodyDigest !== repeat.bodyDigest) return refused(ResponseCode.duplicate, 'duplicate');
  // In flight: the answer to the first is the answer to both.
  return answerOfState(scene, request, transaction);
}

/** A sealed answer whose message is at hand. */
export type OpenAnswer = { readonly sealed: string; readonly message: Iso8583Message };

/**
 * The answer that a transaction's state allows; an approval only while nobody reverses it. `known`
 * saves opening the answer that was sealed just now.
 */
export function answerOfState(
  scene: Pick<SwitchScene, 'vault'>,
  request: Iso8583Message,
  transaction: Transaction,
  known?: OpenAnswer,
): Iso8583Message | null {
  const { state, responseCode, reason, sealedAnswer, settlementDate } = transaction;
  const own = (code: AnswerFacts['responseCode'], why: string | null): Iso8583Message =>
    ownAnswer(request, { responseCode: code, reason: why, settlementDate });
  switch (state) {
    case 'sent':
      return null;
    case 'unknown':
      return own(ResponseCode.noReply, reason);
    case 'reversing':
    case 'reversed':
      return own(ResponseCode.invalid, 'reversed');
    case 'answered':
      if (known !== undefined && sealedAnswer === known.sealed) return known.message;
      if (sealedAnswer !== null) return unpackMessage(scene.vault.open(sealedAnswer));
      return own(responseCode ?? ResponseCode.system, reason);
  }
}

/** The numbers by which logs find a transaction. */
export function traceOf(message: Iso8583Message): {
  readonly stan: string | null;
  readonly retrievalReference: string | null;
} {
  const stan = textField(message, 11) ?? null;
  return { stan, retrievalReference: textField(message, 37) ?? null };
}
