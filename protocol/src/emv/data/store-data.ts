/**
 * STORE DATA: the commands of a personalisation and their blocks. Data preparation writes them, the
 * card takes them. @see GPCS 2.3.1 §11.11, EMV CPS 1.1 §4.3
 */
import { concatBytes } from '../../bytes/index.ts';
import type { CommandApdu } from '../../iso7816/index.ts';
import { type Dgi, decodeWholeDgis, encodeDgi } from './dgi.ts';
import { EmvDataError } from './errors.ts';

export const CLA_80_STORE_DATA = 0x80;
export const INS_E2_STORE_DATA = 0xe2;
/** Most data bytes of one STORE DATA command. */
export const STORE_DATA_BYTES_MAX = 255;
/** P2 counts the commands of one application, 00 to FF. */
export const STORE_DATA_BLOCKS_MAX = 256;
/** P1 bit 8: the last STORE DATA of the application. */
export const STORE_DATA_LAST_BLOCK = 0x80;
/** P1 bits 7-6: 00 nothing enciphered, 11 every grouping's value enciphered. */
export const STORE_DATA_ENCIPHERED = 0x60;
/** P1 bits 5-4: 01, the data are groupings. */
export const STORE_DATA_DGI_FORMAT = 0x08;
const STRUCTURE_MASK = 0x18;
const RESERVED_MASK = 0x07;

/** Groupings that go together: all enciphered or none. */
export type DgiGroup = { readonly dgis: readonly Dgi[]; readonly isEnciphered: boolean };

/** One command taken apart. */
export type StoreDataBlock = {
  readonly isLast: boolean;
  readonly isEnciphered: boolean;
  readonly blockNumber: number;
  readonly bytes: Uint8Array;
};

/**
 * The STORE DATA commands of one application. Whole groupings share a command while they fit; one
 * that is longer than a command goes on in the next.
 * @throws EmvDataError `ERR_STORE_DATA` when there is nothing to store or more than 256 commands;
 * the codes of `encodeDgi`.
 */
export function storeDataCommands(groups: readonly DgiGroup[]): readonly CommandApdu[] {
  const blocks = groups.flatMap(({ dgis, isEnciphered }) =>
    packed(dgis).map((bytes) => ({ bytes, isEnciphered })),
  );
  if (blocks.length === 0 || blocks.length > STORE_DATA_BLOCKS_MAX) {
    throw storeDataError(`${blocks.length} commands are not 1 to ${STORE_DATA_BLOCKS_MAX}`);
  }
  return blocks.map(({ bytes, isEnciphered }, index) => ({
    cla: CLA_80_STORE_DATA,
    ins: INS_E2_STORE_DATA,
    p1:
      STORE_DATA_DGI_FORMAT |
      (isEnciphered ? STORE_DATA_ENCIPHERED : 0) |
      (index === blocks.length - 1 ? STORE_DATA_LAST_BLOCK : 0),
    p2: index,
    data: bytes,
  }));
}

function packed(dgis: readonly Dgi[]): readonly Uint8Array[] {
  const blocks: Uint8Array[] = [];
  let open: Uint8Array = new Uint8Array(0);
  for (const dgi of dgis) {
    const bytes = encodeDgi(dgi);
    if (open.length > 0 && open.length + bytes.length > STORE_DATA_BYTES_MAX) {
      blocks.push(open);
      open = new Uint8Array(0);
    }
    open = concatBytes(open, bytes);
    while (open.length > STORE_DATA_BYTES_MAX) {
      blocks.push(open.slice(0, STORE_DATA_BYTES_MAX));
      open = open.slice(STORE_DATA_BYTES_MAX);
    }
  }
  return open.length === 0 ? blocks : [...blocks, open];
}

/**
 * One command's block.
 * @throws EmvDataError `ERR_STORE_DATA` with `offsetBytes` of the header byte: another command, a
 * structure that is no groupings, encryption bits 01 or 10, reserved bits, no data.
 */
export function decodeStoreData(command: CommandApdu): StoreDataBlock {
  const { cla, ins, p1, p2, data } = command;
  if (cla !== CLA_80_STORE_DATA) throw storeDataError('class is not 80', 0);
  if (ins !== INS_E2_STORE_DATA) throw storeDataError('instruction is not E2', 1);
  if ((p1 & STRUCTURE_MASK) !== STORE_DATA_DGI_FORMAT || (p1 & RESERVED_MASK) !== 0) {
    throw storeDataError('P1 does not announce groupings', 2);
  }
  const encryption = p1 & STORE_DATA_ENCIPHERED;
  if (encryption !== 0 && encryption !== STORE_DATA_ENCIPHERED) {
    throw storeDataError('P1 says neither clear nor enciphered', 2);
  }
  if (data === undefined || data.length === 0) throw storeDataError('there is no data', 4);
  return {
    isLast: (p1 & STORE_DATA_LAST_BLOCK) !== 0,
    isEnciphered: encryption !== 0,
    blockNumber: p2,
    bytes: data.slice(),
  };
}

/** Where the receiver of an application's commands stands. */
export type StoreDataProgress = {
  readonly nextBlock: number;
  /** Bytes of a grouping that goes on in the next command, and whether it is enciphered. */
  readonly pending: Uint8Array;
  readonly isPendingEnciphered: boolean;
};

/** Before the first command. */
export const STORE_DATA_START: StoreDataProgress = {
  nextBlock: 0,
  pending: new Uint8Array(0),
  isPendingEnciphered: false,
};

/**
 * One block more: the groupings that are whole now.
 * @throws EmvDataError `ERR_STORE_DATA` for a block out of order, a grouping that changes between
 * clear and enciphered, or one that the last block does not end; the codes of `decodeWholeDgis`.
 */
export function acceptStoreData(
  progress: StoreDataProgress,
  block: StoreDataBlock,
): { readonly progress: StoreDataProgress; readonly dgis: readonly Dgi[] } {
  if (block.blockNumber !== progress.nextBlock) {
    throw storeDataError(`block ${block.blockNumber} comes where ${progress.nextBlock} is due`, 3);
  }
  const hasPending = progress.pending.length > 0;
  if (hasPending && progress.isPendingEnciphered !== block.isEnciphered) {
    throw storeDataError('a grouping is partly enciphered', 2);
  }
  const { dgis, rest } = decodeWholeDgis(concatBytes(progress.pending, block.bytes));
  if (block.isLast && rest.length > 0) throw storeDataError('the last grouping is cut off', 4);
  const next = {
    nextBlock: progress.nextBlock + 1,
    pending: rest,
    isPendingEnciphered: block.isEnciphered,
  };
  return { progress: next, dgis };
}

function storeDataError(why: string, offsetBytes?: number): EmvDataError {
  const data = offsetBytes === undefined ? {} : { offsetBytes };
  return new EmvDataError('ERR_STORE_DATA', `STORE DATA: ${why}`, data);
}
