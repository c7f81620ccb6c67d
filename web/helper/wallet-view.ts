/** The wallet: every virtual card with what it is for, the reader, and a payment that waits. */
import type { WalletCard } from '@tapnpay/protocol/wire';
import { h } from '../shared/dom.ts';
import { cardArt } from './card-art.ts';
import { expiryText, panGroups } from './card-facts.ts';
import { cardTextKey, inOrder } from './card-texts.ts';
import { readerPicture } from './icons.ts';
import { paymentParts } from './payment-view.ts';
import { cardRadio, readerControls } from './reader-view.ts';
import { realReaderList } from './real-readers.ts';
import { chosenCard } from './screen.ts';
import { button, cardPurpose, cardTitle, type Ui, viewOf } from './ui.ts';

export function walletParts(ui: Ui): readonly HTMLElement[] {
  const { t } = ui;
  const payment = paymentParts(ui);
  return [
    h(
      'div',
      { class: 'wallet-head' },
      h('h1', {}, t('walletTitle')),
      h('p', { class: 'quiet' }, t('walletSubtitle')),
    ),
    h(
      'div',
      { class: 'wallet' },
      h(
        'div',
        { class: 'wallet-side' },
        payment.length > 0
          ? h(
              'section',
              { class: `panel payment payment-${ui.screen.name}`, 'aria-label': t('paymentTitle') },
              ...payment,
            )
          : null,
        readerPanel(ui),
      ),
      cardGrid(ui),
    ),
  ];
}

function readerPanel(ui: Ui): HTMLElement {
  const { t } = ui;
  const view = viewOf(ui);
  const reader = view?.reader;
  const there = view?.cards.find((card) => card.name === reader?.card);
  const name = there ? cardTitle(cardTextKey(there.purpose)) : (reader?.card ?? '');
  const line = () => {
    if (!reader?.card) return t('readerEmpty');
    const key = reader.interface === 'contactless' ? 'readerContactless' : 'readerContact';
    return t(key, { card: name });
  };
  const chosen = chosenCard(view?.cards ?? [], ui.chosen);
  return h(
    'section',
    { class: 'panel reader-panel', 'aria-labelledby': 'reader-title' },
    h('h2', { id: 'reader-title' }, t('readerTitle')),
    readerPicture(reader?.card ? 'read' : 'none'),
    h('p', { class: 'reader-state', role: 'status', 'data-test': 'reader' }, line()),
    chosen
      ? h(
          'p',
          { class: 'quiet small' },
          t('chosen', { card: cardTitle(cardTextKey(chosen.purpose)) }),
        )
      : null,
    readerControls(ui),
    realReaderList(ui),
  );
}

function cardGrid(ui: Ui): HTMLElement {
  const { t } = ui;
  const cards = inOrder(viewOf(ui)?.cards ?? []);
  const chosen = chosenCard(cards, ui.chosen);
  return h(
    'fieldset',
    { class: 'card-grid' },
    h('legend', { class: 'visually-hidden' }, t('chooseCard')),
    cards.length === 0 ? h('p', { class: 'quiet' }, t('noCards')) : null,
    ...cards.map((card) => walletCard(ui, card, card.name === chosen?.name)),
  );
}

function walletCard(ui: Ui, card: WalletCard, isChosen: boolean): HTMLElement {
  const { t } = ui;
  const key = cardTextKey(card.purpose);
  const isOnReader = viewOf(ui)?.reader.card === card.name;
  return h(
    'label',
    { class: `wallet-card${isOnReader ? ' wallet-card-there' : ''}` },
    cardRadio(ui, card, isChosen),
    cardArt(card, t),
    h(
      'span',
      { class: 'wallet-card-title' },
      h('strong', {}, cardTitle(key)),
      h('span', { class: 'chip-note' }, t(interfacesKey(card))),
    ),
    h('span', { class: 'wallet-card-purpose' }, cardPurpose(key)),
    h(
      'span',
      { class: 'wallet-card-facts mono quiet' },
      h('span', { class: 'visually-hidden' }, `${t('pan')} ${panGroups(card.panMasked)} `),
      h('span', { class: 'visually-hidden' }, `${t('validThru')} ${expiryText(card.expiryYymm)} `),
      h('span', {}, t('counterLabel', { count: card.applicationTransactionCounter })),
    ),
  );
}

function interfacesKey(card: WalletCard) {
  if (!card.interfaces.includes('contactless')) return 'interfacesContact';
  return card.interfaces.includes('contact') ? 'interfacesBoth' : 'interfacesContactless';
}

/** For a helper that is away. */
export function retryButton(ui: Ui): HTMLElement {
  return button({
    test: 'retry',
    label: ui.t('tryAgain'),
    press: ui.act.retry,
    isFocused: true,
  });
}
