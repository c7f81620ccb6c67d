/** One screen of a payment after the other: consent, card, PIN, waiting, end. */
import type { WindowPayment } from '@tapnpay/protocol/wire';
import { h } from '../shared/dom.ts';
import { readerPicture, signIcon } from './icons.ts';
import { orderFacts, orderStrip } from './order-view.ts';
import { pinPad } from './pin-view.ts';
import { cardList, readerControls, takeAwayButton } from './reader-view.ts';
import { cardCount, realReaderList } from './real-readers.ts';
import { reasonText } from './reasons.ts';
import {
  againText,
  CONSENT_TEXTS,
  cancelMessage,
  closesItself,
  deadlineOf,
  END_TEXTS,
  type End,
  isGoodEnd,
  isLook,
  promptOf,
  purposeOf,
} from './screen.ts';
import type { HelperKey } from './texts.ts';
import type { Translate } from './ui.ts';
import { button, type Ui, viewOf } from './ui.ts';

/** What a yes to an order is described by. */
const ORDER_DESCRIPTION = 'order-amount order-merchant consent-hint';

type Part = HTMLElement | SVGElement | null;

/** What a payment shows now; nothing when there is none. */
export function paymentParts(ui: Ui): readonly Part[] {
  const { screen } = ui;
  if (screen.name === 'end') return endParts(ui, screen.end);
  if (!('payment' in screen)) return [];
  return SCREENS[screen.payment.state.name](ui, screen.payment);
}

const SCREENS: Readonly<
  Record<WindowPayment['state']['name'], (ui: Ui, payment: WindowPayment) => readonly Part[]>
> = {
  connecting: (ui, payment) => [
    prompt(ui),
    h('div', { class: 'progress-line', 'aria-hidden': 'true' }),
    orderFacts(payment, ui.t),
    payment.intent === 'pay' ? hint(ui, 'connectingHint') : null,
    cancelButton(ui),
  ],
  consent: consentParts,
  waitCard: waitCardParts,
  reading: (ui, payment) => [
    orderStrip(payment, ui.t),
    readerPicture('read'),
    prompt(ui),
    hint(ui, 'readingHint'),
    cancelButton(ui),
  ],
  waitPin: (ui, payment) => [prompt(ui), countdown(ui), ...pinPad(ui, payment)],
  authorising: (ui, payment) => [
    orderStrip(payment, ui.t),
    h('div', { class: 'spinner', 'aria-hidden': 'true' }),
    prompt(ui),
    hint(ui, 'authorisingHint'),
    h('p', { class: 'quiet', id: 'still-working' }),
  ],
  removeCard: (ui, payment) => [
    orderStrip(payment, ui.t),
    readerPicture('take'),
    prompt(ui),
    hint(ui, 'removeCardHint'),
    viewOf(ui)?.reader.card && ui.page === 'window' ? takeAwayButton(ui) : null,
  ],
};

/** The one sentence of a screen. */
export function prompt(ui: Ui): HTMLElement {
  const level = ui.page === 'window' ? 'h1' : 'h2';
  return h(level, { class: 'prompt' }, ui.t(promptOf(ui.screen)));
}

function hint(ui: Ui, key: HelperKey): HTMLElement {
  return h('p', { class: 'hint quiet' }, ui.t(key));
}

/** Cancels what the screen can still cancel; null where nothing can. */
function cancelButton(ui: Ui): HTMLElement | null {
  const message = cancelMessage(ui.screen);
  if (message === null) return null;
  return button({
    test: 'cancel',
    label: ui.t('cancel'),
    kind: 'wide',
    press: () => ui.act.send(message),
    isDisabled: ui.isPending,
  });
}

function consentParts(ui: Ui, payment: WindowPayment): readonly Part[] {
  const { t, act } = ui;
  const { session, gatewayOrigin } = payment;
  const purpose = purposeOf(payment);
  const isNothingPaid = isLook(purpose);
  const whose = purpose === 'token' ? 'consentTokenWho' : 'consentBalanceWho';
  const texts = CONSENT_TEXTS[purpose];
  const isReal = viewOf(ui)?.readerService.state !== 'off';
  const who = { class: 'hint', id: 'consent-who', 'data-test': 'who' };
  return [
    prompt(ui),
    isNothingPaid ? h('p', who, t(whose, { origin: gatewayOrigin })) : null,
    signedFacts(payment, t),
    orderFacts(payment, t),
    h('p', { class: 'hint quiet', id: 'consent-hint' }, t(isReal ? texts.realHint : texts.hint)),
    h(
      'div',
      { class: 'actions' },
      button({
        test: 'confirm',
        label: t(texts.confirm),
        kind: 'primary wide large',
        press: () => act.send({ type: 'consent', session, given: true }),
        isDisabled: ui.isPending || !ui.isArmed || (payment.order === null && !isNothingPaid),
        isFocused: true,
        describedBy: isNothingPaid ? 'consent-who consent-hint' : ORDER_DESCRIPTION,
      }),
      cancelButton(ui),
    ),
  ];
}

