/** Every kind of message that the issuer answers, and who reads and decides it: one table. */
import {
  type Iso8583Message,
  type TransactionKind,
  transactionKindOf,
} from '@tapnpay/protocol/iso8583';
import { type CardKind, decideCardRequest } from './card-request.ts';
import { decideFollowUp, type FollowUpKind } from './follow-up.ts';
import type { IssuerPorts, LineKeys } from './ports.ts';
import {
  type Reading,
  type RequestBase,
  readCardRequest,
  readFollowUp,
  readNotice,
  readReversal,
} from './request.ts';
import { decideReversal } from './reversal.ts';
import { decideNotice } from './scripts/notice.ts';
import type { IssuerChange } from './store.ts';

/** A message that was read, and how it is decided; deciding may be asked for more than once. */
export type ReadRequest = {
  readonly request: RequestBase;
  readonly decide: (lineKeys: LineKeys, ports: IssuerPorts) => Promise<IssuerChange>;
};
type Reader = (message: Iso8583Message, reading: Reading) => ReadRequest;

const READERS: Readonly<Record<TransactionKind, Reader>> = {
  sale: byCard('sale'),
  preAuthorisation: byCard('preAuthorisation'),
  balanceInquiry: byCard('balanceInquiry'),
  offlineSaleAdvice: byCard('offlineSaleAdvice'),
  designatedLoad: byCard('designatedLoad'),
  cashLoad: byCard('cashLoad'),
  nonDesignatedLoad: byCard('nonDesignatedLoad'),
  saleVoid: byOriginal('saleVoid'),
  refund: byOriginal('refund'),
  preAuthorisationCancel: byOriginal('preAuthorisationCancel'),
  completionAdvice: byOriginal('completionAdvice'),
  completionVoid: byOriginal('completionVoid'),
  scriptResultNotice: (message, reading) => {
    const request = readNotice(message, reading);
    return { request, decide: (_, ports) => decideNotice(request, ports) };
  },
};

/**
 * The request of a message; null for a kind that the issuer does not know.
 * @throws TapError for a message that lacks a field or has a malformed one.
 */
export function readRequest(message: Iso8583Message, reading: Reading): ReadRequest | null {
  if (/^042[01]$/.test(message.mti)) {
    const request = readReversal(message, reading);
    return { request, decide: (_, ports) => decideReversal(request, ports) };
  }
  const kind = transactionKindOf(message);
  return kind === null ? null : READERS[kind](message, reading);
}

function byCard(kind: CardKind): Reader {
  return (message, reading) => {
    const request = { ...readCardRequest(message, kind, reading), kind };
    return { request, decide: (keys, ports) => decideCardRequest(request, keys, ports) };
  };
}

function byOriginal(kind: FollowUpKind): Reader {
  return (message, reading) => {
    const request = { ...readFollowUp(message, kind, reading), kind };
    return { request, decide: (_, ports) => decideFollowUp(request, ports) };
  };
}
