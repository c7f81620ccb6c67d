/** `MerchantStore` in memory, for unit tests. */
import type { ApiKey, Merchant } from './model.ts';
import { MERCHANT_ROWS_MAX, type MerchantStore } from './store.ts';

/** The tables as maps. */
export class MemoryMerchantStore implements MerchantStore {
  readonly #merchants = new Map<string, Merchant>();
  readonly #keys = new Map<string, ApiKey>();

  async addMerchant(merchant: Merchant): Promise<'added' | 'exists'> {
    const { merchantId, terminalId } = merchant;
    const taken = [...this.#merchants.values()].some((one) => one.terminalId === terminalId);
    if (taken || this.#merchants.has(merchantId)) return 'exists';
    this.#merchants.set(merchantId, merchant);
    return 'added';
  }

  async findMerchant(merchantId: string): Promise<Merchant | null> {
    return this.#merchants.get(merchantId) ?? null;
  }

  async listMerchants(): Promise<readonly Merchant[]> {
    return inOrder([...this.#merchants.values()], ({ merchantId }) => merchantId);
  }

  async setMerchantState(merchantId: string, state: Merchant['state']): Promise<Merchant | null> {
    const merchant = this.#merchants.get(merchantId);
    if (!merchant) return null;
    const changed = { ...merchant, state };
    this.#merchants.set(merchantId, changed);
    return changed;
  }

  async addKey(key: ApiKey): Promise<'added' | 'exists' | 'noMerchant'> {
    if (key.merchantId !== null && !this.#merchants.has(key.merchantId)) return 'noMerchant';
    if (this.#keys.has(key.keyId)) return 'exists';
    this.#keys.set(key.keyId, key);
    return 'added';
  }

  async findKey(keyId: string): Promise<ApiKey | null> {
    return this.#keys.get(keyId) ?? null;
  }

  async listKeys(merchantId: string | null): Promise<readonly ApiKey[]> {
    const own = [...this.#keys.values()].filter((key) => key.merchantId === merchantId);
    return inOrder(own, ({ keyId }) => keyId);
  }

  async revokeKey(keyId: string, nowMs: number): Promise<ApiKey | null> {
    const key = this.#keys.get(keyId);
    if (!key) return null;
    const revoked = { ...key, revokedAtMs: key.revokedAtMs ?? nowMs };
    this.#keys.set(keyId, revoked);
    return revoked;
  }

  async noteKeyUse(keyId: string, day: string): Promise<void> {
    const key = this.#keys.get(keyId);
    if (key) this.#keys.set(keyId, { ...key, lastUsedDay: day });
  }
}

function inOrder<T>(rows: readonly T[], idOf: (row: T) => string): readonly T[] {
  const sorted = rows.toSorted((one, other) => (idOf(one) < idOf(other) ? -1 : 1));
  return sorted.slice(0, MERCHANT_ROWS_MAX);
}
