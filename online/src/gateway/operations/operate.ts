/**
 * Captures, voids and refunds. Each is durable before its message leaves. A void is a request: a
 * lost answer makes it unknown, and it is reversed. Captures and refunds are advices: they are
 * repeated, the same in every number, until the switch acknowledges or refuses them for certain.
 * @see Q/CUP 006, messages 0100, 0200, 0220
 */
import { transactionSpec } from '@tapnpay/protocol/iso8583';
import { joinTrace, runInTrace, traceIdOf, uuidv7 } from '../../runtime/index.ts';
import { GatewayError } from '../errors.ts';
import { localTime } from '../local-time.ts';
import { acceptorOf } from '../merchants/directory.ts';
import type { NewPosting } from '../model.ts';
import { operationEvent } from '../notifications.ts';
import { minorAmount } from '../orders.ts';
import {
  buildFollowUp,
  ENTRY_MODE_KEPT,
  type FollowUpRequest,
  type OriginalRequest,
  withMac,
} from '../payment/messages.ts';
import { judgeAnswer, type Verdict } from '../payment/verdict.ts';
import type { GatewayPorts } from '../ports.ts';
import { settlementDateAt, settlementDayOf } from '../settlement-date.ts';
import type { Operation, OperationKind, PaymentWhole } from './model.ts';
import { operationPostings } from './postings.ts';
import { type Ruling, ruleOn, type WantedOperation } from './rules.ts';
import type { OperationAfter, OperationChange, OperationPlan } from './store.ts';

/** Advices under way at once. */
const OPERATION_BATCH = 16;
/** Slack of a lease over the switch's time-out. */
const LEASE_GRACE_MS = 10_000;
/** Tries after which a person should look at an advice. */
const ADVICE_WORK_ITEM_TRIES = 10;
/**
 * Not now: the switch or the issuer could not take an advice; it is sent again. 30 speaks of a copy
 * that was damaged on its way (field 90 is not whole under the MAC): another may have been taken.
 */
const TRY_AGAIN_CODES: ReadonlySet<string> = new Set(['30', '90', '91', '92']);

/** A merchant's wish. `amount` is decimal text; without it all that is there. */
export type OperationRequest = {
  readonly merchantId: string;
  readonly paymentId: string;
  readonly kind: OperationKind;
  readonly amount?: string | undefined;
  /** If given it must be the payment's. */
  readonly currency?: string | undefined;
  readonly note?: string | undefined;
  /** The same for each repeat of one intent; the fingerprint is that of the request. */
  readonly identity: string;
  readonly fingerprint: string;
};

/**
 * Begins the operation and tries it once; a repeat finds it as it stands. @throws GatewayError
 * `ERR_PAYMENT_NOT_FOUND`, `ERR_AMOUNT`, `ERR_CURRENCY_MISMATCH`, `ERR_IDEMPOTENCY_MISMATCH`,
 * `ERR_SWITCH_UNAVAILABLE`, and the codes of rules.ts.
 */
export async function operate(
  ports: GatewayPorts,
  request: OperationRequest,
): Promise<{ readonly operation: Operation; readonly replayed: boolean }> {
  const { store } = ports;
  const { identity, fingerprint, paymentId } = request;
  const wanted = await wantedOf(ports, request);
  const stan = await store.nextStan();
  const plan = (whole: PaymentWhole): OperationPlan =>
    planOf(ports, { request, wanted, stan }, whole);
  const begun = await store.beginOperation({ paymentId, identity, fingerprint, plan });
  switch (begun.kind) {
    case 'noPayment':
      throw new GatewayError('ERR_PAYMENT_NOT_FOUND', 'there is no such payment');
    case 'conflict': {
      const message = 'this Idempotency-Key was used with another request';
      throw new GatewayError('ERR_IDEMPOTENCY_MISMATCH', message);
    }
    case 'refuse':
      throw new GatewayError(begun.code, begun.message, begun.data);
    case 'replayed':
      return { operation: begun.operation, replayed: true };
    case 'created': {
      const { operation } = begun;
      logOperation(ports, operation, 'begun');
      return { operation: await tryOperation(ports, operation), replayed: false };
    }
  }
}

async function wantedOf(ports: GatewayPorts, request: OperationRequest): Promise<WantedOperation> {
  const { merchantId, kind, paymentId, amount, currency } = request;
  if (amount === undefined && currency === undefined)
    return { merchantId, kind, amountMinor: null };
  const payment = await ports.store.findPayment(paymentId);
  if (!payment) throw new GatewayError('ERR_PAYMENT_NOT_FOUND', 'there is no such payment');
  if (currency !== undefined && currency !== payment.currency) {
    throw new GatewayError('ERR_CURRENCY_MISMATCH', 'the payment has another currency');
  }
  const amountMinor = amount === undefined ? null : minorAmount(amount, payment.currency);
  return { merchantId, kind, amountMinor };
}

