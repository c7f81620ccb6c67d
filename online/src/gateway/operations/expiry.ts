/** Held amounts that nobody captured are released before the pre-authorisation ends by itself. */

import { errorBody } from '@tapnpay/protocol/bytes';
import { uuidv7 } from '../../runtime/index.ts';
import type { Payment } from '../model.ts';
import type { GatewayPorts } from '../ports.ts';
import { operate } from './operate.ts';

/** Holds released at once. */
const EXPIRY_BATCH = 16;
/** A hold that could not be released is tried again on the next day. */
const EXPIRY_PAUSE_MS = 86_400_000;

/** Voids what is due; how many. */
export async function runExpiry(ports: GatewayPorts): Promise<number> {
  const { store, clock, line } = ports;
  if (line.keys() === null) return 0;
  const query = { states: ['held'], deadlineBeforeMs: clock.nowMs(), limit: EXPIRY_BATCH } as const;
  const due = await store.listPayments(query);
  await Promise.all(due.map((payment) => release(ports, payment)));
  return due.length;
}

async function release(ports: GatewayPorts, payment: Payment): Promise<void> {
  const { store, clock, random, log } = ports;
  const { paymentId, deadlineMs } = payment;
  const nowMs = clock.nowMs();
  // First, so that a hold that cannot be released does not come back at once.
  await store.postponeHeld(paymentId, nowMs + EXPIRY_PAUSE_MS);
  const order = await store.findOrder(payment.orderId);
  const identity = `expiry:${paymentId}:${deadlineMs}`;
  const outcome = await operate(ports, {
    merchantId: order?.merchantId ?? '',
    paymentId,
    kind: 'void',
    note: 'the hold has expired',
    identity,
    fingerprint: identity,
  }).then(
    ({ operation }) => operation.state,
    (fault: unknown) => errorBody(fault).code,
  );
  log({ event: 'holdExpired', paymentId, outcome });
  // An unknown void is reversed, and the hold comes up again; a refused one needs a person.
  if (outcome !== 'failed') return;
  await store.openWorkItem({
    itemId: uuidv7(clock, random),
    kind: 'holdNotReleased',
    subjectId: paymentId,
    facts: { heldMinor: String(payment.amountMinor) },
    openedAtMs: nowMs,
  });
}
