/** Reading a card without paying: its purses, its transaction log, its load log. */
import { bcdToNumeric, bytesToUint, TapError, toHex } from '../../bytes/index.ts';
import { type DolEntry, decodeDol, SW_9000_OK } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { readProximityDirectory } from './contactless-select.ts';
import {
  createContext,
  type KernelContext,
  POS_ENTRY_MODE_CONTACT,
  POS_ENTRY_MODE_CONTACTLESS,
  transmit,
} from './context.ts';
import { amountOf, getDataObject, PURSES, type Purse } from './electronic-cash.ts';
import { releaseCard } from './outcome.ts';
import {
  buildCandidateList,
  type CandidateApplication,
  readRecordCommand,
  selectApplication,
} from './select.ts';
import type { Kernel, TerminalTransaction } from './types.ts';

/** What a reading needs: the applications to look for, and how the card is read. */
export type CardReading = Pick<TerminalTransaction, 'ciphers' | 'terminal'> & {
  readonly interface: 'contact' | 'contactless';
};

/** The application that was read, or why none was. */
export type CardReadingResult<Facts> =
  | ({ readonly result: 'read'; readonly aid: Uint8Array; readonly label: string | null } & Facts)
  | {
      readonly result: 'none';
      /** `card:blocked`, `terminal:noApplication`, or what the card lacks: `card:noLog`. */
      readonly reason: string;
    };

/** One purse; minor units, null what the card does not tell. @see PBOC3 P13 */
export type PurseReading = {
  /** ISO 4217 numeric, 3 digits. */
  readonly currency: string | null;
  readonly balanceMinor: bigint;
  readonly balanceLimitMinor: bigint | null;
  readonly singleTransactionLimitMinor: bigint | null;
  readonly resetThresholdMinor: bigint | null;
};

/** What every entry of a log has; null what the format or the record lacks. */
export type LogEntryFacts = {
  /** Record number; 1 is the newest. */
  readonly record: number;
  /** Nothing but 00 or FF: personalised, never written. */
  readonly isEmpty: boolean;
  /** The record as the card gave it. */
  readonly raw: Uint8Array;
  readonly dateYymmdd: string | null;
  readonly timeHhmmss: string | null;
  /** ISO 3166 numeric, 3 digits. */
  readonly countryCode: string | null;
  /** 9F4E as the terminal of that day sent it; GBK in China. */
  readonly merchantName: Uint8Array | null;
  readonly applicationTransactionCounter: number | null;
};

/** One payment. @see PBOC3 P5 (9F4D, 9F4F) */
export type TransactionLogEntry = LogEntryFacts & {
  readonly amountMinor: bigint | null;
  readonly otherAmountMinor: bigint | null;
  /** ISO 4217 numeric, 3 digits. */
  readonly currency: string | null;
  /** 9C. */
  readonly transactionType: number | null;
};

/** One load of a purse. @see PBOC3 P13 (DF4D, DF4F) */
export type LoadLogEntry = LogEntryFacts & {
  /** Object that the issuer's script changed: `9F79`, of the second purse `DF79`. */
  readonly tag: string | null;
  readonly balanceBeforeMinor: bigint | null;
  readonly balanceAfterMinor: bigint | null;
};

/** A log as far as the card gave it. */
export type LogReading<Entry> = {
  readonly entries: readonly Entry[];
  /** `assumed`: the card gives no usable format, the usual one was taken. */
  readonly format: 'card' | 'assumed';
};

/** Most records of a log; cards have 10. The entry's count has one byte. */
export const LOG_RECORDS_MAX = 30;
/** Highest short file identifier. */
const SFI_MAX = 30;

/** Where a log is, and what its records hold. */
type LogKind<Entry> = {
  readonly entryTag: string;
  readonly formatTag: string;
  readonly usualFormat: readonly DolEntry[];
  /** Reason of a card without it. */
  readonly lacking: string;
  readonly decode: (record: LogRecord, format: readonly DolEntry[]) => Entry;
};

