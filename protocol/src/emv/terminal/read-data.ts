/** Read application data: the records of the AFL, static data to be authenticated, must-haves. */
import { bcdToCompressed, maskPan, Secret, TapError, toHex } from '../../bytes/index.ts';
import { decodeTlv, flattenTlv, SW_9000_OK, statusWordHex } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { cardValue, type KernelContext, storeCardObjects, transmit } from './context.ts';
import { isCardObject } from './data-objects.ts';
import { KernelError, parseCardData } from './errors.ts';
import { readRecordCommand } from './select.ts';
import type { Kernel } from './types.ts';

/** Most records of one application; real cards have 5 to 20. */
export const RECORDS_MAX = 100;
/** Highest file whose records are governed by EMV. @see EMV 4.3 B3 §7.1 */
const EMV_SFI_MAX = 10;

/** Objects no transaction can do without. @see EMV 4.3 B3 §7.2 table 27 */
const MANDATORY_TAGS: readonly string[] = [
  data.TAG_5A_APPLICATION_PAN,
  data.TAG_5F24_APPLICATION_EXPIRATION_DATE,
  data.TAG_8C_CDOL1,
  data.TAG_8D_CDOL2,
];

/**
 * Reads every record and demands what a contact transaction needs; answers their number.
 * @throws KernelError as `readRecords`, and `ERR_CARD_MISSING_DATA`.
 * @see EMV 4.3 B3 §10.2
 */
export function* readApplicationData(context: KernelContext): Kernel<number> {
  const total = yield* readRecords(context);
  assertMandatoryObjects(context);
  return total;
}

/**
 * Reads every record that the AFL names, in its order; answers their number.
 * @throws KernelError `ERR_CARD_STATUS`, `ERR_CARD_DATA`, `ERR_CARD_REDUNDANT_DATA`,
 *   `ERR_CARD_LIMIT`.
 * @see EMV 4.3 B3 §10.2
 */
export function* readRecords(context: KernelContext): Kernel<number> {
  const afl = context.data.get(data.TAG_94_APPLICATION_FILE_LOCATOR) ?? new Uint8Array(0);
  const entries = parseCardData(data.TAG_94_APPLICATION_FILE_LOCATOR, () => data.decodeAfl(afl));
  const total = entries.reduce((sum, entry) => sum + entry.lastRecord - entry.firstRecord + 1, 0);
  if (total > RECORDS_MAX) {
    throw new KernelError('ERR_CARD_LIMIT', `AFL names ${total} records, ${RECORDS_MAX} allowed`);
  }
  for (const entry of entries) {
    for (let record = entry.firstRecord; record <= entry.lastRecord; record++) {
      const isSigned = record < entry.firstRecord + entry.signedRecords;
      yield* readRecord(context, { sfi: entry.sfi, record, isSigned });
    }
  }
  return total;
}

function* readRecord(
  context: KernelContext,
  place: { readonly sfi: number; readonly record: number; readonly isSigned: boolean },
): Kernel<void> {
  const { sfi, record, isSigned } = place;
  const response = yield* transmit(context, readRecordCommand(sfi, record));
  if (response.statusWord !== SW_9000_OK) {
    const statusWord = statusWordHex(response.statusWord);
    const where = { sfi, record, statusWord };
    throw new KernelError('ERR_CARD_STATUS', `READ RECORD ${sfi}.${record}: ${statusWord}`, where);
  }
  const isTemplate = response.data[0] === 0x70;
  if (isSigned) addStaticRecord(context, { sfi, answer: response.data, isTemplate });
  if (!isTemplate) {
    // §10.3: a signed record without template 70 fails authentication; §7.1: files above 10 are
    // proprietary, their contents need not be TLV.
    if (isSigned || sfi > EMV_SFI_MAX) return;
    throw new KernelError('ERR_CARD_DATA', `record ${sfi}.${record} has no template 70`, {
      sfi,
      record,
    });
  }
  // What only looks like a template in a proprietary file is nobody's business here.
  if (!isSigned && sfi > EMV_SFI_MAX && !isReadable(response.data)) return;
  const objects = parseCardData(`record ${sfi}.${record}`, () => decodeTlv(response.data));
  const template = objects[0]?.children ?? [];
  assertNoRepeat(template);
  storeCardObjects(context, flattenTlv(template));
}

function isReadable(record: Uint8Array): boolean {
  try {
    decodeTlv(record);
    return true;
  } catch (fault) {
    if (fault instanceof TapError) return false;
    throw fault;
  }
}

/** `flattenTlv` keeps the first of two; the rule on redundancy wants to see both. */
function assertNoRepeat(objects: readonly { readonly tag: string }[]): void {
  const seen = new Set<string>();
  for (const { tag } of objects) {
    if (seen.has(tag) && isCardObject(tag)) {
      throw new KernelError('ERR_CARD_REDUNDANT_DATA', `one record gives ${tag} twice`, { tag });
    }
    seen.add(tag);
  }
}

/**
 * Files 1 to 10: the record without tag and length of its template; above: all of it.
 * @see EMV 4.3 B3 §10.3; openemv 450f2b7
 */
function addStaticRecord(
  context: KernelContext,
  record: { readonly sfi: number; readonly answer: Uint8Array; readonly isTemplate: boolean },
): void {
  if (!record.isTemplate) {
    context.staticDataFault = true;
    return;
  }
  const objects = parseCardData('signed record', () => decodeTlv(record.answer));
  const contents = objects[0]?.value ?? new Uint8Array(0);
  context.staticRecords.push(record.sfi <= EMV_SFI_MAX ? contents : record.answer.slice());
}

function assertMandatoryObjects(context: KernelContext): void {
  for (const tag of MANDATORY_TAGS) {
    if (context.data.has(tag)) continue;
    throw new KernelError('ERR_CARD_MISSING_DATA', `the card has no ${tag}`, { tag });
  }
  panOf(context);
  cardValue(context, data.TAG_5F24_APPLICATION_EXPIRATION_DATE, 3);
}

/** Digits of the PAN. @throws KernelError `ERR_CARD_DATA` unless it is 8 to 19 digits. */
export function panOf(context: KernelContext): string {
  const value = context.data.get(data.TAG_5A_APPLICATION_PAN) ?? new Uint8Array(0);
  const pan = parseCardData(data.TAG_5A_APPLICATION_PAN, () => bcdToCompressed(value));
  if (pan.length >= 8 && pan.length <= 19) return pan;
  throw new KernelError('ERR_CARD_DATA', `PAN of ${pan.length} digits`, { tag: '5A' });
}

/** Two digits; `00` when the card gives none. */
export function panSequenceNumberOf(context: KernelContext): Secret<string> {
  const sequence = context.data.get(data.TAG_5F34_PAN_SEQUENCE_NUMBER);
  return new Secret(sequence?.length === 1 ? toHex(sequence) : '00');
}

/** The PAN as people may see it; null before it is read. */
export function panMaskedOf(context: KernelContext): string | null {
  const value = context.data.get(data.TAG_5A_APPLICATION_PAN);
  if (value === undefined) return null;
  try {
    return maskPan(panOf(context));
  } catch (fault) {
    if (fault instanceof KernelError) return null;
    throw fault;
  }
}