/** What the card is to sign for a token, word by word: the person signs what is shown here. */
function signedFacts({ wish }: WindowPayment, t: Translate): Part {
  if (wish === null || wish.mode === 'plain') return null;
  const rows = wish.mode === 'sign' ? wish.data : [wish.challenge];
  const label = t(wish.mode === 'sign' ? 'tokenSigns' : 'tokenChallenge');
  return h(
    'dl',
    { class: 'facts', 'data-test': 'token-data' },
    h('dt', {}, label),
    ...rows.map((row) => h('dd', { class: 'mono' }, row)),
  );
}

function waitCardParts(ui: Ui, payment: WindowPayment): readonly Part[] {
  const { t } = ui;
  const { state } = payment;
  if (state.name !== 'waitCard') return [];
  const purpose = purposeOf(payment);
  const again = againText(state, purpose);
  const takeOut = isLook(purpose) ? 'takeOutFirstBalanceHint' : 'takeOutFirstHint';
  const isWindow = ui.page === 'window';
  return [
    orderStrip(payment, t),
    h(
      'div',
      { class: 'wait-head' },
      readerPicture(motionOf(state)),
      h('div', { class: 'wait-words' }, prompt(ui), countdown(ui)),
    ),
    again ? h('p', { class: 'again', 'data-test': 'again' }, signIcon('wait'), t(again)) : null,
    state.takeOutFirst ? hint(ui, takeOut) : null,
    isWindow ? realReaderList(ui) : null,
    isWindow && viewOf(ui)?.reader.kind === 'virtual' ? simulator(ui, state) : null,
    cancelButton(ui),
  ];
}

function motionOf(state: Extract<WindowPayment['state'], { name: 'waitCard' }>) {
  if (state.takeOutFirst) return 'take';
  return state.interfaces.includes('contactless') ? 'tap' : 'insert';
}

function simulator(ui: Ui, state: { readonly takeOutFirst: boolean }): HTMLElement | null {
  const { t } = ui;
  const takeVirtual = viewOf(ui)?.reader.card ? takeAwayButton(ui) : null;
  // The card to be taken out is in another reader.
  if (state.takeOutFirst && takeVirtual === null) return null;
  return h(
    'section',
    { class: 'simulator', 'aria-labelledby': 'simulator-title' },
    h(
      'p',
      { class: 'small simulator-head' },
      h('strong', { id: 'simulator-title' }, t('simulator')),
      state.takeOutFirst ? null : h('span', { class: 'quiet' }, ` ${t('simulatorHint')}`),
    ),
    ...(state.takeOutFirst ? [takeVirtual] : [cardList(ui), readerControls(ui)]),
  );
}

/** Seconds that are left; the app counts them down in place. */
function countdown(ui: Ui): HTMLElement | null {
  if (deadlineOf(ui.screen) === null) return null;
  return h('p', { class: 'countdown', 'data-test': 'countdown', 'aria-hidden': 'true' });
}

const SIGNS = {
  approved: 'good',
  declined: 'bad',
  unknown: 'wait',
  cancelled: 'neutral',
  failed: 'wait',
  read: 'good',
  notRead: 'neutral',
  made: 'good',
  notMade: 'neutral',
} as const satisfies Readonly<Record<End['outcome'], string>>;

function endParts(ui: Ui, end: End): readonly Part[] {
  const { t } = ui;
  const isGood = isGoodEnd(end);
  // What the person wanted needs no reason and no code.
  const isSaid = !isGood && end.reason !== 'ERR_USER_CANCELLED';
  const reason = isSaid ? reasonText(end.reason) : null;
  const view = viewOf(ui);
  return [
    ui.seen?.session === end.session ? orderStrip(ui.seen, t) : null,
    signIcon(SIGNS[end.outcome]),
    prompt(ui),
    reason ? h('p', { class: 'reason', 'data-test': 'reason' }, t(reason)) : null,
    h('p', { class: 'hint' }, t(END_TEXTS[end.outcome].hint)),
    end.reason && isSaid ? h('p', { class: 'mono quiet' }, end.reason) : null,
    view?.reader.card && ui.page === 'window' ? takeAwayButton(ui) : null,
    ...closingParts(ui),
  ];
}

/** A popup closes itself, after some seconds or by its button; another page may be closed. */
export function closingParts(ui: Ui): readonly Part[] {
  const { t, act } = ui;
  if (!ui.isPopup) {
    return [ui.page === 'window' ? h('p', { class: 'quiet' }, t('mayClose')) : null];
  }
  const isClosing = closesNow(ui);
  const close = { test: 'close', label: t('close'), kind: 'primary wide', isFocused: true };
  const stay = { test: 'keep-open', label: t('stayOpen'), kind: 'wide' };
  return [
    isClosing ? h('p', { class: 'quiet', id: 'closing' }) : null,
    h(
      'div',
      { class: 'actions' },
      button({ ...close, press: act.close }),
      isClosing ? button({ ...stay, press: act.keepOpen }) : null,
    ),
  ];
}

/** Whether the window goes by itself, if nobody stops it. */
export function closesNow(ui: Ui): boolean {
  const { screen } = ui;
  if (!ui.isPopup || ui.page !== 'window' || ui.keepsOpen) return false;
  if (screen.name === 'gone') return true;
  return screen.name === 'end' && closesItself(screen.end, cardCount(viewOf(ui)));
}
