/** The receipt of an approved payment: what a chip receipt must show, and no card number. */
import type { PayOrderView, Receipt } from '@tapnpay/protocol/wire';
import { amountText } from '../shared/amounts.ts';
import { h } from '../shared/dom.ts';
import { panText, timeText } from '../shared/format.ts';
import { type TextKey, t } from './texts.ts';

type Row = readonly [label: TextKey, value: string | null, isBytes?: boolean];

/** The method without the "apply the next" bit. @see EMV 4.3 B3 Annex C3 */
const CVM_MASK = 0x3f;

/** The cardholder verification of 9F34 in words; its bytes where they mean nothing to us. */
export function cvmText(cvmResults: string): string {
  const method = Number.parseInt(cvmResults.slice(0, 2) || '1F', 16) & CVM_MASK;
  return t(`cvm${method.toString(16).toUpperCase().padStart(2, '0')}`) || cvmResults;
}

/** The receipt of a view's payment, or null when there is none to show. */
export function receiptOf(order: PayOrderView): HTMLElement | null {
  const { payment } = order;
  if (payment?.outcome !== 'approved') return null;
  const { receipt, responseCode } = payment;
  return h(
    'section',
    { class: 'receipt panel', 'aria-label': t('receipt'), 'data-test': 'receipt' },
    h(
      'header',
      {},
      h('h2', {}, t('receipt')),
      h('span', { class: 'copy', 'aria-hidden': 'true' }, t('copy')),
    ),
    list(mainRows(order, receipt)),
    h('h3', {}, t('chip')),
    list(chipRows(receipt, responseCode)),
  );
}

function mainRows(order: PayOrderView, receipt: Receipt): readonly Row[] {
  return [
    ['merchant', order.merchantName],
    ['amount', amountText(order.amountMinor, order.currency)],
    ['orderNumber', order.merchantOrderNumber],
    ['time', timeText(receipt.createdAtMs)],
    ['pan', panText(receipt.panMasked)],
    ['entryMode', t(receipt.entryMode)],
    ['cvm', cvmText(receipt.cvmResults)],
    ['merchantId', order.merchantId, true],
    ['terminalId', order.terminalId, true],
    ['approval', receipt.approvalCode, true],
    ['trace', receipt.stan, true],
    ['reference', receipt.retrievalReference, true],
  ];
}

function chipRows(receipt: Receipt, responseCode: string | null): readonly Row[] {
  const { second, secondType } = receipt;
  return [
    ['application', receipt.applicationLabel],
    ['aid', receipt.aid, true],
    ['atc', String(receipt.applicationTransactionCounter), true],
    ['arqc', receipt.arqc, true],
    [secondType === 'AAC' ? 'aac' : 'tc', second, true],
    ['tvr', receipt.tvr, true],
    ['tsi', receipt.tsi, true],
    ['arc', responseCode, true],
  ];
}

/** A row without a value is no row: a contactless card has no second cryptogram. */
function list(rows: readonly Row[]): HTMLElement {
  const shown = rows.filter(([, value]) => value !== null && value !== '');
  const pair = ([label, value, isBytes = false]: Row): HTMLElement =>
    h(
      'div',
      {},
      h('dt', {}, t(label)),
      h('dd', { class: isBytes ? 'mono' : null, 'data-field': label }, value),
    );
  return h('dl', {}, ...shown.map(pair));
}
