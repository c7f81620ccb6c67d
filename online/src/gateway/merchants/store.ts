/** Merchants and API keys, durable; each method is one step. */
import type { ApiKey, Merchant } from './model.ts';

/** Rows a list has at most. */
export const MERCHANT_ROWS_MAX = 1_000;

/** PostgreSQL in service, maps in unit tests. */
export interface MerchantStore {
  /** `exists`: the number or the terminal is taken. */
  addMerchant(merchant: Merchant): Promise<'added' | 'exists'>;
  findMerchant(merchantId: string): Promise<Merchant | null>;
  listMerchants(): Promise<readonly Merchant[]>;
  /** The merchant afterwards, or null. */
  setMerchantState(merchantId: string, state: Merchant['state']): Promise<Merchant | null>;
  /** `exists`: a key of this id is there, and stays as it is. */
  addKey(key: ApiKey): Promise<'added' | 'exists' | 'noMerchant'>;
  findKey(keyId: string): Promise<ApiKey | null>;
  /** Keys of a merchant, or the operator's for null; revoked ones, too. */
  listKeys(merchantId: string | null): Promise<readonly ApiKey[]>;
  /** The key afterwards, or null; a revoked one stays revoked since when it was. */
  revokeKey(keyId: string, nowMs: number): Promise<ApiKey | null>;
  noteKeyUse(keyId: string, day: string): Promise<void>;
}
