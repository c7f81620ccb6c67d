/**
 * Script result notices: what a card made of the issuer's scripts is written down when its
 * completion comes and sent as 0620, then 0621 with growing pauses, until the switch acknowledges.
 * @see Q/CUP 006, messages 0620 and 0630
 */
import { textField } from '@tapnpay/protocol/iso8583';
import { runInTrace, uuidv7 } from '../../runtime/index.ts';
import { localTime } from '../local-time.ts';
import { acceptorOf } from '../merchants/directory.ts';
import type { Payment } from '../model.ts';
import { buildNotice, macIsValid, type OriginalRequest, withMac } from '../payment/messages.ts';
import type { GatewayPorts } from '../ports.ts';
import { areScriptResults, type Notice } from './model.ts';

/** Notices under way at once. */
const NOTICE_BATCH = 16;
/** Slack of a lease over the switch's time-out. */
const LEASE_GRACE_MS = 5_000;
/** Tries after which a person should look. */
const WORK_ITEM_TRIES = 10;
/** Not now, or about another copy that was damaged on its way (30, 94, A0): sent again. */
const TRY_AGAIN_CODES: ReadonlySet<string> = new Set([
  ...['30', '94', 'A0'],
  ...['68', '90', '91', '92', '96', '98'],
]);
const WORK_ITEM = 'noticeUnanswered';

/** Keeps a card's results; null when no load has any. The first ones of a payment stay. */
export async function keepResults(
  ports: GatewayPorts,
  payment: Payment,
  results: string,
): Promise<Notice | null> {
  const { store, clock } = ports;
  if (!areScriptResults(results)) {
    // Of a load they may have come before; nothing else asks for them again.
    return payment.state === 'debitedNotConfirmed' ? store.findNotice(payment.paymentId) : null;
  }
  const nowMs = clock.nowMs();
  const notice = await store.addNotice({
    paymentId: payment.paymentId,
    stan: await store.nextStan(),
    transmission: localTime(nowMs).transmission,
    results,
    nextAtMs: nowMs,
  });
  ports.wake();
  return notice;
}

/** What a notice that is due means for its payment. */
export type Finish = (ports: GatewayPorts, payment: Payment, notice: Notice) => Promise<void>;

/** Sends what is due; how many were tried. */
export async function runNotices(ports: GatewayPorts, finish: Finish): Promise<number> {
  const { store, clock, profile, line } = ports;
  // A line that is down costs no try and no pause.
  if (line.keys() === null) return 0;
  const leaseMs = profile.switchTimeoutMs + LEASE_GRACE_MS;
  const due = await store.claimNotices({ nowMs: clock.nowMs(), leaseMs, limit: NOTICE_BATCH });
  await Promise.all(due.map((notice) => tryNotice(ports, notice, finish)));
  return due.length;
}

async function tryNotice(ports: GatewayPorts, notice: Notice, finish: Finish): Promise<void> {
  const { store, clock, profile, log } = ports;
  const { paymentId, attempts } = notice;
  const payment = await store.findPayment(paymentId);
  if (!payment) return;
  await finish(ports, payment, notice);
  const references = [payment.orderId, paymentId, payment.retrievalReference];
  const code = await runInTrace(ports.tracer, { references, hop: 'confirm' }, () =>
    exchange(ports, payment, notice).catch(() => null),
  );
  log({ event: 'noticeTried', paymentId, attempts, responseCode: code });
  const nowMs = clock.nowMs();
  if (code !== null && !TRY_AGAIN_CODES.has(code)) {
    await store.acknowledgeNotice(paymentId, code, nowMs);
    if (attempts > WORK_ITEM_TRIES) {
      await store.closeWorkItem({ kind: WORK_ITEM, subjectId: paymentId }, nowMs);
    }
    return;
  }
  if (attempts >= WORK_ITEM_TRIES) {
    await store.openWorkItem({
      itemId: uuidv7(clock, ports.random),
      kind: WORK_ITEM,
      subjectId: paymentId,
      facts: { paymentId, attempts, responseCode: code },
      openedAtMs: nowMs,
    });
  }
  const pauses = profile.reversalPausesMs;
  const pauseMs = pauses[Math.min(attempts, pauses.length) - 1] ?? 60_000;
  await store.postponeNotice(paymentId, nowMs + pauseMs);
}

/** Field 39 of a genuine 0630, or null. */
async function exchange(
  ports: GatewayPorts,
  payment: Payment,
  notice: Notice,
): Promise<string | null> {
  const { hsm, line, profile, store, vault } = ports;
  const keys = line.keys();
  if (!keys) return null;
  const order = await store.findOrder(payment.orderId);
  const acceptor = await acceptorOf(ports, order?.merchantId ?? '');
  const original = JSON.parse(vault.open(payment.sealedOriginal)) as OriginalRequest;
  const { approvalCode } = payment;
  const repeated = notice.attempts > 1;
  const unsigned = buildNotice(acceptor, original, { ...notice, approvalCode, repeated });
  const message = await withMac(hsm, keys.mac, unsigned);
  const answer = await line.send(message, profile.switchTimeoutMs);
  if (answer === 'timeout' || answer.mti !== '0630') return null;
  const isOurs = [11, 37].every((field) => textField(answer, field) === textField(message, field));
  // An answer is under the keys of its request, whatever the line got meanwhile.
  if (!isOurs || !(await macIsValid(hsm, keys.mac, answer))) return null;
  return textField(answer, 39) ?? null;
}
