/** Shows a payment's state, and turns clicks and keys into its acts. */
import { COUNTDOWN_MS, type Payment, type PaymentState } from '@tapnpay/plugin';
import type { PayOrderView } from '@tapnpay/protocol/wire';
import { byId, h } from '../shared/dom.ts';
import { amountText } from '../shared/format.ts';
import { language, setLanguage } from '../shared/i18n.ts';
import { receiptOf } from './receipt.ts';
import { type TextKey, t } from './texts.ts';
import { type Words, wordsOf } from './words.ts';

const TICK_MS = 250;
/** Commands a helper is started with. */
const START_COMMAND = 'npx tapnpay up';
const CHECKING_SILENT_MS = 300;

/** One button or link: what tests and styles call it, its text, what it does. */
type Button = {
  readonly test: string;
  readonly text: string;
  readonly isPrimary?: boolean;
  readonly isDisabled?: boolean;
  readonly act?: () => void;
  readonly href?: string;
  readonly opensTab?: boolean;
};

export class PayPage {
  readonly #panel = byId('panel');
  readonly #title = byId('title');
  readonly #actions = byId('actions');
  #payment: Payment | null = null;
  #state: PaymentState | null = null;
  #said = '';
  #saidDeadlineMs = 0;

  /** Clicks and keys reach this payment from now on. */
  connect(payment: Payment): void {
    this.#payment = payment;
    byId('language').addEventListener('click', () =>
      setLanguage(language() === 'zh' ? 'en' : 'zh'),
    );
    addEventListener('keydown', (event) => {
      // Escape ends what runs; an order is never cancelled by a key pressed in passing.
      const { isRunning, canCancel } = payment.state;
      if (event.key === 'Escape' && isRunning && canCancel) payment.cancel();
    });
    addEventListener('afterprint', () => document.body.classList.add('printed'));
    setInterval(() => this.#tick(), TICK_MS);
    setTimeout(() => document.body.classList.remove('fresh'), CHECKING_SILENT_MS);
  }

  /** Shows a state; called on each change and when the language changed. */
  show(state: PaymentState): void {
    const before = this.#state;
    this.#state = state;
    const words = wordsOf(state);
    this.#showFrame(state.order);
    this.#showPanel(state, words);
    this.#showReceipt(state);
    const isNew = before?.name !== state.name || before.error?.code !== state.error?.code;
    // To what is asked of the person, or to the outcome; nothing else moves the focus.
    if (isNew && words.wantsFocus) this.#title.focus({ preventScroll: true });
    this.#tick();
  }

  #showFrame(order: PayOrderView | null): void {
    byId('brand').textContent = t('brand');
    byId('language').textContent = t('otherLanguage');
    byId('language').lang = language() === 'zh' ? 'en' : 'zh-CN';
    byId('footer').textContent = t('footer');
    const badge = byId('sandbox');
    badge.hidden = order?.sandbox !== true;
    badge.textContent = t('sandbox');
    byId('summary').replaceChildren(...(order ? summaryOf(order) : []));
  }

  #showPanel(state: PaymentState, words: Words): void {
    const { dataset } = this.#panel;
    dataset['state'] = state.name;
    dataset['code'] = words.code;
    dataset['charged'] = state.charged;
    dataset['responseCode'] = words.responseCode;
    dataset['variant'] = words.variant;
    this.#panel.setAttribute('aria-busy', String(state.isRunning && !words.wantsFocus));
    this.#title.textContent = words.title;
    byId('more').replaceChildren(...textsOf(state, words));
    const focused = document.activeElement?.getAttribute('data-test');
    const had = this.#actions.contains(document.activeElement);
    this.#actions.replaceChildren(...this.#buttonsOf(state).map(buttonOf));
    if (had) this.#actions.querySelector<HTMLElement>(`[data-test="${focused}"]`)?.focus();
    document.title = titleText(state, words);
    this.#say(words);
  }

  /** Errors are an alert, everything else a status; each is said once. */
  #say({ title, explanation, isAlert }: Words): void {
    const said = `${title}. ${explanation}`;
    if (said === this.#said) return;
    this.#said = said;
    byId('alert').textContent = isAlert ? said : '';
    byId('status').textContent = isAlert ? '' : said;
  }

  #buttonsOf(state: PaymentState): readonly Button[] {
    const payment = this.#payment;
    const { order } = state;
    if (payment === null) return [];
    const main = primaryOf(state, payment);
    const others: Button[] = [];
    if (order && hasEnded(state)) others.push(...linksOf(order));
    if (state.canCancel || state.isCancelling) {
      others.push({
        test: 'cancel',
        text: t(
          state.isCancelling ? 'cancelling' : state.isRunning ? 'cancelPayment' : 'cancelOrder',
        ),
        isDisabled: state.isCancelling,
        act: () => payment.cancel(),
      });
    }
    if (main) return [main, ...others];
    // Without an act of its own the way back is the next step.
    return others.map((button, at) => ({
      ...button,
      isPrimary: at === 0 && button.test === 'back' && state.name !== 'UNKNOWN',
    }));
  }

  #showReceipt({ order, name }: PaymentState): void {
    const receipt = order && name === 'APPROVED' ? receiptOf(order) : null;
    byId('receipt').replaceChildren(...(receipt ? [receipt] : []));
  }

  /** Counts the last seconds down; they are said once, when they begin. */
  #tick(): void {
    const state = this.#state;
    if (state === null) return;
    const deadlineMs = state.card?.deadlineMs ?? state.pinDeadlineMs ?? Number.POSITIVE_INFINITY;
    const leftMs = deadlineMs - Date.now();
    const countdown = byId('countdown');
    countdown.hidden = leftMs > COUNTDOWN_MS;
    if (countdown.hidden) return;
    const text = t('secondsLeft', { n: Math.max(0, Math.ceil(leftMs / 1000)) });
    if (countdown.textContent !== text) countdown.textContent = text;
    if (this.#saidDeadlineMs === deadlineMs) return;
    this.#saidDeadlineMs = deadlineMs;
    byId('status').textContent = text;
  }
}

