/** What a settlement does to an order: one pure rule for both stores. */
import type { ShopOrderState } from '@tapnpay/protocol/wire';
import { isFinal, ORDER_MOVES, type Order, reservationIn } from './model.ts';
import type { Settlement, SettleResult } from './store.ts';

/** The order afterwards, what becomes of its reservation, and how its notification is noted. */
export type SettlementPlan = {
  readonly kind: Exclude<SettleResult['kind'], 'duplicate'>;
  readonly order: Order;
  readonly reservation: 'kept' | 'sold' | 'released';
  readonly effect: 'applied' | 'noted' | 'stale';
};

/** `lastSequence`: of the notifications of the same payment so far, 0 if none. */
export function planSettlement(
  order: Order,
  settlement: Settlement,
  lastSequence: number,
): SettlementPlan {
  const { version, to, notification, atMs } = settlement;
  const nothing = { order, reservation: 'kept' } as const;
  if (version !== null && version !== order.version) {
    return { ...nothing, kind: 'moved', effect: 'noted' };
  }
  if (notification && notification.sequence <= lastSequence) {
    return { ...nothing, kind: 'stale', effect: 'stale' };
  }
  if (canFillIn(order, settlement)) {
    const after = {
      ...order,
      ...settlement.attempt,
      version: order.version + 1,
      updatedAtMs: atMs,
    };
    return { kind: 'applied', order: after, reservation: 'kept', effect: 'noted' };
  }
  if (isFinal(order.state)) return { ...nothing, kind: 'final', effect: 'noted' };
  const state = moveOf(order.state, to);
  const isMoved = state !== order.state;
  const after: Order = {
    ...order,
    ...(settlement.attempt ?? {}),
    state,
    gatewayStatus: settlement.gatewayStatus ?? order.gatewayStatus,
    version: order.version + 1,
    checks: isMoved ? 0 : order.checks,
    nextCheckAtMs: isFinal(state) ? null : settlement.nextCheckAtMs,
    updatedAtMs: atMs,
    paidAtMs: state === 'paid' ? atMs : null,
  };
  return {
    kind: 'applied',
    order: after,
    reservation: isMoved ? reservationIn(state) : 'kept',
    effect: isMoved ? 'applied' : 'noted',
  };
}

/** The sweep saw the payment first; its notification still brings the card's masked number. */
function canFillIn(order: Order, { to, attempt }: Settlement): boolean {
  if (order.state !== 'paid' || to !== 'paid' || attempt === null) return false;
  const isSamePayment = order.paymentId === null || order.paymentId === attempt.paymentId;
  return isSamePayment && order.panMasked === null && attempt.panMasked !== null;
}

function moveOf(from: ShopOrderState, to: ShopOrderState | null): ShopOrderState {
  return to !== null && ORDER_MOVES[from].includes(to) ? to : from;
}
