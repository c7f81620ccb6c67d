/** Coded faults of ISO 8583 messages; every one names the field and the byte where it was seen. */
import { TapError } from '../bytes/index.ts';

/** Every code this folder throws. */
export type Iso8583ErrorCode =
  | 'ERR_ISO8583_HEADER'
  | 'ERR_ISO8583_MTI'
  | 'ERR_ISO8583_BITMAP'
  | 'ERR_ISO8583_FIELD'
  | 'ERR_ISO8583_LENGTH'
  | 'ERR_ISO8583_TRUNCATED'
  | 'ERR_ISO8583_TRAILING'
  | 'ERR_ISO8583_MISSING'
  /** A table that was given as a file. */
  | 'ERR_ISO8583_SPEC';

/** A malformed message. `data.fieldPath` is `MTI`, `F55`...; `data.offsetBytes` counts from 0. */
export class Iso8583Error extends TapError<Iso8583ErrorCode> {
  get fieldPath(): string {
    return String(this.data['fieldPath'] ?? '');
  }

  /** The byte, from the beginning of what was read. */
  get offsetBytes(): number {
    return Number(this.data['offsetBytes'] ?? 0);
  }

  /** The same fault, counted from a place further in front. */
  movedBy(bytes: number): Iso8583Error {
    const { fieldPath, offsetBytes } = this;
    const what = this.message.slice(`${fieldPath} at byte ${offsetBytes}: `.length);
    return fault(this.code, { fieldPath, offsetBytes: offsetBytes + bytes }, what);
  }
}

/** Where in a message a fault is. */
export type Place = { readonly fieldPath: string; readonly offsetBytes: number };

/** A fault at a place; `what` never holds a field's value. */
export function fault(code: Iso8583ErrorCode, place: Place, what: string): Iso8583Error {
  return new Iso8583Error(code, `${place.fieldPath} at byte ${place.offsetBytes}: ${what}`, place);
}
