/** One of the 14 hops: a row of the sequence, and behind it everything that was seen. */
import type { TraceHop, TraceItem } from '@tapnpay/protocol/wire';
import { h, svg } from '../shared/dom.ts';
import { language } from '../shared/i18n.ts';
import { itemView } from './item.ts';
import { laneDrawing, wayText } from './lanes.ts';
import { durationText, type Scale, stretchOf } from './scale.ts';
import { t, textOf } from './texts.ts';

/** Kinds that are shown. */
export type Filter = ReadonlySet<TraceItem['kind']>;

/** What a row needs of the page. */
export type HopOptions = {
  readonly scale: Scale;
  readonly filter: Filter;
  readonly isOpen: boolean;
  readonly openItems: Set<string>;
  readonly onToggle: (isOpen: boolean) => void;
};

/** The row and its panel. */
export function hopView(hop: TraceHop, options: HopOptions): HTMLElement {
  const id = `hop-${hop.n}`;
  let isOpen = options.isOpen;
  const panel = h('div', { class: 'hop-panel', id: `${id}-panel`, role: 'region' });
  panel.setAttribute('aria-labelledby', id);
  const button = hopButton(hop, options.scale, id);
  const show = (): void => {
    button.setAttribute('aria-expanded', String(isOpen));
    panel.hidden = !isOpen;
    if (isOpen && panel.childElementCount === 0) panel.append(...panelContent(hop, options));
  };
  button.addEventListener('click', () => {
    isOpen = !isOpen;
    show();
    options.onToggle(isOpen);
  });
  show();
  return h('li', { class: `hop ${hop.status}` }, button, panel);
}

function hopButton(hop: TraceHop, scale: Scale, id: string): HTMLButtonElement {
  const isPassed = hop.status === 'passed';
  const button = h('button', {
    type: 'button',
    class: 'hop-head',
    id,
    'data-test': id,
    'aria-controls': `${id}-panel`,
  });
  const count = hop.items.length;
  const items = count === 1 ? t('oneItem') : t('items', { count });
  const stretch = stretchOf(hop);
  const tookMs = stretch ? stretch.endMs - stretch.startMs : 0;
  const took = tookMs >= 1 ? ` · ${durationText(tookMs)}` : '';
  const when = hop.status === 'passed' ? durationText(hop.ms ?? 0) : t(hop.status);
  button.append(
    h('span', { class: 'hop-n' }, String(hop.n)),
    h(
      'span',
      { class: 'hop-what' },
      h('span', { class: 'hop-name' }, hop.name[language()]),
      h('span', { class: 'hop-why quiet' }, t(`why.${hop.hop}`)),
      h('span', { class: 'hop-way quiet' }, wayText(hop.hop)),
    ),
    laneDrawing(hop.hop, isPassed),
    bar(hop, scale),
    h(
      'span',
      { class: 'hop-when' },
      h('span', { class: 'mono' }, when),
      h('span', { class: 'hop-count quiet' }, isPassed && count > 0 ? items + took : ''),
    ),
  );
  return button;
}

const BAR_WIDTH = 1_000;
const BAR_HEIGHT = 44;
const BAR_LEAST = 7;

/** The hop's stretch on the common line, with a tick for each thing seen. */
function bar(hop: TraceHop, scale: Scale): SVGElement {
  const waits = scale.waits.map(({ from, to }) =>
    svg('rect', {
      class: 'wait',
      x: from * BAR_WIDTH,
      y: 0,
      width: (to - from) * BAR_WIDTH,
      height: BAR_HEIGHT,
    }),
  );
  const stretch = hop.status === 'passed' ? stretchOf(hop) : null;
  const marks: SVGElement[] = [];
  if (stretch) {
    const start = scale.place(stretch.startMs) * BAR_WIDTH;
    const width = Math.max(BAR_LEAST, scale.place(stretch.endMs) * BAR_WIDTH - start);
    const x = Math.min(start, BAR_WIDTH - width);
    marks.push(svg('rect', { class: 'bar', x, y: 15, width, height: 14, rx: 3 }));
    for (const { kind, ms } of hop.items) {
      const at = Math.min(scale.place(Math.max(0, ms)) * BAR_WIDTH, BAR_WIDTH - 2);
      marks.push(svg('rect', { class: `tick kind-${kind}`, x: at, y: 9, width: 3, height: 26 }));
    }
  }
  return svg(
    'svg',
    {
      class: 'bar-line',
      viewBox: `0 0 ${BAR_WIDTH} ${BAR_HEIGHT}`,
      preserveAspectRatio: 'none',
      'aria-hidden': 'true',
      focusable: 'false',
    },
    ...waits,
    ...marks,
  );
}

function panelContent(hop: TraceHop, options: HopOptions): readonly HTMLElement[] {
  const facts = factsOf(hop);
  const shown = hop.items
    .map((item, index) => ({ item, id: `hop-${hop.n}-item-${index}` }))
    .filter(({ item }) => options.filter.size === 0 || options.filter.has(item.kind));
  const items = shown.map(({ item, id }) =>
    itemView(item, {
      id,
      isOpen: options.openItems.has(id),
      onToggle: (isOpen) => {
        if (isOpen) options.openItems.add(id);
        else options.openItems.delete(id);
      },
    }),
  );
  return [
    h('p', { class: 'hop-story' }, t(`why.${hop.hop}`), ' · ', wayText(hop.hop)),
    ...(facts ? [facts] : []),
    items.length > 0 ? h('ul', { class: 'items' }, ...items) : h('p', {}, emptyText(hop)),
  ];
}

function emptyText({ status, items }: TraceHop): string {
  if (status !== 'passed') return t(`${status}Help`);
  return t(items.length > 0 ? 'nothingOfKind' : 'noItems');
}

function factsOf({ party, facts }: TraceHop): HTMLElement | null {
  const rows = Object.entries(facts).filter(([, value]) => value !== null);
  if (rows.length === 0) return null;
  const told = rows.map(([key, value]) =>
    h('div', { class: 'fact mono' }, h('dt', {}, key), h('dd', {}, String(value))),
  );
  const list = h('dl', { class: 'facts' }, ...told);
  list.setAttribute('aria-label', `${t('facts')}: ${textOf('party', party ?? '')}`);
  return list;
}
