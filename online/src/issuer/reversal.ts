/**
 * The issuer's decision on a reversal: idempotent, and remembered when it overtakes its original.
 * Each kind that can be reversed is a row that says how it is undone.
 * @see Q/CUP 006, messages 0420 and 0430
 */
import { type TransactionKind, transactionSpec } from '@tapnpay/protocol/iso8583';
import {
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
import { isLoadKind } from './ecash/load-types.ts';
import { completionDebit, endHold, findHold } from './follow-up.ts';
import { type CardView, electronicCashAccountId, type Hold, type RequestRecord } from './model.ts';
import type { IssuerPorts } from './ports.ts';
import type { ReversalRequest } from './request.ts';
import { changed, type Script, type ScriptChange } from './scripts/model.ts';
import type { HoldChange, IssuerChange, RequestMark, UsageChange } from './store.ts';

/** What the reversal finds of its original, and the answer to it. */
type Finding =
  | { readonly kind: 'approved'; readonly responseCode: '00' }
  /** Declined, reversed or voided before, or still to come: there is nothing to give back. */
  | {
      readonly kind: 'declined' | 'reversed' | 'voided' | 'unknown';
      readonly responseCode: '00';
    }
  /** Another card or amount than the original's, or a kind that is never reversed. */
  | { readonly kind: 'differs' | 'notReversible'; readonly responseCode: '12' };

/** What undoing stands on; the original is approved. */
type Standing = {
  readonly request: ReversalRequest;
  readonly original: RequestRecord;
  /** What the original itself was about, for a void or cancellation. */
  readonly earlier: RequestRecord | null;
  readonly card: CardView;
  readonly hold: Hold | null;
  /** Of a load, its script. */
  readonly load: Script | null;
  readonly nowMs: number;
};

/** What undoing moves; `null` when it cannot be done. */
export type Undoing = {
  readonly sides?: readonly Side[];
  /** Beside the original, which becomes `reversed`. */
  readonly mark?: RequestMark | null;
  readonly returnedMinor?: bigint;
  readonly hold?: HoldChange | null;
  readonly usage?: UsageChange | null;
  /** A debit that was not covered. */
  readonly owedMinor?: bigint;
  readonly scripts?: readonly ScriptChange[];
} | null;

/** How each kind is undone. A kind without a row is answered 12. */
const UNDOINGS: Partial<Readonly<Record<TransactionKind, (standing: Standing) => Undoing>>> = {
  balanceInquiry: () => ({}),
  sale: ({ original, card }) => ({
    sides: creditSides(card, original.amountMinor - original.returnedMinor),
    returnedMinor: original.amountMinor,
    usage: usageChange(original, -1),
  }),
  preAuthorisation: ({ original, hold }) => {
    if (hold?.state === 'posted') return null;
    return {
      hold: hold?.state === 'held' ? endHold(hold, 'released') : null,
      usage: usageChange(original, -1),
    };
  },
  saleVoid: undoSaleVoid,
  preAuthorisationCancel: undoCancel,
  completionVoid: undoCompletionVoid,
  designatedLoad: undoLoad,
  cashLoad: undoLoad,
  nonDesignatedLoad: undoLoad,
};

/** What one reversal does, decided on its original as it is now. */
export async function decideReversal(
  request: ReversalRequest,
  ports: IssuerPorts,
): Promise<IssuerChange> {
  const { store } = ports;
  const original = await store.findRequest(request.originalTraceKey);
  const finding = judge(request, original);
  const record = recordOf(
    request,
    {
      cardId: original?.cardId ?? null,
      state: 'acknowledged',
      responseCode: finding.responseCode,
      reason: finding.kind,
      originalTraceKey: request.originalTraceKey,
    },
    ports,
  );
  if (!original) {
    if (finding.kind === 'unknown') return { record, refusedAhead: refusedAhead(request, record) };
    return { record };
  }
  // A voided one is out of the books; reversed, it cannot come back when its void is reversed too.
  if (finding.kind === 'voided') {
    return { record, marks: [markOf(original, 'reversed', original.returnedMinor)] };
  }
  if (finding.kind !== 'approved' || original.cardId === null) return { record };
  const query = { card: { cardId: original.cardId }, atc: null, day: today(ports) };
  const card = await store.findCard(query);
  if (!card) return { record };
  const earlier =
    original.originalTraceKey === null ? null : await store.findRequest(original.originalTraceKey);
  const isVoid = original.kind === 'completionVoid';
  const hold = await findHold(isVoid && earlier ? earlier : original, ports);
  const nowMs = ports.clock.nowMs();
  const load = isLoadKind(original.kind) ? await store.findLoad(original.traceKey) : null;
  return undoneChange({ request, original, earlier, card, hold, load, nowMs }, record, ports);
}

function undoneChange(standing: Standing, record: RequestRecord, ports: IssuerPorts): IssuerChange {
  const { request, original } = standing;
  const undo = UNDOINGS[original.kind as TransactionKind];
  const undoing = undo?.(standing) ?? null;
  if (undoing === null) {
    const refused = { ...record, responseCode: '12', reason: 'notReversible' };
    const note = `${original.kind} cannot be undone any more`;
    return { record: refused, workItems: [workItem('reversalRefused', refused, { note }, ports)] };
  }
  const transaction = transactionOf(request, undoing.sides ?? [], ports);
  const own = markOf(original, 'reversed', undoing.returnedMinor ?? original.returnedMinor);
  const { owedMinor = 0n } = undoing;
  const owed = { amountMinor: owedMinor, note: 'the void was reversed when the money was spent' };
  return {
    record: { ...record, ledgerEntryId: payerEntryId(transaction) },
    marks: [own, ...(undoing.mark ? [undoing.mark] : [])],
    ...(undoing.hold && { hold: undoing.hold }),
    ...(undoing.usage && { usage: undoing.usage }),
    ...(transaction && { transaction }),
    ...(undoing.scripts && { scripts: undoing.scripts }),
    workItems: owedMinor === 0n ? [] : [workItem('notCovered', record, owed, ports)],
  };
}

function judge(request: ReversalRequest, original: RequestRecord | null): Finding {
  if (transactionSpec(request.originalKind).nature === 'advice') {
    return { kind: 'notReversible', responseCode: '12' };
  }
  if (!original) return { kind: 'unknown', responseCode: '00' };
  const isSame =
    original.panLookup === request.panLookup &&
    original.amountMinor === request.amountMinor &&
    original.currency === request.currency;
  if (!isSame) return { kind: 'differs', responseCode: '12' };
  if (original.state === 'approved') return { kind: 'approved', responseCode: '00' };
  if (original.state === 'voided') return { kind: 'voided', responseCode: '00' };
  return { kind: original.state === 'declined' ? 'declined' : 'reversed', responseCode: '00' };
}

/** The sale stands again; what its holder has spent meanwhile is owed. */
function undoSaleVoid({ earlier, card }: Standing): Undoing {
  if (earlier?.state !== 'voided') return {};
  const { amountMinor } = earlier;
  const coveredMinor = least(amountMinor, card.availableMinor);
  return {
    ...forcedDebit(card, { amountMinor, coveredMinor }),
    mark: markOf(earlier, 'approved', 0n),
    usage: usageChange(earlier, 1),
  };
}

/** The money is held again, as far as it is still there. */
function undoCancel({ earlier, card, hold, nowMs }: Standing): Undoing {
  if (earlier?.state !== 'voided') return {};
  const mark = markOf(earlier, 'approved', 0n);
  const usage = usageChange(earlier, 1);
  if (hold?.state !== 'released' || hold.expiresAtMs <= nowMs) return { mark, usage };
  const heldMinor = least(hold.amountMinor, card.availableMinor);
  const again: HoldChange = { from: 'released', hold: { ...hold, heldMinor, state: 'held' } };
  return { mark, usage, hold: heldMinor === 0n ? null : again };
}

/** The completion stands again, out of what was held again; null when that is used up. */
function undoCompletionVoid({ earlier, card, hold }: Standing): Undoing {
  if (earlier?.state !== 'voided') return {};
  if (!hold || hold.state === 'posted') return null;
  const { amountMinor } = earlier;
  const debit = completionDebit({ amountMinor, authorisedMinor: hold.amountMinor, card, hold });
  const posted: Hold = { ...hold, heldMinor: 0n, postedMinor: debit.coveredMinor, state: 'posted' };
  return {
    sides: debit.sides,
    owedMinor: debit.owedMinor,
    mark: markOf(earlier, 'approved', 0n),
    hold: { from: hold.state, hold: posted },
  };
}

/**
 * The acquirer's word that it never gave the answer, and with it the new total, to the card. Only
 * the first delivery is its to take back: what the card has confirmed, or was given again with a
 * later answer, stays debited. The card's next contact shows whether the word was true.
 */
function undoLoad({ original, card, load, nowMs }: Standing): Undoing {
  const isFirst = load?.delivery?.traceKey === original.traceKey && load.deliveries === 1;
  if (load?.state !== 'delivered' || load.evidence !== null || !isFirst) return null;
  const { amountMinor } = original;
  const { sourceAccountId } = load;
  if (sourceAccountId === null || card.electronicCashMinor < amountMinor) return null;
  return {
    sides: [
      [sourceAccountId, amountMinor],
      [electronicCashAccountId(card.cardId), -amountMinor],
    ],
    returnedMinor: amountMinor,
    scripts: [changed(load, { state: 'reversed' }, nowMs)],
  };
}

/** The original that must not pay when it arrives after its reversal. */
function refusedAhead(request: ReversalRequest, record: RequestRecord): RequestRecord {
  return {
    ...record,
    traceKey: request.originalTraceKey,
    kind: request.originalKind,
    fingerprint: '',
    state: 'refusedAhead',
    responseCode: '12',
    reason: 'reversedBefore',
    originalTraceKey: null,
  };
}
