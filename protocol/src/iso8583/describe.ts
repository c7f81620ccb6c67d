/** What people and logs may see of a message: masked unless the dialect calls it harmless. */
import { maskPan, toHex } from '../bytes/index.ts';
import { CUPS_DIALECT } from './cups.ts';
import type { Dialect } from './dialect.ts';
import { Iso8583Error } from './errors.ts';
import type { Visibility } from './field-spec.ts';
import type { FieldValue, Iso8583Message } from './message.ts';
import { fieldName, type Iso8583Name } from './names.ts';
import { decodeSubfields } from './subfields.ts';

/** `MTI` and `F<n>` -> printable text; hidden fields show their length only. */
export function describeMessage(
  message: Iso8583Message,
  dialect: Dialect = CUPS_DIALECT,
): Readonly<Record<string, string>> {
  const shown: Record<string, string> = { MTI: message.mti };
  for (const number of sortedNumbers(message)) {
    const value = message.fields.get(number) ?? '';
    shown[`F${number}`] = shownValue(value, visibilityOf(dialect, number, value));
  }
  return shown;
}

/** One line of a description. */
export type DescribedField = {
  /** `MTI`, `F4`, `F60.2.5`, `F55.9F02`. */
  readonly path: string;
  /** Null where only the path says what it is. */
  readonly name: Iso8583Name | null;
  /** Masked text; `[12 bytes]` of what must not be seen. */
  readonly text: string;
};

/** The message with what is inside its fields, masked; a malformed inside says its fault. */
export function describeFields(
  message: Iso8583Message,
  dialect: Dialect = CUPS_DIALECT,
): readonly DescribedField[] {
  const lines: DescribedField[] = [{ path: 'MTI', name: null, text: message.mti }];
  for (const number of sortedNumbers(message)) {
    const value = message.fields.get(number) ?? '';
    const text = shownValue(value, visibilityOf(dialect, number, value));
    lines.push({ path: `F${number}`, name: fieldName(number), text });
    lines.push(...describedParts(message, dialect, number));
  }
  return lines;
}

function describedParts(
  message: Iso8583Message,
  dialect: Dialect,
  number: number,
): readonly DescribedField[] {
  try {
    return decodeSubfields(dialect, message, number).map(({ path, value, visibility }) => ({
      path,
      name: null,
      text: shownValue(value, visibility),
    }));
  } catch (thrown) {
    if (!(thrown instanceof Iso8583Error)) throw thrown;
    return [{ path: thrown.fieldPath, name: null, text: `[${thrown.code}]` }];
  }
}

function sortedNumbers(message: Iso8583Message): readonly number[] {
  return [...message.fields.keys()].sort((left, right) => left - right);
}

/** Bytes of a whole field are never harmless, whatever its table says. */
function visibilityOf(dialect: Dialect, number: number, value: FieldValue): Visibility {
  if (typeof value !== 'string') return 'hidden';
  return dialect.fields.get(number)?.visibility ?? 'hidden';
}

function shownValue(value: FieldValue, visibility: Visibility): string {
  if (visibility === 'hidden') return `[${value.length} bytes]`;
  if (typeof value !== 'string') return toHex(value);
  return visibility === 'pan' ? maskPan(value) : value.replace(/[^\x20-\x7e]/g, '.');
}