type LogRecord = { readonly record: number; readonly raw: Uint8Array };

const entry = (tag: string, lengthBytes: number): DolEntry => ({ tag, lengthBytes });
const MERCHANT_NAME_BYTES = 20;

/** The log of payments; the usual format is what issuers' tools personalise. */
const TRANSACTION_LOG: LogKind<TransactionLogEntry> = {
  entryTag: data.TAG_9F4D_LOG_ENTRY,
  formatTag: data.TAG_9F4F_LOG_FORMAT,
  usualFormat: [
    entry(data.TAG_9A_TRANSACTION_DATE, 3),
    entry(data.TAG_9F21_TRANSACTION_TIME, 3),
    entry(data.TAG_9F02_AMOUNT_AUTHORISED, 6),
    entry(data.TAG_9F03_AMOUNT_OTHER, 6),
    entry(data.TAG_9F1A_TERMINAL_COUNTRY_CODE, 2),
    entry(data.TAG_5F2A_TRANSACTION_CURRENCY_CODE, 2),
    entry(data.TAG_9F4E_MERCHANT_NAME_AND_LOCATION, MERCHANT_NAME_BYTES),
    entry(data.TAG_9C_TRANSACTION_TYPE, 1),
    entry(data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER, 2),
  ],
  lacking: 'card:noLog',
  decode: transactionOf,
};

/** The log of loads. */
const LOAD_LOG: LogKind<LoadLogEntry> = {
  entryTag: data.TAG_DF4D_PBOC_LOAD_LOG_ENTRY,
  formatTag: data.TAG_DF4F_PBOC_LOAD_LOG_FORMAT,
  usualFormat: [
    entry(data.TAG_9A_TRANSACTION_DATE, 3),
    entry(data.TAG_9F21_TRANSACTION_TIME, 3),
    entry(data.TAG_9F1A_TERMINAL_COUNTRY_CODE, 2),
    entry(data.TAG_9F4E_MERCHANT_NAME_AND_LOCATION, MERCHANT_NAME_BYTES),
    entry(data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER, 2),
  ],
  lacking: 'card:noLoadLog',
  decode: loadOf,
};

/**
 * What a load log record has before the fields of its format: P1 and P2 of the PUT DATA, the
 * balance before, the balance after. @see PBOC3 P13 (DF4F)
 */
const LOAD_HEAD_BYTES = 14;

/**
 * The purses of the first application that has any, by SELECT and GET DATA: no GET PROCESSING
 * OPTIONS, no cryptogram, nothing counted, on either interface.
 * @throws KernelError `ERR_CARD_LIMIT`, `ERR_KERNEL_...`; what the driver throws.
 * @see PBOC3 P13
 */
export function* readElectronicCashBalance(
  reading: CardReading,
): Kernel<CardReadingResult<{ readonly purses: readonly PurseReading[] }>> {
  return yield* readFirst(reading, 'card:noElectronicCash', function* (context) {
    const purses: PurseReading[] = [];
    for (const purse of PURSES) {
      const balance = amountOf(yield* getDataObject(context, purse.balanceTag));
      if (balance !== null) purses.push(yield* readPurse(context, purse, balance));
    }
    return purses.length === 0 ? null : { purses };
  });
}

function* readPurse(
  context: KernelContext,
  purse: Purse,
  balanceMinor: bigint,
): Kernel<PurseReading> {
  const currency = yield* getDataObject(context, purse.currencyTag);
  return {
    currency: codeOf(currency ?? undefined),
    balanceMinor,
    balanceLimitMinor: amountOf(yield* getDataObject(context, purse.balanceLimitTag)),
    singleTransactionLimitMinor: amountOf(
      yield* getDataObject(context, purse.singleTransactionLimitTag),
    ),
    resetThresholdMinor: amountOf(yield* getDataObject(context, purse.resetThresholdTag)),
  };
}

