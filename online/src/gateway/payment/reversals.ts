/**
 * Durable reversals: 0420, then 0421 with growing pauses, until an 0430 acknowledges. A late 0210
 * changes nothing: once reversed is reversed. @see Q/CUP 006, reversal advice
 */
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import { runInTrace } from '../../runtime/index.ts';
import type { Payment, Reversal } from '../model.ts';
import type { GatewayPorts } from '../ports.ts';
import { buildReversal, macIsValid, type OriginalRequest, withMac } from './messages.ts';
import { closeReversal } from './settle.ts';

/** Reversals under way at once. */
export const REVERSAL_BATCH = 16;
/** Slack of the lease over the switch's time-out. */
const LEASE_GRACE_MS = 5_000;
/** 00: reversed. 25: the original never arrived, so nothing was charged. */
const ACKNOWLEDGED_CODES: ReadonlySet<string> = new Set(['00', '25']);

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

async function tryReversal(ports: GatewayPorts, reversal: Reversal): Promise<void> {
  const { store, clock, profile, log } = ports;
  const { paymentId, attempts } = reversal;
  const payment = await store.findPayment(paymentId);
  const references = [payment?.orderId, paymentId, payment?.retrievalReference];
  const code = payment
    ? await runInTrace(ports.tracer, { references, hop: 'confirm' }, () =>
        exchange(ports, payment, reversal).catch(() => null),
      )
    : null;
  log({ event: 'reversalTried', paymentId, attempts, responseCode: code });
  if (payment && code !== null && ACKNOWLEDGED_CODES.has(code)) {
    await closeReversal(ports, payment, code);
    return;
  }
  const pauses = profile.reversalPausesMs;
  const pauseMs = pauses[Math.min(attempts, pauses.length) - 1] ?? 60_000;
  await store.postponeReversal(paymentId, clock.nowMs() + pauseMs);
}

/** Field 39 of a genuine 0430, or null. */
async function exchange(
  ports: GatewayPorts,
  payment: Payment,
  reversal: Reversal,
): Promise<string | null> {
  const { hsm, line, profile, vault } = ports;
  const keys = line.keys();
  if (!keys) return null;
  const original = JSON.parse(vault.open(payment.sealedOriginal)) as OriginalRequest;
  const { stan, transmission } = reversal;
  const { approvalCode } = payment;
  const repeated = reversal.attempts > 1;
  const facts = { stan, transmission, approvalCode, repeated };
  const message = await withMac(hsm, keys.mac, buildReversal(profile, original, facts));
  const answer = await line.send(message, profile.switchTimeoutMs);
  if (answer === 'timeout' || answer.mti !== '0430') return null;
  if (!answersTo(answer, message)) return null;
  // The line may have got new keys meanwhile; the answer is under the current one.
  const macKey = line.keys()?.mac ?? keys.mac;
  return (await macIsValid(hsm, macKey, answer)) ? (textField(answer, 39) ?? null) : null;
}

function answersTo(answer: Iso8583Message, message: Iso8583Message): boolean {
  return [11, 37].every((field) => textField(answer, field) === textField(message, field));
}
