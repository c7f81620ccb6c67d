/** Bytes as text in which a decoded value can be pointed at, and which point back. */
import type { TraceField, TraceSpan } from '@tapnpay/protocol/wire';
import { h } from '../shared/dom.ts';

/** Longest text that gets a mark for each byte; longer ones stay plain. */
const BYTES_MAX = 4_096;

/** The texts of one item; `onByte` hears which byte was pressed. */
export class HexView {
  readonly element: HTMLElement;
  readonly #bytes: HTMLElement[][] = [];
  #marked: readonly HTMLElement[] = [];

  constructor(
    raw: readonly string[],
    options: {
      readonly label: (index: number) => string;
      readonly onByte: (raw: number, byte: number) => void;
    },
  ) {
    const blocks = raw.map((text, index) => this.#block(text, options.label(index)));
    this.element = h('div', { class: 'hex' }, ...blocks);
    this.element.addEventListener('click', (event) => {
      const byte = event.target instanceof HTMLElement ? event.target.dataset['at'] : undefined;
      const [text, place] = byte?.split(':').map(Number) ?? [];
      if (text !== undefined && place !== undefined) options.onByte(text, place);
    });
  }

  /** Points at a value, or at nothing. */
  mark(span: TraceSpan | undefined): void {
    for (const byte of this.#marked) byte.classList.remove('marked');
    const [raw = 0, start = 0, end = 0] = span ?? [];
    this.#marked = this.#bytes[raw]?.slice(start, end) ?? [];
    for (const byte of this.#marked) byte.classList.add('marked');
  }

  #block(text: string, label: string): HTMLElement {
    const index = this.#bytes.length;
    const pairs = text.match(/../g) ?? [];
    const isHex = /^[0-9A-F*]*$/.test(text) && pairs.length <= BYTES_MAX;
    const bytes = isHex
      ? pairs.map((pair, at) => {
          const isMasked = pair.includes('*');
          const place = `${index}:${at}`;
          return h('span', { class: isMasked ? 'byte masked' : 'byte', 'data-at': place }, pair);
        })
      : [];
    this.#bytes.push(bytes);
    const content = isHex ? bytes : [text];
    return h(
      'div',
      { class: 'hex-block' },
      h('p', { class: 'hex-label quiet' }, label),
      h('div', { class: 'hex-bytes mono' }, ...content),
    );
  }
}

/** The innermost field that holds a byte. */
export function fieldAt(
  fields: readonly TraceField[],
  raw: number,
  byte: number,
): TraceField | null {
  for (const field of fields) {
    const inner = fieldAt(field.children, raw, byte);
    if (inner) return inner;
    const { span } = field;
    if (span && span[0] === raw && span[1] <= byte && byte < span[2]) return field;
  }
  return null;
}
