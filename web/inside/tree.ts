/** Decoded values as a tree: key, name, value, and what the value means bit by bit. */
import type { TraceField } from '@tapnpay/protocol/wire';
import { h, svg } from '../shared/dom.ts';
import { language } from '../shared/i18n.ts';

/** Hears which value is looked at; undefined when none is. */
export type Look = (field: TraceField | undefined) => void;

/** The tree of one item. Arrow keys go from key to key; one of them is in the tab order. */
export class FieldTree {
  readonly element: HTMLElement;
  readonly #keys = new Map<TraceField, HTMLButtonElement>();
  readonly #look: Look;

  constructor(fields: readonly TraceField[], look: Look) {
    this.#look = look;
    this.element = this.#list(fields);
    const [first] = this.#keys.values();
    if (first) first.tabIndex = 0;
    this.element.addEventListener('keydown', (event) => this.#onKey(event));
    this.element.addEventListener('mouseleave', () => look(undefined));
  }

  /** Brings a value into view and looks at it. */
  show(field: TraceField): void {
    this.#keys.get(field)?.focus();
  }

  #list(fields: readonly TraceField[]): HTMLElement {
    return h('ul', { class: 'fields' }, ...fields.map((field) => this.#row(field)));
  }

  #row(field: TraceField): HTMLElement {
    const { key, name, value, meanings, children } = field;
    const button = h('button', { type: 'button', class: 'key mono', tabindex: -1 }, key);
    const look = (): void => this.#look(field);
    const strip = bitStrip(field);
    // One short meaning stands beside its value.
    const inline = !strip && meanings.length === 1 ? meanings[0]?.[language()] : undefined;
    button.addEventListener('focus', look);
    this.#keys.set(field, button);
    const line = h(
      'div',
      { class: 'field-line', onmouseover: look },
      button,
      h('span', { class: 'field-name' }, name[language()]),
      value === null ? null : h('span', { class: 'field-value mono' }, value),
      inline ? h('span', { class: 'field-meaning quiet' }, inline) : null,
    );
    return h(
      'li',
      { class: children.length > 0 ? 'field constructed' : 'field' },
      line,
      inline === undefined ? meaningsOf() : null,
      children.length > 0 ? this.#list(children) : null,
    );

    function meaningsOf(): HTMLElement | null {
      if (meanings.length === 0) return null;
      const texts = meanings.map((meaning) => h('li', {}, meaning[language()]));
      return h('div', { class: 'meanings' }, strip, h('ul', {}, ...texts));
    }
  }

  #onKey(event: KeyboardEvent): void {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    const keys: Element[] = [...this.#keys.values()];
    const at = document.activeElement ? keys.indexOf(document.activeElement) : -1;
    const next = keys[at + step];
    if (step === 0 || at < 0 || !(next instanceof HTMLElement)) return;
    event.preventDefault();
    event.stopPropagation();
    next.focus();
  }
}

const CELL = 9;
const GAP = 2;
const BYTE_GAP = 6;
const BYTES_MAX = 5;

/** Flag fields as a row of lamps, bit 8 first, as the standards' tables draw them. */
function bitStrip({ value, meanings }: TraceField): Node | null {
  const isBits = meanings.every(({ en }) => /^(?:B[0-9]b[0-9]|No bit is set)/.test(en));
  const bytes = value?.match(/^(?:[0-9A-F]{2})+$/) ? (value.match(/../g) ?? []) : [];
  if (!isBits || bytes.length === 0 || bytes.length > BYTES_MAX) return null;
  const byteWidth = 8 * (CELL + GAP) + BYTE_GAP;
  const cells = bytes.flatMap((byte, index) => {
    const number = Number.parseInt(byte, 16);
    return Array.from({ length: 8 }, (_, bit) =>
      svg('rect', {
        class: number & (0x80 >> bit) ? 'bit on' : 'bit',
        x: index * byteWidth + bit * (CELL + GAP),
        y: 0,
        width: CELL,
        height: CELL,
        rx: 2,
      }),
    );
  });
  const width = bytes.length * byteWidth;
  const size = { width, height: CELL, viewBox: `0 0 ${width} ${CELL}` };
  return svg('svg', { class: 'bits', ...size, 'aria-hidden': 'true' }, ...cells);
}
