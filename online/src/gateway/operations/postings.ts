/**
 * What payments, captures, voids and refunds write into the book: legs of one transaction, debits
 * positive, their sum zero in each phase (ledger/accounts.ts). Amounts are minor units.
 */
import {
  LEDGER_PAYER_CLEARING,
  type LedgerKind,
  type LedgerPhase,
  merchantPayable,
  type NewPosting,
  type Order,
  type Payment,
} from '../model.ts';
import type { OperationAfter } from './store.ts';

/** A payment and the settlement day, YYYYMMDD, of what happens to it. */
type Booked = {
  readonly order: Pick<Order, 'merchantId' | 'mode'>;
  readonly payment: Pick<Payment, 'paymentId' | 'amountMinor' | 'currency'>;
  readonly settlementDate: string;
};

/** Paid at once: the payer's side owes, the merchant gets. */
export function salePostings(booked: Booked): readonly NewPosting[] {
  const { paymentId, amountMinor } = booked.payment;
  return legs(booked, { kind: 'sale', subjectId: paymentId, moves: { posted: amountMinor } });
}

/** Held for a capture: nothing is owed yet. */
export function holdPostings(booked: Booked): readonly NewPosting[] {
  const { paymentId, amountMinor } = booked.payment;
  return legs(booked, { kind: 'hold', subjectId: paymentId, moves: { pending: amountMinor } });
}

/**
 * A capture posts its amount and releases the whole hold; a void releases a hold, or takes back
 * what was captured; a refund takes back its part.
 */
export function operationPostings(
  after: OperationAfter,
  settlementDate: string,
): readonly NewPosting[] {
  const { order, payment, operation } = after;
  const { operationId: subjectId, kind, transactionKind, amountMinor } = operation;
  const release = { pending: -payment.amountMinor };
  const isRelease = transactionKind === 'preAuthorisationCancel';
  const back = isRelease ? release : { posted: -amountMinor };
  const moves = kind === 'capture' ? { posted: amountMinor, ...release } : back;
  return legs({ order, payment, settlementDate }, { kind, subjectId, moves });
}

function legs(
  { order, payment, settlementDate }: Booked,
  what: {
    readonly kind: LedgerKind;
    readonly subjectId: string;
    /** What the payer's side owes more, by phase. */
    readonly moves: Partial<Record<LedgerPhase, bigint>>;
  },
): readonly NewPosting[] {
  const { kind } = what;
  const base = { kind, mode: order.mode, currency: payment.currency, settlementDate };
  const transactionId = `${kind}:${what.subjectId}`;
  return Object.entries(what.moves)
    .flatMap(([phase, amountMinor]) => [
      { phase: phase as LedgerPhase, account: LEDGER_PAYER_CLEARING, amountMinor },
      {
        phase: phase as LedgerPhase,
        account: merchantPayable(order.merchantId),
        amountMinor: -amountMinor,
      },
    ])
    .map((posting, leg) => ({ ...base, ...posting, transactionId, leg }));
}
