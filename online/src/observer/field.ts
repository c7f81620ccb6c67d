/** How decoded values are made: one short constructor for every decoder. */
import type { TraceField, TraceSpan, TwoLanguages } from '@tapnpay/protocol/wire';

/** A text in both languages. */
export function two(en: string, zh: string): TwoLanguages {
  return { zh, en };
}

/** A field; what is not given is empty. */
export function field(
  key: string,
  name: TwoLanguages,
  rest: {
    readonly value?: string | null;
    readonly meanings?: readonly TwoLanguages[];
    readonly children?: readonly TraceField[];
    readonly span?: TraceSpan | undefined;
  } = {},
): TraceField {
  const { value = null, meanings = [], children = [], span } = rest;
  return { key, name, value, meanings, children, ...(span && { span }) };
}
