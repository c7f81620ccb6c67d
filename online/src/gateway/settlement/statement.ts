/**
 * A merchant's statement of one settlement day: text made of facts that never change after the
 * close, so that each copy has the same bytes. Amounts are minor units, positive what the merchant
 * gets; fees positive what it pays.
 *
 *   H,TAPNPAY-STATEMENT,1,settlement date,merchant (F42),mode
 *   D,kind,payment,operation,order number,transmission (F7),trace (F11),reference (F37),currency,
 *     amount,fee,date told (F15)
 *   S,currency,sales,sum,returns,sum,fees,brought,paid out,carried
 *   Z,records D,SHA-256 of all bytes before this line
 *
 * D is in the order of the ledger's transaction ids, S in that of the currencies.
 */
import type { Mode } from '../merchants/model.ts';
import { isSettlementDay } from '../settlement-date.ts';
import {
  type BatchOwner,
  SETTLED_KINDS,
  type SettledKind,
  type SettlementBatch,
  type SettlementItem,
} from './batch.ts';
import { amountField, fileError, readProvedFile, recordLine, trailerLine } from './csv.ts';

const FORMAT_NAME = 'TAPNPAY-STATEMENT';
const FORMAT_VERSION = '1';
const DETAIL_FIELDS = 12;

/** What a line says beside the item. */
export type StatementLine = Omit<SettlementItem, 'transactionId'> & {
  /** Empty for a sale. */
  readonly operationId: string;
  readonly merchantOrderNumber: string;
  readonly transmission: string;
  readonly stan: string;
  readonly retrievalReference: string;
  readonly settlementDate: string;
};

/** A statement that was read back. */
export type Statement = BatchOwner & {
  readonly lines: readonly StatementLine[];
  readonly sha256: string;
};

/** The text of a statement. `lines` are in their order. */
export function statementText(
  owner: BatchOwner,
  lines: readonly StatementLine[],
  batches: readonly SettlementBatch[],
): string {
  const { settlementDate, merchantId, mode } = owner;
  const head = ['H', FORMAT_NAME, FORMAT_VERSION, settlementDate, merchantId, mode];
  const details = lines.map((line) => [
    ...['D', line.kind, line.paymentId, line.operationId, line.merchantOrderNumber],
    ...[line.transmission, line.stan, line.retrievalReference, line.currency],
    ...[line.amountMinor, line.feeMinor, line.settlementDate],
  ]);
  const sums = batches.map((batch) => [
    ...['S', batch.currency, batch.saleCount, batch.saleMinor],
    ...[batch.returnCount, batch.returnMinor, batch.feeMinor],
    ...[batch.broughtMinor, batch.paidOutMinor, batch.carriedMinor],
  ]);
  const body = [head, ...details, ...sums].map(recordLine).join('');
  return body + trailerLine(body, lines.length);
}

/** Reads a statement and proves it. @throws GatewayError `ERR_SETTLEMENT_FILE`. */
export function readStatement(text: string): Statement {
  const { head, records, sha256 } = readProvedFile(text);
  const [mark, name, version, settlementDate = '', merchantId = '', mode = ''] = head;
  if (mark !== 'H' || name !== FORMAT_NAME || version !== FORMAT_VERSION) {
    throw fileError(`is no ${FORMAT_NAME} file of version ${FORMAT_VERSION}`);
  }
  if (!isSettlementDay(settlementDate) || !isMode(mode)) throw fileError('has a broken header');
  const lines = records.filter(([type]) => type === 'D').map(lineOf);
  return { settlementDate, merchantId, mode, lines, sha256 };
}

function lineOf(fields: readonly string[]): StatementLine {
  const [, kind = '', paymentId = '', operationId = '', merchantOrderNumber = ''] = fields;
  const [transmission = '', stan = '', retrievalReference = '', currency = ''] = fields.slice(5);
  if (fields.length !== DETAIL_FIELDS || !isKind(kind)) throw fileError('has a broken record');
  return {
    ...{ kind, paymentId, operationId, merchantOrderNumber, transmission, stan },
    ...{ retrievalReference, currency, settlementDate: fields[11] ?? '' },
    amountMinor: amountField(fields[9]),
    feeMinor: amountField(fields[10]),
  };
}

function isKind(text: string): text is SettledKind {
  return (SETTLED_KINDS as readonly string[]).includes(text);
}

function isMode(text: string): text is Mode {
  return text === 'test' || text === 'live';
}
