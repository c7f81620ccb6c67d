/** What a person must look at: kept once, logged, shown to the merchant. */
import { uuidv7 } from '../runtime/index.ts';
import type { ShopErrorCode } from './errors.ts';
import type { Order } from './model.ts';
import type { ShopPorts } from './ports.ts';

/** Notes an incident; the same `dedupe` is noted once. Facts hold no card data. */
export async function reportIncident(
  ports: ShopPorts,
  incident: {
    readonly code: ShopErrorCode;
    readonly order: Pick<Order, 'orderId' | 'orderNumber'> | null;
    readonly facts: Readonly<Record<string, string>>;
    readonly dedupe: string;
  },
): Promise<void> {
  const { store, clock, random, log } = ports;
  const { code, order, facts, dedupe } = incident;
  const isNew = await store.addIncident({
    incidentId: uuidv7(clock, random),
    orderId: order?.orderId ?? null,
    code,
    facts,
    dedupe,
    atMs: clock.nowMs(),
  });
  if (isNew) log({ event: 'incident', code, orderNumber: order?.orderNumber ?? null, ...facts });
}
