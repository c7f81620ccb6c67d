/**
 * The switch's durable facts: a journal of transactions, the messages it owes its members, and the
 * settlement days; and the legal moves of a transaction. Times are milliseconds, amounts minor
 * units, settlement dates YYYYMMDD of Asia/Shanghai.
 */
import type { TransactionKind } from '@tapnpay/protocol/iso8583';

/**
 * What makes an incoming request or advice the same one again: the member's line and fields 32,
 * 11, 7, 41. @see ISO 8583:1987 §4.3
 */
export type TransactionKey = {
  /** Institution whose line it came in on. */
  readonly memberId: string;
  /** Field 32, 11 digits with zeros in front, as field 90 carries it. */
  readonly acquirerId: string;
  readonly stan: string;
  /** Field 7, MMDDhhmmss. */
  readonly transmission: string;
  /** Field 41. */
  readonly terminalId: string;
};

/**
 * `sent`: written before the request may leave, no final answer yet. `answered`: final, by the
 * issuer or by the switch itself. `unknown`: no final answer, the switch reverses. `reversing`: the
 * acquirer reversed and the issuer has not confirmed. `reversed`: no money stays moved.
 */
export type TransactionState = 'sent' | 'answered' | 'unknown' | 'reversing' | 'reversed';

/** Legal moves; the database enforces the same table. */
export const TRANSACTION_MOVES: Readonly<Record<TransactionState, readonly TransactionState[]>> = {
  sent: ['answered', 'unknown', 'reversing'],
  answered: ['reversing', 'reversed'],
  unknown: ['reversing', 'reversed'],
  reversing: ['reversed'],
  reversed: [],
};

/** A request, an advice, or a reversal that came before its original (`bodyDigest` is null). */
export type Transaction = TransactionKey & {
  readonly transactionId: string;
  /** Null for a message of no known kind, and for a reversal before its original. */
  readonly kind: TransactionKind | null;
  /** Keyed digest of the message without fields 52 and 128. */
  readonly bodyDigest: string | null;
  /** The issuer it was, or may have been, sent to; null when surely nothing was sent. */
  readonly destination: string | null;
  readonly retrievalReference: string | null;
  /** Field 42. */
  readonly merchantId: string | null;
  readonly amountMinor: bigint | null;
  readonly currency: string | null;
  readonly panMasked: string | null;
  /** What a reversal repeats of it, or the whole of an advice; sealed. */
  readonly sealedOriginal: string | null;
  /** The transaction that field 90 of a follow-up names. */
  readonly originalId: string | null;
  /** The approved void, cancellation or completion that ended this one. */
  readonly endedBy: string | null;
  readonly state: TransactionState;
  /** Field 39 of the answer given. */
  readonly responseCode: string | null;
  readonly approvalCode: string | null;
  /** The issuer's answer, sealed; null when the switch answered itself. */
  readonly sealedAnswer: string | null;
  /** Why the switch refused it, or does not know its end. */
  readonly reason: string | null;
  /** Field 39 of an answer that came too late to count. */
  readonly lateResponseCode: string | null;
  /** The day whose F15 its answer carries. */
  readonly settlementDate: string;
  /** The day in which its acquirer reversed it. */
  readonly reversalDate: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
};

/** `reversal` 0420, `advice` 0220, `notice` 0620, `cutOff` 0820 with F70 201 or 202. */
export type AdviceKind = 'reversal' | 'advice' | 'notice' | 'cutOff';

/** `stuck`: not sent any more until a person looks at it; never dropped. */
export type AdviceState = 'open' | 'settled' | 'stuck';

/** A message that a member is owed until it acknowledges: one at most for each transaction. */
export type Advice = {
  readonly adviceId: string;
  readonly kind: AdviceKind;
  /** Null for a cut-off. */
  readonly transactionId: string | null;
  /** Advices of one order key and destination are sent one after the other. */
  readonly orderKey: string;
  readonly destination: string;
  /** Field 11 of the message and of every repeat. */
  readonly stan: string;
  /** Field 7 of them, MMDDhhmmss. */
  readonly transmission: string;
  /** Why the switch reverses; F70 of a cut-off. */
  readonly reason: string;
  /** The day in which it was taken over; it expires by it. */
  readonly settlementDate: string;
  readonly state: AdviceState;
  /** Times it was sent, answered or not. */
  readonly attempts: number;
  /** Times the member refused it for good, not for the moment. */
  readonly refusals: number;
  readonly nextAtMs: number;
  readonly settledAtMs: number | null;
  /** Field 39 of the last answer; of the acknowledgement once it is settled. */
  readonly responseCode: string | null;
};

/** One settlement day. */
export type Day = {
  readonly settlementDate: string;
  readonly begunAtMs: number;
  readonly closedAtMs: number | null;
};

/**
 * One booking of a closed day: a transaction, or the reversal of an approved one. Each is in
 * exactly one day.
 */
export type Booking = {
  readonly leg: 'original' | 'reversal';
  readonly of: Transaction;
};
