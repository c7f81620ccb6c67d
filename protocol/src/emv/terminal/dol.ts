/** Values for the card's data object lists, the TC hash included. */
import { buildDolValue, type DolEntry, decodeDol } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { type KernelContext, markTvr, selectedAid } from './context.ts';
import { parseCardData } from './errors.ts';

/** Entries of a list of the card. @throws KernelError `ERR_CARD_DATA`. */
export function decodeCardDol(tag: string, list: Uint8Array): readonly DolEntry[] {
  return parseCardData(tag, () => decodeDol(list));
}

/** The bytes a list asks for, from the transaction's data. @see EMV 4.3 B3 §5.4 */
export function dolValue(context: KernelContext, entries: readonly DolEntry[]): Uint8Array {
  if (entries.some((entry) => entry.tag === data.TAG_98_TC_HASH_VALUE)) setTcHash(context);
  return buildDolValue(entries, (tag) => context.data.get(tag), data.dolFormatOf);
}

/**
 * TC hash value over the TDOL of the card or, marked in the TVR, of the terminal.
 * @see EMV 4.3 B3 §9.2.2
 */
function setTcHash(context: KernelContext): void {
  const cardTdol = context.data.get(data.TAG_97_TDOL);
  const tdol = cardTdol ?? selectedAid(context).defaultTdol;
  if (cardTdol === undefined) markTvr(context, data.TVR_5_DEFAULT_TDOL_USED);
  const entries = tdol ? decodeCardDol(data.TAG_97_TDOL, tdol) : [];
  const input = buildDolValue(
    entries.filter((entry) => entry.tag !== data.TAG_98_TC_HASH_VALUE),
    (tag) => context.data.get(tag),
    data.dolFormatOf,
  );
  context.data.set(data.TAG_98_TC_HASH_VALUE, context.input.ciphers.sha1(input));
}
