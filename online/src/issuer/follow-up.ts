/**
 * Requests about an earlier one: void, refund, cancellation and completion of a pre-authorisation,
 * void of a completion. Each is a row: what its original may be, what refuses it, what it moves.
 * @see Q/CUP 006, messages 0200 and 0220 with field 90
 */
import { type TransactionKind, transactionSpec } from '@tapnpay/protocol/iso8583';
import type { Refusal } from './authorisation.ts';
import {
  approvalCode,
  creditSides,
  forcedDebit,
  least,
  markOf,
  payerEntryId,
  recordOf,
  type Side,
  today,
  transactionOf,
  usageChange,
  workItem,
} from './change.ts';
import type { CardView, Hold, RequestRecord, WorkItem } from './model.ts';
import type { IssuerPorts } from './ports.ts';
import type { FollowUpRequest } from './request.ts';
import type { HoldChange, IssuerChange, RequestMark, UsageChange } from './store.ts';

/** What a row sees: the original stands, and its card is the request's. */
type Standing = {
  readonly request: FollowUpRequest;
  readonly original: RequestRecord;
  readonly card: CardView;
  /** The hold that both are about. */
  readonly hold: Hold | null;
  readonly nowMs: number;
};

/** What an approval moves. */
type Effect = {
  readonly sides?: readonly Side[];
  readonly mark?: RequestMark;
  readonly hold?: HoldChange | null;
  readonly usage?: UsageChange | null;
  readonly workItems?: (record: RequestRecord, ports: IssuerPorts) => readonly WorkItem[];
};

type Row = {
  readonly originals: readonly TransactionKind[];
  readonly refuse: (standing: Standing) => Refusal | null;
  readonly effect: (standing: Standing) => Effect;
};

/** A kind that is about an earlier request. */
export type FollowUpKind = Extract<
  TransactionKind,
  'saleVoid' | 'refund' | 'preAuthorisationCancel' | 'completionAdvice' | 'completionVoid'
>;

const FOLLOW_UPS: Readonly<Record<FollowUpKind, Row>> = {
  saleVoid: { originals: ['sale'], refuse: refuseVoid, effect: voidEffect },
  refund: {
    originals: ['sale', 'completionAdvice'],
    refuse: ({ request, original }) =>
      request.amountMinor > original.amountMinor - original.returnedMinor
        ? no('64', 'refundAboveAmount')
        : null,
    effect: ({ request, original, card }) => ({
      sides: creditSides(card, request.amountMinor),
      mark: markOf(original, 'approved', original.returnedMinor + request.amountMinor),
    }),
  },
  preAuthorisationCancel: {
    originals: ['preAuthorisation'],
    refuse: ({ request, original, hold }) => {
      if (request.amountMinor !== original.amountMinor) return no('64', 'amountDiffers');
      return hold?.state === 'posted' ? no('12', 'completed') : null;
    },
    effect: ({ original, hold }) => ({
      mark: markOf(original, 'voided', 0n),
      // One whose time was over holds nothing any more.
      hold: hold?.state === 'held' ? endHold(hold, 'released') : null,
      usage: usageChange(original, -1),
    }),
  },
  completionAdvice: {
    originals: ['preAuthorisation'],
    refuse: ({ hold }) => (hold?.state === 'posted' ? no('12', 'completed') : null),
    effect: completionEffect,
  },
  completionVoid: {
    originals: ['completionAdvice'],
    refuse: refuseVoid,
    effect: (standing) => ({ ...voidEffect(standing), hold: holdAgain(standing), usage: null }),
  },
};

/** What one such request does, decided on its original as it is now. */
export async function decideFollowUp(
  request: FollowUpRequest & { readonly kind: FollowUpKind },
  ports: IssuerPorts,
): Promise<IssuerChange> {
  const { store, clock } = ports;
  const row = FOLLOW_UPS[request.kind];
  const original = await store.findRequest(request.originalTraceKey);
  const refusal = refuseOriginal(request, original, row);
  if (refusal !== null || original?.cardId == null) {
    return refusedChange(request, original, refusal ?? no('25', 'originalUnknown'), ports);
  }
  const query = { card: { cardId: original.cardId }, atc: null, day: today(ports) };
  const card = await store.findCard(query);
  if (!card) return refusedChange(request, original, no('14', 'cardUnknown'), ports);
  const hold = await findHold(original, ports);
  const standing = { request, original, card, hold, nowMs: clock.nowMs() };
  const later = row.refuse(standing);
  if (later !== null) return refusedChange(request, original, later, ports);
  return approvedChange(standing, row.effect(standing), ports);
}

/** The hold that a pre-authorisation or its completion is about. */
export async function findHold(
  record: RequestRecord,
  ports: Pick<IssuerPorts, 'store'>,
): Promise<Hold | null> {
  if (record.kind === 'preAuthorisation') return ports.store.findHold(record.traceKey);
  if (record.originalTraceKey === null) return null;
  return ports.store.findHold(record.originalTraceKey);
}

function approvedChange(standing: Standing, effect: Effect, ports: IssuerPorts): IssuerChange {
  const { request, original } = standing;
  const transaction = transactionOf(request, effect.sides ?? [], ports);
  const record = recordOf(
    request,
    {
      cardId: original.cardId,
      state: 'approved',
      responseCode: '00',
      reason: null,
      approvalCode: approvalCode(ports),
      ledgerEntryId: payerEntryId(transaction),
      originalTraceKey: original.traceKey,
    },
    ports,
  );
  return {
    record,
    marks: effect.mark ? [effect.mark] : [],
    ...(effect.hold && { hold: effect.hold }),
    ...(effect.usage && { usage: effect.usage }),
    ...(transaction && { transaction }),
    workItems: effect.workItems?.(record, ports) ?? [],
  };
}