/**
 * The payments that the card remembers, newest first. A record that cannot be read ends the log; a
 * record of another shape has nulls.
 * @throws KernelError `ERR_CARD_LIMIT`, `ERR_KERNEL_...`; what the driver throws.
 * @see EMV 4.3 B3 §D4; PBOC3 P5 (9F4D, 9F4F); devnied/EMV-NFC #35
 */
export function* readTransactionLog(
  reading: CardReading,
): Kernel<CardReadingResult<LogReading<TransactionLogEntry>>> {
  return yield* readLog(reading, TRANSACTION_LOG);
}

/**
 * The loads that the card remembers, newest first; else as `readTransactionLog`.
 * @see PBOC3 P13 (DF4D, DF4F)
 */
export function* readLoadLog(
  reading: CardReading,
): Kernel<CardReadingResult<LogReading<LoadLogEntry>>> {
  return yield* readLog(reading, LOAD_LOG);
}

function* readLog<Entry>(
  reading: CardReading,
  kind: LogKind<Entry>,
): Kernel<CardReadingResult<LogReading<Entry>>> {
  return yield* readFirst(reading, kind.lacking, function* (context) {
    const place = context.data.get(kind.entryTag);
    const [sfi = 0, count = 0] = place?.length === 2 ? place : [];
    if (sfi === 0 || sfi > SFI_MAX) return null;
    const own = formatOf(yield* getDataObject(context, kind.formatTag));
    const format = own ?? kind.usualFormat;
    const entries: Entry[] = [];
    for (let record = 1; record <= Math.min(count, LOG_RECORDS_MAX); record++) {
      const response = yield* transmit(context, readRecordCommand(sfi, record));
      if (response.statusWord !== SW_9000_OK) break;
      entries.push(kind.decode({ record, raw: response.data.slice() }, format));
    }
    return { entries, format: own === null ? ('assumed' as const) : ('card' as const) };
  });
}

function formatOf(format: Uint8Array | null): readonly DolEntry[] | null {
  if (format === null || format.length === 0) return null;
  try {
    return decodeDol(format);
  } catch (fault) {
    if (fault instanceof TapError) return null;
    throw fault;
  }
}

/** Reads the first application, in the card's order, that has what is asked for. */
function* readFirst<Facts extends object>(
  reading: CardReading,
  lacking: string,
  read: (context: KernelContext) => Kernel<Facts | null>,
): Kernel<CardReadingResult<Facts>> {
  const context = contextOf(reading);
  const list = yield* candidatesOf(context, reading);
  let reason = list.isBlocked ? 'card:blocked' : 'terminal:noApplication';
  for (const candidate of list.candidates) {
    const { isSelected } = yield* selectApplication(context, candidate);
    if (!isSelected) continue;
    const facts = yield* read(context);
    reason = lacking;
    if (facts === null) continue;
    yield* releaseCard(context);
    const { label } = context;
    return { result: 'read', aid: candidate.aid.slice(), label, ...facts };
  }
  yield* releaseCard(context);
  return { result: 'none', reason };
}

/** A context for commands that carry no transaction. */
function contextOf(reading: CardReading): KernelContext {
  const isContact = reading.interface === 'contact';
  const nothing: TerminalTransaction = {
    ciphers: reading.ciphers,
    terminal: reading.terminal,
    amountMinor: 0n,
    otherAmountMinor: 0n,
    transactionType: 0x00,
    dateYymmdd: '000101',
    timeHhmmss: '000000',
    sequenceCounter: 0,
    merchant: {},
  };
  return createContext(nothing, isContact ? POS_ENTRY_MODE_CONTACT : POS_ENTRY_MODE_CONTACTLESS);
}

function* candidatesOf(
  context: KernelContext,
  reading: CardReading,
): Kernel<{ readonly candidates: readonly CandidateApplication[]; readonly isBlocked: boolean }> {
  if (reading.interface === 'contactless') {
    return { candidates: yield* readProximityDirectory(context), isBlocked: false };
  }
  const { candidates, cardBlocked } = yield* buildCandidateList(context);
  return { candidates, isBlocked: cardBlocked };
}

