/**
 * The invariants over the three books once a world is at rest. Each finding names the invariant,
 * what is wrong, and the identifiers by which the history tells how it came.
 */
import type { LedgerEntry, Order, Payment } from '../../online/src/gateway/model.ts';
import type { Books, LedgerTransaction, RequestRecord } from '../../online/src/issuer/model.ts';
import { traceKeyOf } from '../../online/src/issuer/request.ts';
import type { Advice, Transaction } from '../../online/src/switch/model.ts';
import { plainTraceKey } from './bugs.ts';
import type { Told } from './merchant.ts';
import type { Parties } from './parties.ts';

/** The invariants, in the words of the report. */
export const INVARIANTS = {
  I1: 'at most one approved and unreversed debit at the issuer for each order',
  I2: 'what was told approved stands in all three books with one amount; what was denied in none',
  I3: 'no request stays without an end: confirmed, or reversed and acknowledged',
  I4: 'entries sum to zero, balances equal entries, debits equal what was captured',
  I5: 'no more is reversed than was debited',
  I6: 'one idempotency key, one order; another body is refused',
} as const;
export type Invariant = keyof typeof INVARIANTS;

/** A broken invariant. */
export type Finding = {
  readonly invariant: Invariant;
  readonly what: string;
  /** Identifiers, trace and reference numbers of what it is about. */
  readonly about: readonly string[];
};

/** The three books at rest. */
export type ThreeBooks = {
  readonly orders: readonly Order[];
  readonly payments: readonly Payment[];
  /** Payments whose reversal is not acknowledged. */
  readonly openReversals: readonly string[];
  readonly entries: readonly LedgerEntry[];
  readonly transactions: readonly Transaction[];
  readonly advices: readonly Advice[];
  readonly issuer: Books;
};

const PAYMENT_STATES = [
  ...(['sending', 'authorised', 'captured', 'declined'] as const),
  ...(['unknown', 'reversing', 'reversed'] as const),
];

/** Reads the stores themselves, past every fault. */
export async function readBooks(parties: Parties, told: Told): Promise<ThreeBooks> {
  const { gatewayStore, switchStore, issuerStore } = parties;
  const limit = Number.MAX_SAFE_INTEGER;
  const payments = await gatewayStore.listPayments({ states: PAYMENT_STATES, limit });
  const orders: Order[] = [];
  const orderIds = [...told.ordersOfKey.values()].flatMap((ids) => [...ids]);
  for (const orderId of new Set([...orderIds, ...payments.map((payment) => payment.orderId)])) {
    const order = await gatewayStore.findOrder(orderId);
    if (order) orders.push(order);
  }
  const openReversals: string[] = [];
  for (const { paymentId } of payments) {
    const reversal = await gatewayStore.findReversal(paymentId);
    if (reversal && reversal.acknowledgedAtMs === null) openReversals.push(paymentId);
  }
  return {
    orders,
    payments,
    openReversals,
    entries: await gatewayStore.ledgerEntries(),
    transactions: await switchStore.transactions(),
    advices: await switchStore.advices(),
    issuer: await issuerStore.readBooks(),
  };
}

/** Whether nothing is under way in any book. */
export function isAtRest(books: ThreeBooks): boolean {
  return unfinished(books).length === 0;
}

/** All broken invariants. */
export function checkBooks(books: ThreeBooks, told: Told): readonly Finding[] {
  return [
    ...singleDebits(books),
    ...lostApprovals(books, told),
    ...unfinished(books),
    ...ledgers(books),
    ...reversedSums(books),
    ...idempotency(told),
  ];
}

function traceKey(payment: Payment): string {
  const { stan, transmission } = payment;
  const line = { acquirer: '49990000001', terminal: 'TAP00001' };
  return traceKeyOf('0200', { stan, transmission, ...line });
}

function namesOf(payment: Payment): readonly string[] {
  return [payment.orderId, payment.paymentId, payment.stan, payment.retrievalReference];
}

/** Approved, unreversed purchases at the issuer, by the request's own trace. */
function standingDebits({ issuer }: ThreeBooks): ReadonlyMap<string, readonly RequestRecord[]> {
  const debits = new Map<string, RequestRecord[]>();
  for (const record of issuer.requests) {
    if (record.kind !== 'sale' || record.state !== 'approved') continue;
    const key = plainTraceKey(record);
    debits.set(key, [...(debits.get(key) ?? []), record]);
  }
  return debits;
}

