/** What the payment was, before how it went: outcome, order, times, exports. */
import type { HopName, TraceDocument } from '@tapnpay/protocol/wire';
import { h } from '../shared/dom.ts';
import { durationText } from './scale.ts';
import { type TextKey, t, textOf } from './texts.ts';

const GOOD: ReadonlySet<string> = new Set(['approved']);
const BAD: ReadonlySet<string> = new Set(['declined', 'reversed']);

/** The panel above the time line. */
export function summaryView(
  document: TraceDocument,
  options: {
    readonly orderId: string;
    readonly activeMs: number;
    readonly refresh: () => void;
  },
): HTMLElement {
  const { orderId, activeMs, refresh } = options;
  const outcome = outcomeOf(document);
  const tone = GOOD.has(outcome) ? 'good' : BAD.has(outcome) ? 'bad' : 'wait';
  const wire = factOf(document, ['seal', 'tap', 'ask'], 'interface');
  const rows: readonly (readonly [TextKey, string | null])[] = [
    ['answer', responseCodeOf(document)],
    ['cardRead', wire === 'contact' || wire === 'contactless' ? t(wire) : null],
    ['total', durationText(document.totalMs)],
    ['active', durationText(activeMs)],
    ['order', orderId],
  ];
  const shown = rows.flatMap(([key, value]) =>
    value === null
      ? []
      : [h('div', {}, h('dt', { class: 'quiet' }, t(key)), h('dd', { class: 'mono' }, value))],
  );
  return h(
    'section',
    { class: `panel summary ${tone}` },
    h(
      'div',
      { class: 'summary-outcome' },
      h('span', { class: 'lamp' }),
      h('h2', {}, textOf('outcome', outcome)),
    ),
    h('dl', { class: 'summary-facts' }, ...shown),
    h(
      'div',
      { class: 'exports' },
      exportLink({ orderId, query: '', ending: 'json', test: 'export-json', text: 'exportJson' }),
      exportLink({
        orderId,
        query: '?format=apdu',
        ending: 'apdu.txt',
        test: 'export-apdu',
        text: 'exportApdu',
      }),
      h(
        'button',
        { type: 'button', id: 'refresh', class: 'small-button', onclick: refresh },
        t('refresh'),
      ),
    ),
  );
}

function exportLink(link: {
  readonly orderId: string;
  readonly query: string;
  readonly ending: string;
  readonly test: string;
  readonly text: TextKey;
}): HTMLElement {
  const { orderId, query, ending, test, text } = link;
  const href = `/v1/traces/${encodeURIComponent(orderId)}${query}`;
  const attributes = { class: 'button small-button', id: test, 'data-test': test };
  return h('a', { ...attributes, href, download: `${orderId}.${ending}` }, t(text));
}

/** The first of these hops that knows the fact, or any of their items. */
function factOf({ hops }: TraceDocument, names: readonly HopName[], key: string): string | null {
  for (const name of names) {
    const hop = hops.find((candidate) => candidate.hop === name);
    const fact = hop?.facts[key];
    if (fact !== undefined && fact !== null) return String(fact);
    const fields = hop?.items.flatMap((item) => item.fields) ?? [];
    const value = fields.find((field) => field.key === key)?.value;
    if (value) return value;
  }
  return null;
}

/** What the gateway said last, or how far it got. */
function outcomeOf(document: TraceDocument): string {
  const told = factOf(document, ['tell'], 'outcome');
  if (told !== null) return told;
  const verdict = factOf(document, ['return'], 'verdict');
  if (verdict === 'declined' || verdict === 'unknown') return verdict;
  return 'open';
}

function responseCodeOf(document: TraceDocument): string | null {
  return factOf(document, ['return', 'decide', 'finish'], 'responseCode');
}
