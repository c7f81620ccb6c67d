/** What the gateway keeps of operations; each method is one atomic durable step. */
import type { NewEvent, NewPosting, OrderStatus, PaymentState } from '../model.ts';
import type { Claim, NewReversal } from '../store.ts';
import type { OperationErrorCode } from './errors.ts';
import type {
  NewWorkItem,
  Operation,
  OperationFacts,
  OperationState,
  PaymentBalance,
  PaymentWhole,
  WorkItem,
} from './model.ts';

/** What the rules say to a wanted operation, decided while the payment's row is locked. */
export type OperationPlan =
  | { readonly kind: 'begin'; readonly operation: Operation }
  /** The same was asked for before, by another identity. */
  | { readonly kind: 'replay'; readonly operation: Operation }
  | {
      readonly kind: 'refuse';
      readonly code: OperationErrorCode;
      readonly message: string;
      readonly data: Readonly<Record<string, string>>;
    };

/** A wanted operation. */
export type NewOperation = {
  readonly paymentId: string;
  readonly identity: string;
  readonly fingerprint: string;
  /** Pure: it may be called again with the row as it is then. */
  readonly plan: (whole: PaymentWhole) => OperationPlan;
};

/** Outcome of `beginOperation`. `conflict`: the identity was used for another request. */
export type BeginOperationResult =
  | { readonly kind: 'created' | 'replayed'; readonly operation: Operation }
  | { readonly kind: 'conflict' | 'noPayment' }
  | Extract<OperationPlan, { readonly kind: 'refuse' }>;

/** One move of one operation with everything that must happen together with it. */
export type OperationChange = {
  readonly operationId: string;
  /** The move happens only from these states. */
  readonly from: readonly OperationState[];
  readonly to: OperationState;
  readonly atMs: number;
  readonly facts?: Partial<OperationFacts>;
  /** What the payment and its order become. */
  readonly payment?: {
    readonly to: PaymentState;
    readonly orderStatus: OrderStatus;
    readonly reason?: string;
  };
  readonly reversal?: NewReversal;
  /** Closes the operation's reversal with the acknowledgement's field 39. */
  readonly acknowledged?: string;
  /** What is booked, made of the rows as this very change leaves them. Pure. */
  readonly postings?: (after: OperationAfter) => readonly NewPosting[];
  /**
   * What the merchant is told, made of the rows as this very change leaves them, the sequence
   * number included. Pure.
   */
  readonly event?: (after: OperationAfter) => NewEvent;
};

/** What a change leaves behind. */
export type OperationAfter = Omit<PaymentWhole, 'operations'> & { readonly operation: Operation };

/** The part of the gateway's durable memory that operations use. */
export interface OperationStore {
  /** Locks the payment, asks the rules, writes the operation and its claim on the sums. */
  beginOperation(wanted: NewOperation): Promise<BeginOperationResult>;
  /** Null when the operation was in none of `from`: nothing was written. */
  changeOperation(change: OperationChange): Promise<OperationAfter | null>;
  findOperation(operationId: string): Promise<Operation | null>;
  findOperationByTrace(trace: Pick<Operation, 'stan' | 'transmission'>): Promise<Operation | null>;
  /** Payment, order, sums and operations (oldest first) as one moment sees them. */
  findPaymentWhole(paymentId: string): Promise<PaymentWhole | null>;
  /** Due operations; each counts as tried and is leased until `nowMs + leaseMs`. */
  claimOperations(claim: Claim): Promise<readonly Operation[]>;
  postponeOperation(operationId: string, nextAtMs: number): Promise<void>;
  /** Sends a held payment's deadline to a later day. */
  postponeHeld(paymentId: string, deadlineMs: number): Promise<void>;
  /** Opens or closes a dispute of a captured payment; its sums, or null without such a payment. */
  markDispute(paymentId: string, dispute: 'open' | 'closed'): Promise<PaymentBalance | null>;

  /** Opens the item unless one of this kind and subject is open. */
  openWorkItem(item: NewWorkItem): Promise<void>;
  closeWorkItem(item: Pick<WorkItem, 'kind' | 'subjectId'>, atMs: number): Promise<void>;
  /** A person closes an open item; null when there is none of this id. */
  closeWorkItemByHand(
    itemId: string,
    hand: { readonly atMs: number; readonly by: string; readonly note: string },
  ): Promise<WorkItem | null>;
  /** Open ones, oldest first. */
  listWorkItems(limit: number): Promise<readonly WorkItem[]>;
}
