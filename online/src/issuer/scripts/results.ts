/** Issuer script results (DF31), five bytes each. @see EMV 4.3 B4 §A5 table 34 */
import { toHex } from '@tapnpay/protocol/bytes';

/** Result and command number, then 9F18. */
const RESULT_BYTES = 5;
const RESULTS_MAX = 16;
/** First nibble of a result. */
const RESULT_FAILED = 1;
const RESULT_SUCCESSFUL = 2;

/** One script's result. */
export type ScriptResult = {
  readonly outcome: 'notPerformed' | 'failed' | 'successful';
  /** 9F18, hex. */
  readonly identifier: string;
};

/** The results in DF31; null for anything else. */
export function scriptResultsOf(bytes: Uint8Array): readonly ScriptResult[] | null {
  const count = bytes.length / RESULT_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > RESULTS_MAX) return null;
  const results: ScriptResult[] = [];
  for (let index = 0; index < count; index++) {
    const one = bytes.subarray(index * RESULT_BYTES, (index + 1) * RESULT_BYTES);
    const nibble = (one[0] ?? 0) >> 4;
    if (nibble > RESULT_SUCCESSFUL) return null;
    const outcome =
      nibble === RESULT_SUCCESSFUL
        ? 'successful'
        : nibble === RESULT_FAILED
          ? 'failed'
          : 'notPerformed';
    results.push({ outcome, identifier: toHex(one.subarray(1)) });
  }
  return results;
}
