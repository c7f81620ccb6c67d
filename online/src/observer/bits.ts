/** Meanings of the flag fields, bit by bit. */
import {
  AIP_BITS,
  AUC_BITS,
  bitsSet,
  CTQ_BITS,
  CVR_BITS,
  type StatusBit,
  TERMINAL_CAPABILITY_BITS,
  TSI_BITS,
  TTQ_BITS,
  TVR_BITS,
} from '@tapnpay/protocol/emv/data';
import type { TwoLanguages } from '@tapnpay/protocol/wire';
import { two } from './field.ts';

/** Tables by tag; action codes are masks over the TVR. */
const TABLES: Readonly<Record<string, readonly StatusBit[]>> = {
  '82': AIP_BITS,
  '95': TVR_BITS,
  '9B': TSI_BITS,
  '9F07': AUC_BITS,
  '9F0D': TVR_BITS,
  '9F0E': TVR_BITS,
  '9F0F': TVR_BITS,
  '9F33': TERMINAL_CAPABILITY_BITS,
  '9F66': TTQ_BITS,
  '9F6C': CTQ_BITS,
};

const NONE = two('No bit is set', '没有置位');

/** The bits of a tag's value that are set; null for a tag without bits. */
export function bitMeanings(tag: string, bytes: Uint8Array): readonly TwoLanguages[] | null {
  const table = TABLES[tag];
  return table ? namesOf(bytes, table) : null;
}

/**
 * Card verification results. The kinds of cryptogram are two-bit numbers, not flags.
 * @see PBOC3 P5 (CVR)
 */
export function cvrMeanings(bytes: Uint8Array): readonly TwoLanguages[] {
  const second = bytes[1] ?? 0;
  const kinds = [FIRST_AC[(second >> 4) & 3] ?? NONE, SECOND_AC[(second >> 6) & 3] ?? NONE];
  const flags = CVR_BITS.filter((bit) => !(bit.byteNumber === 2 && bit.mask >= 0x10));
  const set = bitsSet(bytes, flags).map(nameOf);
  return [...kinds, ...set];
}

const FIRST_AC: readonly TwoLanguages[] = [
  two('B2b6-5 = 00: first GENERATE AC returned an AAC', 'B2b6-5 = 00：第一次GENERATE AC返回AAC'),
  two('B2b6-5 = 01: first GENERATE AC returned a TC', 'B2b6-5 = 01：第一次GENERATE AC返回TC'),
  two('B2b6-5 = 10: first GENERATE AC returned an ARQC', 'B2b6-5 = 10：第一次GENERATE AC返回ARQC'),
  two('B2b6-5 = 11: reserved', 'B2b6-5 = 11：保留'),
];
const SECOND_AC: readonly TwoLanguages[] = [
  two('B2b8-7 = 00: second GENERATE AC returned an AAC', 'B2b8-7 = 00：第二次GENERATE AC返回AAC'),
  two('B2b8-7 = 01: second GENERATE AC returned a TC', 'B2b8-7 = 01：第二次GENERATE AC返回TC'),
  two('B2b8-7 = 10: second GENERATE AC not requested', 'B2b8-7 = 10：未请求第二次GENERATE AC'),
  two('B2b8-7 = 11: reserved', 'B2b8-7 = 11：保留'),
];

function namesOf(bytes: Uint8Array, table: readonly StatusBit[]): readonly TwoLanguages[] {
  const set = bitsSet(bytes, table);
  return set.length === 0 ? [NONE] : set.map(nameOf);
}

/** The place is the standard's: byte from the left, bit 8 the highest. */
function nameOf({ byteNumber, mask, nameEn, nameZh }: StatusBit): TwoLanguages {
  const place = `B${byteNumber}b${Math.log2(mask) + 1}`;
  return two(`${place} ${nameEn}`, `${place} ${nameZh}`);
}