function summaryOf(order: PayOrderView): readonly HTMLElement[] {
  const [, sign = '', digits = ''] =
    /^(\D*)(.*)$/.exec(amountText(order.amountMinor, order.currency)) ?? [];
  const row = (label: TextKey, value: string): HTMLElement =>
    h('div', {}, h('dt', {}, t(label)), h('dd', { 'data-field': label }, value));
  return [
    h('p', { class: 'to' }, t('payTo')),
    h('p', { class: 'merchant', 'data-field': 'merchant' }, order.merchantName),
    h('p', { class: 'amount', 'data-field': 'amount' }, h('span', {}, sign), digits),
    h(
      'dl',
      {},
      row('orderNumber', order.merchantOrderNumber),
      row('shop', order.origin.replace(/^https?:\/\//, '')),
    ),
  ];
}

function textsOf(state: PaymentState, words: Words): readonly HTMLElement[] {
  const { explanation, isUncharged, code, responseCode } = words;
  const texts: HTMLElement[] = [];
  const paid = state.name === 'APPROVED' ? paidText(state.order) : '';
  if (explanation || paid) texts.push(h('p', { class: 'explanation' }, explanation || paid));
  if (state.isBlocked && state.isRunning) texts.push(h('p', { class: 'note' }, t('blocked')));
  if (code === 'TP_BUSY' && /^https?:/.test(state.error?.detail ?? '')) {
    texts.push(h('p', { class: 'note' }, t('holder', { holder: state.error?.detail ?? '' })));
  }
  if (state.name === 'NEED_HOST') texts.push(h('code', { class: 'command' }, START_COMMAND));
  if (isUncharged) texts.push(h('p', { class: 'unchanged' }, t('unchanged')));
  const small = [code, responseCode].filter(Boolean).join(' · ');
  if (small && words.isAlert && hasEnded(state))
    texts.push(h('p', { class: 'code' }, t('code', { code: small })));
  return texts;
}

function paidText(order: PayOrderView | null): string {
  const receipt = order?.payment?.receipt;
  if (!receipt) return '';
  return t('paidWith', { label: receipt.applicationLabel, last: receipt.panMasked.slice(-4) });
}

function titleText({ order }: PaymentState, { title }: Words): string {
  if (order === null) return title;
  return `${title} · ${amountText(order.amountMinor, order.currency)} · ${order.merchantName}`;
}

/** Nothing runs, and the page says how it ended or that nobody knows yet. */
function hasEnded({ name, error, isRunning }: PaymentState): boolean {
  if (name === 'UNKNOWN' || name === 'APPROVED') return true;
  return !isRunning && error !== null && name !== 'NEED_HOST';
}

const NEEDS_WINDOW: readonly PaymentState['name'][] = [
  'NEED_PAIRING',
  'CONSENT',
  'WAIT_CARD',
  'WAIT_PIN',
];

/** The one act that a state offers. */
function primaryOf(state: PaymentState, payment: Payment): Button | null {
  const { name, order, error, canStart } = state;
  const isPrimary = true;
  const start = (): void => payment.start();
  if (name === 'READY' && order) {
    const amount = amountText(order.amountMinor, order.currency);
    return { test: 'pay', text: t('pay', { amount }), isPrimary, act: start };
  }
  if (canStart && error?.retriable !== false) {
    const text = t(error?.action === 'otherCard' ? 'otherCard' : 'retry');
    return { test: 'retry', text, isPrimary, act: start };
  }
  if (!NEEDS_WINDOW.includes(name)) return null;
  return { test: 'window', text: t('window'), isPrimary, act: () => payment.show() };
}

/** Ways on from an end. */
function linksOf(order: PayOrderView): readonly Button[] {
  const back: Button = { test: 'back', text: t('back'), href: backUrl(order) };
  const isPaid = order.status === 'paid';
  const print: Button = { test: 'print', text: t('print'), act: () => globalThis.print() };
  const { insideUrl, sandbox, payment } = order;
  const inside: readonly Button[] =
    sandbox && insideUrl !== null && payment !== null
      ? [{ test: 'inside', text: t('inside'), href: insideUrl, opensTab: true }]
      : [];
  return [back, ...(isPaid ? [print] : []), ...inside];
}

/** Where the shop wants the payer back, told which order; its front page when it said nothing. */
function backUrl({ returnUrl, origin, orderId }: PayOrderView): string {
  if (returnUrl === null || !URL.canParse(returnUrl)) return origin;
  const url = new URL(returnUrl);
  if (!/^https?:$/.test(url.protocol)) return origin;
  url.searchParams.set('orderId', orderId);
  return url.href;
}

function buttonOf(button: Button): HTMLElement {
  const { test, text, act, href, isPrimary = false, isDisabled = false, opensTab = false } = button;
  const name = `button ${isPrimary ? 'primary' : ''} ${test}`;
  if (href !== undefined) {
    const target = opensTab ? { target: '_blank', rel: 'noopener' } : {};
    return h('a', { class: name, href, 'data-test': test, ...target }, text);
  }
  const attributes = { type: 'button', class: name, 'data-test': test, disabled: isDisabled };
  return h('button', { ...attributes, onclick: () => act?.() }, text);
}
