/** The input's bytes, sixteen a line with offsets, in which parts of the tree are pointed at. */
import { h } from '../shared/dom.ts';

const BYTES_A_LINE = 16;
/** Longest input that gets a mark for each byte. */
const BYTES_MAX = 4_096;

/** A part of the bytes. */
export type Span = { readonly offsetBytes: number; readonly lengthBytes: number };

/** Bytes as hex pairs; `onByte` hears which one is looked at. */
export class BytesView {
  readonly element: HTMLElement;
  readonly #cells: HTMLElement[] = [];
  #marked: readonly HTMLElement[] = [];

  /** `pairs` are two characters a byte, stars where a card number is masked. */
  constructor(pairs: readonly string[], options: { readonly onByte: (offset: number) => void }) {
    const shown = pairs.slice(0, BYTES_MAX);
    const lines: HTMLElement[] = [];
    for (let start = 0; start < shown.length; start += BYTES_A_LINE) {
      const cells = shown.slice(start, start + BYTES_A_LINE).map((pair, index) => {
        const look = pair.includes('*') ? 'byte masked' : 'byte';
        const cell = h('span', { class: look, 'data-at': start + index }, pair);
        this.#cells.push(cell);
        return cell;
      });
      const offset = String(start).padStart(4, '0');
      lines.push(
        h('div', { class: 'byte-line' }, h('span', { class: 'offset' }, offset), ...cells),
      );
    }
    this.element = h('div', { class: 'byte-block mono', tabindex: 0, role: 'group' }, ...lines);
    const hear = (event: Event): void => {
      const at = event.target instanceof HTMLElement ? event.target.dataset['at'] : undefined;
      if (at !== undefined) options.onByte(Number(at));
    };
    this.element.addEventListener('click', hear);
    this.element.addEventListener('mouseover', hear);
  }

  /** Points at a part, or at nothing. */
  mark(span: Span | undefined): void {
    for (const cell of this.#marked) cell.classList.remove('marked');
    const start = span?.offsetBytes ?? 0;
    this.#marked = this.#cells.slice(start, start + (span?.lengthBytes ?? 0));
    for (const cell of this.#marked) cell.classList.add('marked');
  }
}
