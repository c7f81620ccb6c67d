/** I8: settlement days in the switch's file, the gateway's book and the issuer's. */
import { LEDGER_PAYER_CLEARING } from '../../online/src/gateway/model.ts';
import type { Booking, Transaction } from '../../online/src/switch/model.ts';
import { sideOf } from '../../online/src/switch/settlement.ts';
import type { ThreeBooks } from './books.ts';
import type { Finding } from './check.ts';

/** Days before the newest one that are not closed. */
export function openDays({ days }: ThreeBooks): readonly string[] {
  return days.slice(1).flatMap((day) => (day.closedAtMs === null ? [day.settlementDate] : []));
}

/** All broken ones of I8. */
export function checkDays(books: ThreeBooks): readonly Finding[] {
  return [
    ...openDays(books).map((day) => finding(`settlement day ${day} is not closed`, [])),
    ...partition(books),
    ...gatewayDays(books),
    ...voidedDays(books),
    ...totals(books),
  ];
}

function finding(what: string, about: readonly string[]): Finding {
  return { invariant: 'I8', what, about };
}

function namesOf({ stan, retrievalReference }: Transaction): readonly string[] {
  return [stan, retrievalReference ?? ''];
}

function closedDays({ days }: ThreeBooks): ReadonlySet<string> {
  const closed = days.filter(({ closedAtMs }) => closedAtMs !== null);
  return new Set(closed.map(({ settlementDate }) => settlementDate));
}

/** Each transaction of a closed day, and each reversal of one, is in that day and in no other. */
function partition(books: ThreeBooks): readonly Finding[] {
  const closed = closedDays(books);
  const findings: Finding[] = [];
  const daysOf = new Map<string, string[]>();
  for (const { leg, of, day } of books.bookings) {
    const key = `${of.transactionId} ${leg}`;
    daysOf.set(key, [...(daysOf.get(key) ?? []), day]);
  }
  const expect = (row: Transaction, leg: Booking['leg'], date: string): void => {
    const found = daysOf.get(`${row.transactionId} ${leg}`) ?? [];
    const wanted = closed.has(date) ? date : '';
    if (found.join() === wanted) return;
    const what = `${leg} of ${row.stan} of ${date} is booked in "${found.join()}"`;
    findings.push(finding(what, namesOf(row)));
  };
  for (const row of books.transactions) {
    if (row.kind === null) continue;
    expect(row, 'original', row.settlementDate);
    if (row.responseCode === '00' && row.reversalDate !== null) {
      expect(row, 'reversal', row.reversalDate);
    }
  }
  return findings;
}

function transactionOf(
  { transactions }: ThreeBooks,
  trace: { readonly stan: string; readonly transmission: string },
): Transaction | undefined {
  return transactions.find(
    ({ stan, transmission }) => stan === trace.stan && transmission === trace.transmission,
  );
}

/** The gateway counts each payment and operation to the day that the switch said (F15). */
function gatewayDays(books: ThreeBooks): readonly Finding[] {
  const findings: Finding[] = [];
  const compare = (
    id: string,
    own: { readonly stan: string; readonly transmission: string; settlementDate: string | null },
  ): void => {
    const row = transactionOf(books, own);
    if (!row || row.settlementDate.slice(4) === own.settlementDate) return;
    const what = `${id} is of ${own.settlementDate} here, of ${row.settlementDate} at the switch`;
    findings.push(finding(what, [id, ...namesOf(row)]));
  };
  for (const { payment, operations } of books.wholes) {
    const isTaken = ['held', 'captured', 'voided'].includes(payment.state);
    if (isTaken) compare(payment.paymentId, payment);
    for (const operation of operations) {
      if (operation.state === 'succeeded') compare(operation.operationId, operation);
    }
  }
  return findings;
}

/** A void of a debit is of the debit's own day. */
function voidedDays(books: ThreeBooks): readonly Finding[] {
  const byId = new Map(books.transactions.map((row) => [row.transactionId, row]));
  return books.transactions
    .filter(
      ({ kind, state }) =>
        state === 'answered' && (kind === 'saleVoid' || kind === 'completionVoid'),
    )
    .flatMap((row) => {
      const original = byId.get(row.originalId ?? '');
      if (row.responseCode !== '00' || original?.settlementDate === row.settlementDate) return [];
      const what = `void ${row.stan} of ${row.settlementDate} undoes ${original?.settlementDate}`;
      return [finding(what, namesOf(row))];
    });
}

/** A closed day comes to the same in the switch's bookings and in the gateway's book. */
function totals(books: ThreeBooks): readonly Finding[] {
  const findings: Finding[] = [];
  for (const day of closedDays(books)) {
    const file = books.bookings
      // What was reversed never stood in the gateway's book.
      .filter((booking) => booking.day === day && booking.of.state === 'answered')
      .reduce((sum, booking) => {
        const amountMinor = booking.of.amountMinor ?? 0n;
        const side = sideOf(booking);
        if (side === 'debit') return sum + amountMinor;
        return side === 'credit' ? sum - amountMinor : sum;
      }, 0n);
    const gateway = books.entries
      .filter((entry) => entry.settlementDate === day && entry.phase === 'posted')
      .filter(({ account }) => account === LEDGER_PAYER_CLEARING)
      .reduce((sum, { amountMinor }) => sum + amountMinor, 0n);
    if (file === gateway) continue;
    findings.push(finding(`${day} comes to ${file} at the switch, ${gateway} at the gateway`, []));
  }
  return findings;
}
