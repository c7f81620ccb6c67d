/** What is paid, to whom, for whom; large while it is decided, one strip afterwards. */
import type { WindowPayment } from '@tapnpay/protocol/wire';
import { h } from '../shared/dom.ts';
import { amountText } from '../shared/format.ts';
import type { Translate } from './ui.ts';

/** The whole order: amount large, merchant, both origins. */
export function orderFacts(payment: WindowPayment, t: Translate): HTMLElement {
  const { order, gatewayOrigin } = payment;
  return h(
    'div',
    { class: 'order' },
    order
      ? h(
          'p',
          { class: 'amount', id: 'order-amount', 'data-test': 'amount' },
          h('span', { class: 'visually-hidden' }, `${t('amount')} `),
          amountText(order.amountMinor, order.currency),
        )
      : null,
    order
      ? h(
          'p',
          { class: 'merchant', id: 'order-merchant', 'data-test': 'merchant' },
          h('span', { class: 'visually-hidden' }, `${t('merchant')} `),
          order.merchantName,
        )
      : null,
    h(
      'dl',
      { class: 'facts' },
      order ? h('dt', {}, t('shopOrigin')) : null,
      order ? h('dd', { class: 'mono', 'data-test': 'origin' }, order.origin) : null,
      h('dt', {}, t('gatewayOrigin')),
      h('dd', { class: 'mono', 'data-test': 'gateway-origin' }, gatewayOrigin),
    ),
  );
}

/** Amount and merchant in one line. */
export function orderStrip(payment: WindowPayment): HTMLElement | null {
  const { order } = payment;
  if (order === null) return null;
  return h(
    'p',
    { class: 'strip' },
    h('span', { class: 'strip-merchant' }, order.merchantName),
    h('strong', { class: 'strip-amount' }, amountText(order.amountMinor, order.currency)),
  );
}
