/** The lab's merchant and the secrets that people and the shop present, made at first start. */
import { join } from 'node:path';
import type { RandomSource } from '@tapnpay/protocol/bytes';
import { z } from 'zod';
import { apiKeyRow, newApiKeyText } from './merchants/api-keys.ts';
import type { Role } from './merchants/model.ts';
import type { MerchantStore } from './merchants/store.ts';
import { privateFile } from './pki/key-files.ts';
import type { MerchantProfile } from './ports.ts';

/** `<dataDir>/gateway/merchant-key.json`. */
export const MERCHANT_KEY_FILE = 'merchant-key.json';
const WEBHOOK_SECRET_BYTES = 24;
/** The lab's own keys bear a load test. */
const LAB_REQUESTS_PER_SECOND = 100_000;

const schema = z.object({
  merchantId: z.string(),
  /** Bearer key of orders and payments. */
  apiKey: z.string().min(32),
  /** Bearer key of pairing codes, merchants and keys. */
  operatorKey: z.string().min(32),
  /** `whsec_` and base64, as Standard Webhooks writes secrets. */
  webhookSecret: z.string().startsWith('whsec_'),
});
/** What the file holds. */
export type MerchantKeys = {
  readonly merchantId: string;
  readonly apiKey: string;
  readonly operatorKey: string;
  readonly webhookSecret: string;
};

/** Reads the keys, or makes them. */
export function openMerchantKeys(
  directory: string,
  merchantId: string,
  random: RandomSource,
): MerchantKeys {
  const make = (): string => {
    const secret = Buffer.from(random.bytes(WEBHOOK_SECRET_BYTES)).toString('base64');
    const keys: MerchantKeys = {
      merchantId,
      apiKey: newApiKeyText('test', random),
      operatorKey: newApiKeyText('test', random),
      webhookSecret: `whsec_${secret}`,
    };
    return `${JSON.stringify(keys, null, 2)}\n`;
  };
  return schema.parse(JSON.parse(privateFile(join(directory, MERCHANT_KEY_FILE), make)));
}

/** Writes the lab's merchant and its two keys, once; what was revoked since stays revoked. */
export async function installLabMerchant(
  store: MerchantStore,
  lab: {
    readonly profile: MerchantProfile;
    readonly nameZh: string;
    readonly keys: MerchantKeys;
    readonly nowMs: number;
  },
): Promise<void> {
  const { profile, nameZh, keys, nowMs } = lab;
  await store.addMerchant({ ...profile, nameZh, state: 'active', createdAtMs: nowMs });
  const facts = { mode: 'test', requestsPerSecond: LAB_REQUESTS_PER_SECOND, nowMs } as const;
  const add = (text: string, role: Role, merchantId: string | null): Promise<unknown> =>
    store.addKey(apiKeyRow(text, { ...facts, role, merchantId }));
  await add(keys.apiKey, 'merchant', profile.merchantId);
  await add(keys.operatorKey, 'operator', null);
}

/** The bytes of a `whsec_` secret. */
export function webhookSecretBytes(secret: string): Uint8Array {
  return new Uint8Array(Buffer.from(secret.slice('whsec_'.length), 'base64'));
}
