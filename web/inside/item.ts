/** One thing that passed: its line, and behind it the bytes beside what they mean. */
import type { TraceItem } from '@tapnpay/protocol/wire';
import { h } from '../shared/dom.ts';
import { language } from '../shared/i18n.ts';
import { fieldAt, HexView } from './hex.ts';
import { durationText } from './scale.ts';
import { t, textOf } from './texts.ts';
import { FieldTree } from './tree.ts';

const COPIED_MS = 1_600;
const KIND_LABEL: Readonly<Record<TraceItem['kind'], string>> = {
  apdu: 'APDU',
  iso8583: '8583',
  hsm: 'HSM',
  ledger: 'LEDGER',
  channel: 'TLS',
};

/** The item as a list entry; `onToggle` hears whether it is open now. */
export function itemView(
  item: TraceItem,
  options: {
    readonly id: string;
    readonly isOpen: boolean;
    readonly onToggle: (isOpen: boolean) => void;
  },
): HTMLElement {
  const { id } = options;
  let isOpen = options.isOpen;
  const body = h('div', { class: 'item-body', id: `${id}-body` });
  const button = h('button', {
    type: 'button',
    class: 'item-head',
    id,
    'aria-controls': `${id}-body`,
  });
  button.append(
    h('span', { class: `kind kind-${item.kind}` }, KIND_LABEL[item.kind]),
    h('span', { class: 'item-title mono' }, item.title),
    h('span', { class: 'item-name' }, item.name[language()]),
    h('span', { class: 'item-party quiet' }, textOf('party', item.party)),
    h('span', { class: 'item-ms mono quiet' }, durationText(item.ms)),
  );
  const show = (): void => {
    button.setAttribute('aria-expanded', String(isOpen));
    body.hidden = !isOpen;
    if (isOpen && body.childElementCount === 0) body.append(contentOf(item));
  };
  button.addEventListener('click', () => {
    isOpen = !isOpen;
    show();
    options.onToggle(isOpen);
  });
  show();
  return h('li', { class: 'item' }, button, body);
}

function contentOf(item: TraceItem): HTMLElement {
  const { raw, fields } = item;
  const hex = new HexView(raw, {
    label: (index) => rawLabel(item, index),
    onByte: (text, byte) => {
      const field = fieldAt(fields, text, byte);
      if (field) tree.show(field);
    },
  });
  const tree = new FieldTree(fields, (field) => hex.mark(field?.span));
  const isMasked = raw.some((text) => text.includes('*'));
  const wire = h(
    'section',
    { class: 'wire' },
    h('h3', {}, t('raw')),
    hex.element,
    isMasked ? h('p', { class: 'quiet small' }, t('masked')) : null,
  );
  return h(
    'div',
    { class: raw.length > 0 ? 'item-content' : 'item-content plain' },
    raw.length > 0 ? wire : null,
    h('section', { class: 'decoded' }, decodedHead(item), tree.element),
  );
}

function decodedHead(item: TraceItem): HTMLElement {
  return h('div', { class: 'decoded-head' }, h('h3', {}, t('decoded')), copyButton(item));
}

function rawLabel({ kind, raw }: TraceItem, index: number): string {
  const text = raw[index] ?? '';
  const count = t('bytes', { count: Math.ceil(text.length / 2) });
  if (kind !== 'apdu') return count;
  return `${index === 0 ? '=>' : '<='} ${t(index === 0 ? 'command' : 'response')} · ${count}`;
}

/** Hex as other tools take it; an item without bytes copies its values. */
function copyText({ kind, raw, fields, title }: TraceItem): string {
  if (kind === 'apdu') return `=> ${raw[0]}\n<= ${raw[1]}\n`;
  if (raw.length > 0) return raw.join('\n');
  return JSON.stringify({ title, fields }, null, 2);
}

function copyButton(item: TraceItem): HTMLElement {
  const button = h('button', { type: 'button', class: 'small-button' }, t('copy'));
  button.addEventListener('click', () => {
    navigator.clipboard.writeText(copyText(item)).then(
      () => {
        button.textContent = t('copied');
        setTimeout(() => {
          button.textContent = t('copy');
        }, COPIED_MS);
      },
      // Without the right to the clipboard the bytes can still be selected.
      () => undefined,
    );
  });
  return button;
}
