/** An ISO 8583 message as the program holds it, and typed access to its fields. */
import { Iso8583Error } from './errors.ts';
import { changedTable, tableOf } from './field-table.ts';

/** Text for character fields, bytes for binary ones (52, 55, 96, 128). */
export type FieldValue = string | Uint8Array;

/** A message without its transport header. @see ISO 8583:1987 §4 */
export type Iso8583Message = {
  /** Message type identifier, four digits. */
  readonly mti: string;
  /** Field number -> value; fields 1 and 65 (bitmaps) are never in it. */
  readonly fields: ReadonlyMap<number, FieldValue>;
};

/** A message of these fields; `undefined` values are left out. */
export function makeMessage(
  mti: string,
  fields: Iterable<readonly [number, FieldValue | undefined]>,
): Iso8583Message {
  return { mti, fields: changedTable(null, present(fields)) };
}

function* present(
  fields: Iterable<readonly [number, FieldValue | undefined]>,
): Iterable<readonly [number, FieldValue]> {
  for (const [number, value] of fields) if (value !== undefined) yield [number, value];
}

/** The message with some fields replaced; `undefined` removes one. */
export function withFields(
  message: Iso8583Message,
  changes: Iterable<readonly [number, FieldValue | undefined]>,
): Iso8583Message {
  return { mti: message.mti, fields: changedTable(tableOf(message.fields), changes) };
}

/** A character field, or undefined. */
export function textField(message: Iso8583Message, number: number): string | undefined {
  const value = message.fields.get(number);
  return typeof value === 'string' ? value : undefined;
}

/** A binary field, or undefined. */
export function bytesField(message: Iso8583Message, number: number): Uint8Array | undefined {
  const value = message.fields.get(number);
  return value instanceof Uint8Array ? value : undefined;
}

/** A character field that must be there. @throws Iso8583Error `ERR_ISO8583_MISSING`. */
export function requireText(message: Iso8583Message, number: number): string {
  const value = textField(message, number);
  if (value === undefined) throw missing(number);
  return value;
}

/** A binary field that must be there. @throws Iso8583Error `ERR_ISO8583_MISSING`. */
export function requireBytes(message: Iso8583Message, number: number): Uint8Array {
  const value = bytesField(message, number);
  if (value === undefined) throw missing(number);
  return value;
}

function missing(number: number): Iso8583Error {
  const fieldPath = `F${number}`;
  return new Iso8583Error('ERR_ISO8583_MISSING', `${fieldPath} is missing`, { fieldPath });
}

/** Message class (second digit): 2 financial, 4 reversal, 8 network management. */
export function messageClass(mti: string): string {
  return mti.charAt(1);
}

/** Whether the third digit says request or advice (even) and not a response (odd). */
export function isRequest(mti: string): boolean {
  return Number(mti.charAt(2)) % 2 === 0;
}

/** The response type of a request type; a repeat (0421) is answered like the first (0430). */
export function responseMti(mti: string): string {
  return `${mti.slice(0, 2)}${Number(mti.charAt(2)) + 1}0`;
}
