/** What is paid, to whom, for whom; large while it is decided, one strip afterwards. */
import type { ShownOrder, WindowPayment } from '@tapnpay/protocol/wire';
import { h } from '../shared/dom.ts';
import { amountText } from '../shared/format.ts';
import type { HelperKey } from './texts.ts';
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
          h('span', { class: 'visually-hidden' }, `${t(merchantLabel(order))} `),
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

function merchantLabel({ kind }: ShownOrder): HelperKey {
  return kind === 'ecashLoad' ? 'merchantOfLoad' : 'merchant';
}

/** Amount and merchant in one line; of a look at a balance, that it is no more. */
export function orderStrip({ intent, order }: WindowPayment, t: Translate): HTMLElement | null {
  if (intent === 'balance') return strip(t('stripBalance'), t('stripNoCharge'));
  if (intent === 'token') return strip(t('stripToken'), t('stripNoCharge'));
  if (order === null) return null;
  const { kind, merchantName: merchant, amountMinor, currency } = order;
  const whom = kind === 'ecashLoad' ? t('stripLoad', { merchant }) : merchant;
  return strip(whom, amountText(amountMinor, currency));
}

function strip(left: string, right: string): HTMLElement {
  return h(
    'p',
    { class: 'strip' },
    h('span', { class: 'strip-merchant' }, left),
    h('strong', { class: 'strip-amount' }, right),
  );
}
