/**
 * What a merchant gets for a day: pure sums over the transactions that the day takes. Amounts are
 * minor units, positive what the merchant gets.
 */
import { feeIncome, LEDGER_PAYOUT_CLEARING } from '../ledger/accounts.ts';
import type { Mode } from '../merchants/model.ts';
import { merchantPayable, type NewPosting } from '../model.ts';
import { type FeePlan, feeOf, returnedFeeOf, split } from './fees.ts';

/** Kinds of ledger transactions that are settled. */
export const SETTLED_KINDS = ['sale', 'capture', 'void', 'refund'] as const;
/** One of them. */
export type SettledKind = (typeof SETTLED_KINDS)[number];

/** A transaction of the book that a day takes. */
export type TakenTransaction = {
  readonly transactionId: string;
  readonly paymentId: string;
  readonly kind: SettledKind;
  readonly currency: string;
  /** Positive for sale and capture, negative for void and refund. */
  readonly amountMinor: bigint;
};

/** The same with its fee, negative for a fee given back. */
export type SettlementItem = TakenTransaction & { readonly feeMinor: bigint };

/** Whose day it is. */
export type BatchOwner = {
  readonly settlementDate: string;
  readonly merchantId: string;
  readonly mode: Mode;
};

/** One merchant, mode, day and currency. */
export type SettlementBatch = BatchOwner & {
  readonly batchId: string;
  readonly currency: string;
  readonly saleCount: number;
  readonly saleMinor: bigint;
  /** Voids and refunds. */
  readonly returnCount: number;
  readonly returnMinor: bigint;
  readonly feeMinor: bigint;
  /** Owed from the batch before, and to the next one: never above 0. */
  readonly broughtMinor: bigint;
  readonly paidOutMinor: bigint;
  readonly carriedMinor: bigint;
};

/** Adds fees; `settled` are earlier items of the payments that something is given back of. */
export function withFees(
  taken: readonly TakenTransaction[],
  settled: readonly SettlementItem[],
  plan: FeePlan,
): readonly SettlementItem[] {
  const sold = new Map<string, { feeMinor: bigint; amountMinor: bigint; returnedMinor: bigint }>();
  const note = (item: SettlementItem): void => {
    const was = sold.get(item.paymentId);
    const { amountMinor, feeMinor } = item;
    if (amountMinor > 0n) sold.set(item.paymentId, { amountMinor, feeMinor, returnedMinor: 0n });
    else if (was) was.returnedMinor -= amountMinor;
  };
  for (const item of [...settled].sort(byOrder)) note(item);
  return [...taken].sort(byOrder).map((transaction) => {
    const item = { ...transaction, feeMinor: feeFor(transaction, sold, plan) };
    note(item);
    return item;
  });
}

function feeFor(
  { kind, paymentId, amountMinor }: TakenTransaction,
  sold: ReadonlyMap<string, { feeMinor: bigint; amountMinor: bigint; returnedMinor: bigint }>,
  plan: FeePlan,
): bigint {
  if (amountMinor > 0n) return feeOf(plan, amountMinor);
  const sale = sold.get(paymentId);
  if (!sale) throw new Error(`${paymentId} is given back before it is settled`);
  if (kind === 'refund' && !plan.refundReturnsFee) return 0n;
  const { feeMinor, returnedMinor: returnedBeforeMinor } = sale;
  const returnedMinor = -amountMinor;
  return -returnedFeeOf({
    ...{ feeMinor, amountMinor: sale.amountMinor, returnedBeforeMinor, returnedMinor },
  });
}

/** Sales before what is given back of them, then by id. */
function byOrder(one: TakenTransaction, other: TakenTransaction): number {
  const [first, second] = [one, other].map(
    ({ amountMinor, transactionId }) => `${amountMinor > 0n ? 0 : 1}${transactionId}`,
  );
  return (first ?? '') < (second ?? '') ? -1 : 1;
}

/** The batches of one owner, in the order of their currencies. */
export function batchesOf(
  owner: BatchOwner,
  items: readonly SettlementItem[],
  broughtOf: (currency: string) => bigint,
): readonly SettlementBatch[] {
  const currencies = [...new Set(items.map(({ currency }) => currency))].sort();
  return currencies.map((currency) => {
    const own = items.filter((item) => item.currency === currency);
    const sales = own.filter(({ amountMinor }) => amountMinor > 0n);
    const returns = own.filter(({ amountMinor }) => amountMinor < 0n);
    const sum = (rows: readonly SettlementItem[], of: 'amountMinor' | 'feeMinor'): bigint =>
      rows.reduce((total, row) => total + row[of], 0n);
    const [saleMinor, returnMinor] = [sum(sales, 'amountMinor'), -sum(returns, 'amountMinor')];
    const feeMinor = sum(own, 'feeMinor');
    const broughtMinor = broughtOf(currency);
    const netMinor = saleMinor - returnMinor - feeMinor + broughtMinor;
    return {
      ...owner,
      batchId: [owner.settlementDate, owner.merchantId, owner.mode, currency].join('/'),
      currency,
      ...{ saleCount: sales.length, saleMinor, returnCount: returns.length, returnMinor },
      ...{ feeMinor, broughtMinor },
      paidOutMinor: netMinor > 0n ? netMinor : 0n,
      carriedMinor: netMinor < 0n ? netMinor : 0n,
    };
  });
}

/** Fee and payout of a batch as ledger transactions; what is 0 is not booked. */
export function batchPostings(batch: SettlementBatch, plan: FeePlan): readonly NewPosting[] {
  const { batchId, merchantId, mode, currency, settlementDate } = batch;
  const base = { mode, currency, settlementDate, phase: 'posted' } as const;
  const legs = (
    kind: 'fee' | 'payout',
    totalMinor: bigint,
    credited: readonly (readonly [account: string, amountMinor: bigint])[],
  ): readonly NewPosting[] =>
    [[merchantPayable(merchantId), totalMinor] as const, ...credited]
      .filter(([, amountMinor]) => amountMinor !== 0n)
      .map(([account, amountMinor], leg) => {
        return { ...base, kind, transactionId: `${kind}:${batchId}`, leg, account, amountMinor };
      });
  const weights = plan.shares.map(([, weight]) => weight);
  const parts = split(batch.feeMinor, weights);
  const shares = plan.shares.map(
    ([who], place) => [feeIncome(who), -(parts[place] ?? 0n)] as const,
  );
  const { paidOutMinor } = batch;
  return [
    ...legs('fee', batch.feeMinor, shares),
    ...legs('payout', paidOutMinor, [[LEDGER_PAYOUT_CLEARING, -paidOutMinor]]),
  ];
}
