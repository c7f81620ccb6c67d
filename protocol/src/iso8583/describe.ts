/** A message for people: names in two languages, personal data masked. */
import { maskPan, toHex } from '../bytes/index.ts';
import type { Dialect, FieldSpec, FieldValue, Iso8583Message } from './dialect.ts';

/** One shown field. */
export type FieldDescription = {
  readonly field: number;
  readonly nameEn: string;
  readonly nameZh: string;
  readonly value: string;
};

/** Every field in order; PAN masked, tracks, PIN data, ICC data and keys hidden. */
export function describeMessage(
  dialect: Dialect,
  message: Iso8583Message,
): readonly FieldDescription[] {
  const numbers = [...message.fields.keys()].sort((left, right) => left - right);
  return numbers.map((field) => {
    const spec = dialect.fields.get(field);
    const value = message.fields.get(field) ?? '';
    const { nameEn = 'unknown field', nameZh = '未知域' } = spec ?? {};
    return { field, nameEn, nameZh, value: shownValue(spec, value) };
  });
}

function shownValue(spec: FieldSpec | undefined, value: FieldValue): string {
  if (!spec || spec.shown === 'none') return `[${value.length} hidden]`;
  const text = typeof value === 'string' ? value : toHex(value);
  return spec.shown === 'pan' ? maskPan(text) : text;
}
