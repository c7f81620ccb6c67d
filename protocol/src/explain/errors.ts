/** Faults of the explainer: what no reading of the input can make sense of. */
import { TapError } from '../bytes/index.ts';

/** Stable codes of this folder. */
export type ExplainErrorCode =
  /** Nothing was given. */
  | 'ERR_EXPLAIN_EMPTY'
  /** The input is longer than `EXPLAIN_CHARACTERS_MAX` or asks for more than a named limit. */
  | 'ERR_EXPLAIN_LIMIT'
  /** A foreign character among hex digits; `offsetCharacters` says where. */
  | 'ERR_EXPLAIN_HEX'
  /** No kind reads the input, or the named kind does not exist. */
  | 'ERR_EXPLAIN_KIND'
  /** The bytes cannot be of the kind; `offsetBytes` says from where on. */
  | 'ERR_EXPLAIN_FORMAT'
  /** A value that the kind needs was not given; `name` says which. */
  | 'ERR_EXPLAIN_MISSING'
  /** A named value or key is malformed; `name` says which. */
  | 'ERR_EXPLAIN_VALUE';

/** An impossible input; `data` holds `offsetBytes`, `offsetCharacters`, `kind` or `name`. */
export class ExplainError extends TapError<ExplainErrorCode> {}

/** The error of bytes that cannot be of a kind. */
export function formatError(kind: string, offsetBytes: number, why: string): ExplainError {
  const message = `${kind}: at byte ${offsetBytes}: ${why}`;
  return new ExplainError('ERR_EXPLAIN_FORMAT', message, { kind, offsetBytes });
}
