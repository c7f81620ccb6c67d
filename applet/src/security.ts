/** Security (安全): the gateway's word on the order, and the element's word on the payment. */
import { AmountMinor, currencyExponent, fromHex } from '@tapnpay/protocol/bytes';
import {
  type HostConversation,
  orderSignatureInput,
  type PaymentAttestation,
  type PaymentClaim,
  type SignedOrder,
  utf8ToBytes,
} from '@tapnpay/protocol/wire';
import { AppletError } from './errors.ts';
import { ask } from './host.ts';

/**
 * Accepts an order only if the gateway signed it, it is the one asked for, and its amount, date
 * and origin can be shown to a person and given to a card.
 * @throws AppletError `ERR_ORDER_SIGNATURE`, `ERR_ORDER_MISMATCH`, `ERR_ORDER_FIELD`.
 */
export function* verifyOrder(order: SignedOrder, askedOrderId: string): HostConversation<void> {
  const isSigned = yield* ask({
    call: 'verifySignature',
    key: 'order',
    data: utf8ToBytes(orderSignatureInput(order)),
    signature: fromHex(order.signature),
  });
  if (!isSigned) throw new AppletError('ERR_ORDER_SIGNATURE', 'the order is not signed');
  if (order.orderId !== askedOrderId) {
    throw new AppletError('ERR_ORDER_MISMATCH', 'the gateway sent another order');
  }
  checkAmount(order);
  const day = /^[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])$/;
  if (!day.test(order.dateYymmdd)) throw wrongField('dateYymmdd');
  if (!/^(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]$/.test(order.timeHhmmss)) {
    throw wrongField('timeHhmmss');
  }
  if (!['00', '60', '62', '63'].includes(order.transactionType))
    throw wrongField('transactionType');
  if (!/^https?:\/\/[^\s/?#@]+$/.test(order.origin)) throw wrongField('origin');
}

function checkAmount(order: SignedOrder): void {
  try {
    AmountMinor(BigInt(order.amountMinor));
  } catch (cause) {
    throw wrongField('amountMinor', cause);
  }
  try {
    currencyExponent(order.currency);
  } catch (cause) {
    throw wrongField('currency', cause);
  }
}

function wrongField(name: string, cause?: unknown): AppletError {
  const facts = { fieldPath: `order.${name}` };
  return new AppletError('ERR_ORDER_FIELD', `order.${name} cannot be paid`, facts, cause);
}

/**
 * The element's signed word on the payment: what is claimed here, bound to the element itself, to
 * the code it runs and to this very channel. @throws TapError `APP_LOCKED`.
 */
export function* attestPayment(claim: PaymentClaim): HostConversation<PaymentAttestation> {
  return yield* ask({ call: 'attest', ...claim });
}