/** The rules' answer as a row; called while the payment is locked, so nothing waits here. */
function planOf(
  ports: GatewayPorts,
  facts: {
    readonly request: OperationRequest;
    readonly wanted: WantedOperation;
    readonly stan: string;
  },
  whole: PaymentWhole,
): OperationPlan {
  const { clock, line } = ports;
  const nowMs = clock.nowMs();
  const ruling = ruleOn(facts.wanted, whole, nowMs);
  if (ruling.kind !== 'allow') return ruling;
  if (transactionSpec(ruling.transactionKind).nature === 'request' && line.keys() === null) {
    const message = 'the line to the switch is not established';
    return { kind: 'refuse', code: 'ERR_SWITCH_UNAVAILABLE', message, data: {} };
  }
  return { kind: 'begin', operation: newOperation(ports, { ...facts, ruling, nowMs }, whole) };
}

function newOperation(
  ports: GatewayPorts,
  facts: {
    readonly request: OperationRequest;
    readonly ruling: Extract<Ruling, { readonly kind: 'allow' }>;
    readonly stan: string;
    readonly nowMs: number;
  },
  { payment }: PaymentWhole,
): Operation {
  const { request, ruling, stan, nowMs } = facts;
  const { clock, random, vault, profile } = ports;
  const { merchantId, kind, note, identity, fingerprint } = request;
  const { transactionKind, amountMinor } = ruling;
  const now = localTime(nowMs);
  const paid = JSON.parse(vault.open(payment.sealedOriginal)) as OriginalRequest;
  const sent: FollowUpRequest = {
    kind: transactionKind,
    pan: paid.pan,
    panSequenceNumber: paid.panSequenceNumber,
    amount: String(amountMinor).padStart(12, '0'),
    transmission: now.transmission,
    stan,
    localTime: now.timeHhmmss,
    localDate: now.dateYymmdd.slice(2),
    entryMode: ENTRY_MODE_KEPT,
    retrievalReference: now.yearDayHour + stan,
    currency: payment.currency,
    field55: '',
    original: ruling.original,
    approvalCode: ruling.approvalCode,
  };
  return {
    operationId: uuidv7(clock, random),
    paymentId: payment.paymentId,
    merchantId,
    kind,
    transactionKind,
    state: 'sending',
    amountMinor,
    currency: payment.currency,
    stan,
    transmission: sent.transmission,
    retrievalReference: sent.retrievalReference,
    sealedRequest: vault.seal(JSON.stringify(sent)),
    note: note ?? null,
    responseCode: null,
    approvalCode: null,
    settlementDate: null,
    reason: null,
    attempts: 1,
    // Hidden from the sweep while this process tries it.
    nextAtMs: nowMs + profile.switchTimeoutMs + LEASE_GRACE_MS,
    identity,
    fingerprint,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  };
}

/** Advices to be sent again, and voids whose process did not come back. How many. */
export async function runOperations(ports: GatewayPorts): Promise<number> {
  const { store, clock, profile, line } = ports;
  // A line that is down costs no try and no pause.
  if (line.keys() === null) return 0;
  const leaseMs = profile.switchTimeoutMs + LEASE_GRACE_MS;
  const claim = { nowMs: clock.nowMs(), leaseMs, limit: OPERATION_BATCH };
  const due = await store.claimOperations(claim);
  await Promise.all(
    due.map((operation) =>
      isAdvice(operation)
        ? tryOperation(ports, operation)
        : settle(ports, operation, unknownVerdict('noAnswer:overdue')),
    ),
  );
  return due.length;
}

function isAdvice({ transactionKind }: Operation): boolean {
  return transactionSpec(transactionKind).nature === 'advice';
}

/** One message and what its answer means; the operation as it stands afterwards. */
async function tryOperation(ports: GatewayPorts, operation: Operation): Promise<Operation> {
  const { paymentId, retrievalReference } = operation;
  const references = [paymentId, retrievalReference];
  return runInTrace(ports.tracer, { references, hop: 'confirm' }, async () => {
    const verdict = await exchange(ports, operation).catch((): Verdict => {
      return unknownVerdict('fault');
    });
    return settle(ports, operation, verdict);
  });
}

function unknownVerdict(reason: string): Verdict {
  return { kind: 'unknown', reason, responseCode: null };
}

async function exchange(ports: GatewayPorts, operation: Operation): Promise<Verdict> {
  const { hsm, line, profile, vault } = ports;
  const keys = line.keys();
  if (!keys) return unknownVerdict('lineDown');
  const request = JSON.parse(vault.open(operation.sealedRequest)) as FollowUpRequest;
  const repeated = isAdvice(operation) && operation.attempts > 1 ? 'repeated' : 'first';
  const acceptor = await acceptorOf(ports, operation.merchantId);
  const unsigned = buildFollowUp(acceptor, request, repeated);
  const message = await withMac(hsm, keys.mac, unsigned);
  joinTrace(traceIdOf(message));
  const answer = await line
    .send(message, profile.switchTimeoutMs)
    .catch((): 'timeout' => 'timeout');
  // An answer is under the keys of its request, whatever the line got meanwhile.
  const verdict = await judgeAnswer({ hsm, macKey: keys.mac, request: message, answer });
  if (verdict.kind !== 'declined' || !isAdvice(operation)) return verdict;
  const { responseCode } = verdict;
  if (!TRY_AGAIN_CODES.has(responseCode)) return verdict;
  return { kind: 'unknown', reason: `code:${responseCode}`, responseCode };
}

