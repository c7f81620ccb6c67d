/** `MerchantStore` in the gateway's schema. */
import type { Database } from '../../runtime/index.ts';
import type { ApiKey, Merchant } from './model.ts';
import { MERCHANT_ROWS_MAX, type MerchantStore } from './store.ts';

/** SQLSTATE foreign_key_violation. */
const SQLSTATE_FOREIGN_KEY = '23503';

type MerchantRow = {
  readonly merchant_id: string;
  readonly name: string;
  readonly name_zh: string;
  readonly terminal_id: string;
  readonly category_code: string;
  readonly location: string;
  readonly state: Merchant['state'];
  readonly created_at_ms: bigint;
};
type KeyRow = {
  readonly key_id: string;
  readonly hash: string;
  readonly merchant_id: string | null;
  readonly role: ApiKey['role'];
  readonly mode: ApiKey['mode'];
  readonly requests_per_second: number;
  readonly created_at_ms: bigint;
  readonly revoked_at_ms: bigint | null;
  readonly last_used_day: string | null;
};

/** Each method is one statement. */
export class PostgresMerchantStore implements MerchantStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async addMerchant(merchant: Merchant): Promise<'added' | 'exists'> {
    const added = await this.#rows(
      `INSERT INTO merchants (merchant_id, name, name_zh, terminal_id, category_code, location,
         state, created_at_ms)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING 1`,
      [
        merchant.merchantId,
        merchant.name,
        merchant.nameZh,
        merchant.terminalId,
        merchant.categoryCode,
        merchant.location,
        merchant.state,
        merchant.createdAtMs,
      ],
    );
    return added.length === 1 ? 'added' : 'exists';
  }

  async findMerchant(merchantId: string): Promise<Merchant | null> {
    const [row] = await this.#rows<MerchantRow>('SELECT * FROM merchants WHERE merchant_id = $1', [
      merchantId,
    ]);
    return row ? merchantOfRow(row) : null;
  }

  async listMerchants(): Promise<readonly Merchant[]> {
    const rows = await this.#rows<MerchantRow>(
      'SELECT * FROM merchants ORDER BY merchant_id COLLATE "C" LIMIT $1',
      [MERCHANT_ROWS_MAX],
    );
    return rows.map(merchantOfRow);
  }

  async setMerchantState(merchantId: string, state: Merchant['state']): Promise<Merchant | null> {
    const [row] = await this.#rows<MerchantRow>(
      'UPDATE merchants SET state = $2 WHERE merchant_id = $1 RETURNING *',
      [merchantId, state],
    );
    return row ? merchantOfRow(row) : null;
  }

  async addKey(key: ApiKey): Promise<'added' | 'exists' | 'noMerchant'> {
    try {
      const added = await this.#rows(
        `INSERT INTO api_keys (key_id, hash, merchant_id, role, mode, requests_per_second,
           created_at_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING 1`,
        [
          key.keyId,
          key.hash,
          key.merchantId,
          key.role,
          key.mode,
          key.requestsPerSecond,
          key.createdAtMs,
        ],
      );
      return added.length === 1 ? 'added' : 'exists';
    } catch (thrown) {
      const isForeign = thrown instanceof Error && 'code' in thrown;
      if (isForeign && thrown.code === SQLSTATE_FOREIGN_KEY) return 'noMerchant';
      throw thrown;
    }
  }

  async findKey(keyId: string): Promise<ApiKey | null> {
    const [row] = await this.#rows<KeyRow>('SELECT * FROM api_keys WHERE key_id = $1', [keyId]);
    return row ? keyOfRow(row) : null;
  }

  async listKeys(merchantId: string | null): Promise<readonly ApiKey[]> {
    const rows = await this.#rows<KeyRow>(
      `SELECT * FROM api_keys WHERE merchant_id IS NOT DISTINCT FROM $1
       ORDER BY key_id LIMIT $2`,
      [merchantId, MERCHANT_ROWS_MAX],
    );
    return rows.map(keyOfRow);
  }

  async revokeKey(keyId: string, nowMs: number): Promise<ApiKey | null> {
    const [row] = await this.#rows<KeyRow>(
      `UPDATE api_keys SET revoked_at_ms = coalesce(revoked_at_ms, $2)
       WHERE key_id = $1 RETURNING *`,
      [keyId, nowMs],
    );
    return row ? keyOfRow(row) : null;
  }

  async noteKeyUse(keyId: string, day: string): Promise<void> {
    await this.#rows('UPDATE api_keys SET last_used_day = $2 WHERE key_id = $1', [keyId, day]);
  }

  async #rows<Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]> {
    return (await this.#database.pool.query<Row>(text, [...values])).rows;
  }
}

function merchantOfRow(row: MerchantRow): Merchant {
  return {
    merchantId: row.merchant_id,
    name: row.name,
    nameZh: row.name_zh,
    terminalId: row.terminal_id,
    categoryCode: row.category_code,
    location: row.location,
    state: row.state,
    createdAtMs: Number(row.created_at_ms),
  };
}

function keyOfRow(row: KeyRow): ApiKey {
  return {
    keyId: row.key_id,
    hash: row.hash,
    merchantId: row.merchant_id,
    role: row.role,
    mode: row.mode,
    requestsPerSecond: row.requests_per_second,
    createdAtMs: Number(row.created_at_ms),
    revokedAtMs: row.revoked_at_ms === null ? null : Number(row.revoked_at_ms),
    lastUsedDay: row.last_used_day,
  };
}
