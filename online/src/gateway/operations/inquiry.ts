/** The three answers to "what became of it?". */
import type { Order, Payment } from '../model.ts';
import type { Operation } from './model.ts';

/** `notFound`: nothing was ever sent; `inProgress`: ask again; `processed`: final. */
export type Inquiry = 'processed' | 'inProgress' | 'notFound';

/** Of an order: whether a payment of it was ever sent, and has an end. */
export function orderInquiry(order: Pick<Order, 'status' | 'paymentId'> | null): Inquiry {
  if (!order || order.paymentId === null) return 'notFound';
  return order.status === 'processing' || order.status === 'unknown' ? 'inProgress' : 'processed';
}

/** Of a payment. */
export function paymentInquiry(payment: Pick<Payment, 'state'> | null): Inquiry {
  switch (payment?.state) {
    case undefined:
      return 'notFound';
    case 'sending':
    case 'authorised':
    case 'debitedNotConfirmed':
    case 'unknown':
    case 'reversing':
      return 'inProgress';
    default:
      return 'processed';
  }
}

/** Of a capture, void or refund. */
export function operationInquiry(operation: Pick<Operation, 'state'> | null): Inquiry {
  switch (operation?.state) {
    case undefined:
      return 'notFound';
    case 'sending':
    case 'pending':
    case 'unknown':
      return 'inProgress';
    default:
      return 'processed';
  }
}
