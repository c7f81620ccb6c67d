/**
 * An incoming advice or notice (0220, 0620 and their repeats): a fact that cannot be refused any
 * more. The switch takes it over durably, answers the acquirer first, and forwards it by itself.
 * Only what cannot be an advice at all, or tells of a transaction that nobody knows, is not taken.
 * @see Q/CUP 006, messages 0220, 0230, 0620 and 0630
 */
import { errorBody } from '@tapnpay/protocol/bytes';
import { type Iso8583Message, requireText, textField } from '@tapnpay/protocol/iso8583';
import { commonFault, identityOf, requestFault } from './checks.ts';
import { newAdvice, newTransaction } from './journal.ts';
import { kindOf } from './kinds.ts';
import { bodyText, ownAnswer, withMac } from './messages.ts';
import type { Transaction } from './model.ts';
import { findOriginal } from './original.ts';
import type { SwitchScene } from './ports.ts';
import { answerToRepeat, ResponseCode, today, traceOf, verifyMember } from './responses.ts';
import { issuerOf } from './routing.ts';

/** What became of an advice: not taken, taken, or known already. */
type Outcome =
  | { readonly responseCode: string; readonly reason: string | null }
  | { readonly repeatOf: Transaction; readonly bodyDigest: string };

/** The answer to a member's advice; null when it must hear nothing: it sends it again. */
export async function switchAdvice(
  scene: SwitchScene,
  memberId: string,
  request: Iso8583Message,
): Promise<Iso8583Message | null> {
  try {
    const { keys, verified } = await verifyMember(scene, memberId, request);
    if (!keys) return null;
    const settlementDate = today(scene);
    const outcome: Outcome = verified
      ? await take(scene, { memberId, request, settlementDate })
      : { responseCode: ResponseCode.mac, reason: 'mac' };
    const answer =
      'repeatOf' in outcome
        ? answerToRepeat(scene, { request, bodyDigest: outcome.bodyDigest }, outcome.repeatOf)
        : ownAnswer(request, { ...outcome, settlementDate });
    if (!answer) return null;
    const responseCode = textField(answer, 39) ?? null;
    const reason = 'repeatOf' in outcome ? 'repeat' : outcome.reason;
    const facts = { mti: request.mti, responseCode, reason, ...traceOf(request) };
    scene.log({ event: 'adviceTaken', ...facts });
    // Under the keys of its request, whatever came since: the member checks it with these.
    return await withMac(scene.hsm, keys.mac, answer);
  } catch (fault) {
    const { code } = errorBody(fault);
    scene.log({ event: 'adviceNotTaken', code, ...traceOf(request) });
    return null;
  }
}

async function take(
  scene: SwitchScene,
  incoming: {
    readonly memberId: string;
    readonly request: Iso8583Message;
    readonly settlementDate: string;
  },
): Promise<Outcome> {
  const { memberId, request, settlementDate } = incoming;
  const { store, profile, vault } = scene;
  if (!profile.acquirerIds.includes(memberId)) {
    return { responseCode: ResponseCode.invalid, reason: 'notAnAcquirer' };
  }
  const identity = identityOf(memberId, request);
  if ('fault' in identity) return { responseCode: ResponseCode.format, reason: identity.fault };
  const { key } = identity;
  const bodyDigest = vault.digest(bodyText(request));
  const known = await store.find(key);
  if (known) return { repeatOf: known, bodyDigest };
  const malformed = commonFault(request);
  if (malformed !== null) return { responseCode: ResponseCode.format, reason: malformed };
  const kind = kindOf(request);
  if (kind?.spec.nature !== 'advice') {
    return { responseCode: ResponseCode.invalid, reason: 'transactionKind' };
  }
  const fault = requestFault(request, kind);
  if (fault !== null) return { responseCode: ResponseCode.format, reason: fault };
  const found = await findOriginal(scene, { key, kind, message: request, settlementDate });
  if ('reason' in found) return found;
  const { original } = found;
  // What follows a transaction goes to the issuer that has it, whatever the table says by now.
  const byTable = issuerOf(profile.routes, requireText(request, 2));
  const destination = original?.destination ?? byTable;
  if (destination === null) return { responseCode: ResponseCode.unknownCard, reason: 'noRoute' };
  const facts = { key, bodyDigest, request, kind, settlementDate, original, kept: request };
  const transaction: Transaction = {
    ...newTransaction(scene, facts),
    destination,
    state: 'answered',
    responseCode: ResponseCode.approved,
    approvalCode: textField(request, 38) ?? null,
  };
  const earlier = await store.takeAdvice(transaction, {
    ...(await newAdvice(scene, {
      kind: kind.spec.kind === 'scriptResultNotice' ? 'notice' : 'advice',
      reason: kind.spec.kind,
      settlementDate,
    })),
    // The issuer knows it by the numbers that the acquirer gave it.
    stan: key.stan,
    transmission: key.transmission,
  });
  if (earlier) return { repeatOf: earlier, bodyDigest };
  scene.wake();
  return { responseCode: ResponseCode.approved, reason: null };
}
