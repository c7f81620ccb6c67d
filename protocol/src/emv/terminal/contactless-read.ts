/** What a tapped card gives: processing options with its cryptogram, records, its account. */
import { bcdToCompressed, byteAt, compressedToBcd, fromHex, toHex } from '../../bytes/index.ts';
import {
  type StatusWord,
  SW_6984_REFERENCED_DATA_INVALIDATED,
  SW_6985_CONDITIONS_NOT_SATISFIED,
  SW_9000_OK,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { aipSays, askRandom, cardValue, type KernelContext, storeCardObjects } from './context.ts';
import { KernelError, parseCardData } from './errors.ts';
import { getProcessingOptions, pdolEntries, processingOptions } from './initiate.ts';
import { panOf, readRecords } from './read-data.ts';
import type { Cryptogram, Kernel } from './types.ts';

/** What the card made of GET PROCESSING OPTIONS. */
export type ContactlessInitiation =
  | { readonly result: 'started' }
  /** 6985: another application. */
  | { readonly result: 'tryNext' }
  /** 6984: insert the card. */
  | { readonly result: 'useContact' }
  /** Magnetic stripe data instead of qPBOC. */
  | { readonly result: 'magneticStripe' }
  | { readonly result: 'refused'; readonly statusWord: StatusWord };

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
  if (statusWord !== SW_9000_OK) return { result: 'refused', statusWord };
  const objects = processingOptions(answer);
  assertNoRepeat(objects);
  storeCardObjects(context, objects);
  const aip = data.TAG_82_APPLICATION_INTERCHANGE_PROFILE;
  if (!cardValue(context, aip, data.AIP_BYTES)) throw missingData(aip);
  return { result: isQpboc(context) ? 'started' : 'magneticStripe' };
}

/** A cryptogram in the answer, and a card that can sign. MSD has neither. */
function isQpboc(context: KernelContext): boolean {
  return (
    aipSays(context, data.AIP_1_DDA_SUPPORTED) &&
    CRYPTOGRAM_TAGS.some(([tag]) => context.data.has(tag))
  );
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

/**
 * Records of the AFL, if there is one: a card that goes online may leave it out, and is then not
 * authenticated offline. Afterwards all that the transaction needs is there and agrees.
 * @throws KernelError `ERR_CARD_...`. @see EMV C-7 §3.4
 */
export function* readContactlessData(context: KernelContext): Kernel<number> {
  const hasFiles = context.data.has(data.TAG_94_APPLICATION_FILE_LOCATOR);
  const records = hasFiles ? yield* readRecords(context) : 0;
  settleAccount(context);
  context.first = cryptogramOf(context);
  return records;
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
