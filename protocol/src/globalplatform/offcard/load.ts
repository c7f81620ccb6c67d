/** Cutting a load file into LOAD commands. @see GPCS 2.3.1 §11.6 */
import type { CommandApdu } from '../../iso7816/index.ts';
import {
  BLOCK_NUMBERS_MAX,
  CLA_GLOBALPLATFORM,
  encodeLoadFile,
  INS_E8_LOAD,
  LOAD_80_LAST_BLOCK,
  type LoadFileContent,
  limitFault,
} from '../data/index.ts';

/**
 * The commands in order. Each holds at most `dataBytesMax` clear bytes: take that of the session,
 * which leaves room for MAC and padding, or less for a card that wants less (report 15).
 * @throws GlobalPlatformError `ERR_GP_LIMIT` when the blocks cannot be numbered.
 */
export function loadCommands(
  content: LoadFileContent,
  { dataBytesMax }: { readonly dataBytesMax: number },
): readonly CommandApdu[] {
  const bytes = encodeLoadFile(content);
  const count = Math.ceil(bytes.length / dataBytesMax);
  if (!(dataBytesMax >= 1) || count > BLOCK_NUMBERS_MAX) {
    throw limitFault('LOAD blocks', count, BLOCK_NUMBERS_MAX);
  }
  return Array.from({ length: count }, (_, number) => ({
    ...{ cla: CLA_GLOBALPLATFORM, ins: INS_E8_LOAD, p2: number, le: 256 },
    p1: number === count - 1 ? LOAD_80_LAST_BLOCK : 0,
    data: bytes.slice(number * dataBytesMax, (number + 1) * dataBytesMax),
  }));
}
