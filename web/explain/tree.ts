/** The decoded lines as a tree: offset, tag, names in both languages, value and what it says. */
import type { ExplainNode } from '@tapnpay/protocol/explain';
import { h } from '../shared/dom.ts';
import { language } from '../shared/i18n.ts';
import type { Span } from './bytes.ts';

/** Longest value shown on a line of the tree. */
const VALUE_CHARACTERS_MAX = 160;

/** The span of a line; undefined when it is about no bytes. */
function spanOf({ offsetBytes, lengthBytes }: ExplainNode): Span | undefined {
  return offsetBytes === null || lengthBytes === null ? undefined : { offsetBytes, lengthBytes };
}

/** The tree. Arrow keys go from line to line; one of them is in the tab order. */
export class NodeTree {
  readonly element: HTMLElement;
  readonly #buttons: { readonly button: HTMLButtonElement; readonly span: Span | undefined }[] = [];
  readonly #look: (span: Span | undefined) => void;

  constructor(nodes: readonly ExplainNode[], look: (span: Span | undefined) => void) {
    this.#look = look;
    this.element = this.#list(nodes, 'nodes root');
    const [first] = this.#buttons;
    if (first) first.button.tabIndex = 0;
    this.element.addEventListener('keydown', (event) => this.#onKey(event));
    this.element.addEventListener('mouseleave', () => look(undefined));
  }

  /** Shows the innermost line that holds a byte. */
  show(offset: number): void {
    const holding = this.#buttons.filter(
      ({ span }) =>
        span && offset >= span.offsetBytes && offset < span.offsetBytes + span.lengthBytes,
    );
    const [smallest] = holding.toSorted(
      (left, right) => (left.span?.lengthBytes ?? 0) - (right.span?.lengthBytes ?? 0),
    );
    for (const { button } of this.#buttons) button.parentElement?.classList.remove('shown');
    smallest?.button.parentElement?.classList.add('shown');
    this.#look(smallest?.span);
  }

  #list(nodes: readonly ExplainNode[], look: string): HTMLElement {
    return h('ul', { class: look }, ...nodes.map((node) => this.#row(node)));
  }

  #row(node: ExplainNode): HTMLElement {
    const span = spanOf(node);
    const place = span ? `${span.offsetBytes}+${span.lengthBytes}` : '·';
    const button = h(
      'button',
      { type: 'button', class: 'place mono', tabindex: -1 },
      node.tag === undefined ? place : `${place} ${node.tag}`,
    );
    const look = (): void => this.#look(span);
    button.addEventListener('focus', look);
    this.#buttons.push({ button, span });
    const isZh = language() === 'zh';
    const [first, second] = isZh ? [node.nameZh, node.nameEn] : [node.nameEn, node.nameZh];
    const said = (isZh ? (node.textZh ?? node.text) : node.text) ?? '';
    const line = h(
      'div',
      { class: 'node-line', onmouseover: look },
      button,
      h(
        'span',
        { class: 'node-name' },
        first,
        first === second ? null : h('span', { class: 'quiet' }, ` ${second}`),
      ),
      h('span', { class: 'node-value mono' }, shortened(node)),
      said === '' || said === node.value ? null : h('span', { class: 'node-text' }, said),
    );
    const isMarked = node.findings.some(({ severity }) => severity !== 'note');
    return h(
      'li',
      { class: isMarked ? 'node odd' : 'node' },
      line,
      node.children.length > 0 ? this.#list(node.children, 'nodes') : null,
    );
  }

  #onKey(event: KeyboardEvent): void {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    const at = this.#buttons.findIndex(({ button }) => button === document.activeElement);
    const next = this.#buttons[at + step]?.button;
    if (step === 0 || at < 0 || next === undefined) return;
    event.preventDefault();
    next.focus();
  }
}

/** Values of lines with children are seen in the children. */
function shortened({ value, children }: ExplainNode): string {
  if (children.length > 0 && value.length > 32) return '';
  const isLong = value.length > VALUE_CHARACTERS_MAX;
  return isLong ? `${value.slice(0, VALUE_CHARACTERS_MAX)}…` : value;
}
