/** Rows of the gateway's tables and the facts they stand for. */
import type { IssuerFacts } from '@tapnpay/protocol/iso8583';
import type { HopRecord } from '@tapnpay/protocol/wire';
import type { LabFault } from './lab.ts';
import type {
  CardFacts,
  LedgerEntry,
  Order,
  OrderStatus,
  OutboxMessage,
  PairingCode,
  Payment,
  PaymentState,
  Reversal,
} from './model.ts';

/** A row of `orders`; int8 columns arrive as bigint. */
export type OrderRow = {
  readonly order_id: string;
  readonly merchant_id: string;
  readonly mode: Order['mode'];
  readonly merchant_order_number: string;
  readonly amount_minor: bigint;
  readonly currency: string;
  readonly origin: string;
  readonly notify_url: string | null;
  readonly return_url: string | null;
  readonly kind: Order['kind'];
  readonly capture_mode: Order['captureMode'];
  readonly status: OrderStatus;
  readonly created_at_ms: bigint;
  readonly expires_at_ms: bigint;
  readonly payment_id: string | null;
  readonly fault: LabFault | null;
  readonly fingerprint: string;
};

export function orderOf(row: OrderRow): Order {
  return {
    orderId: row.order_id,
    merchantId: row.merchant_id,
    mode: row.mode,
    merchantOrderNumber: row.merchant_order_number,
    amountMinor: row.amount_minor,
    currency: row.currency,
    origin: row.origin,
    notifyUrl: row.notify_url,
    returnUrl: row.return_url,
    kind: row.kind,
    captureMode: row.capture_mode,
    status: row.status,
    createdAtMs: Number(row.created_at_ms),
    expiresAtMs: Number(row.expires_at_ms),
    paymentId: row.payment_id,
    fault: row.fault,
  };
}

/** A row of `payments`. */
export type PaymentRow = {
  readonly payment_id: string;
  readonly order_id: string;
  readonly element_id: string;
  readonly interface: 'contact' | 'contactless';
  readonly state: PaymentState;
  readonly amount_minor: bigint;
  readonly currency: string;
  readonly pan_masked: string;
  readonly card: CardFacts;
  readonly stan: string;
  readonly retrieval_reference: string;
  readonly transmission: string;
  readonly sealed_original: string;
  readonly response_code: string | null;
  readonly approval_code: string | null;
  readonly issuer: IssuerFacts | null;
  readonly second: string | null;
  readonly second_type: 'TC' | 'AAC' | null;
  readonly tsi: string | null;
  readonly settlement_date: string | null;
  readonly reason: string | null;
  readonly deadline_ms: bigint | null;
  readonly sequence: number;
  readonly hops: readonly HopRecord[];
  readonly created_at_ms: bigint;
  readonly updated_at_ms: bigint;
};

export function paymentOf(row: PaymentRow): Payment {
  return {
    paymentId: row.payment_id,
    orderId: row.order_id,
    elementId: row.element_id,
    interface: row.interface,
    state: row.state,
    amountMinor: row.amount_minor,
    currency: row.currency,
    panMasked: row.pan_masked,
    card: row.card,
    stan: row.stan,
    retrievalReference: row.retrieval_reference,
    transmission: row.transmission,
    sealedOriginal: row.sealed_original,
    responseCode: row.response_code,
    approvalCode: row.approval_code,
    issuer: row.issuer,
    second: row.second,
    secondType: row.second_type,
    tsi: row.tsi,
    settlementDate: row.settlement_date,
    reason: row.reason,
    deadlineMs: numberOrNull(row.deadline_ms),
    sequence: row.sequence,
    hops: row.hops,
    createdAtMs: Number(row.created_at_ms),
    updatedAtMs: Number(row.updated_at_ms),
  };
}

/** A row of `reversals`. */
export type ReversalRow = {
  readonly payment_id: string;
  /** Empty: the payment itself. */
  readonly operation_id: string;
  readonly stan: string;
  readonly transmission: string;
  readonly reason: string;
  readonly attempts: number;
  readonly next_at_ms: bigint;
  readonly acknowledged_at_ms: bigint | null;
  readonly response_code: string | null;
};

export function reversalOf(row: ReversalRow): Reversal {
  return {
    paymentId: row.payment_id,
    operationId: row.operation_id || null,
    stan: row.stan,
    transmission: row.transmission,
    reason: row.reason,
    attempts: row.attempts,
    nextAtMs: Number(row.next_at_ms),
    acknowledgedAtMs: numberOrNull(row.acknowledged_at_ms),
    responseCode: row.response_code,
  };
}

/** A row of `outbox`. */
export type OutboxRow = {
  readonly message_id: string;
  readonly payment_id: string;
  readonly merchant_id: string;
  readonly mode: OutboxMessage['mode'];
  readonly url: string;
  readonly endpoint_id: string | null;
  readonly body: string;
  readonly created_at_ms: bigint;
  readonly attempts: number;
  readonly next_at_ms: bigint;
};

export function outboxOf(row: OutboxRow): OutboxMessage {
  return {
    messageId: row.message_id,
    paymentId: row.payment_id,
    merchantId: row.merchant_id,
    mode: row.mode,
    endpointId: row.endpoint_id,
    url: row.url,
    body: row.body,
    createdAtMs: Number(row.created_at_ms),
    attempts: row.attempts,
    nextAtMs: Number(row.next_at_ms),
  };
}

/** A row of `pairing_codes`. */
export type PairingRow = {
  readonly code_id: string;
  readonly sealed_code: string;
  readonly expires_at_ms: bigint;
  readonly failures: number;
};

export function pairingOf(row: PairingRow): PairingCode {
  return {
    codeId: row.code_id,
    sealedCode: row.sealed_code,
    expiresAtMs: Number(row.expires_at_ms),
    failures: row.failures,
  };
}

/** A row of `ledger_entries`. */
export type LedgerRow = {
  readonly transaction_id: string;
  readonly leg: number;
  readonly payment_id: string | null;
  readonly kind: LedgerEntry['kind'];
  readonly phase: LedgerEntry['phase'];
  readonly mode: LedgerEntry['mode'];
  readonly settlement_date: string;
  readonly account: string;
  readonly currency: string;
  readonly amount_minor: bigint;
};

export function ledgerEntryOf(row: LedgerRow): LedgerEntry {
  return {
    transactionId: row.transaction_id,
    leg: row.leg,
    paymentId: row.payment_id,
    kind: row.kind,
    phase: row.phase,
    mode: row.mode,
    settlementDate: row.settlement_date,
    account: row.account,
    currency: row.currency,
    amountMinor: row.amount_minor,
  };
}

function numberOrNull(value: bigint | null): number | null {
  return value === null ? null : Number(value);
}
