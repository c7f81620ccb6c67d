/**
 * The gateway's durable facts: orders, payments (attempts), reversals, postings, notifications,
 * elements; and the legal moves of a payment. Amounts are minor units, times are milliseconds.
 */
import type { IssuerFacts } from '@tapnpay/protocol/iso8583';
import type { HopRecord, PaymentOutcome, Receipt } from '@tapnpay/protocol/wire';
import type { LabFault } from './lab.ts';
import type { Mode } from './merchants/model.ts';

/**
 * What the merchant sees. `unknown`: sent to the switch, no final answer yet. `authorised`: an
 * amount is held and waits for its capture. `voided`: hold or payment was taken back as a whole.
 */
export type OrderStatus =
  | 'open'
  | 'processing'
  | 'authorised'
  | 'paid'
  | 'voided'
  | 'unknown'
  | 'cancelled'
  | 'expired';

/** `automatic`: a sale. `manual`: a pre-authorisation that the merchant captures later. */
export type CaptureMode = 'automatic' | 'manual';

/** `ecashLoad`: the payer's own account fills the purse of the payer's card. */
export type OrderKind = 'purchase' | 'ecashLoad';

/** A merchant's claim that one payment may settle. */
export type Order = {
  readonly orderId: string;
  readonly merchantId: string;
  readonly mode: Mode;
  readonly merchantOrderNumber: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly origin: string;
  readonly notifyUrl: string | null;
  /** Where the payer's page leads back to. */
  readonly returnUrl: string | null;
  readonly kind: OrderKind;
  readonly captureMode: CaptureMode;
  readonly status: OrderStatus;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** The attempt that counts: the last one that passed the commit point. */
  readonly paymentId: string | null;
  readonly fault: LabFault | null;
};

/**
 * States of one attempt. `sending` is the commit point; `unknown` and `reversing` have a durable
 * reversal; `held` waits for its capture; `debitedNotConfirmed` is a load whose answer may have
 * reached the card, which alone can end it, so that it is never reversed; `declined`, `reversed`
 * and `voided` are final, and `captured` is left by a void only.
 */
export type PaymentState =
  | 'sending'
  | 'authorised'
  | 'debitedNotConfirmed'
  | 'held'
  | 'captured'
  | 'voided'
  | 'declined'
  | 'unknown'
  | 'reversing'
  | 'reversed';

/** Legal moves of a payment; the database enforces the same table. */
export const PAYMENT_MOVES: Readonly<Record<PaymentState, readonly PaymentState[]>> = {
  sending: ['authorised', 'debitedNotConfirmed', 'held', 'captured', 'declined', 'unknown'],
  authorised: ['held', 'captured', 'reversing', 'unknown'],
  debitedNotConfirmed: ['captured'],
  held: ['captured', 'voided'],
  captured: ['voided'],
  unknown: ['reversed'],
  reversing: ['reversed'],
  voided: [],
  declined: [],
  reversed: [],
};

/** Facts of a payment that later steps fill in. */
export type PaymentFacts = {
  readonly responseCode: string | null;
  readonly approvalCode: string | null;
  readonly issuer: IssuerFacts | null;
  readonly second: string | null;
  readonly secondType: 'TC' | 'AAC' | null;
  /** 9B of the completion; null until the card has ended. */
  readonly tsi: string | null;
  /** Field 15 of the answer, MMDD: until that day turns it can be voided. */
  readonly settlementDate: string | null;
  /** Why it did not end approved: `timeout`, `answerMac`, `card:AAC`, `completionMissing`, ... */
  readonly reason: string | null;
  /**
   * Without the next event (answer of the switch, completion of the card) by then: reversed. Of a
   * held payment: without its capture by then it is voided.
   */
  readonly deadlineMs: number | null;
};

/** What the receipt shows of the card, as it was sealed; hex where it is bytes. */
export type CardFacts = Pick<
  Receipt,
  'aid' | 'applicationLabel' | 'applicationTransactionCounter' | 'arqc' | 'tvr' | 'cvmResults'
>;

/** How a card ended a payment whose end did not wait for it. */
export type CardEnd = Pick<PaymentFacts, 'second' | 'secondType' | 'tsi'>;

