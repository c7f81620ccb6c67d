/**
 * The invariants I1 to I6 over the three books once a world is at rest. Each finding names the
 * invariant, what is wrong, and the identifiers by which the history tells how it came.
 */
import { LEDGER_PAYER_CLEARING, type Payment } from '../../online/src/gateway/model.ts';
import {
  isLive,
  type Operation,
  type OperationKind,
  type PaymentWhole,
} from '../../online/src/gateway/operations/model.ts';
import type { LedgerTransaction, RequestState } from '../../online/src/issuer/model.ts';
import { clearedByRoot, operationKey, recordsOf, rootKey, type ThreeBooks } from './books.ts';
import type { Told } from './merchant.ts';

/** The invariants, in the words of the report. */
export const INVARIANTS = {
  I1: 'one approved and unreversed debit at the issuer for each order; one for each cryptogram',
  I2: 'what was told approved stands in all three books with one amount; what was denied in none',
  I3: 'no request stays without an end: confirmed, or reversed and acknowledged',
  I4: 'entries sum to zero, balances equal entries, each payment has one sum in both ledgers',
  I5: 'refunded is at most captured, captured at most held; no more is given back than was taken',
  I6: 'one idempotency key, one order and one operation; another body is refused',
  I7: 'each change is one event, numbered without gaps; doubled and in any order, one end',
  I8: 'each transaction is booked in one settlement day, and the days come to one sum in all books',
  I10: 'no card number in any log, notification or book',
  I11: 'the audit chain holds',
} as const;
/** I9, electronic cash, has a row here as soon as the parties load cards. */
export type Invariant = keyof typeof INVARIANTS;

/** A broken invariant. */
export type Finding = {
  readonly invariant: Invariant;
  readonly what: string;
  /** Identifiers, trace and reference numbers of what it is about. */
  readonly about: readonly string[];
};

/** All broken ones of I1 to I6 and I11. */
export function checkBooks(books: ThreeBooks, told: Told): readonly Finding[] {
  return [
    ...singleDebits(books),
    ...lostApprovals(books),
    ...brokenWords(books, told),
    ...unfinished(books),
    ...ledgers(books),
    ...sums(books),
    ...idempotency(told),
    ...(books.auditFault === null
      ? []
      : [{ invariant: 'I11' as const, what: `the audit log: ${books.auditFault}`, about: [] }]),
  ];
}

/** Identifiers of a payment. */
export function namesOf(payment: Payment): readonly string[] {
  return [payment.orderId, payment.paymentId, payment.stan, payment.retrievalReference];
}

const TAKEN: readonly string[] = ['held', 'captured', 'voided'];

/** I1, and that the issuer debited nothing that the gateway does not know. */
function singleDebits(books: ThreeBooks): readonly Finding[] {
  const findings: Finding[] = [];
  const records = recordsOf(books);
  const known = new Set(books.wholes.map((whole) => rootKey(books, whole)));
  for (const [key, cleared] of clearedByRoot(books)) {
    if (known.has(key) || cleared === 0n) continue;
    const what = `the issuer debited ${key}, which the gateway does not know`;
    findings.push({ invariant: 'I1', what, about: key.split('/') });
  }
  for (const { orderId } of books.orders) {
    const wholes = books.wholes.filter(({ payment }) => payment.orderId === orderId);
    const count = wholes
      .flatMap((whole) => records.get(rootKey(books, whole)) ?? [])
      .filter(({ state }) => state === 'approved').length;
    if (count <= 1) continue;
    const what = `order ${orderId} was debited ${count} times`;
    const about = wholes.flatMap(({ payment }) => namesOf(payment));
    findings.push({ invariant: 'I1', what, about });
  }
  const cryptograms = new Map<string, Payment>();
  for (const payment of books.payments) {
    if (!TAKEN.includes(payment.state)) continue;
    const { panMasked, card } = payment;
    const key = `${panMasked} ${card.applicationTransactionCounter} ${card.arqc}`;
    const other = cryptograms.get(key);
    cryptograms.set(key, payment);
    if (!other) continue;
    const what = `one cryptogram paid ${other.paymentId} and ${payment.paymentId}`;
    findings.push({ invariant: 'I1', what, about: [other, payment].flatMap(namesOf) });
  }
  return findings;
}

