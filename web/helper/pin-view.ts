/** The PIN pad: dots for the eye, a count for the screen reader, never a digit. */
import type { WindowPayment } from '@tapnpay/protocol/wire';
import { h } from '../shared/dom.ts';
import { amountText } from '../shared/format.ts';
import { backspaceIcon, lockIcon } from './icons.ts';
import { PIN_DIGITS_MAX, type PinEntry } from './pin-entry.ts';
import { button, type Translate, type Ui, viewOf } from './ui.ts';

/** Dots that are there before the first digit; most PINs have six. */
const DOTS_SHOWN = 6;

export function pinPad(ui: Ui, payment: WindowPayment): readonly (HTMLElement | null)[] {
  const { t, act } = ui;
  const { order } = payment;
  const isVirtual = viewOf(ui)?.reader.kind === 'virtual';
  return [
    order
      ? h(
          'p',
          { class: 'pin-for', id: 'pin-for' },
          t(order.kind === 'ecashLoad' ? 'pinForLoad' : 'pinFor', {
            amount: amountText(order.amountMinor, order.currency),
            merchant: order.merchantName,
          }),
        )
      : null,
    h('p', { class: 'pin-label', id: 'pin-label' }, t('pinLabel')),
    pinField(ui),
    h('p', { class: 'visually-hidden', id: 'pin-count', role: 'status' }, ''),
    isVirtual ? h('p', { class: 'pin-sandbox' }, t('pinSandbox')) : null,
    h('div', { class: 'pad', role: 'group', 'aria-label': t('pinPad') }, ...padKeys(ui)),
    h(
      'div',
      { class: 'actions actions-two' },
      button({
        test: 'pin-cancel',
        label: t('cancel'),
        press: () => act.pressPin({ key: 'cancel' }),
        isDisabled: ui.isPending,
      }),
      button({
        test: 'pin-ok',
        label: t('pinOk'),
        kind: 'primary',
        press: () => act.pressPin({ key: 'ok' }),
        isDisabled: ui.isPending || payment.pinKeySpki === null,
      }),
    ),
    h('p', { class: 'safe quiet' }, lockIcon(), h('span', {}, t('pinSafe'))),
  ];
}

function pinField(ui: Ui): HTMLElement {
  return h(
    'div',
    {
      id: 'pin-field',
      class: 'pin-field',
      role: 'textbox',
      tabindex: 0,
      'aria-labelledby': 'pin-label',
      'aria-describedby': 'pin-for pin-count',
      'data-test': 'pin-field',
      'data-focus': true,
    },
    ...dots(ui.pin.length),
  );
}

function dots(count: number): readonly HTMLElement[] {
  const shown = Math.max(DOTS_SHOWN, count);
  return Array.from({ length: shown }, (_, at) =>
    h('span', { class: at < count ? 'dot dot-full' : 'dot', 'aria-hidden': 'true' }),
  );
}

function padKeys(ui: Ui): readonly HTMLElement[] {
  const digit = (value: number): HTMLElement =>
    button({
      test: `pin-key-${value}`,
      label: String(value),
      kind: 'pad-key',
      press: () => ui.act.pressPin({ key: 'digit', digit: value }),
    });
  const backspace = button({
    test: 'pin-backspace',
    label: '',
    kind: 'pad-key pad-back',
    press: () => ui.act.pressPin({ key: 'backspace' }),
    icon: backspaceIcon(),
  });
  backspace.setAttribute('aria-label', ui.t('pinBackspace'));
  const blank = h('span', { class: 'pad-blank', 'aria-hidden': 'true' });
  return [1, 2, 3, 4, 5, 6, 7, 8, 9].map(digit).concat(blank, digit(0), backspace);
}

/** Draws the dots anew after a key, and nothing else. */
export function showPinLength(root: HTMLElement, entry: PinEntry, t: Translate): void {
  const field = root.querySelector('#pin-field');
  const count = root.querySelector('#pin-count');
  if (!field || !count) return;
  field.classList.toggle('pin-field-full', entry.length > PIN_DIGITS_MAX - 4);
  field.replaceChildren(...dots(entry.length));
  count.textContent = t('pinCount', { count: entry.length });
}
