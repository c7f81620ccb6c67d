/** Initiate application processing: PDOL, GET PROCESSING OPTIONS, AIP and AFL. */
import {
  decodeTlv,
  encodeTlv,
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
  const pdol = context.data.get(data.TAG_9F38_PDOL) ?? new Uint8Array(0);
  const entries = decodeCardDol(data.TAG_9F38_PDOL, pdol);
  if (entries.some((entry) => entry.tag === data.TAG_9F37_UNPREDICTABLE_NUMBER)) {
    context.data.set(data.TAG_9F37_UNPREDICTABLE_NUMBER, yield* askRandom(4));
  }
  const response = yield* transmit(context, {
    cla: 0x80,
    ins: 0xa8,
    p1: 0x00,
    p2: 0x00,
    data: encodeTlv(data.TAG_83_COMMAND_TEMPLATE, dolValue(context, entries)),
    le: 256,
  });
  if (response.statusWord === SW_6985_CONDITIONS_NOT_SATISFIED) return { result: 'tryNext' };
  if (response.statusWord !== SW_9000_OK) {
    return { result: 'refused', statusWord: response.statusWord };
  }
  storeCardObjects(context, processingOptions(response.data));
  cardValue(context, data.TAG_82_APPLICATION_INTERCHANGE_PROFILE, data.AIP_BYTES);
  return { result: 'started' };
}

/** AIP and AFL of either response format. @see EMV 4.3 B3 §6.5.8.4 */
function processingOptions(answer: Uint8Array): readonly (readonly [string, Uint8Array])[] {
  const what = 'answer to GET PROCESSING OPTIONS';
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
  const objects = (template.children ?? []).map(({ tag, value }) => [tag, value] as const);
  for (const tag of [
    data.TAG_82_APPLICATION_INTERCHANGE_PROFILE,
    data.TAG_94_APPLICATION_FILE_LOCATOR,
  ]) {
    if (objects.some(([present]) => present === tag)) continue;
    throw new KernelError('ERR_CARD_MISSING_DATA', `${what} lacks ${tag}`, { tag });
  }
  return objects;
}

/** Reason of an outcome that a status word decided: `card:GPO:6D00`. */
export function refusalReason(command: string, statusWord: StatusWord): string {
  return `card:${command}:${statusWordHex(statusWord)}`;
}
