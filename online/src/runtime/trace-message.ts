/** ISO 8583 messages as a trace may show them, and where a party sends and takes them. */
import { toHex } from '@tapnpay/protocol/bytes';
import { DATA_ELEMENTS } from '@tapnpay/protocol/emv/data';
import { decodeTlv, encodeTlv, type Tlv } from '@tapnpay/protocol/iso7816';
import {
  CUPS_DIALECT,
  DE_37_RETRIEVAL_REFERENCE,
  DE_55_ICC_DATA,
  describeMessage,
  type FieldSpec,
  type Iso8583Message,
  textField,
} from '@tapnpay/protocol/iso8583';
import type { HopName } from '@tapnpay/protocol/wire';
import { runInTrace, type SeenThing, type Tracer } from './trace.ts';

/** One hidden byte in masked hex. */
const HIDDEN_BYTE = '**';
const BITMAP_BYTES = 8;

/** A message sent to, or received from, another institution. */
export function messageSeen(
  direction: 'sent' | 'received',
  message: Iso8583Message,
  peer: string,
): SeenThing {
  const icc = message.fields.get(DE_55_ICC_DATA);
  return {
    kind: 'iso8583',
    title: `${message.mti} ${direction}`,
    data: {
      direction,
      peer,
      raw: maskedHex(message),
      ...describeMessage(message),
      // In a laboratory the chip's data is shown as the card session shows it.
      ...(icc instanceof Uint8Array ? { 'F55.tlv': maskedTlv(icc) } : {}),
    },
  };
}

/** Sends a request and writes it and its end into the trace. */
export async function traceExchange<R extends Iso8583Message | string>(
  tracer: Tracer,
  facts: { readonly message: Iso8583Message; readonly peer: string },
  send: () => Promise<R>,
): Promise<R> {
  const { message, peer } = facts;
  tracer.refer(textField(message, DE_37_RETRIEVAL_REFERENCE));
  tracer.trace(messageSeen('sent', message, peer));
  const answer = await send();
  reachReturn(tracer, message.mti);
  if (typeof answer !== 'string') tracer.trace(messageSeen('received', answer, peer));
  else {
    const data = { direction: 'received', peer, fault: answer };
    tracer.trace({ kind: 'iso8583', title: `${message.mti} ${answer}`, data });
  }
  return answer;
}

/** Answers a request and writes it and its answer into the trace. */
export function traceAnswer(
  tracer: Tracer | undefined,
  facts: { readonly message: Iso8583Message; readonly peer: string; readonly hop: HopName },
  answer: () => Promise<Iso8583Message | null>,
): Promise<Iso8583Message | null> {
  if (!tracer) return answer();
  const { message, peer } = facts;
  const references = [textField(message, DE_37_RETRIEVAL_REFERENCE)];
  return runInTrace(tracer, { references, hop: hopOf(message.mti, facts.hop) }, async () => {
    tracer.trace(messageSeen('received', message, peer));
    const reply = await answer();
    reachReturn(tracer, message.mti);
    if (reply) tracer.trace(messageSeen('sent', reply, peer));
    return reply;
  });
}

/** A reversal belongs to the confirmation that failed, whoever speaks of it. */
function hopOf(mti: string, hop: HopName): HopName {
  return mti.startsWith('04') ? 'confirm' : hop;
}

function reachReturn(tracer: Tracer, requestMti: string): void {
  tracer.reach(hopOf(requestMti, 'return'));
}

/** MTI, bitmaps and fields as on the wire, in hex, with `**` for each byte that is not shown. */
export function maskedHex(message: Iso8583Message): string {
  const numbers = [...message.fields.keys()].sort((left, right) => left - right);
  const isLong = (numbers.at(-1) ?? 0) > 64;
  const bitmap = new Uint8Array((isLong ? 2 : 1) * BITMAP_BYTES);
  for (const number of isLong ? [1, ...numbers] : numbers) {
    const index = (number - 1) >> 3;
    bitmap[index] = (bitmap[index] ?? 0) | (0x80 >> ((number - 1) % 8));
  }
  const shown = describeMessage(message);
  const fields = numbers.map((number) => {
    const spec = CUPS_DIALECT.fields.get(number);
    const value = message.fields.get(number) ?? '';
    return spec ? maskedField(spec, value, shown[spec.fieldPath] ?? '') : '';
  });
  return asciiHex(message.mti) + toHex(bitmap) + fields.join('');
}

function maskedField(spec: FieldSpec, value: string | Uint8Array, shown: string): string {
  const { lengthBytes } = spec.prefix;
  const prefix = lengthBytes === 0 ? '' : String(value.length).padStart(lengthBytes, '0');
  return asciiHex(prefix) + maskedContent(spec, value, shown);
}

function maskedContent(spec: FieldSpec, value: string | Uint8Array, shown: string): string {
  if (spec.number === DE_55_ICC_DATA && value instanceof Uint8Array) return maskedTlv(value);
  const isShown = typeof value === 'string' && spec.visibility !== 'hidden';
  return isShown ? asciiHex(shown) : HIDDEN_BYTE.repeat(value.length);
}

/** `*` of a masked card number stays a hidden byte. */
function asciiHex(text: string): string {
  const bytes = [...text].map((character) =>
    character === '*' ? HIDDEN_BYTE : toHex(Uint8Array.of(character.charCodeAt(0) & 0xff)),
  );
  return bytes.join('');
}

/** Chip data in hex without cardholder data; what is no TLV is hidden whole. */
export function maskedTlv(bytes: Uint8Array): string {
  try {
    return decodeTlv(bytes).map(maskedObject).join('');
  } catch {
    return HIDDEN_BYTE.repeat(bytes.length);
  }
}

function maskedObject({ tag, value, children }: Tlv): string {
  const whole = toHex(encodeTlv(tag, value));
  const header = whole.slice(0, whole.length - 2 * value.length);
  if (children) return header + children.map(maskedObject).join('');
  const isHidden = DATA_ELEMENTS[tag]?.isSensitive ?? tag === '5A';
  return header + (isHidden ? HIDDEN_BYTE.repeat(value.length) : toHex(value));
}