function refusedChange(
  request: FollowUpRequest,
  original: RequestRecord | null,
  refusal: Refusal,
  ports: IssuerPorts,
): IssuerChange {
  const cardId = original?.panLookup === request.panLookup ? original.cardId : null;
  const originalTraceKey = original?.traceKey ?? null;
  const facts = { ...refusal, cardId, originalTraceKey } as const;
  const record = recordOf(request, { ...facts, state: 'declined' }, ports);
  const isAdvice = transactionSpec(request.kind).nature === 'advice';
  const note = refusal.reason;
  return {
    record,
    workItems: isAdvice ? [workItem('adviceRefused', record, { note }, ports)] : [],
  };
}

/** What every row asks of its original. */
function refuseOriginal(
  request: FollowUpRequest,
  original: RequestRecord | null,
  row: Row,
): Refusal | null {
  if (!original) return no('25', 'originalUnknown');
  if (!row.originals.some((kind) => kind === original.kind)) return no('12', 'originalKind');
  const isSame = original.panLookup === request.panLookup && original.currency === request.currency;
  if (!isSame) return no('12', 'originalDiffers');
  const isCode = request.approvalCode === null || request.approvalCode === original.approvalCode;
  if (original.state === 'approved' && !isCode) return no('12', 'approvalCodeDiffers');
  if (request.amountMinor <= 0n) return no('12', 'amountZero');
  return original.state === 'approved' ? null : no('12', STATE_REASONS[original.state]);
}

const STATE_REASONS: Readonly<Record<Exclude<RequestRecord['state'], 'approved'>, string>> = {
  declined: 'originalDeclined',
  voided: 'originalVoided',
  reversed: 'originalReversed',
  refusedAhead: 'originalReversed',
  acknowledged: 'originalKind',
};

/** The whole amount, nothing refunded, and the day of settlement has not turned. */
function refuseVoid({ request, original }: Standing): Refusal | null {
  if (request.amountMinor !== original.amountMinor) return no('64', 'amountDiffers');
  if (original.returnedMinor !== 0n) return no('12', 'refunded');
  const isSameDay = request.settlementDate === original.settlementDate;
  return isSameDay ? null : no('12', 'settlementDatePassed');
}

function voidEffect({ original, card }: Standing): Effect {
  return {
    sides: creditSides(card, original.amountMinor),
    mark: markOf(original, 'voided', original.amountMinor),
    usage: usageChange(original, -1),
  };
}

/**
 * A completion may not be declined. It takes what is held; of a hold whose time was over what was
 * authorised, if the account has it. The rest stands in the clearing, is owed, and a person looks.
 */
function completionEffect({ request, original, card, hold }: Standing): Effect {
  const { amountMinor } = request;
  const debit = completionDebit({ amountMinor, authorisedMinor: original.amountMinor, card, hold });
  return {
    sides: debit.sides,
    hold: hold && {
      from: hold.state,
      hold: { ...hold, heldMinor: 0n, postedMinor: debit.coveredMinor, state: 'posted' },
    },
    workItems: (record, ports) => {
      if (debit.owedMinor === 0n) return [];
      const kind = amountMinor > original.amountMinor ? 'aboveHold' : 'notCovered';
      const facts = { amountMinor: debit.owedMinor, note: 'completed without cover' };
      return [workItem(kind, record, facts, ports)];
    },
  };
}

/** How a completion is paid: from the hold, then from what is available, and the rest is owed. */
export function completionDebit(facts: {
  readonly amountMinor: bigint;
  readonly authorisedMinor: bigint;
  readonly card: CardView;
  readonly hold: Hold | null;
}): { readonly sides: readonly Side[]; readonly owedMinor: bigint; readonly coveredMinor: bigint } {
  const { amountMinor, authorisedMinor, card, hold } = facts;
  const heldMinor = hold?.heldMinor ?? 0n;
  const consentedMinor = least(amountMinor, authorisedMinor);
  const coveredMinor = least(consentedMinor, heldMinor + card.availableMinor);
  return { ...forcedDebit(card, { amountMinor, coveredMinor }), coveredMinor };
}

/**
 * After the void of a completion its money is held again, unless the time of the hold is over; what
 * went to pay a debt cannot be held.
 */
function holdAgain({ original, card, hold, nowMs }: Standing): HoldChange | null {
  if (hold?.state !== 'posted') return null;
  const creditMinor = original.amountMinor - least(original.amountMinor, card.owedMinor);
  const isOver = hold.expiresAtMs <= nowMs;
  const heldMinor = isOver ? 0n : least(hold.postedMinor, card.availableMinor + creditMinor);
  const state = heldMinor === 0n ? 'released' : 'held';
  return { from: 'posted', hold: { ...hold, heldMinor, postedMinor: 0n, state } };
}

/** A hold that keeps nothing any more. */
export function endHold(hold: Hold, state: 'released' | 'posted'): HoldChange {
  return { from: hold.state, hold: { ...hold, heldMinor: 0n, state } };
}

function no(responseCode: string, reason: string): Refusal {
  return { responseCode, reason };
}
