/**
 * The rules of captures, voids and refunds: what may be done to a payment as it stands, and as
 * which message. Pure; the stores ask them while the payment's row is locked.
 */
import { type TransactionKind, transactionSpec } from '@tapnpay/protocol/iso8583';
import type { Payment } from '../model.ts';
import type { OriginalMessage } from '../payment/messages.ts';
import { settlementDateAt } from '../settlement-date.ts';
import type { OperationErrorCode } from './errors.ts';
import { isLive, type Operation, type PaymentWhole, refundableMinor } from './model.ts';

/** What a merchant wants; without an amount all that is there. */
export type WantedOperation = Pick<Operation, 'merchantId' | 'kind'> & {
  readonly amountMinor: bigint | null;
};

/** What the rules make of it. */
export type Ruling =
  | {
      readonly kind: 'allow';
      readonly transactionKind: TransactionKind;
      readonly amountMinor: bigint;
      /** The message that field 90 names, and its field 38. */
      readonly original: OriginalMessage;
      readonly approvalCode: string | null;
    }
  | { readonly kind: 'replay'; readonly operation: Operation }
  | Refusal;
type Refusal = {
  readonly kind: 'refuse';
  readonly code: OperationErrorCode;
  readonly message: string;
  readonly data: Readonly<Record<string, string>>;
};

/** Whether `wanted` may happen to the payment now. */
export function ruleOn(wanted: WantedOperation, whole: PaymentWhole, nowMs: number): Ruling {
  // A payment of somebody else does not exist.
  if (whole.order.merchantId !== wanted.merchantId) {
    return refuse('ERR_PAYMENT_NOT_FOUND', 'there is no such payment');
  }
  // What is in a purse can only be spent from there.
  if (whole.order.kind === 'ecashLoad') return wrongState(whole.payment);
  if (wanted.kind === 'capture') return ruleOnCapture(wanted, whole);
  if (wanted.kind === 'void') return ruleOnVoid(whole, nowMs);
  return ruleOnRefund(wanted, whole);
}

function ruleOnCapture({ amountMinor }: WantedOperation, whole: PaymentWhole): Ruling {
  const { payment, balance } = whole;
  const wantedMinor = amountMinor ?? balance.heldMinor;
  const earlier = live(whole, 'capture');
  if (earlier) {
    // A payment is captured once: who asks again, under whatever key, hears of that capture.
    if (earlier.amountMinor === wantedMinor) return { kind: 'replay', operation: earlier };
    const data = { operationId: earlier.operationId };
    return refuse('ERR_CAPTURE_EXISTS', 'it is captured with another amount', data);
  }
  if (payment.state !== 'held') return wrongState(payment);
  if (live(whole, 'void')) return pending('a void is under way');
  if (wantedMinor > balance.heldMinor) {
    const data = { heldMinor: String(balance.heldMinor) };
    return refuse('ERR_CAPTURE_EXCEEDS', 'the capture exceeds what is held', data);
  }
  const { approvalCode } = payment;
  const original = messageOf('preAuthorisation', payment);
  const transactionKind = 'completionAdvice';
  return { kind: 'allow', transactionKind, amountMinor: wantedMinor, original, approvalCode };
}

function ruleOnVoid(whole: PaymentWhole, nowMs: number): Ruling {
  const { payment, balance, operations } = whole;
  const earlier = live(whole, 'void');
  if (earlier) return { kind: 'replay', operation: earlier };
  const capture = live(whole, 'capture');
  if (payment.state === 'held') {
    if (capture) return pending('a capture is under way');
    const { approvalCode } = payment;
    const original = messageOf('preAuthorisation', payment);
    const transactionKind = 'preAuthorisationCancel';
    const amountMinor = balance.heldMinor;
    return { kind: 'allow', transactionKind, amountMinor, original, approvalCode };
  }
  if (payment.state !== 'captured') return wrongState(payment);
  if (balance.disputed) return refuse('ERR_DISPUTE_OPEN', 'a dispute is open');
  if (operations.some((row) => row.kind === 'refund' && isLive(row))) {
    return refuse('ERR_VOID_REFUNDED', 'a part was refunded; refund the rest instead');
  }
  const day = (capture ?? payment).settlementDate ?? settlementDateAt(payment.createdAtMs);
  if (day !== settlementDateAt(nowMs)) {
    const message = 'the settlement day of the payment is over; refund it instead';
    return refuse('ERR_VOID_TOO_LATE', message, { settlementDate: day });
  }
  const transactionKind = capture ? 'completionVoid' : 'saleVoid';
  return {
    kind: 'allow',
    transactionKind,
    ...moneyMessage(whole),
    amountMinor: balance.capturedMinor,
  };
}

function ruleOnRefund({ amountMinor }: WantedOperation, whole: PaymentWhole): Ruling {
  const { payment, balance } = whole;
  if (payment.state !== 'captured') return wrongState(payment);
  if (live(whole, 'void')) return pending('a void is under way');
  if (balance.disputed) return refuse('ERR_DISPUTE_OPEN', 'a dispute is open');
  const leftMinor = refundableMinor(balance);
  const wantedMinor = amountMinor ?? leftMinor;
  if (wantedMinor < 1n || wantedMinor > leftMinor) {
    const data = { refundableMinor: String(leftMinor) };
    return refuse('ERR_REFUND_EXCEEDS', 'the refund exceeds what is left', data);
  }
  return {
    kind: 'allow',
    transactionKind: 'refund',
    ...moneyMessage(whole),
    amountMinor: wantedMinor,
  };
}

/**
 * The message that moved the money: the sale, or the capture of a pre-authorisation. Of a capture
 * the approval code is known only if its acknowledgement carried one.
 */
function moneyMessage(whole: PaymentWhole): {
  readonly original: OriginalMessage;
  readonly approvalCode: string | null;
} {
  const capture = live(whole, 'capture');
  if (capture) {
    const { approvalCode } = capture;
    return { original: messageOf('completionAdvice', capture), approvalCode };
  }
  const { approvalCode } = whole.payment;
  return { original: messageOf('sale', whole.payment), approvalCode };
}

function messageOf(
  kind: TransactionKind,
  { stan, transmission }: Pick<OriginalMessage, 'stan' | 'transmission'>,
): OriginalMessage {
  return { mti: transactionSpec(kind).mti, stan, transmission };
}

function live({ operations }: PaymentWhole, kind: Operation['kind']): Operation | undefined {
  return operations.find((operation) => operation.kind === kind && isLive(operation));
}

function wrongState({ state }: Payment): Refusal {
  return refuse('ERR_PAYMENT_STATE', `the payment is ${state}`, { state });
}

function pending(message: string): Refusal {
  return refuse('ERR_OPERATION_PENDING', message);
}

function refuse(
  code: OperationErrorCode,
  message: string,
  data: Readonly<Record<string, string>> = {},
): Refusal {
  return { kind: 'refuse', code, message, data };
}
