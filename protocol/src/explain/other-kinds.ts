/** The kinds of lines, keys and secure elements, in the order in which equal scores win. */
import type { ExplainModule } from './types.ts';

/** Kinds beside EMV: interchange messages, keys, PIN blocks, GlobalPlatform, receipts. */
export const OTHER_KINDS: readonly ExplainModule[] = [];
