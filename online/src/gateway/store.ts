/**
 * What the gateway keeps. Each method is one atomic durable step: when its promise resolves the
 * change survives a kill; when it rejects nothing of it happened or the caller must ask again.
 */
import type { HopRecord } from '@tapnpay/protocol/wire';
import type { KeptAttestation } from './elements/model.ts';
import type { AttestationRefusal, ElementStore } from './elements/store.ts';
import type { NoticeStore } from './load/store.ts';
import type {
  CardEnd,
  LedgerEntry,
  NewEvent,
  NewPosting,
  Order,
  OrderStatus,
  OutboxMessage,
  PairingCode,
  Payment,
  PaymentFacts,
  PaymentState,
  Reversal,
} from './model.ts';
import type { OperationStore } from './operations/store.ts';
import type { TryResult } from './webhooks/model.ts';
import type { WebhookStore } from './webhooks/store.ts';

/** Outcome of `createOrder`. `conflict`: the key was used with another body. */
export type CreateOrderResult =
  | { readonly kind: 'created' | 'replayed'; readonly order: Order }
  | { readonly kind: 'conflict' };

/** Why the commit point refused a payment. Nothing was written. */
export type BeginRefusal =
  | AttestationRefusal
  | { readonly refused: 'order'; readonly status: OrderStatus | null }
  | { readonly refused: 'pinCounter' | 'element' | 'trace' };
/** What must hold when a payment passes the commit point, beside its order and element. */
export type BeginGuard = {
  readonly nowMs: number;
  readonly pinCounter: number | null;
  readonly attestation: KeptAttestation;
};
export type BeginResult = { readonly refused: null } | BeginRefusal;

/** Fields of a new reversal; the store adds its life. */
export type NewReversal = Pick<Reversal, 'stan' | 'transmission' | 'reason' | 'nextAtMs'>;

/** One move of one payment with everything that must happen together with it. */
export type PaymentChange = {
  readonly paymentId: string;
  /**
   * The move happens only from these states; to `captured` or `held` only while the order is this
   * payment's.
   */
  readonly from: readonly PaymentState[];
  readonly to: PaymentState;
  readonly atMs: number;
  readonly facts?: Partial<PaymentFacts>;
  readonly hops?: readonly HopRecord[];
  /**
   * New status of the order; null leaves it. A paid order never changes, and neither does one that
   * another attempt has taken.
   */
  readonly orderStatus: OrderStatus | null;
  readonly reversal?: NewReversal;
  /** Closes the payment's reversal with the acknowledgement's field 39. */
  readonly acknowledged?: string;
  readonly postings?: readonly NewPosting[];
  /** What the merchant is told; it counts as one more in the payment's sequence. */
  readonly event?: NewEvent;
};

/** Which payments to list. */
export type PaymentQuery = {
  readonly states: readonly PaymentState[];
  /** Only those whose deadline has passed. */
  readonly deadlineBeforeMs?: number;
  readonly limit: number;
};

/** The gateway's durable memory: PostgreSQL in service, a map in simulation. */
export interface GatewayStore extends OperationStore, NoticeStore, WebhookStore, ElementStore {
  createOrder(
    order: Order,
    idempotency: { readonly key: string; readonly fingerprint: string },
  ): Promise<CreateOrderResult>;
  findOrder(orderId: string): Promise<Order | null>;
  /** open -> cancelled; the order as it is afterwards. */
  cancelOrder(orderId: string): Promise<Order | null>;
  /** open and past its time -> expired; how many. */
  expireOrders(nowMs: number): Promise<number>;

  /** The next systems trace audit number, 000001 to 999999, then round again. */
  nextStan(): Promise<string>;
  /**
   * THE commit point: payment `sending`, order open -> processing, the element's counters moved on,
   * its attestation kept.
   */
  beginPayment(payment: Payment, guard: BeginGuard): Promise<BeginResult>;
  /** The payment after the move, or null when it was in none of `from`: nothing was written. */
  changePayment(change: PaymentChange): Promise<Payment | null>;
  /**
   * Notes how the card ended a payment whose state does not follow from it (declined, unknown,
   * already reversed). Once: the first end stays.
   */
  noteCardEnd(
    paymentId: string,
    end: { readonly facts: CardEnd; readonly hops: readonly HopRecord[] },
  ): Promise<void>;
  findPayment(paymentId: string): Promise<Payment | null>;
  findPaymentByTrace(trace: {
    readonly stan: string;
    readonly transmission: string;
  }): Promise<Payment | null>;
  listPayments(query: PaymentQuery): Promise<readonly Payment[]>;

  /** Due reversals; each is counted as tried and leased until `nowMs + leaseMs`. */
  claimReversals(claim: Claim): Promise<readonly Reversal[]>;
  postponeReversal(
    reversal: Pick<Reversal, 'paymentId' | 'operationId'>,
    nextAtMs: number,
  ): Promise<void>;
  /** The reversal of a payment itself. */
  findReversal(paymentId: string): Promise<Reversal | null>;

  claimOutbox(
    claim: Claim & { readonly exceptMerchants: readonly string[] },
  ): Promise<readonly OutboxMessage[]>;
  /** Delivered, tried in vain until `nextAtMs`, or given up; and how the try ended. */
  settleOutbox(
    messageId: string,
    result: { readonly kind: 'delivered' | 'dead' } | { readonly nextAtMs: number },
    tried: Pick<TryResult, 'atMs' | 'status'>,
  ): Promise<void>;

  addPairingCode(code: PairingCode): Promise<void>;
  activePairingCodes(nowMs: number): Promise<readonly PairingCode[]>;
  /** Counts a wrong proof against every active code; those at `failuresMax` die. */
  notePairingFailure(nowMs: number, failuresMax: number): Promise<void>;
  ledgerEntries(): Promise<readonly LedgerEntry[]>;
  close(): Promise<void>;
}

/** What a worker takes at once and for how long it is hidden from others. */
export type Claim = { readonly nowMs: number; readonly leaseMs: number; readonly limit: number };
