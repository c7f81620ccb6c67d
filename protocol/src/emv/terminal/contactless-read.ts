/** What a tapped card gives: processing options with its cryptogram, records, its account. */
import {
  bcdToCompressed,
  byteAt,
  compressedToBcd,
  errorBody,
  fromHex,
  toHex,
} from '../../bytes/index.ts';
import {
  StatusWord,
  SW_6984_REFERENCED_DATA_INVALIDATED,
  SW_6985_CONDITIONS_NOT_SATISFIED,
  SW_9000_OK,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { aipSays, askRandom, cardValue, type KernelContext, storeCardObjects } from './context.ts';
import { KernelError, parseCardData } from './errors.ts';
import { getProcessingOptions, pdolEntries, processingOptions } from './initiate.ts';
import { panOf, readRecords } from './read-data.ts';
import type { Cryptogram, Kernel, KernelAnswer, KernelRequest } from './types.ts';

/** What the card made of GET PROCESSING OPTIONS. */
export type ContactlessInitiation =
  | { readonly result: 'started' }
  /** 6985: another application. */
  | { readonly result: 'tryNext' }
  /** 6984: insert the card. */
  | { readonly result: 'useContact' }
  /** 6986: the holder is to do something on the device, then tap again. */
  | { readonly result: 'seeDevice' }
  /** Magnetic stripe data instead of qPBOC. */
  | { readonly result: 'magneticStripe' }
  /** AIP and AFL alone: debit/credit with GENERATE AC in the field, which is not built. */
  | { readonly result: 'debitCredit' }
  | { readonly result: 'refused'; readonly statusWord: StatusWord };

/** Byte 2 of the CVR within 9F10. @see PBOC3 P5 (9F10) */
const CVR_BYTE_2_OFFSET = 4;
const AFL_ENTRY_BYTES = 4;
const INS_READ_RECORD = 0xb2;
/** First byte of an answer in format 1. @see EMV 4.3 B3 §6.5.8.4 */
const RESPONSE_FORMAT_1 = 0x80;
/** No name in ISO 7816-4's table but "command not allowed"; of a device it means "not yet". */
const SW_6986_COMMAND_NOT_ALLOWED: StatusWord = StatusWord(0x6986);

/** Objects of the cryptogram; a card that gives none of them is no qPBOC card. */
const CRYPTOGRAM_TAGS: readonly (readonly [tag: string, lengthBytes: number])[] = [
  [data.TAG_9F26_APPLICATION_CRYPTOGRAM, 8],
  [data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER, 2],
];

/**
 * GET PROCESSING OPTIONS, whose answer is the card's cryptogram. The unpredictable number is drawn
 * for every tap, asked for or not: fDDA is checked over it.
 * @throws KernelError `ERR_CARD_DATA`, `ERR_CARD_MISSING_DATA` (9F38, 9F66 among them).
 * @see EMV C-7 §3.3
 */
export function* initiateContactless(context: KernelContext): Kernel<ContactlessInitiation> {
  if (!context.data.has(data.TAG_9F38_PDOL)) throw missingData(data.TAG_9F38_PDOL);
  const entries = pdolEntries(context);
  const qualifiers = data.TAG_9F66_PBOC_TERMINAL_TRANSACTION_QUALIFIERS;
  if (!entries.some(({ tag }) => tag === qualifiers)) throw missingData(qualifiers);
  context.data.set(data.TAG_9F37_UNPREDICTABLE_NUMBER, yield* askRandom(4));
  const { statusWord, data: answer } = yield* getProcessingOptions(context, entries);
  if (statusWord === SW_6985_CONDITIONS_NOT_SATISFIED) return { result: 'tryNext' };
  if (statusWord === SW_6984_REFERENCED_DATA_INVALIDATED) return { result: 'useContact' };
  if (statusWord === SW_6986_COMMAND_NOT_ALLOWED) return { result: 'seeDevice' };
  if (statusWord !== SW_9000_OK) return { result: 'refused', statusWord };
  const objects = processingOptions(answer);
  assertNoRepeat(objects);
  storeCardObjects(context, objects);
  const aip = data.TAG_82_APPLICATION_INTERCHANGE_PROFILE;
  if (!cardValue(context, aip, data.AIP_BYTES)) throw missingData(aip);
  return { result: kindOf(context, answer) };
}

/**
 * A qPBOC answer is of format 2 with a cryptogram, from a card that can sign; format 1 has no room
 * for one and is refused, whatever its AIP. @see EMV C-7 §3.3
 */
function kindOf(
  context: KernelContext,
  answer: Uint8Array,
): 'started' | 'magneticStripe' | 'debitCredit' {
  if (!aipSays(context, data.AIP_1_DDA_SUPPORTED)) return 'magneticStripe';
  if (answer[0] === RESPONSE_FORMAT_1) return 'debitCredit';
  return CRYPTOGRAM_TAGS.some(([tag]) => context.data.has(tag)) ? 'started' : 'magneticStripe';
}

function assertNoRepeat(objects: readonly (readonly [tag: string, value: Uint8Array])[]): void {
  const seen = new Set<string>();
  for (const [tag] of objects) {
    if (seen.has(tag)) {
      throw new KernelError('ERR_CARD_REDUNDANT_DATA', `the card gives ${tag} twice`, { tag });
    }
    seen.add(tag);
  }
}

/** What came of reading: the number of records, or that the card left at the last of them. */
export type ContactlessRecords =
  | { readonly result: 'read'; readonly records: number }
  | { readonly result: 'torn'; readonly code: string };

/**
 * Records of the AFL, if there is one: a card that goes online may leave it out, and is then not
 * authenticated offline. Afterwards all that the transaction needs is there and agrees.
 * A card that pays offline deducts when it answers the last record. One that leaves before that
 * command, or that did not want to pay offline, has paid nothing: its fault is thrown and another
 * tap is free. One that leaves at that command may have paid: `torn`.
 * @throws KernelError `ERR_CARD_...`. @see EMV C-7 §3.4; PBOC3 P12
 */
export function* readContactlessData(context: KernelContext): Kernel<ContactlessRecords> {
  const hasFiles = context.data.has(data.TAG_94_APPLICATION_FILE_LOCATOR);
  const read: ContactlessRecords = hasFiles
    ? yield* readWatched(context)
    : { result: 'read', records: 0 };
  if (read.result === 'torn') return read;
  settleAccount(context);
  context.first = cryptogramOf(context);
  return read;
}

/** Reads the records and notices a driver's fault at the last command of a card that pays. */
function* readWatched(context: KernelContext): Kernel<ContactlessRecords> {
  const last = paysOffline(context) ? lastRecordOf(context) : null;
  const records = readRecords(context);
  let isLastAsked = false;
  let step = records.next();
  while (!step.done) {
    const request: KernelRequest = step.value;
    isLastAsked ||= isLastRecord(request, last);
    let answer: KernelAnswer;
    try {
      answer = yield request;
    } catch (fault) {
      if (isLastAsked) return { result: 'torn', code: errorBody(fault).code };
      throw fault;
    }
    step = records.next(answer);
  }
  return { result: 'read', records: step.value };
}

/** Whether the answer to GPO is a TC that the reader would take; malformed data say no. */
function paysOffline(context: KernelContext): boolean {
  const ttq = context.data.get(data.TAG_9F66_PBOC_TERMINAL_TRANSACTION_QUALIFIERS);
  if (!ttq || data.hasBit(ttq, data.TTQ_2_ONLINE_CRYPTOGRAM_REQUIRED)) return false;
  const iad = context.data.get(data.TAG_9F10_ISSUER_APPLICATION_DATA);
  // Bits 6-5 of the CVR's second byte, as `cryptogramOf` reads them.
  return data.cryptogramTypeOf((iad?.[CVR_BYTE_2_OFFSET] ?? 0) << 2) === 'TC';
}

/** P1 and P2 of the last READ RECORD; null when the AFL is malformed. */
function lastRecordOf(context: KernelContext): { readonly p1: number; readonly p2: number } | null {
  const afl = context.data.get(data.TAG_94_APPLICATION_FILE_LOCATOR) ?? new Uint8Array(0);
  const [sfi, , lastRecord] = afl.subarray(-AFL_ENTRY_BYTES);
  return sfi === undefined || lastRecord === undefined ? null : { p1: lastRecord, p2: sfi | 0x04 };
}

function isLastRecord(
  request: KernelRequest,
  last: { readonly p1: number; readonly p2: number } | null,
): boolean {
  if (last === null || request.kind !== 'transmit') return false;
  const { ins, p1, p2 } = request.command;
  return ins === INS_READ_RECORD && p1 === last.p1 && p2 === last.p2;
}

/**
 * The account: track 2 leads, for every qPBOC card gives it; the PAN of the records must not differ
 * from it, and what they lack is taken from it.
 */
function settleAccount(context: KernelContext): void {
  const track = context.data.get(data.TAG_57_TRACK_2_EQUIVALENT_DATA);
  if (!track) throw missingData(data.TAG_57_TRACK_2_EQUIVALENT_DATA);
  const tag = data.TAG_57_TRACK_2_EQUIVALENT_DATA;
  const [, pan, expiryYymm] = /^([0-9]{8,19})D([0-9]{2}(?:0[1-9]|1[0-2]))/.exec(toHex(track)) ?? [];
  if (pan === undefined || expiryYymm === undefined) {
    throw new KernelError('ERR_CARD_DATA', `${tag} is no track 2`, { tag });
  }
  const own = context.data.get(data.TAG_5A_APPLICATION_PAN);
  if (own === undefined) context.data.set(data.TAG_5A_APPLICATION_PAN, compressedToBcd(pan));
  else if (parseCardData(data.TAG_5A_APPLICATION_PAN, () => bcdToCompressed(own)) !== pan) {
    throw new KernelError('ERR_CARD_DATA', '5A and 57 name two accounts', { tag: '5A' });
  }
  panOf(context);
  if (!cardValue(context, data.TAG_5F24_APPLICATION_EXPIRATION_DATE, 3)) {
    const date = fromHex(data.expirationDate({ expiryYymm }));
    context.data.set(data.TAG_5F24_APPLICATION_EXPIRATION_DATE, date);
  }
}

/**
 * The cryptogram and its kind, which byte 2 of the CVR tells; 9F27, which qPBOC cards leave out, is
 * made of it. @see EMV C-7 §3.3; PBOC3 P5 (CVR)
 * @throws KernelError `ERR_CARD_CRYPTOGRAM` when 9F27 says something else, or for the kind 11.
 */
function cryptogramOf(context: KernelContext): Cryptogram {
  for (const [tag, lengthBytes] of CRYPTOGRAM_TAGS) {
    if (!cardValue(context, tag, lengthBytes)) throw missingData(tag);
  }
  const iadTag = data.TAG_9F10_ISSUER_APPLICATION_DATA;
  const iad = context.data.get(iadTag);
  if (!iad) throw missingData(iadTag);
  const { cvr } = parseCardData(iadTag, () => data.decodeIad(iad));
  // Bits 6-5 of byte 2: the cryptogram of the first request, the only one here.
  const cid = (byteAt(cvr, 1) << 2) & data.CRYPTOGRAM_TYPE_MASK;
  const type = data.cryptogramTypeOf(cid);
  const cidTag = data.TAG_9F27_CRYPTOGRAM_INFORMATION_DATA;
  const told = cardValue(context, cidTag, 1);
  const isOther = told !== undefined && data.cryptogramTypeOf(byteAt(told, 0)) !== type;
  if (type === 'RFU' || isOther) {
    throw new KernelError('ERR_CARD_CRYPTOGRAM', 'the card names no kind of its cryptogram', {
      type,
    });
  }
  if (told === undefined) context.data.set(cidTag, Uint8Array.of(cid));
  const value = context.data.get(data.TAG_9F26_APPLICATION_CRYPTOGRAM) ?? new Uint8Array(8);
  return { type, value };
}

function missingData(tag: string): KernelError {
  return new KernelError('ERR_CARD_MISSING_DATA', `the card has no ${tag}`, { tag });
}
