/** When an order page asks again, and whether it still has to. */
import type { ShopOrderState } from '@tapnpay/protocol/wire';

const PAUSES_MS = [1_000, 2_000, 4_000, 8_000] as const;

/** Milliseconds before the next question after `asked` ones; null: the state is final. */
export function pollPauseMs(state: ShopOrderState, asked: number): number | null {
  if (state === 'paid' || state === 'cancelled' || state === 'expired') return null;
  return PAUSES_MS[Math.min(asked, PAUSES_MS.length - 1)] ?? 8_000;
}