function transactionOf(record: LogRecord, format: readonly DolEntry[]): TransactionLogEntry {
  const facts = factsOf(record);
  const values = valuesOf(facts.isEmpty ? new Uint8Array(0) : record.raw, format);
  const type = values.get(data.TAG_9C_TRANSACTION_TYPE);
  return {
    ...facts,
    ...commonOf(values),
    amountMinor: amountOf(values.get(data.TAG_9F02_AMOUNT_AUTHORISED)),
    otherAmountMinor: amountOf(values.get(data.TAG_9F03_AMOUNT_OTHER)),
    currency: codeOf(values.get(data.TAG_5F2A_TRANSACTION_CURRENCY_CODE)),
    transactionType: type?.length === 1 ? bytesToUint(type) : null,
  };
}

function loadOf(record: LogRecord, format: readonly DolEntry[]): LoadLogEntry {
  const facts = factsOf(record);
  const raw = facts.isEmpty ? new Uint8Array(0) : record.raw;
  return {
    ...facts,
    ...commonOf(valuesOf(raw.subarray(LOAD_HEAD_BYTES), format)),
    tag: raw.length < 2 ? null : toHex(raw.subarray(0, 2)),
    balanceBeforeMinor: amountOf(raw.subarray(2, 8)),
    balanceAfterMinor: amountOf(raw.subarray(8, LOAD_HEAD_BYTES)),
  };
}

function factsOf({ record, raw }: LogRecord): Pick<LogEntryFacts, 'record' | 'isEmpty' | 'raw'> {
  const isFilled = (filler: number): boolean => raw.every((byte) => byte === filler);
  return { record, isEmpty: isFilled(0x00) || isFilled(0xff), raw };
}

/** The values of a record by tag; those that it is too short for are missing. */
function valuesOf(raw: Uint8Array, format: readonly DolEntry[]): ReadonlyMap<string, Uint8Array> {
  const values = new Map<string, Uint8Array>();
  let offset = 0;
  for (const { tag, lengthBytes } of format) {
    const end = offset + lengthBytes;
    if (end > raw.length) break;
    if (!values.has(tag)) values.set(tag, raw.slice(offset, end));
    offset = end;
  }
  return values;
}

function commonOf(
  values: ReadonlyMap<string, Uint8Array>,
): Omit<LogEntryFacts, 'record' | 'isEmpty' | 'raw'> {
  const counter = values.get(data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER);
  return {
    dateYymmdd: digitsOf(values.get(data.TAG_9A_TRANSACTION_DATE), DATE_DIGITS),
    timeHhmmss: digitsOf(values.get(data.TAG_9F21_TRANSACTION_TIME), TIME_DIGITS),
    countryCode: codeOf(values.get(data.TAG_9F1A_TERMINAL_COUNTRY_CODE)),
    merchantName: values.get(data.TAG_9F4E_MERCHANT_NAME_AND_LOCATION) ?? null,
    applicationTransactionCounter: counter?.length === 2 ? bytesToUint(counter) : null,
  };
}

const DATE_DIGITS = /^[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$/;
const TIME_DIGITS = /^([01][0-9]|2[0-3])([0-5][0-9]){2}$/;
const CODE_DIGITS = /^0[0-9]{3}$/;

/** Digits of an n value of the wanted shape; null for anything else. */
function digitsOf(value: Uint8Array | undefined, shape: RegExp): string | null {
  if (value === undefined) return null;
  try {
    const digits = bcdToNumeric(value);
    return shape.test(digits) ? digits : null;
  } catch (fault) {
    if (fault instanceof TapError) return null;
    throw fault;
  }
}

/** ISO numeric code of an n3 value. */
function codeOf(value: Uint8Array | undefined): string | null {
  return digitsOf(value, CODE_DIGITS)?.slice(1) ?? null;
}
