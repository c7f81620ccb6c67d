/**
 * The kinds of financial transactions of both dialects as one table: message type, fields 3 and 25,
 * and how each may end. @see Q/CUP 009.1 (POS), Q/CUP 006 (interbank), transaction tables
 */
import { type Iso8583Message, textField } from './message.ts';

/** What a message of this kind asks for. */
export type TransactionKind =
  | 'sale'
  | 'saleVoid'
  | 'refund'
  | 'preAuthorisation'
  | 'preAuthorisationCancel'
  | 'completionAdvice'
  | 'completionVoid'
  | 'balanceInquiry'
  | 'designatedLoad'
  | 'cashLoad'
  | 'nonDesignatedLoad'
  | 'offlineSaleAdvice'
  | 'scriptResultNotice';

/** One row of the table. */
export type TransactionSpec = {
  readonly kind: TransactionKind;
  /** Type of the first message; a repeat has 1 as its last digit. */
  readonly mti: '0100' | '0200' | '0220' | '0620';
  /** Field 3. */
  readonly processingCode: string;
  /** Field 25. */
  readonly conditionCode: string;
  /** Field 60.1 of the POS dialect. */
  readonly posType: string;
  /**
   * `request`: may be refused, and a lost answer is reversed (0420). `advice`: a fact that is
   * repeated until it is acknowledged and never reversed.
   */
  readonly nature: 'request' | 'advice';
  /** Whether field 90 names an earlier transaction. */
  readonly hasOriginal: boolean;
};

/** In CUPS the kind is known from MTI, F3, F25 and whether F90 stands there. */
export const TRANSACTION_SPECS: readonly TransactionSpec[] = [
  row('sale', '0200', '000000', '00', '22', 'request', false),
  row('saleVoid', '0200', '200000', '00', '23', 'request', true),
  row('refund', '0220', '200000', '00', '25', 'advice', true),
  row('preAuthorisation', '0100', '030000', '06', '10', 'request', false),
  row('preAuthorisationCancel', '0100', '200000', '06', '11', 'request', true),
  row('completionAdvice', '0220', '000000', '06', '24', 'advice', true),
  row('completionVoid', '0200', '200000', '06', '21', 'request', true),
  row('balanceInquiry', '0200', '310000', '00', '01', 'request', false),
  row('designatedLoad', '0200', '600000', '91', '45', 'request', false),
  row('cashLoad', '0200', '630000', '91', '46', 'request', false),
  row('nonDesignatedLoad', '0200', '620000', '91', '47', 'request', false),
  row('offlineSaleAdvice', '0220', '000000', '00', '36', 'advice', false),
  // DEVIATION: fields 3 and 25 of a notice are those of its original; the table has the load's.
  row('scriptResultNotice', '0620', '600000', '91', '00', 'advice', true),
];

function row(
  kind: TransactionKind,
  mti: TransactionSpec['mti'],
  processingCode: string,
  conditionCode: string,
  posType: string,
  nature: TransactionSpec['nature'],
  hasOriginal: boolean,
): TransactionSpec {
  return { kind, mti, processingCode, conditionCode, posType, nature, hasOriginal };
}

const BY_KIND: ReadonlyMap<TransactionKind, TransactionSpec> = new Map(
  TRANSACTION_SPECS.map((spec) => [spec.kind, spec]),
);

/** The row of a kind. */
export function transactionSpec(kind: TransactionKind): TransactionSpec {
  const spec = BY_KIND.get(kind);
  if (!spec) throw new TypeError(`no such transaction kind: ${kind}`);
  return spec;
}

/** The kind of an interbank request, advice or notice (repeats too); null for any other. */
export function transactionKindOf(message: Iso8583Message): TransactionKind | null {
  const { mti } = message;
  if (/^062[01]$/.test(mti)) return 'scriptResultNotice';
  const first = `${mti.slice(0, 3)}0`;
  const processingCode = textField(message, 3);
  const conditionCode = textField(message, 25);
  const found = TRANSACTION_SPECS.find(
    (spec) =>
      spec.mti === first &&
      spec.processingCode === processingCode &&
      spec.conditionCode === conditionCode,
  );
  return found?.kind ?? null;
}
