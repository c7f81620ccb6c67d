/** Flag fields: which bits are set, by the tables of `emv/data`, and which are reserved. */
import { byteAt } from '../bytes/index.ts';
import {
  ADA_BITS,
  AIP_BITS,
  AUC_BITS,
  CTQ_BITS,
  CVR_BITS,
  type StatusBit,
  TERMINAL_CAPABILITY_BITS,
  TSI_BITS,
  TTQ_BITS,
  TVR_BITS,
} from '../emv/data/index.ts';
import { both, finding, nodeOf } from './build.ts';
import type { BitFact } from './facts.ts';
import type { ExplainNode, Finding } from './types.ts';

/** Table and length of a flag field; action codes are masks over the TVR. */
type FlagField = { readonly bits: readonly StatusBit[]; readonly lengthBytes: number };

const TVR: FlagField = { bits: TVR_BITS, lengthBytes: 5 };
const FIELDS: Readonly<Record<string, FlagField>> = {
  '82': { bits: AIP_BITS, lengthBytes: 2 },
  '95': TVR,
  '9B': { bits: TSI_BITS, lengthBytes: 2 },
  '9F07': { bits: AUC_BITS, lengthBytes: 2 },
  '9F0D': TVR,
  '9F0E': TVR,
  '9F0F': TVR,
  '9F33': { bits: TERMINAL_CAPABILITY_BITS, lengthBytes: 3 },
  '9F52': { bits: ADA_BITS, lengthBytes: 2 },
  '9F66': { bits: TTQ_BITS, lengthBytes: 4 },
  '9F6C': { bits: CTQ_BITS, lengthBytes: 2 },
  DF11: TVR,
  DF12: TVR,
  DF13: TVR,
};

/** A flag field taken apart. */
export type FlagReading = {
  readonly bits: readonly BitFact[];
  readonly children: readonly ExplainNode[];
  readonly findings: readonly Finding[];
};

/** The flags of a tag's value; null for a tag that holds none. */
export function readFlags(tag: string, bytes: Uint8Array, offsetBytes: number): FlagReading | null {
  const field = FIELDS[tag];
  return field ? readBits(bytes, offsetBytes, field.bits) : null;
}

/**
 * Card verification results without the two-bit kinds of cryptogram in byte 2, which `iad.ts`
 * reads. @see PBOC3 P5 (CVR)
 */
export function readCvrFlags(bytes: Uint8Array, offsetBytes: number): FlagReading {
  const flags = CVR_BITS.filter((bit) => !(bit.byteNumber === 2 && bit.mask >= 0x10));
  return readBits(bytes, offsetBytes, flags, { 1: 0xff, 2: 0xf0, 4: 0xf0 });
}

/** Set bits as facts and nodes; reserved ones as findings, but for those in `known` masks. */
function readBits(
  bytes: Uint8Array,
  offsetBytes: number,
  table: readonly StatusBit[],
  known: Readonly<Record<number, number>> = {},
): FlagReading {
  const bits: BitFact[] = [];
  const children: ExplainNode[] = [];
  const findings: Finding[] = [];
  for (let index = 0; index < bytes.length; index++) {
    const value = byteAt(bytes, index);
    const rows = table.filter((row) => row.byteNumber === index + 1);
    for (const row of rows) {
      if ((value & row.mask) === 0) continue;
      const fact = factOf(row);
      bits.push(fact);
      const name = both(row.nameEn, row.nameZh);
      const place = { offsetBytes: offsetBytes + index, bytes: bytes.subarray(index, index + 1) };
      children.push(nodeOf(name, place, { value: `B${fact.byte}b${fact.bit}` }));
    }
    const meant = rows.reduce((mask, row) => mask | row.mask, known[index + 1] ?? 0);
    const reserved = value & ~meant & 0xff;
    if (reserved !== 0) findings.push(reservedBits(index + 1, reserved, offsetBytes + index));
  }
  return { bits, children, findings };
}

function factOf(row: StatusBit): BitFact {
  const bit = Math.log2(row.mask) + 1;
  return { byte: row.byteNumber, bit, nameEn: row.nameEn, nameZh: row.nameZh };
}

function reservedBits(byteNumber: number, mask: number, offsetBytes: number): Finding {
  const hex = mask.toString(16).toUpperCase().padStart(2, '0');
  return finding(
    'note',
    'BITS_RESERVED',
    offsetBytes,
    both(
      `byte ${byteNumber}: bits ${hex} have no meaning in this table`,
      `第 ${byteNumber} 字节：位 ${hex} 在此表中无定义`,
    ),
  );
}
