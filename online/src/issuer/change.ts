/** Parts that the changes of all kinds of requests are made of: record, entries, usage, items. */
import { bytesToUint } from '@tapnpay/protocol/bytes';
import { uuidv7 } from '../runtime/index.ts';
import {
  type CardView,
  clearingAccountId,
  type LedgerTransaction,
  owedAccountId,
  type RequestRecord,
  type RequestState,
  type WorkItem,
  type WorkItemKind,
} from './model.ts';
import type { IssuerPorts } from './ports.ts';
import type { RequestBase } from './request.ts';
import { localDay } from './settlement.ts';
import type { RequestMark, UsageChange } from './store.ts';

/** Where ids and times come from. */
export type Making = Pick<IssuerPorts, 'clock' | 'random'>;

/** An account and what it gains. */
export type Side = readonly [accountId: string, amountMinor: bigint];

/** The record of a request that has no other facts than these. */
export function recordOf(
  request: RequestBase,
  facts: Pick<RequestRecord, 'cardId' | 'state' | 'responseCode' | 'reason'> &
    Partial<RequestRecord>,
  making: Making,
): RequestRecord {
  return {
    traceKey: request.traceKey,
    kind: request.kind,
    fingerprint: request.fingerprint,
    panLookup: request.panLookup,
    amountMinor: request.amountMinor,
    currency: request.currency,
    approvalCode: null,
    arqcVerified: null,
    ledgerEntryId: null,
    iccData: null,
    additionalAmounts: null,
    originalTraceKey: null,
    returnedMinor: 0n,
    settlementDate: request.settlementDate,
    usageDay: null,
    isNoPin: false,
    retrievalReference: request.retrievalReference,
    answeredAtMs: making.clock.nowMs(),
    ...facts,
  };
}

/** Field 38: six digits that say nothing. */
export function approvalCode(making: Making): string {
  return String(bytesToUint(making.random.bytes(4)) % 1_000_000).padStart(6, '0');
}

/** The ledger transaction of a request; null when nothing moves. Its first entry is the payer's. */
export function transactionOf(
  request: Pick<RequestBase, 'traceKey' | 'kind' | 'currency'>,
  sides: readonly Side[],
  making: Making,
): LedgerTransaction | null {
  const { traceKey, kind, currency } = request;
  const { clock, random } = making;
  const postings = sides
    .filter(([, amountMinor]) => amountMinor !== 0n)
    .map(([accountId, amountMinor]) => {
      return { entryId: uuidv7(clock, random), accountId, currency, amountMinor };
    });
  if (postings.length === 0) return null;
  const transactionId = uuidv7(clock, random);
  return { transactionId, kind, traceKey, atMs: clock.nowMs(), postings };
}

/** The payer's entry, null without a transaction. */
export function payerEntryId(transaction: LedgerTransaction | null): string | null {
  return transaction?.postings[0]?.entryId ?? null;
}

/** Money back to a card: what its holder owes is paid first. */
export function creditSides(card: CardView, amountMinor: bigint): readonly Side[] {
  const owedMinor = least(amountMinor, card.owedMinor);
  return [
    [card.accountId, amountMinor - owedMinor],
    [owedAccountId(card.cardId), owedMinor],
    [clearingAccountId(card.currency), -amountMinor],
  ];
}

/** A debit that may not be refused: what the card does not cover is owed. */
export type ForcedDebit = { readonly sides: readonly Side[]; readonly owedMinor: bigint };

/** `coveredMinor` of `amountMinor` comes from the card's account. */
export function forcedDebit(
  card: CardView,
  amounts: { readonly amountMinor: bigint; readonly coveredMinor: bigint },
): ForcedDebit {
  const { amountMinor, coveredMinor } = amounts;
  const owedMinor = amountMinor - coveredMinor;
  return {
    sides: [
      [card.accountId, -coveredMinor],
      [owedAccountId(card.cardId), -owedMinor],
      [clearingAccountId(card.currency), amountMinor],
    ],
    owedMinor,
  };
}

/** What a day gains by a payment, `sign` 1, or loses when it is undone, -1. */
export function usageChange(
  record: Pick<RequestRecord, 'cardId' | 'usageDay' | 'amountMinor' | 'isNoPin'>,
  sign: 1 | -1,
): UsageChange | null {
  const { cardId, usageDay, isNoPin } = record;
  if (cardId === null || usageDay === null) return null;
  const amountMinor = BigInt(sign) * record.amountMinor;
  const noPinMinor = isNoPin ? amountMinor : 0n;
  return { cardId, day: usageDay, amountMinor, count: sign, noPinMinor };
}

/** What becomes of an earlier request. */
export function markOf(
  record: RequestRecord,
  to: RequestState,
  returnedMinor: bigint,
): RequestMark {
  const { traceKey, state, returnedMinor: returnedBeforeMinor } = record;
  return { traceKey, from: state, to, returnedBeforeMinor, returnedMinor };
}

/** Something for a person, about a record. */
export function workItem(
  kind: WorkItemKind,
  record: RequestRecord,
  facts: { readonly amountMinor?: bigint; readonly note: string },
  making: Making,
): WorkItem {
  const { clock, random } = making;
  const { traceKey, cardId, currency } = record;
  return {
    itemId: uuidv7(clock, random),
    kind,
    traceKey,
    cardId,
    amountMinor: facts.amountMinor ?? record.amountMinor,
    currency,
    note: facts.note,
    openedAtMs: clock.nowMs(),
  };
}

/** The day of China that limits count by. */
export function today(making: Pick<Making, 'clock'>): string {
  return localDay(making.clock.nowMs());
}

/** The lesser of two amounts. */
export function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