/** I1, and that each debit belongs to a captured payment. */
function singleDebits(books: ThreeBooks): readonly Finding[] {
  const debits = standingDebits(books);
  const known = new Set(books.payments.map(traceKey));
  const findings: Finding[] = [];
  for (const key of debits.keys()) {
    if (known.has(key)) continue;
    const what = `the issuer debited ${key}, which the gateway does not know`;
    findings.push({ invariant: 'I1', what, about: key.split('/') });
  }
  for (const { orderId } of books.orders) {
    const payments = books.payments.filter((payment) => payment.orderId === orderId);
    const count = payments
      .map((payment) => debits.get(traceKey(payment))?.length ?? 0)
      .reduce((sum, value) => sum + value, 0);
    if (count <= 1) continue;
    const what = `order ${orderId} was debited ${count} times`;
    findings.push({ invariant: 'I1', what, about: payments.flatMap(namesOf) });
  }
  return findings;
}

/** I2: a captured payment, and whatever anybody was told. */
function lostApprovals(books: ThreeBooks, told: Told): readonly Finding[] {
  const findings: Finding[] = [];
  for (const payment of books.payments) {
    if (payment.state !== 'captured') continue;
    const missing = missingIn(books, payment);
    if (missing === null) continue;
    const what = `captured payment ${payment.paymentId} ${missing}`;
    findings.push({ invariant: 'I2', what, about: namesOf(payment) });
  }
  for (const { paymentId, who } of told.denied) {
    const payment = books.payments.find((other) => other.paymentId === paymentId);
    if (payment && payment.state !== 'captured') continue;
    const what = `${who} was told that payment ${paymentId} charged nothing, and it did`;
    findings.push({ invariant: 'I2', what, about: payment ? namesOf(payment) : [paymentId] });
  }
  for (const order of books.orders) {
    const captured = books.payments.filter(
      ({ orderId, state }) => orderId === order.orderId && state === 'captured',
    );
    if (captured.length === (order.status === 'paid' ? 1 : 0)) continue;
    const what = `order ${order.orderId} is ${order.status}, ${captured.length} payments captured`;
    findings.push({ invariant: 'I2', what, about: captured.flatMap(namesOf) });
  }
  for (const { orderId, who } of told.approved) {
    const order = books.orders.find((other) => other.orderId === orderId);
    const isCaptured = books.payments.some(
      (payment) => payment.orderId === orderId && payment.state === 'captured',
    );
    if (order?.status === 'paid' && isCaptured) continue;
    const what = `${who} was told that order ${orderId} is paid, and it is not`;
    findings.push({ invariant: 'I2', what, about: [orderId] });
  }
  return findings;
}

function missingIn(books: ThreeBooks, payment: Payment): string | null {
  const { paymentId, amountMinor, stan, transmission } = payment;
  const captured = books.entries
    .filter((entry) => entry.paymentId === paymentId && entry.amountMinor > 0n)
    .map((entry) => entry.amountMinor);
  if (captured.length !== 1 || captured[0] !== amountMinor) {
    return 'is not once in the gateway ledger with its amount';
  }
  const passed = books.transactions.find(
    (row) => row.stan === stan && row.transmission === transmission,
  );
  if (!passed) return "is not in the switch's journal";
  if (passed.state !== 'answered' || passed.responseCode !== '00') {
    return `is ${passed.state} (${passed.responseCode}) at the switch`;
  }
  if (passed.amountMinor !== amountMinor) return 'has another amount at the switch';
  const [debit] = standingDebits(books).get(traceKey(payment)) ?? [];
  if (!debit) return 'is no standing debit at the issuer';
  return debit.amountMinor === amountMinor ? null : 'has another amount at the issuer';
}

/** I3. */
function unfinished(books: ThreeBooks): readonly Finding[] {
  const findings: Finding[] = [];
  for (const payment of books.payments) {
    if (['captured', 'declined', 'reversed'].includes(payment.state)) continue;
    const what = `payment ${payment.paymentId} stays ${payment.state}`;
    findings.push({ invariant: 'I3', what, about: namesOf(payment) });
  }
  for (const paymentId of books.openReversals) {
    const what = `the reversal of payment ${paymentId} is not acknowledged`;
    findings.push({ invariant: 'I3', what, about: [paymentId] });
  }
  for (const row of books.transactions) {
    if (row.state === 'answered' || row.state === 'reversed') continue;
    const what = `transaction ${row.stan} stays ${row.state} at the switch`;
    findings.push({ invariant: 'I3', what, about: [row.stan, row.retrievalReference ?? ''] });
  }
  for (const advice of books.advices) {
    if (advice.settledAtMs !== null) continue;
    const what = `reversal ${advice.stan} of the switch is not acknowledged`;
    findings.push({ invariant: 'I3', what, about: [advice.stan] });
  }
  return findings;
}

