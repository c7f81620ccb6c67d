/** The three books at rest, read from the stores themselves, past every fault. */
import { type AuditLog, checkAuditLog } from '../../online/src/gateway/audit/log.ts';
import type { LedgerEntry, Order, Payment, PaymentState } from '../../online/src/gateway/model.ts';
import type { Operation, PaymentWhole } from '../../online/src/gateway/operations/model.ts';
import type { GatewayStore } from '../../online/src/gateway/store.ts';
import type { Books, RequestRecord } from '../../online/src/issuer/model.ts';
import { traceKeyOf } from '../../online/src/issuer/request.ts';
import type { IssuerStore } from '../../online/src/issuer/store.ts';
import type { Advice, Booking, Day, Transaction } from '../../online/src/switch/model.ts';
import type { SwitchStore } from '../../online/src/switch/store.ts';
import { transactionSpec } from '../../protocol/src/iso8583/index.ts';
import { plainTraceKey } from './bug.ts';

/** Where the books are. */
export type BookStores = {
  readonly gatewayStore: GatewayStore;
  readonly switchStore: SwitchStore;
  readonly issuerStore: IssuerStore;
  readonly audit: Pick<AuditLog, 'read'>;
};

/** Fields 32 and 41 of everything that the gateway sends. */
export type Acquirer = { readonly acquirer: string; readonly terminal: string };

/** All of it at one moment. */
export type ThreeBooks = {
  readonly acquirer: Acquirer;
  readonly orders: readonly Order[];
  readonly payments: readonly Payment[];
  readonly wholes: readonly PaymentWhole[];
  /** Payments whose reversal is not acknowledged. */
  readonly openReversals: readonly string[];
  readonly entries: readonly LedgerEntry[];
  readonly transactions: readonly Transaction[];
  readonly advices: readonly Advice[];
  readonly days: readonly Day[];
  readonly bookings: readonly (Booking & { readonly day: string })[];
  readonly issuer: Books;
  /** What is wrong with the audit log, or null. */
  readonly auditFault: string | null;
};

const PAYMENT_STATES: readonly PaymentState[] = [
  ...(['sending', 'authorised', 'held', 'captured', 'voided', 'declined'] as const),
  ...(['unknown', 'reversing', 'reversed'] as const),
];
const ROWS_MAX = 1_000_000;

/** Reads everything; `orderIds` are those that somebody was told of. */
export async function readBooks(
  stores: BookStores,
  orderIds: Iterable<string>,
  acquirer: Acquirer,
): Promise<ThreeBooks> {
  const { gatewayStore, switchStore, issuerStore } = stores;
  const limit = ROWS_MAX;
  const payments = await gatewayStore.listPayments({ states: PAYMENT_STATES, limit });
  const orders: Order[] = [];
  for (const orderId of new Set([...orderIds, ...payments.map((payment) => payment.orderId)])) {
    const order = await gatewayStore.findOrder(orderId);
    if (order) orders.push(order);
  }
  const wholes: PaymentWhole[] = [];
  const openReversals: string[] = [];
  for (const { paymentId } of payments) {
    const whole = await gatewayStore.findPaymentWhole(paymentId);
    if (whole) wholes.push(whole);
    const reversal = await gatewayStore.findReversal(paymentId);
    if (reversal && reversal.acknowledgedAtMs === null) openReversals.push(paymentId);
  }
  const days = await switchStore.days(limit);
  const bookings: (Booking & { readonly day: string })[] = [];
  for (const { settlementDate } of days) {
    const ofDay = await switchStore.listBookings({ settlementDate, after: null, limit });
    bookings.push(...ofDay.map((booking) => ({ ...booking, day: settlementDate })));
  }
  const { fault } = await checkAuditLog(stores.audit);
  return {
    ...{ acquirer, orders, payments, wholes, openReversals, days, bookings },
    entries: await gatewayStore.ledgerEntries(),
    transactions: await switchStore.transactions(),
    advices: await switchStore.advices(),
    issuer: await issuerStore.readBooks(),
    auditFault: fault && `${fault.why} at record ${fault.seq}`,
  };
}

/** The issuer's name of what a payment first sent. */
export function rootKey({ acquirer }: ThreeBooks, whole: PaymentWhole): string {
  const { payment, order } = whole;
  const kind = order.captureMode === 'manual' ? 'preAuthorisation' : 'sale';
  const { stan, transmission } = payment;
  return traceKeyOf(transactionSpec(kind).mti, { stan, transmission, ...acquirer });
}

/** The issuer's name of an operation's message. */
export function operationKey({ acquirer }: ThreeBooks, operation: Operation): string {
  const { transactionKind, stan, transmission } = operation;
  return traceKeyOf(transactionSpec(transactionKind).mti, { stan, transmission, ...acquirer });
}

/** The issuer's records by their plain names; a bug may have made several of one. */
export function recordsOf(books: ThreeBooks): ReadonlyMap<string, readonly RequestRecord[]> {
  const records = new Map<string, RequestRecord[]>();
  for (const record of books.issuer.requests) {
    const key = plainTraceKey(record);
    records.set(key, [...(records.get(key) ?? []), record]);
  }
  return records;
}

/** What the issuer owes for everything that began with one request, by that request's name. */
export function clearedByRoot(books: ThreeBooks): ReadonlyMap<string, bigint> {
  const records = new Map(books.issuer.requests.map((record) => [record.traceKey, record]));
  const rootOf = (traceKey: string): string => {
    let key = traceKey;
    // A reversal names a void, which names a completion, which names its pre-authorisation.
    for (let depth = 0; depth < 8; depth++) {
      const original = records.get(key)?.originalTraceKey;
      if (original == null) break;
      key = original;
    }
    return plainTraceKey({ traceKey: key });
  };
  const sums = new Map<string, bigint>();
  for (const { traceKey, postings } of books.issuer.transactions) {
    if (traceKey === null) continue;
    const cleared = postings
      .filter(({ accountId }) => accountId.startsWith('clearing-'))
      .reduce((sum, { amountMinor }) => sum + amountMinor, 0n);
    const root = rootOf(traceKey);
    sums.set(root, (sums.get(root) ?? 0n) + cleared);
  }
  return sums;
}
