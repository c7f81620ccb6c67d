/** Which merchant an order belongs to: the installation's own, or one of the table. */
import type { Clock } from '@tapnpay/protocol/bytes';
import { GatewayError } from '../errors.ts';
import type { GatewayPorts, MerchantProfile } from '../ports.ts';
import type { MerchantStore } from './store.ts';

/** How long a merchant's facts are remembered: they hardly change, and each payment asks. */
const REMEMBER_MS = 60_000;
const REMEMBERED_MAX = 10_000;

/**
 * The merchant's facts, for messages and signed orders. @throws GatewayError
 * `ERR_MERCHANT_NOT_FOUND`.
 */
export async function merchantOf(
  { profile, merchants }: Pick<GatewayPorts, 'profile' | 'merchants'>,
  merchantId: string,
): Promise<MerchantProfile> {
  if (profile.merchant.merchantId === merchantId) return profile.merchant;
  const found = (await merchants?.find(merchantId)) ?? null;
  if (found) return found;
  throw new GatewayError('ERR_MERCHANT_NOT_FOUND', 'there is no such merchant');
}

/** What stands in a message of a merchant: fields 18, 32, 33 and 41 to 43. */
export async function acceptorOf(
  ports: Pick<GatewayPorts, 'profile' | 'merchants'>,
  merchantId: string,
): Promise<{ readonly acquirerId: string; readonly merchant: MerchantProfile }> {
  const merchant = await merchantOf(ports, merchantId);
  return { acquirerId: ports.profile.acquirerId, merchant };
}

/** The table of merchants as the core asks it. */
export function remembered(
  store: Pick<MerchantStore, 'findMerchant'>,
  clock: Clock,
): NonNullable<GatewayPorts['merchants']> {
  const known = new Map<string, { readonly found: MerchantProfile; readonly untilMs: number }>();
  return {
    async find(merchantId) {
      const nowMs = clock.nowMs();
      const earlier = known.get(merchantId);
      if (earlier && earlier.untilMs > nowMs) return earlier.found;
      const found = await store.findMerchant(merchantId);
      if (!found) return null;
      if (known.size >= REMEMBERED_MAX) known.clear();
      known.set(merchantId, { found, untilMs: nowMs + REMEMBER_MS });
      return found;
    },
  };
}
