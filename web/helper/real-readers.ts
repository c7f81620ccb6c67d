/** The readers of this computer: which there are, whether a card is in them, and what is wrong. */
import type { RealReaderView, WindowView } from '@tapnpay/protocol/wire';
import { h } from '../shared/dom.ts';
import { readerFaultText, serviceText } from './reasons.ts';
import type { Screen } from './screen.ts';
import { type Notice, type Ui, viewOf } from './ui.ts';

/** The list with its sentence; null where real readers take no part. */
export function realReaderList(ui: Ui): HTMLElement | null {
  const { t } = ui;
  const view = viewOf(ui);
  if (view === null || view.readerService.state === 'off') return null;
  const { readerService, realReaders } = view;
  const sentence = (): string | null => {
    if (readerService.state === 'lost') return t(serviceText(readerService.code));
    return realReaders.length === 0 ? t('realReadersNone') : null;
  };
  const line = sentence();
  return h(
    'section',
    { class: 'real-readers', 'aria-labelledby': 'real-readers-title', 'data-test': 'real-readers' },
    h('p', { class: 'small' }, h('strong', { id: 'real-readers-title' }, t('realReaders'))),
    line === null ? null : h('p', { class: 'quiet small', 'data-test': 'reader-service' }, line),
    realReaders.length === 0
      ? null
      : h('ul', { class: 'real-reader-rows' }, ...realReaders.map((reader) => row(ui, reader))),
  );
}

function row({ t, screen }: Ui, reader: RealReaderView): HTMLElement {
  const fault = screen.name === 'waitCard' ? reader.fault : null;
  return h(
    'li',
    { class: 'real-reader', 'data-test': 'real-reader' },
    h('span', { class: 'real-reader-name' }, reader.name),
    h(
      'span',
      { class: `chip-note${reader.isCardThere ? ' real-reader-card' : ''}` },
      t(reader.isCardThere ? 'realReaderCard' : 'realReaderEmpty'),
    ),
    fault === null
      ? null
      : h('span', { class: 'real-reader-fault small' }, t(readerFaultText(fault))),
  );
}

/** Cards at all readers, the virtual one included. */
export function cardCount(view: WindowView | null): number {
  if (view === null) return 0;
  const real = view.realReaders.filter(({ isCardThere }) => isCardThere).length;
  return real + (view.reader.card === null ? 0 : 1);
}

/** What a waiting person must be told about the cards that are there; null: nothing. */
export function readerTrouble(screen: Screen, view: WindowView | null): Notice | null {
  if (screen.name !== 'waitCard' || view === null) return null;
  if (cardCount(view) > 1) return { text: 'errorManyCards', code: null };
  const fault = view.realReaders.find((reader) => reader.fault !== null)?.fault ?? null;
  return fault === null ? null : { text: readerFaultText(fault), code: fault };
}
