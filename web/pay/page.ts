/** Shows a payment's state, and turns clicks and keys into its acts. */
import {
  type ChosenTransport,
  COUNTDOWN_MS,
  type Payment,
  type PaymentState,
} from '@tapnpay/plugin/engine';
import type { PayOrderView } from '@tapnpay/protocol/wire';
import { amountText } from '../shared/amounts.ts';
import { byId, h } from '../shared/dom.ts';
import { language, setLanguage } from '../shared/i18n.ts';
import { type Acts, buttonsOf, elementOf, hasEnded } from './buttons.ts';
import { type TextKey, t } from './texts.ts';
import { type Words, wordsOf } from './words.ts';

const TICK_MS = 250;
const CHECKING_SILENT_MS = 300;

export class PayPage {
  readonly #panel = byId('panel');
  readonly #title = byId('title');
  readonly #actions = byId('actions');
  #acts: Acts | null = null;
  #state: PaymentState | null = null;
  #said = '';
  #saidDeadlineMs = 0;

  /** Clicks and keys reach this payment from now on. */
  connect(payment: Payment, transport: ChosenTransport): void {
    const showDoctor = (): void => {
      // Loaded when it is wanted: most payers never see it.
      void import('./doctor.ts').then((doctor) => doctor.examine(payment));
    };
    this.#acts = { payment, transport, showDoctor };
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
    const buttons = this.#acts ? buttonsOf(state, words.command, this.#acts) : [];
    this.#actions.replaceChildren(...buttons.map(elementOf));
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

  /** Its part of the script is loaded by the payment that has one. */
  #showReceipt({ order, name }: PaymentState): void {
    byId('receipt').replaceChildren();
    if (order === null || name !== 'APPROVED') return;
    void import('./receipt.ts').then((part) => {
      const receipt = this.#state?.order === order ? part.receiptOf(order) : null;
      if (receipt) byId('receipt').replaceChildren(receipt);
    });
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
  const { explanation, isUncharged, code, responseCode, command } = words;
  const { name, error, plugin } = state;
  const paid = name === 'APPROVED' ? paidText(state.order) : '';
  const holder = code === 'TP_BUSY' && /^https?:/.test(error?.detail ?? '') ? error?.detail : '';
  const small = [code, responseCode].filter(Boolean).join(' · ');
  const isCoded = small && words.isAlert && hasEnded(state);
  const texts: readonly (readonly [form: string, text: string | false])[] = [
    ['explanation', explanation || paid],
    ['note', state.isBlocked && state.isRunning && t('blocked')],
    ['note', name === 'READY' && plugin?.update === 'optional' && t('updateOffered')],
    ['note', holder ? t('holder', { holder }) : ''],
    ['command', command],
    ['unchanged', isUncharged && t('unchanged')],
    ['code', isCoded ? t('code', { code: small }) : ''],
  ];
  return texts.flatMap(([form, text]) =>
    text ? [h(form === 'command' ? 'code' : 'p', { class: form }, text)] : [],
  );
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
