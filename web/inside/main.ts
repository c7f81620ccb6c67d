/** The look inside one payment: asks the observer for its document and shows it as a time line. */
import '../shared/design.css';
import './inside.css';
import type { TraceDocument, TraceItem } from '@tapnpay/protocol/wire';
import { byId, h } from '../shared/dom.ts';
import { language, onLanguage, setLanguage } from '../shared/i18n.ts';
import { hopView } from './hop.ts';
import { LANES } from './lanes.ts';
import { durationText, type Scale, scaleOf } from './scale.ts';
import { summaryView } from './summary.ts';
import { type TextKey, t } from './texts.ts';

type View =
  | { readonly name: 'loading' }
  | { readonly name: 'fault'; readonly title: TextKey; readonly help: TextKey }
  | { readonly name: 'document'; readonly document: TraceDocument };

const KINDS: readonly TraceItem['kind'][] = ['channel', 'apdu', 'iso8583', 'hsm', 'ledger'];
/** A hop that a receipt or a person points at is open from the start. */
const FIRST_OPEN = /^#hop-([0-9]{1,2})$/.exec(location.hash)?.[1];

const orderId = location.pathname.split('/').at(-1) ?? '';
const openHops = new Set<number>(FIRST_OPEN === undefined ? [] : [Number(FIRST_OPEN)]);
const openItems = new Set<string>();
const filter = new Set<TraceItem['kind']>();
let view: View = { name: 'loading' };

async function load(): Promise<void> {
  try {
    const response = await fetch(`/v1/traces/${encodeURIComponent(orderId)}`);
    if (response.status === 404) {
      view = { name: 'fault', title: 'notFound', help: 'notFoundHelp' };
    } else if (response.ok) {
      view = { name: 'document', document: (await response.json()) as TraceDocument };
    } else {
      view = { name: 'fault', title: 'failed', help: 'failedHelp' };
    }
  } catch {
    view = { name: 'fault', title: 'failed', help: 'failedHelp' };
  }
  draw();
}

/** Draws everything anew; what was open stays open and the focus stays where it was. */
function draw(): void {
  const focused = document.activeElement?.id ?? '';
  document.title = `${t('title')} · Tap & Pay`;
  byId('page').replaceChildren(header(), content(), h('footer', { class: 'quiet' }, t('footer')));
  if (focused !== '') document.getElementById(focused)?.focus();
}

function header(): HTMLElement {
  const other = language() === 'zh' ? 'en' : 'zh';
  const switcher = h(
    'button',
    {
      type: 'button',
      id: 'language',
      class: 'small-button',
      'data-test': 'language',
      lang: other === 'zh' ? 'zh-CN' : 'en',
      onclick: () => setLanguage(other),
    },
    t('language'),
  );
  return h(
    'header',
    { class: 'top' },
    h(
      'div',
      { class: 'top-text' },
      h('h1', {}, t('title')),
      h('p', { class: 'quiet' }, t('subtitle')),
    ),
    h('span', { class: 'badge' }, t('sandbox')),
    switcher,
  );
}

function content(): HTMLElement {
  if (view.name === 'loading') {
    return h('p', { class: 'panel note', role: 'status' }, t('loading'));
  }
  if (view.name === 'fault') {
    return h(
      'section',
      { class: 'panel note', role: 'alert' },
      h('h2', {}, t(view.title)),
      h('p', { class: 'quiet' }, t(view.help)),
      h('p', { class: 'mono' }, orderId),
      h('button', { type: 'button', id: 'retry', onclick: () => void load() }, t('retry')),
    );
  }
  const { document: shown } = view;
  const scale = scaleOf(shown);
  return h(
    'div',
    { class: 'document' },
    summaryView(shown, { orderId, activeMs: scale.activeMs, refresh: () => void load() }),
    toolbar(shown),
    timeline(shown, scale),
  );
}

/** Kinds as filters with their numbers, and opening all at once. */
function toolbar(shown: TraceDocument): HTMLElement {
  const items = shown.hops.flatMap((hop) => hop.items);
  const filters = KINDS.map((kind) => {
    const count = items.filter((item) => item.kind === kind).length;
    const press = (): void => {
      if (filter.has(kind)) filter.delete(kind);
      else {
        filter.add(kind);
        for (const hop of shown.hops) {
          if (hop.items.some((item) => item.kind === kind)) openHops.add(hop.n);
        }
      }
      draw();
    };
    return h(
      'button',
      {
        type: 'button',
        id: `filter-${kind}`,
        class: `filter kind-${kind}`,
        'aria-pressed': String(filter.has(kind)),
        disabled: count === 0,
        onclick: press,
      },
      h('span', { class: 'swatch' }),
      t(`kind.${kind}`),
      h('span', { class: 'count mono' }, String(count)),
    );
  });
  const areAllOpen = openHops.size === shown.hops.length;
  const toggleAll = (): void => {
    for (const { n } of shown.hops) {
      if (areAllOpen) openHops.delete(n);
      else openHops.add(n);
    }
    draw();
  };
  const all = h(
    'button',
    { type: 'button', id: 'open-all', class: 'small-button', onclick: toggleAll },
    t(areAllOpen ? 'closeAll' : 'openAll'),
  );
  const group = h('div', { class: 'filters', role: 'group' }, ...filters);
  group.setAttribute('aria-label', t('show'));
  return h('div', { class: 'toolbar' }, group, all);
}

function timeline(shown: TraceDocument, scale: Scale): HTMLElement {
  const rows = shown.hops.map((hop) =>
    hopView(hop, {
      scale,
      filter,
      isOpen: openHops.has(hop.n),
      openItems,
      onToggle: (isOpen) => {
        if (isOpen) openHops.add(hop.n);
        else openHops.delete(hop.n);
      },
    }),
  );
  const list = h('ol', { class: 'hops', onkeydown: onHopKey }, ...rows);
  list.setAttribute('aria-label', t('hops'));
  return h('section', { class: 'panel timeline' }, lanesHead(scale), list);
}

function lanesHead(scale: Scale): HTMLElement {
  const lanes = LANES.map((lane) =>
    h('span', { class: `lane-name lane-${lane}` }, t(`lane.${lane}`)),
  );
  const waits = scale.waits.map(({ ms }) => t('waiting', { time: durationText(ms) }));
  return h(
    'div',
    { class: 'lanes-head', 'aria-hidden': 'true' },
    h('span', { class: 'lane-names' }, ...lanes),
    h(
      'span',
      { class: 'time-name quiet' },
      t('time'),
      ...waits.map((text) => h('span', { class: 'wait-name' }, text)),
    ),
  );
}

/** Up and down go from hop to hop. */
function onHopKey(event: Event): void {
  if (!(event instanceof KeyboardEvent)) return;
  const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
  const heads: Element[] = [...document.querySelectorAll('.hop-head')];
  const at = document.activeElement ? heads.indexOf(document.activeElement) : -1;
  const next = heads[at + step];
  if (step === 0 || at < 0 || !(next instanceof HTMLElement)) return;
  event.preventDefault();
  next.focus();
}

onLanguage(draw);
draw();
void load();
