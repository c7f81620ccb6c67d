/** Initiate application processing: PDOL, GET PROCESSING OPTIONS, AIP and AFL. */
import {
  type DolEntry,
  decodeTlv,
  encodeTlv,
  type ResponseApdu,
  type StatusWord,
  SW_6985_CONDITIONS_NOT_SATISFIED,
  SW_9000_OK,
  statusWordHex,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { askRandom, cardValue, type KernelContext, storeCardObjects, transmit } from './context.ts';
import { decodeCardDol, dolValue } from './dol.ts';
import { KernelError, parseCardData } from './errors.ts';
import type { Kernel } from './types.ts';

const PROCESSING_OPTIONS = 'answer to GET PROCESSING OPTIONS';

/** Whether the card begins the transaction, wants another application, or refuses. */
export type Initiation =
  | { readonly result: 'started' }
  | { readonly result: 'tryNext' }
  | { readonly result: 'refused'; readonly statusWord: StatusWord };

/**
 * GET PROCESSING OPTIONS; AIP and AFL are in the data objects afterwards.
 * @throws KernelError `ERR_CARD_DATA`, `ERR_CARD_MISSING_DATA`.
 * @see EMV 4.3 B3 §10.1
 */
export function* initiateApplication(context: KernelContext): Kernel<Initiation> {
  const entries = pdolEntries(context);
  if (entries.some((entry) => entry.tag === data.TAG_9F37_UNPREDICTABLE_NUMBER)) {
    context.data.set(data.TAG_9F37_UNPREDICTABLE_NUMBER, yield* askRandom(4));
  }
  const response = yield* getProcessingOptions(context, entries);
  if (response.statusWord === SW_6985_CONDITIONS_NOT_SATISFIED) return { result: 'tryNext' };
  if (response.statusWord !== SW_9000_OK) {
    return { result: 'refused', statusWord: response.statusWord };
  }
  const options = processingOptions(response.data);
  for (const tag of [
    data.TAG_82_APPLICATION_INTERCHANGE_PROFILE,
    data.TAG_94_APPLICATION_FILE_LOCATOR,
  ]) {
    if (options.some(([present]) => present === tag)) continue;
    throw new KernelError('ERR_CARD_MISSING_DATA', `${PROCESSING_OPTIONS} lacks ${tag}`, { tag });
  }
  storeCardObjects(context, options);
  cardValue(context, data.TAG_82_APPLICATION_INTERCHANGE_PROFILE, data.AIP_BYTES);
  return { result: 'started' };
}

/** Entries of the card's PDOL; none without one. @throws KernelError `ERR_CARD_DATA`. */
export function pdolEntries(context: KernelContext): readonly DolEntry[] {
  const pdol = context.data.get(data.TAG_9F38_PDOL) ?? new Uint8Array(0);
  return decodeCardDol(data.TAG_9F38_PDOL, pdol);
}

/** GET PROCESSING OPTIONS with the values that the PDOL asks for. @see EMV 4.3 B3 §6.5.8 */
export function* getProcessingOptions(
  context: KernelContext,
  entries: readonly DolEntry[],
): Kernel<ResponseApdu> {
  context.pdolValue = dolValue(context, entries);
  return yield* transmit(context, {
    cla: 0x80,
    ins: 0xa8,
    p1: 0x00,
    p2: 0x00,
    data: encodeTlv(data.TAG_83_COMMAND_TEMPLATE, context.pdolValue),
    le: 256,
  });
}

/**
 * Objects of either response format; format 1 is AIP and AFL.
 * @throws KernelError `ERR_CARD_DATA` when it is neither. @see EMV 4.3 B3 §6.5.8.4
 */
export function processingOptions(answer: Uint8Array): readonly (readonly [string, Uint8Array])[] {
  const what = PROCESSING_OPTIONS;
  const template = parseCardData(what, () => decodeTlv(answer))[0];
  if (template?.tag === data.TAG_80_RESPONSE_TEMPLATE_FORMAT_1 && template.value.length >= 2) {
    return [
      [data.TAG_82_APPLICATION_INTERCHANGE_PROFILE, template.value.slice(0, 2)],
      [data.TAG_94_APPLICATION_FILE_LOCATOR, template.value.slice(2)],
    ];
  }
  if (template?.tag !== data.TAG_77_RESPONSE_TEMPLATE_FORMAT_2) {
    throw new KernelError('ERR_CARD_DATA', `${what} is neither format 1 nor 2`, { what });
  }
  return (template.children ?? []).map(({ tag, value }) => [tag, value] as const);
}

/** Reason of an outcome that a status word decided: `card:GPO:6D00`. */
export function refusalReason(command: string, statusWord: StatusWord): string {
  return `card:${command}:${statusWordHex(statusWord)}`;
}
