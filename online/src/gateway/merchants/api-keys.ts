/** API keys: made once and shown once, kept as a hash, recognised in constant time. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import type { ApiKey, Mode, Role } from './model.ts';

const KEY_ID_BYTES = 6;
const SECRET_BYTES = 24;
/** `tap_MODE_KEYID_SECRET`: a scanner can find a leaked one, a person can name it by its id. */
const KEY_FORM = /^tap_(?:test|live)_([0-9a-f]{12})_[0-9a-f]{48}$/;

/** Requests a second of a key for which nothing else was asked. */
export const REQUESTS_PER_SECOND_DEFAULT = 100;

/** A new key's text. */
export function newApiKeyText(mode: Mode, random: RandomSource): string {
  const hex = (lengthBytes: number): string => toHex(random.bytes(lengthBytes)).toLowerCase();
  return `tap_${mode}_${hex(KEY_ID_BYTES)}_${hex(SECRET_BYTES)}`;
}

/** The id inside a key's text, or null if it is no key of ours. */
export function keyIdOf(text: string): string | null {
  return KEY_FORM.exec(text)?.[1] ?? null;
}

/** SHA-256, hex. */
export function hashOfKey(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Whether `text` is the key of this row, in constant time. */
export function isKey(text: string, key: Pick<ApiKey, 'hash'>): boolean {
  return timingSafeEqual(Buffer.from(hashOfKey(text), 'hex'), Buffer.from(key.hash, 'hex'));
}

/** The row of a key's text. */
export function apiKeyRow(
  text: string,
  facts: {
    readonly merchantId: string | null;
    readonly role: Role;
    readonly mode: Mode;
    readonly requestsPerSecond: number;
    readonly nowMs: number;
  },
): ApiKey {
  const { nowMs, ...rest } = facts;
  return {
    ...rest,
    keyId: keyIdOf(text) ?? '',
    hash: hashOfKey(text),
    createdAtMs: nowMs,
    revokedAtMs: null,
    lastUsedDay: null,
  };
}
