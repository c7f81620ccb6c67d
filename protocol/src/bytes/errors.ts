/** The one root of every coded error; faults carry a stable code, facts as data, and a cause. */

/** Facts of a fault; plain JSON values, never secrets. */
export type ErrorData = Readonly<Record<string, string | number | boolean | null>>;

/** What crosses a process, page or HTTP boundary instead of an exception. */
export type ErrorBody = {
  readonly code: string;
  readonly message: string;
  readonly data: ErrorData;
};

/** A fault in data or a peer. Derived classes narrow `Code` to their folder's union. */
export class TapError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly data: ErrorData;

  constructor(code: Code, message: string, data: ErrorData = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.data = data;
  }

  /** The form that crosses boundaries. */
  toJSON(): ErrorBody {
    return { code: this.code, message: this.message, data: this.data };
  }
}

/** Rebuilds an error from its crossing form; the code is what callers test. */
export function errorFromBody(body: ErrorBody): TapError {
  return new TapError(body.code, body.message, body.data);
}

/** The crossing form of anything thrown; foreign exceptions become `ERR_INTERNAL`. */
export function errorBody(thrown: unknown): ErrorBody {
  if (thrown instanceof TapError) return thrown.toJSON();
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: 'ERR_INTERNAL', message, data: {} };
}
