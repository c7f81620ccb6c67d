/** Data elements of chip cards as fields: name, value, and what the value means. */
import { DATA_ELEMENTS } from '@tapnpay/protocol/emv/data';
import { decodeDol } from '@tapnpay/protocol/iso7816';
import type { TraceField, TraceSpan, TwoLanguages } from '@tapnpay/protocol/wire';
import { field, two } from './field.ts';
import { bytesOf, clearBytes, lengthOf, type MaskedTlv } from './masked-hex.ts';
import { partsOf, valueMeanings } from './values.ts';

/** What decoders must know of the payment to read a value. */
export type ValueContext = {
  /** ISO 4217 numeric code of the order. */
  readonly currency: string;
};

const UNKNOWN = two('Unknown tag', '未知标签');
const MASKED = two('Cardholder data, masked', '持卡人数据，已屏蔽');

/** Name of a tag. */
export function tagName(tag: string): TwoLanguages {
  const element = DATA_ELEMENTS[tag];
  return element ? two(element.nameEn, element.nameZh) : UNKNOWN;
}

/** Data objects as fields; `raw` is the text of the item that they stand in, if in any. */
export function tlvFields(
  objects: readonly MaskedTlv[],
  context: ValueContext,
  raw?: number,
): readonly TraceField[] {
  return objects.map((object) => {
    const { tag, value, children, offset, valueOffset } = object;
    const end = valueOffset + lengthOf(value);
    const span: TraceSpan | undefined = raw === undefined ? undefined : [raw, offset, end];
    if (children) {
      return field(tag, tagName(tag), { children: tlvFields(children, context, raw), span });
    }
    const place = raw === undefined ? undefined : { raw, offset: valueOffset };
    return { ...elementField({ tag, value }, context, place), ...(span && { span }) };
  });
}

/** One primitive value by its tag. */
export function elementField(
  element: { readonly tag: string; readonly value: string },
  context: ValueContext,
  place?: { readonly raw: number; readonly offset: number },
): TraceField {
  const { tag, value } = element;
  const span: TraceSpan | undefined = place && [
    place.raw,
    place.offset,
    place.offset + lengthOf(value),
  ];
  const bytes = clearBytes(value);
  if (!bytes) return field(tag, tagName(tag), { value, meanings: [MASKED], span });
  return field(tag, tagName(tag), {
    value,
    meanings: valueMeanings(tag, bytes, context),
    children: partsOf(tag, bytes),
    span,
  });
}

/** The values that a DOL asked for, cut at its lengths; null when they do not fit. */
export function dolValueFields(
  dol: Uint8Array,
  values: { readonly text: string; readonly raw: number; readonly offset: number },
  context: ValueContext,
): readonly TraceField[] | null {
  let offset = 0;
  try {
    const fields = decodeDol(dol).map(({ tag, lengthBytes }) => {
      const value = bytesOf(values.text, offset, offset + lengthBytes);
      const place = { raw: values.raw, offset: values.offset + offset };
      offset += lengthBytes;
      return elementField({ tag, value }, context, place);
    });
    return offset === lengthOf(values.text) ? fields : null;
  } catch {
    // A broken list is shown as the bytes it asked for.
    return null;
  }
}
