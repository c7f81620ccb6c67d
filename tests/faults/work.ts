/**
 * The work of one cell: every payer pays orders, inserted and tapped, sales and holds; then the
 * merchant captures, voids and refunds. What anybody hears is noted, to be held against the books.
 */
import { randomUUID } from 'node:crypto';
import type { Payer } from '../../cli/src/bench/payments/load.ts';
import { Refused } from './client.ts';
import { pause, type Trial } from './trial.ts';

/** Refusals before the commit point that pass: a line or an HSM is away, or the gateway itself. */
const PASSING: ReadonlySet<string> = new Set([
  ...['ERR_SWITCH_UNAVAILABLE', 'ERR_HSM_UNAVAILABLE', 'ERR_UNAVAILABLE', 'ECONNREFUSED'],
]);
const PAY_TRIES = 12;
const PAY_PAUSE_MS = 500;

/** What came of a cell's work. */
export type WorkCounts = {
  orders: number;
  approved: number;
  otherwise: number;
  operations: number;
};

/** One payer's errand. */
type Errand = {
  readonly manual: boolean;
  readonly interface: 'contact' | 'contactless';
  readonly amountMinor: string;
  readonly after: readonly ('capture' | 'void' | 'refund' | 'refundAll')[];
};

const ERRANDS: readonly Errand[] = [
  { manual: false, interface: 'contact', amountMinor: '700', after: ['refund', 'refund'] },
  { manual: false, interface: 'contactless', amountMinor: '800', after: ['void'] },
  { manual: true, interface: 'contact', amountMinor: '900', after: ['capture', 'refund'] },
  { manual: true, interface: 'contactless', amountMinor: '600', after: ['void'] },
  { manual: false, interface: 'contactless', amountMinor: '500', after: ['refundAll'] },
  { manual: true, interface: 'contactless', amountMinor: '400', after: ['capture', 'void'] },
  { manual: false, interface: 'contact', amountMinor: '300', after: ['void'] },
  { manual: false, interface: 'contactless', amountMinor: '200', after: [] },
];

/** Does the work with all payers at once, each some errands after another. */
export async function work(trial: Trial, errandsOfPayer: number): Promise<WorkCounts> {
  const counts: WorkCounts = { orders: 0, approved: 0, otherwise: 0, operations: 0 };
  const { payers } = trial.load;
  await Promise.all(
    payers.map(async (payer, index) => {
      for (let turn = 0; turn < errandsOfPayer; turn++) {
        const errand = ERRANDS[(turn * payers.length + index) % ERRANDS.length];
        if (errand) await run(trial, { payer, errand, counts });
      }
    }),
  );
  return counts;
}

type Running = { readonly payer: Payer; readonly errand: Errand; readonly counts: WorkCounts };

async function run(trial: Trial, { payer, errand, counts }: Running): Promise<void> {
  const { told, client } = trial;
  const key = randomUUID();
  const body = {
    merchantOrderNumber: key.slice(0, 18),
    amount: amountText(errand.amountMinor),
    currency: '156',
    origin: 'https://shop.tapnpay.test',
    notifyUrl: trial.notifyUrl,
    ...(errand.manual && { captureMode: 'manual' }),
  };
  const order = await heard(() => client.ask<{ orderId: string }>('/v1/orders', { key, body }));
  if (!order) return;
  const { orderId } = order;
  counts.orders += 1;
  told.ordersOfKey.set(key, (told.ordersOfKey.get(key) ?? new Set()).add(orderId));
  await pay(trial, { payer, errand, counts }, orderId);
  await followUp(trial, { errand, counts }, orderId);
}

/** Pays once; what was refused because nobody could be asked is tried again, as a payer does. */
async function pay(trial: Trial, running: Running, orderId: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const refusal = await payOnce(trial, running, orderId);
    if (refusal === null) return;
    if (tries < PAY_TRIES && PASSING.has(refusal)) {
      await pause(PAY_PAUSE_MS);
      continue;
    }
    running.counts.otherwise += 1;
    return;
  }
}

/** Null when the payment ended in words, else why it did not. */
async function payOnce(trial: Trial, running: Running, orderId: string): Promise<string | null> {
  const { payer, errand, counts } = running;
  const [card] = payer.cards;
  if (!card) throw new Error('a payer without cards');
  const { told } = trial;
  const who = `payer ${payer.element.elementId}`;
  try {
    await payer.element.open({ resume: false });
    const dateYymmdd = localDate();
    const withPin = errand.interface === 'contact';
    const ready = payer.element.prepare(card.pay({ ...errand, dateYymmdd, withPin }));
    const { outcome, paymentId } = await payer.element.pay(orderId, ready);
    if (outcome === 'approved') told.approved.push({ orderId, who });
    if (outcome === 'declined' || outcome === 'reversed') told.denied.push({ paymentId, who });
    counts[outcome === 'approved' ? 'approved' : 'otherwise'] += 1;
    return null;
  } catch (fault) {
    // Refused, or nothing heard: then the books decide.
    return fault instanceof Error && 'code' in fault ? String(fault.code) : 'ERR_NO_ANSWER';
  } finally {
    await payer.element.close().catch(() => undefined);
  }
}

async function followUp(
  trial: Trial,
  { errand, counts }: Omit<Running, 'payer'>,
  orderId: string,
): Promise<void> {
  const { client } = trial;
  type Order = { readonly status: string; readonly paymentId: string | null };
  const order = await heard(() => client.ask<Order>(`/v1/orders/${orderId}`));
  if (!order?.paymentId || !['paid', 'authorised'].includes(order.status)) return;
  for (const kind of errand.after) {
    const path = kind === 'refundAll' ? 'refund' : kind;
    const body = kind === 'refund' ? { amount: '1.00' } : {};
    await operate(trial, { path: `/v1/payments/${order.paymentId}/${path}s`, body, counts });
  }
}

async function operate(
  { client, told }: Trial,
  wish: { readonly path: string; readonly body: unknown; readonly counts: WorkCounts },
): Promise<void> {
  const key = randomUUID();
  const { path, body, counts } = wish;
  type Answer = { readonly operationId: string; readonly status: string };
  // The same request twice at once: one operation.
  const answers = await Promise.all(
    [1, 2].map(() => heard(() => client.ask<Answer>(path, { key, body }))),
  );
  for (const answer of answers) {
    if (!answer) continue;
    const { operationId, status: state } = answer;
    const ids = told.operationsOfKey.get(key) ?? new Set<string>();
    if (ids.size === 0) counts.operations += 1;
    told.operationsOfKey.set(key, ids.add(operationId));
    if (['succeeded', 'failed', 'reversed'].includes(state)) {
      told.operationEnds.push({ operationId, state });
    }
  }
}

async function heard<Answer>(ask: () => Promise<Answer>): Promise<Answer | null> {
  try {
    return await ask();
  } catch (fault) {
    if (!(fault instanceof Refused)) throw fault;
    return null;
  }
}

function amountText(minor: string): string {
  return `${minor.slice(0, -2) || '0'}.${minor.slice(-2)}`;
}

/** Today in China, YYMMDD. */
function localDate(): string {
  const local = new Date(Date.now() + 8 * 3_600_000).toISOString();
  return local.slice(2, 10).replaceAll('-', '');
}
