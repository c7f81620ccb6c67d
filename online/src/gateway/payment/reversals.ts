/**
 * Durable reversals of payments and of voids: 0420, then 0421 with growing pauses, until an 0430
 * acknowledges. A late answer changes nothing: once reversed is reversed. One that the switch keeps
 * refusing becomes a work item; it is repeated all the same, for money may have moved.
 * @see Q/CUP 006, reversal advice
 */
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import { joinTrace, runInTrace, traceIdOf, uuidv7 } from '../../runtime/index.ts';
import { acceptorOf } from '../merchants/directory.ts';
import type { Reversal } from '../model.ts';
import { closeOperationReversal } from '../operations/operate.ts';
import type { GatewayPorts } from '../ports.ts';
import { buildReversal, macIsValid, type OriginalRequest, withMac } from './messages.ts';
import { closeReversal } from './settle.ts';

/** Reversals under way at once. */
export const REVERSAL_BATCH = 16;
/** Slack of the lease over the switch's time-out. */
const LEASE_GRACE_MS = 5_000;
/** 00: reversed. 25: the original never arrived, so nothing was charged. */
const ACKNOWLEDGED_CODES: ReadonlySet<string> = new Set(['00', '25']);
/** Tries after which a person should look: when they are refused, and when nobody answers. */
const REFUSED_TRIES = 3;
const UNANSWERED_TRIES = 20;

/** What is reversed. */
type Subject = {
  readonly id: string;
  readonly merchantId: string;
  readonly sealedOriginal: string;
  readonly approvalCode: string | null;
  readonly references: readonly string[];
  /** The acknowledgement's consequence, in one transaction. */
  readonly close: (responseCode: string) => Promise<unknown>;
};

/** Sends what is due; how many were tried. */
export async function runReversals(ports: GatewayPorts): Promise<number> {
  const { store, clock, profile, line } = ports;
  // A line that is down costs no try and no pause.
  if (line.keys() === null) return 0;
  const leaseMs = profile.switchTimeoutMs + LEASE_GRACE_MS;
  const claim = { nowMs: clock.nowMs(), leaseMs, limit: REVERSAL_BATCH };
  const due = await store.claimReversals(claim);
  await Promise.all(due.map((reversal) => tryReversal(ports, reversal)));
  return due.length;
}

async function subjectOf(ports: GatewayPorts, reversal: Reversal): Promise<Subject | null> {
  const { store } = ports;
  const { paymentId, operationId } = reversal;
  if (operationId !== null) {
    const operation = await store.findOperation(operationId);
    return (
      operation && {
        id: operationId,
        merchantId: operation.merchantId,
        sealedOriginal: operation.sealedRequest,
        approvalCode: operation.approvalCode,
        references: [paymentId, operation.retrievalReference],
        close: (responseCode) => closeOperationReversal(ports, operation, responseCode),
      }
    );
  }
  const payment = await store.findPayment(paymentId);
  const order = payment && (await store.findOrder(payment.orderId));
  return (
    payment && {
      id: paymentId,
      merchantId: order?.merchantId ?? '',
      sealedOriginal: payment.sealedOriginal,
      approvalCode: payment.approvalCode,
      references: [payment.orderId, paymentId, payment.retrievalReference],
      close: (responseCode) => closeReversal(ports, payment, responseCode),
    }
  );
}

async function tryReversal(ports: GatewayPorts, reversal: Reversal): Promise<void> {
  const { store, clock, profile, log } = ports;
  const { paymentId, operationId, attempts } = reversal;
  const subject = await subjectOf(ports, reversal);
  const code = subject
    ? await runInTrace(ports.tracer, { references: subject.references, hop: 'confirm' }, () =>
        exchange(ports, subject, reversal).catch(() => null),
      )
    : null;
  log({ event: 'reversalTried', paymentId, operationId, attempts, responseCode: code });
  if (subject && code !== null && ACKNOWLEDGED_CODES.has(code)) {
    if (attempts >= REFUSED_TRIES) await closeWorkItems(ports, subject.id);
    await subject.close(code);
    return;
  }
  await noteVainTry(ports, reversal, code);
  const pauses = profile.reversalPausesMs;
  const pauseMs = pauses[Math.min(attempts, pauses.length) - 1] ?? 60_000;
  await store.postponeReversal(reversal, clock.nowMs() + pauseMs);
}

async function noteVainTry(
  ports: GatewayPorts,
  { paymentId, operationId, attempts, reason }: Reversal,
  responseCode: string | null,
): Promise<void> {
  const { store, clock, random } = ports;
  if (attempts < (responseCode === null ? UNANSWERED_TRIES : REFUSED_TRIES)) return;
  await store.openWorkItem({
    itemId: uuidv7(clock, random),
    kind: responseCode === null ? 'reversalUnanswered' : 'reversalRefused',
    subjectId: operationId ?? paymentId,
    facts: { paymentId, operationId, attempts, responseCode, reason },
    openedAtMs: clock.nowMs(),
  });
}

async function closeWorkItems({ store, clock }: GatewayPorts, subjectId: string): Promise<void> {
  for (const kind of ['reversalRefused', 'reversalUnanswered']) {
    await store.closeWorkItem({ kind, subjectId }, clock.nowMs());
  }
}

/** Field 39 of a genuine 0430, or null. */
async function exchange(
  ports: GatewayPorts,
  subject: Subject,
  reversal: Reversal,
): Promise<string | null> {
  const { hsm, line, profile, vault } = ports;
  const keys = line.keys();
  if (!keys) return null;
  const original = JSON.parse(vault.open(subject.sealedOriginal)) as OriginalRequest;
  const { stan, transmission } = reversal;
  const { approvalCode } = subject;
  const repeated = reversal.attempts > 1;
  const facts = { stan, transmission, approvalCode, repeated };
  const acceptor = await acceptorOf(ports, subject.merchantId);
  const message = await withMac(hsm, keys.mac, buildReversal(acceptor, original, facts));
  joinTrace(traceIdOf(message));
  const answer = await line.send(message, profile.switchTimeoutMs);
  if (answer === 'timeout' || answer.mti !== '0430') return null;
  if (!answersTo(answer, message)) return null;
  // An answer is under the keys of its request, whatever the line got meanwhile.
  return (await macIsValid(hsm, keys.mac, answer)) ? (textField(answer, 39) ?? null) : null;
}

function answersTo(answer: Iso8583Message, message: Iso8583Message): boolean {
  return [11, 37].every((field) => textField(answer, field) === textField(message, field));
}
