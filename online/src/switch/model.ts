/**
 * The switch's durable facts: a journal of transactions and the reversals (advices) it owes its
 * issuers; and the legal moves of a transaction. Times are milliseconds, amounts minor units.
 */

/**
 * What makes an incoming 0200 the same one again: the member's line and fields 32, 11, 7, 41.
 * @see ISO 8583:1987 §4.3
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

/** One 0200, or a reversal that came before it (then `bodyDigest` is null). */
export type Transaction = TransactionKey & {
  readonly transactionId: string;
  /** Keyed digest of the request without fields 52 and 128. */
  readonly bodyDigest: string | null;
  /** The issuer it was, or may have been, sent to; null when surely nothing was sent. */
  readonly destination: string | null;
  readonly retrievalReference: string | null;
  readonly amountMinor: bigint | null;
  readonly currency: string | null;
  readonly panMasked: string | null;
  /** What a reversal repeats of it, sealed. */
  readonly sealedOriginal: string | null;
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
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
};

/** A reversal on its way to an issuer: one at most for each transaction. */
export type Advice = {
  readonly transactionId: string;
  readonly destination: string;
  /** Field 11 of the 0420 and of every 0421. */
  readonly stan: string;
  /** Field 7 of them, MMDDhhmmss. */
  readonly transmission: string;
  readonly reason: string;
  /** Times it was sent, answered or not. */
  readonly attempts: number;
  readonly nextAtMs: number;
  readonly settledAtMs: number | null;
  /** Field 39 of the acknowledgement. */
  readonly responseCode: string | null;
};
