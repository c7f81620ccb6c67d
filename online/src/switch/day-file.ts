/**
 * A settlement day's file for one acquirer or issuer: text, one record a line (LF), fields divided
 * by commas (RFC 4180 quotes), made of facts that never change after the close, so that a rerun
 * gives the same bytes. Amounts are minor units; card numbers are masked.
 *
 *   H,TAPNPAY-DAY,1,settlement date,acquirer|issuer,institution,switch
 *   D,leg,kind,acquirer,issuer,transmission (F7),trace (F11),terminal (F41),merchant (F42),
 *     reference (F37),card,currency,amount,side,response (F39),approval (F38),date told (F15)
 *   T,acquirer,issuer,currency,kind,debits,sum,credits,sum,others,sum,refused
 *   S,currency,debits,sum,credits,sum,net (debits less credits)
 *   Z,records D,SHA-256 of all bytes before this line
 *
 * `leg` is `original` or `reversal`; `side` is `debit` (the issuer owes the acquirer), `credit`,
 * `none` or `refused`. T and S are in the order of their texts.
 */
import { createHash } from 'node:crypto';
import { SwitchError } from './errors.ts';
import type { Booking } from './model.ts';
import { isSettlementDate, sideOf, type Totals, TotalsTable } from './settlement.ts';

const FORMAT_NAME = 'TAPNPAY-DAY';
const FORMAT_VERSION = '1';
/** Field 39 of what ended without a final answer. */
const RESPONSE_98_NO_REPLY = '98';
/** Records of one file that are read back. */
const RECORDS_MAX = 20_000_000;

/** Whose file it is. */
export type DayFileHead = {
  readonly settlementDate: string;
  readonly role: 'acquirer' | 'issuer';
  readonly institutionId: string;
  /** Institution number of the switch. */
  readonly switchId: string;
};

/** What a file says in all. */
export type DayFileSums = {
  readonly currency: string;
  readonly debitCount: number;
  readonly debitMinor: bigint;
  readonly creditCount: number;
  readonly creditMinor: bigint;
};

/** Makes one file, record by record; each call returns the text to append. */
export class DayFileWriter {
  readonly #hash = createHash('sha256');
  readonly #totals = new TotalsTable();
  readonly #head: DayFileHead;
  #count = 0;

  constructor(head: DayFileHead) {
    this.#head = head;
  }

  begin(): string {
    const { settlementDate, role, institutionId, switchId } = this.#head;
    const names = ['H', FORMAT_NAME, FORMAT_VERSION];
    return this.#line([...names, settlementDate, role, institutionId, switchId]);
  }

  add(booking: Booking): string {
    this.#totals.add(booking);
    this.#count += 1;
    return this.#line(detailOf(booking));
  }

  /** Totals and trailer; the file is complete. */
  end(): { readonly text: string; readonly sha256: string } {
    const rows = this.#totals.rows();
    const sums = sumsOf(rows);
    const body = [...rows.map(totalsLine), ...sums.map(sumsLine)]
      .map((fields) => this.#line(fields))
      .join('');
    const sha256 = this.#hash.digest('hex').toUpperCase();
    return { text: `${body}Z,${this.#count},${sha256}\n`, sha256 };
  }

  #line(fields: readonly string[]): string {
    const text = `${fields.map(quoted).join(',')}\n`;
    this.#hash.update(text, 'utf8');
    return text;
  }
}

/** What a file proves about itself. */
export type DayFileReport = DayFileHead & {
  readonly records: number;
  readonly sums: readonly DayFileSums[];
  readonly sha256: string;
};

/**
 * Reads a file back: its trailer's count and hash, and sums that its records give again.
 * @throws SwitchError `ERR_SWITCH_FILE` naming what is wrong.
 */
export function readDayFile(text: string): DayFileReport {
  const lines = text.split('\n', RECORDS_MAX);
  if (lines.pop() !== '') throw fileError('does not end with a whole line');
  const trailer = (lines.pop() ?? '').split(',');
  const body = text.slice(0, text.length - trailer.join(',').length - 1);
  const sha256 = createHash('sha256').update(body, 'utf8').digest('hex').toUpperCase();
  const [mark, count, hash] = trailer;
  if (mark !== 'Z') throw fileError('has no trailer');
  if (hash !== sha256) throw fileError('has another hash than its trailer says');
  const head = headOf(unquoted(lines[0] ?? ''));
  const records = lines.slice(1).map(unquoted);
  const details = records.filter(([type]) => type === 'D');
  if (String(details.length) !== count) throw fileError('has another count than its trailer says');
  const sums = sumsOf(details.map(amountOf));
  const told = records.filter(([type]) => type === 'S').map((fields) => fields.join(','));
  if (told.join('\n') !== sums.map((row) => sumsLine(row).join(',')).join('\n')) {
    throw fileError('has other sums than its records give');
  }
  return { ...head, records: details.length, sums, sha256 };
}

