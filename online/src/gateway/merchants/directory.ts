/** Which merchant an order belongs to: the installation's own, or one of the table. */
import { GatewayError } from '../errors.ts';
import type { GatewayPorts, MerchantProfile } from '../ports.ts';

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
