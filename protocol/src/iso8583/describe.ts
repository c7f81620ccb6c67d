/** What people and logs may see of a message: masked unless the dialect calls it harmless. */
import { maskPan } from '../bytes/index.ts';
import { CUPS_DIALECT } from './cups.ts';
import type { Dialect } from './dialect.ts';
import type { Iso8583Message } from './message.ts';

/** `MTI` and `F<n>` -> printable text; hidden fields show their length only. */
export function describeMessage(
  message: Iso8583Message,
  dialect: Dialect = CUPS_DIALECT,
): Readonly<Record<string, string>> {
  const shown: Record<string, string> = { MTI: message.mti };
  const numbers = [...message.fields.keys()].sort((left, right) => left - right);
  for (const number of numbers) {
    const value = message.fields.get(number) ?? '';
    const visibility = dialect.fields.get(number)?.visibility ?? 'hidden';
    if (typeof value !== 'string' || visibility === 'hidden') {
      shown[`F${number}`] = `[${value.length} bytes]`;
    } else {
      shown[`F${number}`] = visibility === 'pan' ? maskPan(value) : value;
    }
  }
  return shown;
}
