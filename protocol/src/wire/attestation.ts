/**
 * The element's word on a payment: what it knows of itself and of its channel, and what the payment
 * application told it of order and card, under one signature of the element's own key.
 */
import type { SignedOrder } from './channel.ts';
import { signedOrderShape } from './channel-shapes.ts';
import { WireError } from './frames.ts';
import { checkShape, countShape, hexShape, nullableShape, oneOfShape, textShape } from './shape.ts';

/**
 * Life cycle of the payment application (安装/可操作/锁定); only the management system (TSM) moves it.
 * @see GPCS 2.3.1 §5.3
 */
export type ApplicationLifeCycle = 'installed' | 'operable' | 'locked';
/** All of them. */
export const APPLICATION_LIFE_CYCLES: readonly ApplicationLifeCycle[] = [
  'installed',
  'operable',
  'locked',
];

/** What the application tells the element of a payment; bytes are hex. */
export type PaymentClaim = {
  readonly order: SignedOrder;
  /** Version of the parameter set that the kernel worked by. */
  readonly parameterVersion: number;
  readonly field55: string;
  /** The enciphered PIN block, or null without online PIN. */
  readonly pinBlock: string | null;
  /** 95 and 9F34 as the kernel has them. @see EMV 4.3 B3 Annex A, Annex C */
  readonly tvr: string;
  readonly cvmResults: string;
};

/** What a sealed payment carries of the attestation; the gateway knows the rest by itself. */
export type PaymentAttestation = {
  /** SHA-256 of the load file whose code runs, hex. */
  readonly loadFileHash: string;
  readonly lifeCycle: ApplicationLifeCycle;
  /** The element's payment counter: moved on durably before this signature left. */
  readonly counter: number;
  readonly parameterVersion: number;
  readonly tvr: string;
  readonly cvmResults: string;
  /** ECDSA P-256/SHA-256 (IEEE P1363) over `attestationStatement`. */
  readonly signature: string;
};

/** Everything that the signature covers. */
export type AttestedFacts = Omit<PaymentAttestation, 'signature'> & {
  readonly elementId: string;
  /** The channel's exporter value, hex. @see RFC 8446 §7.5 */
  readonly exporter: string;
  readonly order: SignedOrder;
  /** SHA-256 of field 55 and of the PIN block: a payment is kept without either. */
  readonly field55Hash: string;
  readonly pinBlockHash: string | null;
};

/** First word of a statement: its version. */
const STATEMENT = 'tapnpay-attestation-1';
/** Longest statement that is read. */
export const STATEMENT_CHARACTERS_MAX = 4_096;

/** The bytes that the element signs for a payment, as text: one canonical JSON list. */
export function attestationStatement(facts: AttestedFacts): string {
  const { order } = facts;
  return JSON.stringify([
    STATEMENT,
    facts.elementId,
    facts.loadFileHash,
    facts.lifeCycle,
    facts.counter,
    facts.exporter,
    [
      order.orderId,
      order.merchantId,
      order.merchantName,
      order.terminalId,
      order.amountMinor,
      order.currency,
      order.origin,
      order.dateYymmdd,
      order.timeHhmmss,
      order.transactionType,
      order.signature,
    ],
    facts.parameterVersion,
    facts.field55Hash,
    facts.pinBlockHash,
    facts.tvr,
    facts.cvmResults,
  ]);
}

const hash = hexShape({ min: 32, max: 32 });
const lifeCycleShape = oneOfShape(...APPLICATION_LIFE_CYCLES);

/**
 * The facts of a statement that was kept. Only the canonical text is one.
 * @throws WireError `ERR_MESSAGE_FIELD`.
 */
export function readAttestationStatement(text: string): AttestedFacts {
  if (text.length > STATEMENT_CHARACTERS_MAX) throw wrong('is too long');
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (cause) {
    throw wrong('is no JSON', cause);
  }
  if (!Array.isArray(list) || list[0] !== STATEMENT) throw wrong('is of another version');
  const [, elementId, loadFileHash, lifeCycle, counter, exporter, order, ...rest] = list;
  const [parameterVersion, field55Hash, pinBlockHash, tvr, cvmResults] = rest;
  const facts: AttestedFacts = {
    elementId: textShape(64)(elementId, 'elementId'),
    loadFileHash: hash(loadFileHash, 'loadFileHash'),
    lifeCycle: lifeCycleShape(lifeCycle, 'lifeCycle'),
    counter: countShape()(counter, 'counter'),
    exporter: hash(exporter, 'exporter'),
    order: orderOf(order),
    parameterVersion: countShape()(parameterVersion, 'parameterVersion'),
    field55Hash: hash(field55Hash, 'field55Hash'),
    pinBlockHash: nullableShape(hash)(pinBlockHash, 'pinBlockHash'),
    tvr: hexShape({ min: 5, max: 5 })(tvr, 'tvr'),
    cvmResults: hexShape({ min: 3, max: 3 })(cvmResults, 'cvmResults'),
  };
  if (attestationStatement(facts) !== text) throw wrong('is not in its canonical form');
  return facts;
}

function orderOf(value: unknown): SignedOrder {
  if (!Array.isArray(value)) throw wrong('holds no order');
  const [orderId, merchantId, merchantName, terminalId, amountMinor, currency, ...rest] = value;
  const [origin, dateYymmdd, timeHhmmss, transactionType, signature] = rest;
  const order = {
    ...{ orderId, merchantId, merchantName, terminalId, amountMinor, currency },
    ...{ origin, dateYymmdd, timeHhmmss, transactionType, signature },
  };
  return checkShape(signedOrderShape, order, 'order');
}

function wrong(why: string, cause?: unknown): WireError {
  const facts = { fieldPath: 'statement' };
  return new WireError('ERR_MESSAGE_FIELD', `the statement ${why}`, facts, cause);
}

/** What proves a past payment to somebody who trusts the authority and asks nobody. */
export type PaymentEvidence = {
  readonly format: typeof EVIDENCE_FORMAT;
  readonly paymentId: string;
  readonly statement: string;
  readonly signature: string;
  /** The element's certificate, and the authority that issued it. */
  readonly certificatePem: string;
  readonly caPem: string;
};
/** Name of the document. */
export const EVIDENCE_FORMAT = 'tapnpay-payment-evidence-1';
