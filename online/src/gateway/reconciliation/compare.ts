/**
 * The comparison of a settlement day: ledger against the switch's file, ledger against the
 * merchants' statements. Pure, and in one order whatever the order of the sources.
 */
import {
  type Comparison,
  type Difference,
  type DifferenceClass,
  keyOf,
  type LocalRecord,
  type LocalTrace,
  type Money,
  type Side,
  type Source,
  type SwitchLine,
} from './model.ts';

/** Everything of a day. */
export type DayBooks = {
  readonly local: readonly LocalRecord[];
  /** Payments and operations by the keys that the ledger of the day has not. */
  readonly traces: readonly LocalTrace[];
  readonly switchLines: readonly SwitchLine[];
  /** Keys whose reversal is in the switch's file of a later day. */
  readonly reversedLater: ReadonlySet<string>;
  readonly merchant: readonly Money[];
};

/** Compares. */
export function compareDay(books: DayBooks): Comparison {
  const differences = [...compareSwitch(books), ...compareMerchant(books)].sort((one, other) =>
    orderOf(one) < orderOf(other) ? -1 : 1,
  );
  const wrong = new Set(differences.map(({ key }) => key));
  const matched = books.local.filter((record) => !wrong.has(keyOf(record))).length;
  return { matched, differences };
}

function orderOf({ source, class: of, key }: Difference): string {
  return [source, of, key].join(' ');
}

function compareSwitch(books: DayBooks): readonly Difference[] {
  const local = new Map(books.local.map((record) => [keyOf(record), record]));
  const traces = new Map(books.traces.map((trace) => [keyOf(trace), trace]));
  const groups = grouped(books.switchLines);
  const found: Difference[] = [];
  for (const [key, lines] of groups) {
    const originals = lines.filter(({ leg }) => leg === 'original');
    const reversals = lines.filter(({ leg }) => leg === 'reversal');
    const copies = Math.max(originals.length, reversals.length);
    if (copies > 1) found.push(duplicate('switch', key, copies, lines));
    const [original] = originals;
    const isReversed = reversals.length > 0 || books.reversedLater.has(key);
    const told = { key, original, isReversed };
    const difference = ofSwitch(told, local.get(key), traces.get(key));
    if (difference) found.push(difference);
  }
  for (const [key, record] of local) {
    if (!groups.has(key)) found.push(missing('switch', record));
  }
  return found;
}

/** What the switch says of one key against what we say; null when both say the same. */
function ofSwitch(
  told: {
    readonly key: string;
    readonly original: SwitchLine | undefined;
    readonly isReversed: boolean;
  },
  record: LocalRecord | undefined,
  trace: LocalTrace | undefined,
): Difference | null {
  const { key, original, isReversed } = told;
  const moved = original && isMoney(original.side) && !isReversed ? original : null;
  if (moved && record) return ofMoney('switch', record, { ...moved, side: moved.side as Side });
  if (moved) return unknownHere(moved, trace);
  const isBooked = record !== undefined || (trace?.bookedOn ?? null) !== null;
  // A reversal of an earlier day's transaction: here nothing may be booked, on any day.
  if (!isBooked) return null;
  const switchSays = isReversed ? 'reversed' : (original?.side ?? 'absent');
  const here = record
    ? { paymentId: record.paymentId, kind: record.kind, amountMinor: String(record.amountMinor) }
    : { paymentId: trace?.paymentId ?? null, bookedOn: trace?.bookedOn ?? null };
  return { class: 'status_mismatch', source: 'switch', key, facts: { ...here, switchSays } };
}

/** Money moved at the switch of which the day's ledger has nothing. */
function unknownHere(line: SwitchLine, trace: LocalTrace | undefined): Difference {
  const { kind, amountMinor, currency, side, merchantId, retrievalReference } = line;
  const there = { kind, side, amountMinor: String(amountMinor), currency };
  const facts = { ...there, merchantId, retrievalReference };
  const key = keyOf(line);
  if (!trace) return { class: 'missing_local', source: 'switch', key, facts };
  const { paymentId, state, bookedOn } = trace;
  const here = { paymentId, state, bookedOn };
  return { class: 'status_mismatch', source: 'switch', key, facts: { ...facts, ...here } };
}

function compareMerchant(books: DayBooks): readonly Difference[] {
  const local = new Map(books.local.map((record) => [keyOf(record), record]));
  const groups = grouped(books.merchant);
  const found: Difference[] = [];
  for (const [key, lines] of groups) {
    const [line] = lines;
    if (!line) continue;
    if (lines.length > 1) found.push(duplicate('merchant', key, lines.length, lines));
    const record = local.get(key);
    const { side, amountMinor, currency } = line;
    const facts = { side, amountMinor: String(amountMinor), currency };
    const difference = record
      ? ofMoney('merchant', record, line)
      : ({ class: 'missing_local', source: 'merchant', key, facts } as const);
    if (difference) found.push(difference);
  }
  for (const [key, record] of local) {
    if (!groups.has(key)) found.push(missing('merchant', record));
  }
  return found;
}

/** Currency before amount: an amount in another currency says nothing. */
function ofMoney(source: Source, record: LocalRecord, there: Money): Difference | null {
  const { paymentId, kind, currency, amountMinor, side } = record;
  const of = (what: DifferenceClass, here: string, other: string): Difference => {
    const facts = { paymentId, kind, here, there: other };
    return { class: what, source, key: keyOf(record), facts };
  };
  if (side !== there.side) return of('status_mismatch', side, there.side);
  if (currency !== there.currency) return of('currency_mismatch', currency, there.currency);
  if (amountMinor === there.amountMinor) return null;
  return of('amount_mismatch', String(amountMinor), String(there.amountMinor));
}

function missing(source: Source, record: LocalRecord): Difference {
  const { paymentId, transactionId, kind, amountMinor, currency, merchantId } = record;
  const facts = {
    ...{ paymentId, transactionId, kind, amountMinor: String(amountMinor), currency, merchantId },
  };
  return { class: `missing_${source}`, source, key: keyOf(record), facts };
}

function duplicate(
  source: Source,
  key: string,
  copies: number,
  lines: readonly Pick<Money, 'amountMinor'>[],
): Difference {
  const sum = lines.reduce((total, { amountMinor }) => total + amountMinor, 0n);
  return { class: 'duplicate', source, key, facts: { copies, sumMinor: String(sum) } };
}

function isMoney(side: SwitchLine['side']): side is Side {
  return side === 'debit' || side === 'credit';
}

function grouped<T extends Pick<Money, 'transmission' | 'stan'>>(
  rows: readonly T[],
): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group) group.push(row);
    else groups.set(keyOf(row), [row]);
  }
  return groups;
}
