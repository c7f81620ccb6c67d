/** For the tests of operations: a gateway before a strict switch, paid or held orders, requests. */
import { createHash } from 'node:crypto';
import {
  completionOf,
  newOrder,
  payOrder,
  type TestGateway,
  TestLine,
  testGateway,
  testPeer,
} from '../gateway.test-kit.ts';
import type { Order } from '../model.ts';
import type { OrderRequest } from '../orders.ts';
import type { GatewayStore } from '../store.ts';
import type { OperationKind } from './model.ts';
import type { OperationRequest } from './operate.ts';
import { StrictSwitch } from './strict-switch.test-kit.ts';

/** A gateway and the switch at the other end of its line. */
export type OperationsWorld = TestGateway & { readonly strict: StrictSwitch };

let count = 0;

/** A new gateway over `store`, or over a new one in memory. */
export async function operationsWorld(store?: GatewayStore): Promise<OperationsWorld> {
  const strict = new StrictSwitch();
  const line = new TestLine(strict.script);
  const gateway = await testGateway({ line, seed: ++count, ...(store && { store }) });
  return { ...gateway, strict };
}

/** An order with a payment that was approved and that the card has finished. */
export async function paidOrder(
  { core }: TestGateway,
  changes: Partial<OrderRequest> & { readonly interface?: 'contact' | 'contactless' } = {},
): Promise<{ readonly order: Order; readonly paymentId: string }> {
  const { interface: wire = 'contact', ...request } = changes;
  const order = await newOrder(core, request);
  const peer = testPeer();
  const { paymentId } = await payOrder(core, peer, order.orderId, { interface: wire });
  if (wire === 'contact') await core.complete(peer, completionOf(paymentId, 'TC'));
  return { order, paymentId };
}

/** The same with its amount held. */
export function heldOrder(
  world: TestGateway,
  changes: Parameters<typeof paidOrder>[1] = {},
): ReturnType<typeof paidOrder> {
  return paidOrder(world, { captureMode: 'manual', ...changes });
}

/** A merchant's request under a key of its own, or of the test's. */
export function wish(
  kind: OperationKind,
  paymentId: string,
  changes: Partial<OperationRequest> & { readonly key?: string } = {},
): OperationRequest {
  const { key = `operation-${++count}`, ...rest } = changes;
  const merchantId = '898110000000001';
  const fingerprint = digest(JSON.stringify([kind, paymentId, rest]));
  return { merchantId, paymentId, kind, identity: digest(key), fingerprint, ...rest };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Sums of the gateway's book by account; what is only held stands under `pending ACCOUNT`. */
export async function bookOf(
  { store }: TestGateway,
  paymentId: string,
): Promise<Readonly<Record<string, bigint>>> {
  const sums: Record<string, bigint> = {};
  for (const entry of await store.ledgerEntries()) {
    if (entry.paymentId !== paymentId) continue;
    const account = entry.phase === 'posted' ? entry.account : `pending ${entry.account}`;
    sums[account] = (sums[account] ?? 0n) + entry.amountMinor;
  }
  return sums;
}

/** Turns the clock by `stepMs` and works, `times` times. */
export async function pass({ core, clock }: TestGateway, stepMs: number, times = 1): Promise<void> {
  for (let n = 0; n < times; n++) {
    clock.advance(stepMs);
    await core.tick();
  }
}