async function settle(
  ports: GatewayPorts,
  operation: Operation,
  verdict: Verdict,
): Promise<Operation> {
  const after =
    verdict.kind === 'unknown'
      ? await settleUnknown(ports, operation, verdict)
      : await settleAnswer(ports, operation, verdict);
  if (after) return after.operation;
  return (await ports.store.findOperation(operation.operationId)) ?? operation;
}

async function settleAnswer(
  ports: GatewayPorts,
  operation: Operation,
  verdict: Exclude<Verdict, { readonly kind: 'unknown' }>,
): Promise<OperationAfter | null> {
  const { responseCode, approvalCode, issuer } = verdict;
  const { operationId: subjectId } = operation;
  if (operation.attempts > ADVICE_WORK_ITEM_TRIES) {
    await ports.store.closeWorkItem({ kind: 'adviceUnanswered', subjectId }, ports.clock.nowMs());
  }
  const settlementDate = verdict.settlementDate ?? settlementDateAt(ports.clock.nowMs());
  const facts = { responseCode, approvalCode, settlementDate };
  if (verdict.kind === 'declined') {
    const reason = `${issuer ? 'issuer' : 'switch'}:${responseCode}`;
    return change(ports, operation, { to: 'failed', facts: { ...facts, reason } });
  }
  const succeeded = { to: 'succeeded', facts: { ...facts, reason: null } } as const;
  const day = settlementDayOf(settlementDate, ports.clock.nowMs());
  const postings = (after: OperationAfter): readonly NewPosting[] => operationPostings(after, day);
  return change(ports, operation, { ...succeeded, ...effectOf(operation), postings });
}

/** What success does to payment and order. */
function effectOf({ kind }: Operation): Pick<OperationChange, 'payment'> {
  if (kind === 'refund') return {};
  if (kind === 'capture') return { payment: { to: 'captured', orderStatus: 'paid' } };
  return { payment: { to: 'voided', orderStatus: 'voided' } };
}

async function settleUnknown(
  ports: GatewayPorts,
  operation: Operation,
  verdict: Extract<Verdict, { readonly kind: 'unknown' }>,
): Promise<OperationAfter | null> {
  const { reason, responseCode } = verdict;
  const nowMs = ports.clock.nowMs();
  if (!isAdvice(operation)) {
    const stan = await ports.store.nextStan();
    const { transmission } = localTime(nowMs);
    const reversal = { stan, transmission, reason, nextAtMs: nowMs };
    return change(ports, operation, { to: 'unknown', facts: { responseCode, reason }, reversal });
  }
  const pauses = ports.profile.reversalPausesMs;
  const pauseMs = pauses[Math.min(operation.attempts, pauses.length) - 1] ?? 60_000;
  const nextAtMs = nowMs + pauseMs;
  if (operation.attempts >= ADVICE_WORK_ITEM_TRIES) {
    await ports.store.openWorkItem({
      itemId: uuidv7(ports.clock, ports.random),
      kind: 'adviceUnanswered',
      subjectId: operation.operationId,
      facts: { paymentId: operation.paymentId, attempts: operation.attempts, responseCode, reason },
      openedAtMs: nowMs,
    });
  }
  if (operation.state === 'sending') {
    return change(ports, operation, { to: 'pending', facts: { responseCode, reason, nextAtMs } });
  }
  await ports.store.postponeOperation(operation.operationId, nextAtMs);
  logOperation(ports, operation, `notAcknowledged:${reason}`);
  return null;
}

/** The switch acknowledged the reversal of a void: the payment stands as before. */
export async function closeOperationReversal(
  ports: GatewayPorts,
  operation: Operation,
  responseCode: string,
): Promise<OperationAfter | null> {
  return change(ports, operation, { to: 'reversed', acknowledged: responseCode });
}

async function change(
  ports: GatewayPorts,
  operation: Operation,
  wanted: Pick<
    OperationChange,
    'to' | 'facts' | 'payment' | 'postings' | 'reversal' | 'acknowledged'
  >,
): Promise<OperationAfter | null> {
  const moves = wanted.payment ? 'payment' : 'operation';
  const after = await ports.store.changeOperation({
    ...wanted,
    operationId: operation.operationId,
    from: [operation.state],
    atMs: ports.clock.nowMs(),
    event: (changed) => operationEvent(ports, changed, moves),
  });
  if (!after) return null;
  logOperation(ports, after.operation, `moved:${operation.state}`);
  ports.wake();
  return after;
}

function logOperation(ports: GatewayPorts, operation: Operation, what: string): void {
  const { operationId, paymentId, kind, state, attempts, responseCode, reason } = operation;
  const facts = { operationId, paymentId, kind, state, attempts, responseCode, reason };
  ports.log({ event: 'operation', what, ...facts });
}
