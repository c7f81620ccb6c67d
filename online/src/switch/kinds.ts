/**
 * What the switch asks of each kind of transaction, as a table beside `TRANSACTION_SPECS`: which
 * fields it has, which transactions it may follow, and on which side its amount is settled.
 */
import {
  type Iso8583Message,
  type TransactionKind,
  type TransactionSpec,
  transactionKindOf,
  transactionSpec,
} from '@tapnpay/protocol/iso8583';

/**
 * `debit`: the issuer owes the acquirer the amount, `credit`: the acquirer owes the issuer, `none`:
 * nothing moves between the two.
 */
export type Side = 'debit' | 'credit' | 'none';

/** One row of the table. */
export type KindRule = {
  readonly side: Side;
  /** Whether field 4 must be there. */
  readonly hasAmount: boolean;
  /** `card`: read now (fields 22, 35, 52, 55). `told`: field 55 and no PIN. `bare`: none. */
  readonly cardData: 'card' | 'told' | 'bare';
  /** Kinds that field 90 may name. */
  readonly originals: readonly TransactionKind[];
  /** Only in the settlement day of the original. */
  readonly sameDay: boolean;
  /** The original must be approved, not reversed and not ended. */
  readonly needsApproval: boolean;
  /** Once approved it ends its original: nothing else may follow that. */
  readonly endsOriginal: boolean;
  /** A lost answer is reversed; without money there is nothing to reverse. */
  readonly isReversible: boolean;
};

const FIRST: KindRule = {
  side: 'none',
  hasAmount: true,
  cardData: 'card',
  originals: [],
  sameDay: false,
  needsApproval: false,
  endsOriginal: false,
  isReversible: true,
};
const FOLLOW_UP: KindRule = { ...FIRST, cardData: 'bare', needsApproval: true, endsOriginal: true };
const LOADS: readonly TransactionKind[] = ['designatedLoad', 'cashLoad', 'nonDesignatedLoad'];

/** The table. @see Q/CUP 006, transaction tables */
export const KIND_RULES: Readonly<Record<TransactionKind, KindRule>> = {
  sale: { ...FIRST, side: 'debit' },
  saleVoid: { ...FOLLOW_UP, side: 'credit', originals: ['sale'], sameDay: true },
  // Several refunds of one payment are legal: their sum is the issuer's decision.
  refund: {
    ...FOLLOW_UP,
    side: 'credit',
    originals: ['sale', 'completionAdvice'],
    endsOriginal: false,
  },
  preAuthorisation: FIRST,
  preAuthorisationCancel: { ...FOLLOW_UP, originals: ['preAuthorisation'] },
  completionAdvice: { ...FOLLOW_UP, side: 'debit', originals: ['preAuthorisation'] },
  completionVoid: {
    ...FOLLOW_UP,
    side: 'credit',
    originals: ['completionAdvice'],
    sameDay: true,
  },
  balanceInquiry: { ...FIRST, hasAmount: false, isReversible: false },
  // The issuer moves money between accounts of its own; cash stays with the acquirer.
  designatedLoad: FIRST,
  cashLoad: { ...FIRST, side: 'credit' },
  nonDesignatedLoad: FIRST,
  offlineSaleAdvice: { ...FIRST, side: 'debit', cardData: 'told' },
  scriptResultNotice: {
    ...FIRST,
    hasAmount: false,
    cardData: 'told',
    originals: ['sale', 'preAuthorisation', 'balanceInquiry', ...LOADS],
  },
};

/** A kind with both of its rows. */
export type Kind = { readonly spec: TransactionSpec; readonly rule: KindRule };

/** The rows of a message's kind; null for a kind that is not switched. */
export function kindOf(message: Iso8583Message): Kind | null {
  const kind = transactionKindOf(message);
  return kind === null ? null : { spec: transactionSpec(kind), rule: KIND_RULES[kind] };
}

/** Kinds that end their originals; the database has the same list. */
export const ENDING_KINDS: ReadonlySet<TransactionKind> = new Set(
  (Object.keys(KIND_RULES) as TransactionKind[]).filter((kind) => KIND_RULES[kind].endsOriginal),
);
