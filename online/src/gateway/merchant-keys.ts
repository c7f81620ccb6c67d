/** The secrets that people and shops present to the gateway, made at first start. */
import { join } from 'node:path';
import { type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import { z } from 'zod';
import { privateFile } from './pki/key-files.ts';

/** `<dataDir>/gateway/merchant-key.json`. */
export const MERCHANT_KEY_FILE = 'merchant-key.json';
const KEY_BYTES = 24;

const schema = z.object({
  merchantId: z.string(),
  /** Bearer key of orders and payments. */
  apiKey: z.string().min(32),
  /** Bearer key of pairing codes. */
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
  const secret = (prefix: string): string =>
    `${prefix}_${toHex(random.bytes(KEY_BYTES)).toLowerCase()}`;
  const make = (): string => {
    const keys: MerchantKeys = {
      merchantId,
      apiKey: secret('lab_merchant'),
      operatorKey: secret('lab_operator'),
      webhookSecret: `whsec_${Buffer.from(random.bytes(KEY_BYTES)).toString('base64')}`,
    };
    return `${JSON.stringify(keys, null, 2)}\n`;
  };
  return schema.parse(JSON.parse(privateFile(join(directory, MERCHANT_KEY_FILE), make)));
}

/** The bytes of a `whsec_` secret. */
export function webhookSecretBytes(secret: string): Uint8Array {
  return new Uint8Array(Buffer.from(secret.slice('whsec_'.length), 'base64'));
}
