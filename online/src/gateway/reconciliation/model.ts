/** What is compared of a settlement day, and the classes of what comes out. */
import type { Mode } from '../merchants/model.ts';
import type { SettledKind } from '../settlement/batch.ts';

/** Where money stands: `debit` is for the merchant, `credit` is given back to the payer. */
export type Side = 'debit' | 'credit';

/** Where a difference was found; every source is compared with our own ledger. */
export type Source = 'switch' | 'merchant';

/**
 * Classes of a comparison. `missing_local`: the source has it, we have not. `missing_switch` and
 * `missing_merchant`: we have it, the source has not. `status_mismatch`: moved here and not there,
 * or the other way round. `duplicate`: the source has it more than once.
 */
export const DIFFERENCE_CLASSES = [
  'missing_local',
  'missing_switch',
  'missing_merchant',
  'amount_mismatch',
  'currency_mismatch',
  'status_mismatch',
  'duplicate',
] as const;
/** One of them. */
export type DifferenceClass = (typeof DIFFERENCE_CLASSES)[number];

/** What all sources have of a transaction: fields 7 and 11 name it, amounts are above 0. */
export type Money = {
  readonly transmission: string;
  readonly stan: string;
  readonly side: Side;
  readonly amountMinor: bigint;
  readonly currency: string;
};

/** A transaction of our ledger. */
export type LocalRecord = Money & {
  readonly transactionId: string;
  readonly paymentId: string;
  readonly kind: SettledKind;
  readonly mode: Mode;
  readonly merchantId: string;
  readonly retrievalReference: string;
};

/** A line of the switch's file. */
export type SwitchLine = Omit<Money, 'side'> & {
  readonly leg: 'original' | 'reversal';
  readonly kind: string;
  readonly side: Side | 'none' | 'refused';
  readonly merchantId: string;
  readonly retrievalReference: string;
};

/** A payment or operation that the ledger of the day has not. */
export type LocalTrace = {
  readonly transmission: string;
  readonly stan: string;
  readonly paymentId: string;
  readonly state: string;
  /** Settlement day of its entry; null when nothing was booked. */
  readonly bookedOn: string | null;
};

/** One difference. The key is stable: the same difference has it in each run. */
export type Difference = {
  readonly class: DifferenceClass;
  readonly source: Source;
  /** Fields 7 and 11: `MMDDhhmmss/nnnnnn`. */
  readonly key: string;
  readonly facts: Readonly<Record<string, string | number | null>>;
};

/** What a comparison gives. */
export type Comparison = {
  /** Transactions that all three agree on. */
  readonly matched: number;
  readonly differences: readonly Difference[];
};

/** Name of a transaction in every source. */
export function keyOf({ transmission, stan }: Pick<Money, 'transmission' | 'stan'>): string {
  return `${transmission}/${stan}`;
}
