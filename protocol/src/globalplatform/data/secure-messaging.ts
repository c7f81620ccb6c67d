/** Parameters and levels of secure channels, and the padding both of them use. @see GP-D §5.1 */
import { byteAt } from '../../bytes/index.ts';
import { CLA_BIT_SECURE_MESSAGING, CLA_BITS_CHANNEL } from './commands.ts';
import { GlobalPlatformError } from './errors.ts';

/** Bits of the security level in P1 of EXTERNAL AUTHENTICATE. @see GP-D table 7-4 */
export const LEVEL_01_C_MAC = 0x01;
export const LEVEL_02_C_DECRYPTION = 0x02;
export const LEVEL_10_R_MAC = 0x10;
export const LEVEL_20_R_ENCRYPTION = 0x20;
/** Levels of SCP02 with i=15 and 55, which know no R-MAC. @see GPCS 2.3.1 table E-10 */
export const SCP02_LEVELS: readonly number[] = [0x00, 0x01, 0x03];
/** Levels of SCP03. @see GP-D table 7-4 */
export const SCP03_LEVELS: readonly number[] = [0x00, 0x01, 0x03, 0x11, 0x13, 0x33];

/** Bits of parameter i of SCP03. @see GP-D table 5-1 */
export const SCP03_I_01_S16 = 0x01;
export const SCP03_I_10_PSEUDO_RANDOM = 0x10;
export const SCP03_I_20_R_MAC = 0x20;
export const SCP03_I_60_R_ENCRYPTION = 0x60;
/** Parameters that both sides speak: S8, and S16 with bit 01. */
export const SCP03_PARAMETERS: readonly number[] = [
  ...[0x00, 0x10, 0x60, 0x70],
  ...[0x01, 0x11, 0x61, 0x71],
];
/** Parameters of SCP02 that both sides speak. */
export const SCP02_PARAMETERS: readonly number[] = [0x15, 0x55];
export const SCP02_I_40_PSEUDO_RANDOM = 0x40;

/** Whether a card with parameter i offers a level. @see GP-D table 5-1 */
export function isLevelOffered(protocol: 2 | 3, parameterI: number, level: number): boolean {
  if (protocol === 2) return SCP02_LEVELS.includes(level);
  if (!SCP03_LEVELS.includes(level)) return false;
  const needed =
    (level & LEVEL_10_R_MAC ? SCP03_I_20_R_MAC : 0) |
    (level & LEVEL_20_R_ENCRYPTION ? SCP03_I_60_R_ENCRYPTION : 0);
  return (parameterI & needed) === needed;
}

/** The class byte that a MAC covers: secure messaging, channel 0. @see GPCS 2.3.1 §E.4.4 */
export function macClass(cla: number): number {
  return (cla & ~CLA_BITS_CHANNEL) | CLA_BIT_SECURE_MESSAGING;
}

/**
 * Without `80` and the zeros behind it.
 * @see ISO 9797-1 §6.3.3
 * @throws GlobalPlatformError `ERR_GP_FORMAT` when there is no such padding.
 */
export function unpadIso9797Method2(padded: Uint8Array): Uint8Array {
  let end = padded.length - 1;
  while (end >= 0 && byteAt(padded, end) === 0) end--;
  if (end >= 0 && byteAt(padded, end) === 0x80) return padded.slice(0, end);
  throw new GlobalPlatformError('ERR_GP_FORMAT', 'deciphered data have no padding', {
    offsetBytes: Math.max(0, end),
  });
}
