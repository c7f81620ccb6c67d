/** The kinds of card and terminal data, in the order in which equal scores win. */
import type { ExplainModule } from './types.ts';

/** Kinds of EMV and PBOC. */
export const EMV_KINDS: readonly ExplainModule[] = [];