/** I4 over both ledgers, and between them. */
function ledgers(books: ThreeBooks): readonly Finding[] {
  const findings: Finding[] = [];
  const wrong = (what: string, about: readonly string[] = []): void => {
    findings.push({ invariant: 'I4', what, about });
  };
  const groups = new Map<string, bigint>();
  for (const { paymentId, currency, amountMinor } of books.entries) {
    const key = `${paymentId} ${currency}`;
    groups.set(key, (groups.get(key) ?? 0n) + amountMinor);
  }
  for (const [key, sum] of groups) {
    if (sum !== 0n) wrong(`gateway entries of ${key} sum to ${sum}`, key.split(' '));
  }
  for (const transaction of books.issuer.transactions) {
    for (const [currency, sum] of sumsOf(transaction)) {
      if (sum === 0n) continue;
      wrong(`issuer transaction ${transaction.transactionId} sums to ${sum} ${currency}`);
    }
  }
  for (const { accountId, balanceMinor } of books.issuer.accounts) {
    if (balanceMinor === null) continue;
    const sum = books.issuer.transactions
      .flatMap(({ postings }) => postings)
      .filter((posting) => posting.accountId === accountId)
      .reduce((total, { amountMinor }) => total + amountMinor, 0n);
    if (sum !== balanceMinor) wrong(`account ${accountId}: ${balanceMinor}, its entries ${sum}`);
    if (balanceMinor < 0n) wrong(`account ${accountId} is overdrawn: ${balanceMinor}`);
  }
  const captured = books.entries
    .filter(({ amountMinor }) => amountMinor > 0n)
    .reduce((sum, { amountMinor }) => sum + amountMinor, 0n);
  const cleared = books.issuer.transactions
    .flatMap(({ postings }) => postings)
    .filter(({ accountId }) => accountId.startsWith('clearing-'))
    .reduce((sum, { amountMinor }) => sum + amountMinor, 0n);
  if (captured === cleared) return findings;
  const debits = standingDebits(books);
  const differing = books.payments.filter(
    (payment) => (payment.state === 'captured') !== debits.has(traceKey(payment)),
  );
  wrong(`captured ${captured}, debited ${cleared}`, differing.flatMap(namesOf));
  return findings;
}

function sumsOf({ postings }: LedgerTransaction): ReadonlyMap<string, bigint> {
  const sums = new Map<string, bigint>();
  for (const { currency, amountMinor } of postings) {
    sums.set(currency, (sums.get(currency) ?? 0n) + amountMinor);
  }
  return sums;
}

/** I5, for each card; each purchase is reversed once at most. */
function reversedSums({ issuer }: ThreeBooks): readonly Finding[] {
  const sums = new Map<string, { debited: bigint; reversed: bigint }>();
  for (const { kind, postings } of issuer.transactions) {
    if (kind === 'opening') continue;
    for (const { accountId, amountMinor } of postings) {
      if (!accountId.startsWith('card-')) continue;
      const sum = sums.get(accountId) ?? { debited: 0n, reversed: 0n };
      if (kind === 'sale') sum.debited -= amountMinor;
      else sum.reversed += amountMinor;
      sums.set(accountId, sum);
    }
  }
  return [...sums]
    .filter(([, { debited, reversed }]) => reversed > debited)
    .map(([accountId, { debited, reversed }]) => ({
      invariant: 'I5',
      what: `${accountId} was debited ${debited} and given back ${reversed}`,
      about: [],
    }));
}

/** I6. */
function idempotency(told: Told): readonly Finding[] {
  const several = [...told.ordersOfKey].filter(([, orders]) => orders.size > 1);
  return [
    ...several.map(([key, orders]) => ({
      invariant: 'I6' as const,
      what: `key ${key} made ${orders.size} orders`,
      about: [key, ...orders],
    })),
    ...told.misusedKeys.map((key) => ({
      invariant: 'I6' as const,
      what: `key ${key} was taken with another body`,
      about: [key],
    })),
  ];
}
