/** Signed notifications: who sent this, and when. @see Standard Webhooks */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { ShopError } from './errors.ts';

/** A notification as it came; header values are null when absent. */
export type WebhookMessage = {
  readonly id: string | null;
  readonly timestamp: string | null;
  readonly signature: string | null;
  readonly body: string;
};

/** Signatures that one message may carry while a secret is being changed. */
const SIGNATURES_MAX = 8;

/**
 * Checks `v1,` base64 of HMAC-SHA256 over `id.timestamp.body`, in constant time.
 * @throws ShopError `ERR_SIGNATURE`, `ERR_TIMESTAMP`. @see Standard Webhooks
 */
export function verifyWebhook(
  message: WebhookMessage,
  rule: { readonly secret: Uint8Array; readonly toleranceMs: number; readonly nowMs: number },
): void {
  const { id, timestamp, signature, body } = message;
  if (id === null || !/^[\x21-\x7e]{1,128}$/.test(id)) throw refused('webhook-id');
  if (timestamp === null || !/^[0-9]{1,12}$/.test(timestamp)) throw refused('webhook-timestamp');
  const wanted = createHmac('sha256', rule.secret).update(`${id}.${timestamp}.${body}`).digest();
  const given = (signature ?? '').split(' ').slice(0, SIGNATURES_MAX);
  // Each is compared: how many match or where tells nothing.
  const matches = given.filter((one) => isSignature(one, wanted));
  if (matches.length === 0) throw refused('webhook-signature');
  if (Math.abs(rule.nowMs - Number(timestamp) * 1000) > rule.toleranceMs) {
    throw new ShopError('ERR_TIMESTAMP', 'webhook-timestamp is too far from now');
  }
}

function isSignature(text: string, wanted: Uint8Array): boolean {
  const base64 = /^v1,([A-Za-z0-9+/]{43}=)$/.exec(text)?.[1];
  if (base64 === undefined) return false;
  return timingSafeEqual(Buffer.from(base64, 'base64'), wanted);
}

function refused(header: string): ShopError {
  return new ShopError('ERR_SIGNATURE', `${header} is missing or wrong`, { header });
}

/** The bytes of a `whsec_` secret. */
export function webhookSecretBytes(secret: string): Uint8Array {
  return new Uint8Array(Buffer.from(secret.replace(/^whsec_/, ''), 'base64'));
}
