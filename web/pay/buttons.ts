/** What a state offers to do: one act that is the next step, and other ways beside it. */
import type { ChosenTransport, Payment, PaymentState } from '@tapnpay/plugin/engine';
import type { PayOrderView } from '@tapnpay/protocol/wire';
import { amountText } from '../shared/amounts.ts';
import { h } from '../shared/dom.ts';
import { t } from './texts.ts';

/** One button or link: what tests and styles call it, its text, what it does. */
export type Button = {
  readonly test: string;
  readonly text: string;
  readonly isPrimary?: boolean;
  readonly isDisabled?: boolean;
  readonly act?: (event: Event) => void;
  readonly href?: string;
  readonly opensTab?: boolean;
};
/** What buttons act on. */
export type Acts = {
  readonly payment: Payment;
  readonly transport: Pick<ChosenTransport, 'update'>;
  showDoctor(): void;
};

const NEEDS_WINDOW: readonly PaymentState['name'][] = [
  'NEED_PAIRING',
  'CONSENT',
  'WAIT_CARD',
  'WAIT_PIN',
];

/** The buttons of a state, the primary one first; `command` is what its texts say to type. */
export function buttonsOf(state: PaymentState, command: string, acts: Acts): readonly Button[] {
  const { name, order, error, isRunning, isCancelling } = state;
  const main = primaryOf(state, acts) ?? promptOf(state, command, acts);
  const others: Button[] = [];
  // What is wrong with the parts on this machine is looked for on this machine.
  if (/^(e|ag)/.test(error?.stage ?? '') || name === 'NO_READER') {
    others.push({ test: 'doctor', text: t('doctor'), act: acts.showDoctor });
  }
  if (order && (hasEnded(state) || (error && !isRunning))) others.push(...linksOf(order));
  if (state.canCancel || isCancelling) {
    const wish = isRunning ? 'cancelPayment' : 'cancelOrder';
    others.push({
      test: 'cancel',
      text: t(isCancelling ? 'cancelling' : wish),
      isDisabled: isCancelling,
      act: () => acts.payment.cancel(),
    });
  }
  if (main) return [{ ...main, isPrimary: true }, ...others];
  // Without an act of its own a look at the machine, or the way back, is the next step.
  const isStill = !isRunning && name !== 'UNKNOWN';
  return others.map((button, at) => ({
    ...button,
    isPrimary: at === 0 && isStill && button.test !== 'cancel',
  }));
}

/** Nothing runs or is waited for: the page says how it ended or that nobody knows yet. */
export function hasEnded({ name, error, isRunning }: PaymentState): boolean {
  if (name === 'UNKNOWN' || name === 'APPROVED') return true;
  return !isRunning && error !== null && !/^[NB]/.test(name);
}

/** The one act that a state offers. */
function primaryOf(state: PaymentState, acts: Acts): Button | null {
  const { name, order, error, canStart } = state;
  const { payment } = acts;
  const act = (): void => payment.start();
  if (name === 'READY' && order) {
    const amount = amountText(order.amountMinor, order.currency);
    return { test: 'pay', text: t('pay', { amount }), act };
  }
  if (canStart && error?.retriable !== false) {
    return { test: 'retry', text: t(error?.action === 'otherCard' ? 'otherCard' : 'retry'), act };
  }
  if (!NEEDS_WINDOW.includes(name)) return null;
  return { test: 'window', text: t('window'), act: () => payment.show() };
}

/** How the missing part comes: by the browser, by a command, or by a reload. */
function promptOf(
  { error, plugin }: PaymentState,
  command: string,
  { transport }: Acts,
): Button | null {
  if (error?.action === 'reload') {
    return { test: 'reload', text: t('reload'), act: () => location.reload() };
  }
  if (error?.code === 'TP_EXTENSION_OUTDATED') {
    return { test: 'update', text: t('update'), act: () => transport.update() };
  }
  const xpi = plugin?.versions?.install.xpi;
  // Of the two browsers only Firefox installs from a link.
  if (error?.code === 'TP_EXTENSION_MISSING' && xpi && /Firefox/.test(navigator.userAgent)) {
    return { test: 'install', text: t('install'), href: xpi };
  }
  return command ? { test: 'copy-command', text: t('copyCommand'), act: copies(command) } : null;
}

/** Copies a text, and says so in place of the button's own words. */
export function copies(text: string): (event: Event) => void {
  return ({ target }) => {
    void navigator.clipboard.writeText(text).then(() => {
      if (target instanceof HTMLElement) target.textContent = t('copied');
    });
  };
}

/** Ways on from an end. */
function linksOf(order: PayOrderView): readonly Button[] {
  const back: Button = { test: 'back', text: t('back'), href: backUrl(order) };
  const print: Button = { test: 'print', text: t('print'), act: () => globalThis.print() };
  const { insideUrl, sandbox, payment } = order;
  const inside: readonly Button[] =
    sandbox && insideUrl !== null && payment !== null
      ? [{ test: 'inside', text: t('inside'), href: insideUrl, opensTab: true }]
      : [];
  return [back, ...(order.status === 'paid' ? [print] : []), ...inside];
}

/** Where the shop wants the payer back, told which order; its front page when it said nothing. */
function backUrl({ returnUrl, origin, orderId }: PayOrderView): string {
  if (returnUrl === null || !URL.canParse(returnUrl)) return origin;
  const url = new URL(returnUrl);
  if (!/^https?:$/.test(url.protocol)) return origin;
  url.searchParams.set('orderId', orderId);
  return url.href;
}

/** A button as an element. */
export function elementOf(button: Button): HTMLElement {
  const { test, text, act, href, isPrimary = false, isDisabled = false, opensTab = false } = button;
  const name = `button ${isPrimary ? 'primary' : ''} ${test}`;
  if (href !== undefined) {
    const target = opensTab ? { target: '_blank', rel: 'noopener' } : {};
    return h('a', { class: name, href, 'data-test': test, ...target }, text);
  }
  const attributes = { type: 'button', class: name, 'data-test': test, disabled: isDisabled };
  return h('button', { ...attributes, onclick: (event) => act?.(event) }, text);
}
