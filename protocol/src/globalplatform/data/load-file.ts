/** What LOAD carries: DAP blocks, then C4 with the code. @see GPCS 2.3.1 §11.6.2.3 */
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { decodeTlv, encodeTlv } from '../../iso7816/index.ts';
import { formatFault } from './errors.ts';
import { berLength, readBerLength } from './length-value.ts';
import {
  TAG_4F_AID,
  TAG_C3_SIGNATURE,
  TAG_C4_LOAD_FILE_DATA_BLOCK,
  TAG_E2_DAP_BLOCK,
} from './tags.ts';

/** A signature over the hash of the code, by the key of a security domain. */
export type DapBlock = { readonly domainAid: string; readonly signature: Uint8Array };
/** A whole load file. */
export type LoadFileContent = {
  readonly dapBlocks: readonly DapBlock[];
  readonly code: Uint8Array;
};

/** DAP blocks before one load file. */
export const DAP_BLOCKS_MAX = 4;

/** The bytes that LOAD cuts into blocks. The hash is over `code` alone, exactly as it is here. */
export function encodeLoadFile({ dapBlocks, code }: LoadFileContent): Uint8Array {
  const daps = dapBlocks.map(({ domainAid, signature }) =>
    encodeTlv(
      TAG_E2_DAP_BLOCK,
      concatBytes(
        encodeTlv(TAG_4F_AID, fromHex(domainAid)),
        encodeTlv(TAG_C3_SIGNATURE, signature),
      ),
    ),
  );
  return concatBytes(...daps, fromHex(TAG_C4_LOAD_FILE_DATA_BLOCK), berLength(code.length), code);
}

/**
 * Reads what all blocks gave.
 * @throws GlobalPlatformError `ERR_GP_FORMAT` with the place.
 */
export function decodeLoadFile(bytes: Uint8Array): LoadFileContent {
  const dapBlocks: DapBlock[] = [];
  let offset = 0;
  while (toHex(bytes.subarray(offset, offset + 1)) === TAG_E2_DAP_BLOCK) {
    if (dapBlocks.length === DAP_BLOCKS_MAX) throw formatFault('too many DAP blocks', offset);
    const end = endOf(bytes, offset);
    dapBlocks.push(dapOf(bytes.subarray(offset, end), offset));
    offset = end;
  }
  if (toHex(bytes.subarray(offset, offset + 1)) !== TAG_C4_LOAD_FILE_DATA_BLOCK) {
    throw formatFault('no load file data block', offset);
  }
  const end = endOf(bytes, offset);
  if (end !== bytes.length) throw formatFault('bytes follow the code', end);
  const found = readBerLength(bytes, offset + 1);
  return { dapBlocks, code: bytes.slice(found?.valueOffset ?? end) };
}

function endOf(bytes: Uint8Array, offset: number): number {
  const found = readBerLength(bytes, offset + 1);
  const end = found ? found.valueOffset + found.length : Number.POSITIVE_INFINITY;
  if (end > bytes.length) throw formatFault('load file is cut off', offset);
  return end;
}

function dapOf(block: Uint8Array, offset: number): DapBlock {
  let children: ReturnType<typeof decodeTlv>;
  try {
    children = decodeTlv(block)[0]?.children ?? [];
  } catch (thrown) {
    throw formatFault(`DAP block: ${thrown instanceof Error ? thrown.message : ''}`, offset);
  }
  const aid = children.find(({ tag }) => tag === TAG_4F_AID);
  const signature = children.find(({ tag }) => tag === TAG_C3_SIGNATURE);
  if (!aid || !signature) throw formatFault('DAP block lacks 4F or C3', offset);
  return { domainAid: toHex(aid.value), signature: signature.value };
}