function detailOf(booking: Booking): readonly string[] {
  const { leg, of } = booking;
  return [
    ...['D', leg, of.kind ?? '', of.memberId, of.destination ?? '', of.transmission, of.stan],
    ...[of.terminalId, of.merchantId ?? '', of.retrievalReference ?? '', of.panMasked ?? ''],
    ...[of.currency ?? '', String(of.amountMinor ?? 0n), sideOf(booking)],
    ...[of.responseCode ?? RESPONSE_98_NO_REPLY, of.approvalCode ?? '', of.settlementDate],
  ];
}

function totalsLine(row: Totals): readonly string[] {
  const { acquirer, issuer, currency, kind, debitCount, debitMinor, creditCount } = row;
  const { creditMinor, otherCount, otherMinor, refusedCount } = row;
  const numbers = [debitCount, debitMinor, creditCount, creditMinor];
  const rest = [otherCount, otherMinor, refusedCount];
  return ['T', acquirer, issuer, currency, kind, ...[...numbers, ...rest].map(String)];
}

function sumsLine(row: DayFileSums): readonly string[] {
  const { currency, debitCount, debitMinor, creditCount, creditMinor } = row;
  const numbers = [debitCount, debitMinor, creditCount, creditMinor, debitMinor - creditMinor];
  return ['S', currency, ...numbers.map(String)];
}

/** Sums by currency, in its order; a currency in which nothing moved has none. */
function sumsOf(rows: readonly DayFileSums[]): readonly DayFileSums[] {
  const sums = new Map<string, DayFileSums>();
  for (const { currency, ...row } of rows) {
    if (row.debitCount + row.creditCount === 0) continue;
    const sum = sums.get(currency);
    sums.set(currency, {
      currency,
      debitCount: (sum?.debitCount ?? 0) + row.debitCount,
      debitMinor: (sum?.debitMinor ?? 0n) + row.debitMinor,
      creditCount: (sum?.creditCount ?? 0) + row.creditCount,
      creditMinor: (sum?.creditMinor ?? 0n) + row.creditMinor,
    });
  }
  return [...sums.values()].sort((left, right) => (left.currency < right.currency ? -1 : 1));
}

function headOf(fields: readonly string[]): DayFileHead {
  const [mark, name, version, settlementDate = '', role, institutionId = '', switchId = ''] =
    fields;
  const isKnown = mark === 'H' && name === FORMAT_NAME && version === FORMAT_VERSION;
  if (!isKnown) throw fileError(`is no ${FORMAT_NAME} file of version ${FORMAT_VERSION}`);
  if (!isSettlementDate(settlementDate) || (role !== 'acquirer' && role !== 'issuer')) {
    throw fileError('has a broken header');
  }
  return { settlementDate, role, institutionId, switchId };
}

function amountOf(fields: readonly string[]): DayFileSums {
  const [currency = '', amount = '', side = ''] = fields.slice(11, 14);
  if (!/^[0-9]{1,18}$/.test(amount)) throw fileError('has an amount that is no number');
  const minor = BigInt(amount);
  return {
    currency,
    debitCount: side === 'debit' ? 1 : 0,
    debitMinor: side === 'debit' ? minor : 0n,
    creditCount: side === 'credit' ? 1 : 0,
    creditMinor: side === 'credit' ? minor : 0n,
  };
}

/** A field as RFC 4180 has it; what members wrote may hold anything but control characters. */
function quoted(field: string): string {
  const clean = field.replace(/[^\x20-\x7e]/g, '?');
  return /[",]/.test(clean) ? `"${clean.replaceAll('"', '""')}"` : clean;
}

function unquoted(line: string): readonly string[] {
  const fields = line.match(/("([^"]|"")*"|[^,]*)(,|$)/g) ?? [];
  return fields
    .slice(0, line.endsWith(',') ? undefined : -1)
    .map((field) => field.replace(/,$/, ''))
    .map((field) => (field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field));
}

function fileError(why: string): SwitchError {
  return new SwitchError('ERR_SWITCH_FILE', `the day's file ${why}`);
}
