/** The simulated reader: which card, how it is presented, and whether it is lifted too early. */
import type { CardInterface, WalletCard } from '@tapnpay/protocol/wire';
import { h } from '../shared/dom.ts';
import { cardThumbnail } from './card-art.ts';
import { lastFour } from './card-facts.ts';
import { cardTextKey, inOrder } from './card-texts.ts';
import { insertIcon, takeAwayIcon, wavesIcon } from './icons.ts';
import { chosenCard, gesturesOf, liftNumber, tapCommandName } from './screen.ts';
import { button, cardPurpose, cardTitle, type Translate, type Ui, viewOf } from './ui.ts';

/** The cards as a list of choices, for the small window. */
export function cardList(ui: Ui): HTMLElement {
  const { t } = ui;
  const cards = inOrder(viewOf(ui)?.cards ?? []);
  const chosen = chosenCard(cards, ui.chosen);
  if (cards.length === 0) return h('p', { class: 'quiet' }, t('noCards'));
  return h(
    'fieldset',
    { class: 'card-list' },
    h('legend', { class: 'visually-hidden' }, t('chooseCard')),
    ...cards.map((card) => cardRow(ui, card, card.name === chosen?.name)),
  );
}

function cardRow(ui: Ui, card: WalletCard, isChosen: boolean): HTMLElement {
  const key = cardTextKey(card.purpose);
  return h(
    'label',
    { class: 'card-row' },
    cardRadio(ui, card, isChosen),
    cardThumbnail(card),
    h(
      'span',
      { class: 'card-row-text' },
      h('strong', {}, cardTitle(key)),
      h('span', { class: 'card-row-pan' }, ` •••• ${lastFour(card.panMasked)}`),
      h('span', { class: 'card-row-purpose quiet' }, cardPurpose(key)),
    ),
  );
}

/** The choice itself lies invisibly over its whole row or card. */
export function cardRadio(ui: Ui, card: WalletCard, isChosen: boolean): HTMLInputElement {
  const key = cardTextKey(card.purpose);
  const isWanted = ui.screen.name === 'waitCard' && isChosen && ui.page === 'window';
  return h('input', {
    type: 'radio',
    name: 'card',
    id: `do-card-${card.name}`,
    class: 'over',
    value: card.name,
    checked: isChosen,
    'aria-label': `${cardTitle(key)}, ${lastFour(card.panMasked)}`,
    'data-test': `card-${card.name}`,
    'data-focus': isWanted,
    onchange: () => ui.act.choose(card.name),
  });
}

/** Tap, insert, take away, and lift early. */
export function readerControls(ui: Ui): HTMLElement {
  const { t, act, screen } = ui;
  const view = viewOf(ui);
  const card = chosenCard(view?.cards ?? [], ui.chosen);
  const wait =
    'payment' in screen && screen.payment.state.name === 'waitCard' ? screen.payment.state : null;
  const gestures = gesturesOf({
    card,
    asked: wait?.interfaces ?? null,
    reader: view?.reader ?? { name: '', kind: 'virtual', card: null, interface: null },
    takeOutFirst: wait?.takeOutFirst ?? false,
  });
  const gesture = (test: string, contact: CardInterface, icon: SVGElement): HTMLElement =>
    button({
      test,
      label: t(test === 'tap' ? 'tap' : 'insert'),
      kind: 'primary gesture',
      press: () => act.present(contact),
      isDisabled: ui.isPending || gestures[contact] !== null,
      describedBy: 'gesture-why',
      icon,
    });
  const why = new Set([gestures.contactless, gestures.contact].filter((text) => text !== null));
  return h(
    'div',
    { class: 'reader-controls' },
    h(
      'div',
      { class: 'reader-bar' },
      gestures.canTakeAway ? takeAwayButton(ui) : null,
      h(
        'div',
        { class: 'actions actions-two' },
        gesture('tap', 'contactless', wavesIcon()),
        gesture('insert', 'contact', insertIcon()),
      ),
      h(
        'p',
        { class: 'quiet small gesture-why', id: 'gesture-why' },
        [...why].map((text) => t(text)).join(' '),
      ),
    ),
    liftEarly(ui),
  );
}

/** Takes the card off the reader; at the right moments it is the one thing to do. */
export function takeAwayButton(ui: Ui): HTMLButtonElement {
  const { state } = 'payment' in ui.screen ? ui.screen.payment : { state: null };
  const isAsked =
    state?.name === 'removeCard' || (state?.name === 'waitCard' && state.takeOutFirst);
  return button({
    test: 'take-away',
    label: ui.t('takeAway'),
    kind: isAsked ? 'primary wide' : 'wide',
    press: () => ui.act.send({ type: 'takeAway' }),
    isDisabled: ui.isPending,
    isFocused: isAsked,
    icon: takeAwayIcon(),
  });
}

function liftEarly(ui: Ui): HTMLElement {
  const { t, act } = ui;
  const hint = h(
    'p',
    { class: 'quiet small', id: 'lift-hint', role: 'status' },
    liftHint(ui.lift, t),
  );
  const input = h('input', {
    id: 'do-lift-early',
    class: 'lift-number',
    type: 'text',
    inputmode: 'numeric',
    maxlength: 3,
    autocomplete: 'off',
    placeholder: '–',
    'aria-describedby': 'lift-hint',
    'data-test': 'lift-early',
    oninput: () => {
      act.setLift(input.value);
      input.setAttribute('aria-invalid', String(liftNumber(input.value) === 'wrong'));
      hint.textContent = liftHint(input.value, t);
    },
  });
  input.value = ui.lift;
  return h(
    'div',
    { class: 'lift' },
    h('div', { class: 'lift-line' }, h('label', { for: 'do-lift-early' }, t('liftEarly')), input),
    hint,
  );
}

function liftHint(typed: string, t: Translate): string {
  const number = liftNumber(typed);
  if (number === null) return t('liftOff');
  if (number === 'wrong') return t('liftWrong');
  if (number === 1) return t('liftAfterFirst');
  return t('liftAfter', { number, command: tapCommandName(number) });
}