/** I2: what the gateway holds for paid or held stands in the other books. */
function lostApprovals(books: ThreeBooks): readonly Finding[] {
  const findings: Finding[] = [];
  for (const whole of books.wholes) {
    const wrong = missingIn(books, whole);
    const { payment } = whole;
    if (wrong === null) continue;
    const what = `${payment.state} payment ${payment.paymentId} ${wrong}`;
    findings.push({ invariant: 'I2', what, about: namesOf(payment) });
  }
  const wanted: Readonly<Record<string, string>> = {
    ...{ paid: 'captured', authorised: 'held', voided: 'voided' },
  };
  for (const { orderId, status } of books.orders) {
    const taken = books.payments.filter(
      (payment) => payment.orderId === orderId && TAKEN.includes(payment.state),
    );
    const state = wanted[status];
    const isRight = state === undefined ? taken.length === 0 : taken[0]?.state === state;
    if (isRight && taken.length <= 1) continue;
    const states = taken.map((payment) => payment.state).join(', ');
    const what = `order ${orderId} is ${status}, its payments ${states}`;
    findings.push({ invariant: 'I2', what, about: taken.flatMap(namesOf) });
  }
  return findings;
}

function done(whole: PaymentWhole, kind: OperationKind): Operation | undefined {
  return whole.operations.find((one) => one.kind === kind && one.state === 'succeeded');
}

/** What is wrong with a payment that is held, captured or voided; null when nothing is. */
function missingIn(books: ThreeBooks, whole: PaymentWhole): string | null {
  const { payment, order } = whole;
  if (!TAKEN.includes(payment.state)) return null;
  const { amountMinor, stan, transmission } = payment;
  const passed = books.transactions.find(
    (row) => row.stan === stan && row.transmission === transmission,
  );
  if (!passed) return "is not in the switch's journal";
  if (passed.state !== 'answered' || passed.responseCode !== '00') {
    return `is ${passed.state} (${passed.responseCode}) at the switch`;
  }
  if (passed.amountMinor !== amountMinor) return 'has another amount at the switch';
  const capture = done(whole, 'capture');
  const isCompletionVoided = payment.state === 'voided' && capture !== undefined;
  const state: RequestState =
    payment.state === 'voided' && !isCompletionVoided ? 'voided' : 'approved';
  const wrong = issuerFault(books, { key: rootKey(books, whole), state, amountMinor });
  if (wrong !== null || order.captureMode === 'automatic') return wrong;
  const hold = books.issuer.holds.find(({ holdId }) => holdId === rootKey(books, whole));
  if (payment.state === 'held' && hold?.state !== 'held') return `has a ${hold?.state} hold`;
  if (!capture) {
    if (payment.state === 'captured') return 'was captured by no operation';
    return payment.state === 'voided' && hold?.state === 'held' ? 'is still held' : null;
  }
  return issuerFault(books, {
    key: operationKey(books, capture),
    state: isCompletionVoided ? 'voided' : 'approved',
    amountMinor: capture.amountMinor,
  });
}

function issuerFault(
  books: ThreeBooks,
  wanted: { readonly key: string; readonly state: RequestState; readonly amountMinor: bigint },
): string | null {
  const [record] = recordsOf(books).get(wanted.key) ?? [];
  if (!record) return 'is not at the issuer';
  if (record.state !== wanted.state) return `is ${record.state} at the issuer`;
  return record.amountMinor === wanted.amountMinor ? null : 'has another amount at the issuer';
}

