/** Merchants of an installation and the keys with which they and the operator come. */
import type { MerchantProfile } from '../ports.ts';

/** What an API key may do. `merchant` may do all that `readonly` and `refund` may. */
export const ROLES = ['merchant', 'readonly', 'refund', 'operator'] as const;
export type Role = (typeof ROLES)[number];

/** Test money or real money; an order and all that follows from it stay in one. */
export const MODES = ['test', 'live'] as const;
export type Mode = (typeof MODES)[number];

/** A merchant. Its terminal, category and place travel in fields 41, 18 and 43. */
export type Merchant = MerchantProfile & {
  /** The name in Chinese; `name` is the English one. */
  readonly nameZh: string;
  /** A suspended merchant reads, and does nothing new. */
  readonly state: 'active' | 'suspended';
  readonly createdAtMs: number;
};

/** An API key as it is kept: what proves it is a hash. */
export type ApiKey = {
  /** 12 characters that stand in the key itself. */
  readonly keyId: string;
  /** SHA-256 of the whole key, hex. */
  readonly hash: string;
  /** Null for an operator's key. */
  readonly merchantId: string | null;
  readonly role: Role;
  readonly mode: Mode;
  /** Token bucket: requests a second, and as many saved up. */
  readonly requestsPerSecond: number;
  readonly createdAtMs: number;
  readonly revokedAtMs: number | null;
  /** Day of the last use, YYYY-MM-DD in UTC; a day is enough to see that nobody uses it. */
  readonly lastUsedDay: string | null;
};
