/** Notifications as Standard Webhooks 1.0 signs them: v1, HMAC-SHA256 over `id.timestamp.body`. */
import { WebhookError } from './errors.ts';

/** How far a notification's time may be from now. */
const TOLERANCE_MS_DEFAULT = 5 * 60_000;
/** Signatures that one notification may carry while a secret is being changed. */
const SIGNATURES_MAX = 8;

/** A notification: duplicates come, in any order; `data.sequence` says which is newer. */
export type WebhookEvent = {
  readonly type: string;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
};

/** The message as it came. `body` is the very text: parse nothing before. */
export type WebhookMessage = {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>> | Headers;
  readonly body: string;
};

/**
 * The event, once its signature and time are right. `secrets`: the `whsec_` text, and the old one
 * while it is being changed. @throws WebhookError.
 */
export async function verifyWebhook(
  message: WebhookMessage,
  rule: {
    readonly secrets: readonly string[];
    readonly toleranceMs?: number;
    readonly nowMs?: number;
  },
): Promise<WebhookEvent> {
  const id = headerOf(message, 'webhook-id');
  const timestamp = headerOf(message, 'webhook-timestamp');
  const given = headerOf(message, 'webhook-signature').split(' ').slice(0, SIGNATURES_MAX);
  if (!/^[0-9]{1,12}$/.test(timestamp)) throw wrongSignature();
  const signed = new TextEncoder().encode(`${id}.${timestamp}.${message.body}`);
  if (!(await isSigned(signed, given, rule.secrets))) throw wrongSignature();
  const ageMs = Math.abs((rule.nowMs ?? Date.now()) - Number(timestamp) * 1000);
  if (ageMs > (rule.toleranceMs ?? TOLERANCE_MS_DEFAULT)) {
    throw new WebhookError('ERR_WEBHOOK_TIMESTAMP', 'webhook-timestamp is too far from now');
  }
  return eventOf(message.body);
}

async function isSigned(
  signed: Uint8Array<ArrayBuffer>,
  given: readonly string[],
  secrets: readonly string[],
): Promise<boolean> {
  let matches = 0;
  for (const secret of secrets) {
    const raw = bytesOf(secret.replace(/^whsec_/, ''));
    const hmac = { name: 'HMAC', hash: 'SHA-256' };
    const key = await crypto.subtle.importKey('raw', raw, hmac, false, ['verify']);
    for (const text of given) {
      const base64 = /^v1,([A-Za-z0-9+/]{43}=)$/.exec(text)?.[1];
      // `verify` compares in constant time.
      const isRight =
        base64 !== undefined && (await crypto.subtle.verify('HMAC', key, bytesOf(base64), signed));
      if (isRight) matches += 1;
    }
  }
  return matches > 0;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function headerOf({ headers }: WebhookMessage, name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : headers[name];
  if (typeof value === 'string' && /^[\x21-\x7e][\x20-\x7e]{0,1023}$/.test(value)) return value;
  throw wrongSignature();
}

function wrongSignature(): WebhookError {
  return new WebhookError('ERR_WEBHOOK_SIGNATURE', 'the notification is not signed by this secret');
}

function eventOf(body: string): WebhookEvent {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    value = null;
  }
  if (isEvent(value)) return value;
  throw new WebhookError('ERR_WEBHOOK_BODY', 'the body is no event');
}

function isEvent(value: unknown): value is WebhookEvent {
  if (typeof value !== 'object' || value === null) return false;
  if (!('type' in value && 'timestamp' in value && 'data' in value)) return false;
  const { type, timestamp, data } = value;
  return typeof type === 'string' && typeof timestamp === 'string' && typeof data === 'object';
}