/** I2: what payers and merchants were told still holds. */
function brokenWords(books: ThreeBooks, told: Told): readonly Finding[] {
  const findings: Finding[] = [];
  const wrong = (what: string, about: readonly string[]): void => {
    findings.push({ invariant: 'I2', what, about });
  };
  for (const { paymentId, who } of told.denied) {
    const payment = books.payments.find((other) => other.paymentId === paymentId);
    if (payment && !['held', 'captured'].includes(payment.state)) continue;
    const what = `${who} was told that payment ${paymentId} charged nothing, and it did`;
    wrong(what, payment ? namesOf(payment) : [paymentId]);
  }
  for (const { orderId, who } of told.approved) {
    const order = books.orders.find((other) => other.orderId === orderId);
    if (order && ['paid', 'authorised', 'voided'].includes(order.status)) continue;
    wrong(`${who} was told that order ${orderId} is paid, and it is not`, [orderId]);
  }
  const operations = books.wholes.flatMap((whole) => whole.operations);
  for (const { operationId, state } of told.operationEnds) {
    const operation = operations.find((other) => other.operationId === operationId);
    if (operation?.state === state) continue;
    wrong(`the merchant was told that operation ${operationId} ${state}`, [operationId]);
  }
  return findings;
}

/** I3. */
export function unfinished(books: ThreeBooks): readonly Finding[] {
  const findings: Finding[] = [];
  const stays = (what: string, about: readonly string[]): void => {
    findings.push({ invariant: 'I3', what, about });
  };
  for (const payment of books.payments) {
    if ([...TAKEN, 'declined', 'reversed'].includes(payment.state)) continue;
    stays(`payment ${payment.paymentId} stays ${payment.state}`, namesOf(payment));
  }
  for (const { operations } of books.wholes) {
    for (const { operationId, paymentId, kind, state, stan } of operations) {
      if (['succeeded', 'failed', 'reversed'].includes(state)) continue;
      stays(`${kind} ${operationId} stays ${state}`, [operationId, paymentId, stan]);
    }
  }
  for (const paymentId of books.openReversals) {
    stays(`the reversal of payment ${paymentId} is not acknowledged`, [paymentId]);
  }
  for (const row of books.transactions) {
    if (row.state === 'answered' || row.state === 'reversed') continue;
    const about = [row.stan, row.retrievalReference ?? ''];
    stays(`transaction ${row.stan} stays ${row.state} at the switch`, about);
  }
  for (const { kind, stan, state, settledAtMs } of books.advices) {
    if (settledAtMs !== null) continue;
    stays(`${kind} ${stan} of the switch is ${state} and not acknowledged`, [stan]);
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
  for (const { transactionId, currency, phase, amountMinor } of books.entries) {
    const key = `${transactionId} ${currency} ${phase}`;
    groups.set(key, (groups.get(key) ?? 0n) + amountMinor);
  }
  for (const [key, sum] of groups) {
    if (sum !== 0n) wrong(`gateway entries of ${key} sum to ${sum}`, key.split(/[ :]/));
  }
  for (const transaction of books.issuer.transactions) {
    for (const [currency, sum] of sumsOf(transaction)) {
      if (sum === 0n) continue;
      wrong(`issuer transaction ${transaction.transactionId} sums to ${sum} ${currency}`);
    }
  }
  accounts(books, wrong);
  const cleared = clearedByRoot(books);
  for (const whole of books.wholes) {
    const { payment } = whole;
    const posted = postedMinor(books, payment.paymentId);
    const issuer = cleared.get(rootKey(books, whole)) ?? 0n;
    if (posted === issuer) continue;
    const about = [...namesOf(payment), ...whole.operations.flatMap(({ stan }) => stan)];
    wrong(`payment ${payment.paymentId}: ${posted} at the gateway, ${issuer} at the issuer`, about);
  }
  return findings;
}

/** What a payment has come to in the gateway's book, minor units. */
function postedMinor({ entries }: ThreeBooks, paymentId: string): bigint {
  return entries
    .filter((entry) => entry.paymentId === paymentId && entry.phase === 'posted')
    .filter(({ account }) => account === LEDGER_PAYER_CLEARING)
    .reduce((sum, { amountMinor }) => sum + amountMinor, 0n);
}

function accounts(books: ThreeBooks, wrong: (what: string) => void): void {
  for (const account of books.issuer.accounts) {
    const { accountId, balanceMinor, heldMinor, creditLineMinor } = account;
    if (balanceMinor === null) continue;
    const sum = books.issuer.transactions
      .flatMap(({ postings }) => postings)
      .filter((posting) => posting.accountId === accountId)
      .reduce((total, { amountMinor }) => total + amountMinor, 0n);
    if (sum !== balanceMinor) wrong(`account ${accountId}: ${balanceMinor}, its entries ${sum}`);
    const holds = books.issuer.holds
      .filter((hold) => hold.accountId === accountId && hold.state === 'held')
      .reduce((total, hold) => total + hold.heldMinor, 0n);
    if (holds !== heldMinor) wrong(`account ${accountId} holds ${heldMinor}, its holds ${holds}`);
    const isOwed = accountId.startsWith('owed-');
    const isOver = isOwed ? balanceMinor > 0n : balanceMinor + creditLineMinor < heldMinor;
    if (isOver) wrong(`account ${accountId} is overdrawn: ${balanceMinor}`);
  }
}

function sumsOf({ postings }: LedgerTransaction): ReadonlyMap<string, bigint> {
  const sums = new Map<string, bigint>();
  for (const { currency, amountMinor } of postings) {
    sums.set(currency, (sums.get(currency) ?? 0n) + amountMinor);
  }
  return sums;
}

/** I5 at the gateway, by its balances and by its operations, and at the issuer. */
function sums(books: ThreeBooks): readonly Finding[] {
  const findings: Finding[] = [];
  const wrong = (what: string, about: readonly string[]): void => {
    findings.push({ invariant: 'I5', what, about });
  };
  const cleared = clearedByRoot(books);
  for (const whole of books.wholes) {
    const { payment, balance, operations } = whole;
    const { heldMinor, capturedMinor, refundedMinor, pendingRefundMinor } = balance;
    const { paymentId } = payment;
    if (refundedMinor + pendingRefundMinor > capturedMinor || capturedMinor > heldMinor) {
      wrong(`payment ${paymentId}: ${refundedMinor} of ${capturedMinor}`, namesOf(payment));
    }
    const refunds = operations
      .filter((operation) => operation.kind === 'refund' && isLive(operation))
      .reduce((sum, { amountMinor }) => sum + amountMinor, 0n);
    if (refunds > capturedMinor) {
      wrong(`payment ${paymentId}: ${refunds} refunded of ${capturedMinor}`, namesOf(payment));
    }
    const net = cleared.get(rootKey(books, whole)) ?? 0n;
    if (net >= 0n && net <= payment.amountMinor) continue;
    wrong(`payment ${paymentId} of ${payment.amountMinor} cost ${net}`, namesOf(payment));
  }
  for (const { traceKey, amountMinor, returnedMinor } of books.issuer.requests) {
    if (returnedMinor <= amountMinor) continue;
    wrong(`${traceKey}: ${returnedMinor} given back of ${amountMinor}`, traceKey.split('/'));
  }
  return findings;
}

/** I6. */
function idempotency(told: Told): readonly Finding[] {
  const several = [
    ...[...told.ordersOfKey].map(([key, ids]) => ({ key, ids, what: 'orders' })),
    ...[...told.operationsOfKey].map(([key, ids]) => ({ key, ids, what: 'operations' })),
  ].filter(({ ids }) => ids.size > 1);
  return [
    ...several.map(({ key, ids, what }) => ({
      invariant: 'I6' as const,
      what: `key ${key} made ${ids.size} ${what}`,
      about: [key, ...ids],
    })),
    ...told.misusedKeys.map((key) => ({
      invariant: 'I6' as const,
      what: `key ${key} was taken with another body`,
      about: [key],
    })),
  ];
}