/** One attempt to pay an order; it exists from the commit point on. */
export type Payment = PaymentFacts & {
  readonly paymentId: string;
  readonly orderId: string;
  readonly elementId: string;
  readonly interface: 'contact' | 'contactless';
  readonly state: PaymentState;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly panMasked: string;
  readonly card: CardFacts;
  /** Field 11. */
  readonly stan: string;
  /** Field 37. */
  readonly retrievalReference: string;
  /** Field 7, MMDDhhmmss. */
  readonly transmission: string;
  /** Fields of the 0200 that a reversal repeats, sealed by the vault. */
  readonly sealedOriginal: string;
  /** Number of events so far: changes that the merchant can see, each told once. */
  readonly sequence: number;
  readonly hops: readonly HopRecord[];
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
};

/** A 0420 that is repeated as 0421 until the switch acknowledges it. */
export type Reversal = {
  readonly paymentId: string;
  /** The operation that is reversed; null: the payment itself. */
  readonly operationId: string | null;
  /** Field 11 and 7 of the reversal itself; the same in each repeat. */
  readonly stan: string;
  readonly transmission: string;
  readonly reason: string;
  readonly attempts: number;
  readonly nextAtMs: number;
  readonly acknowledgedAtMs: number | null;
  readonly responseCode: string | null;
};

/** One leg of a ledger transaction; debits are positive, credits negative, the sum is zero. */
export type Posting = {
  readonly account: string;
  readonly currency: string;
  readonly amountMinor: bigint;
};
/** What a ledger transaction is; `fee` and `payout` belong to a settlement batch. */
export type LedgerKind = 'sale' | 'hold' | 'capture' | 'void' | 'refund' | 'fee' | 'payout';
/** `pending`: held, not yet owed to anybody. `posted`: owed. */
export type LedgerPhase = 'pending' | 'posted';
/** A posting with its place: all legs of one transaction are booked at once, or none. */
export type NewPosting = Posting & {
  /** Kind and subject, so that nothing is booked twice: `sale:<payment>`, `refund:<operation>`. */
  readonly transactionId: string;
  /** Number of the leg in its transaction, from 0. */
  readonly leg: number;
  readonly kind: LedgerKind;
  readonly phase: LedgerPhase;
  readonly mode: Mode;
  /** YYYYMMDD of the settlement day it belongs to. */
  readonly settlementDate: string;
};
/** A posting as it stands in the book, for ever; without a payment for fees and payouts. */
export type LedgerEntry = NewPosting & { readonly paymentId: string | null };

/** A change to be told. It goes to the order's address, if any, and to the merchant's endpoints. */
export type NewEvent = {
  readonly messageId: string;
  readonly paymentId: string;
  readonly merchantId: string;
  readonly mode: Mode;
  /** The order's own address. */
  readonly url: string | null;
  readonly body: string;
  readonly createdAtMs: number;
};

/** A notification waiting to be delivered to the merchant. `body` holds masked data only. */
export type OutboxMessage = Omit<NewEvent, 'url'> & {
  readonly url: string;
  /** The merchant's endpoint; null for the order's own address. */
  readonly endpointId: string | null;
  readonly attempts: number;
  readonly nextAtMs: number;
};

/** A single-use code that lets one element enrol; kept sealed by the vault. */
export type PairingCode = {
  readonly codeId: string;
  readonly sealedCode: string;
  readonly expiresAtMs: number;
  readonly failures: number;
};

/** What payer and merchant are told about a state; null while nothing can be said. */
export function outcomeOf(payment: Pick<Payment, 'state' | 'reason'>): PaymentOutcome | null {
  switch (payment.state) {
    case 'held':
    case 'captured':
      return 'approved';
    case 'declined':
      return 'declined';
    case 'voided':
    case 'reversed':
      return 'reversed';
    case 'unknown':
      return 'unknown';
    case 'reversing':
      return payment.reason === 'card:AAC' ? 'declined' : 'unknown';
    case 'sending':
    case 'authorised':
    case 'debitedNotConfirmed':
      return null;
  }
}

/** What issuers owe for approved payments; ledger/accounts.ts has every account. */
export const LEDGER_PAYER_CLEARING = 'payer-clearing';
/** What the gateway owes a merchant. */
export function merchantPayable(merchantId: string): string {
  return `merchant-payable:${merchantId}`;
}
