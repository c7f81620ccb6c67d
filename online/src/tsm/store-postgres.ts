/** `TsmStore` in PostgreSQL 15 or later: each method is one statement. */
import { join } from 'node:path';
import { type Database, type Log, openDatabase, PostgresAuditLog } from '../runtime/index.ts';
import { TABLE_NAMES, type TableName, type Tables } from './model.ts';
import { LIST_ROWS_MAX, type RowQuery, type TsmStore } from './store.ts';

/** SQL name of each table. */
const SQL_NAMES: Readonly<Record<TableName, string>> = {
  ...(Object.fromEntries(TABLE_NAMES.map((name) => [name, name])) as Record<TableName, string>),
  apiKeys: 'api_keys',
};

type BodyRow<T extends TableName> = { readonly body: Tables[T] };

/** Opens the manager's schema and brings it up to date. */
export async function openTsmStore(options: {
  readonly databaseUrl: string;
  readonly schema: string;
  readonly log?: Log;
}): Promise<{ readonly store: PostgresTsmStore; readonly audit: PostgresAuditLog }> {
  const migrationsDir = join(import.meta.dirname, 'migrations');
  const database = await openDatabase({ ...options, migrationsDir });
  return { store: new PostgresTsmStore(database), audit: new PostgresAuditLog(database) };
}

/** The manager's books in its own schema. */
export class PostgresTsmStore implements TsmStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async insert<T extends TableName>(table: T, row: Tables[T]): Promise<boolean> {
    const { rowCount } = await this.#database.pool.query(
      `INSERT INTO ${SQL_NAMES[table]} (id, parent, state, version, body)
       VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING`,
      [row.id, row.parent, row.state, row.version, JSON.stringify(row)],
    );
    return rowCount === 1;
  }

  async find<T extends TableName>(table: T, id: string): Promise<Tables[T] | null> {
    const { rows } = await this.#database.pool.query<BodyRow<T>>(
      `SELECT body FROM ${SQL_NAMES[table]} WHERE id = $1`,
      [id],
    );
    return rows[0]?.body ?? null;
  }

  async list<T extends TableName>(table: T, query: RowQuery = {}): Promise<readonly Tables[T][]> {
    const { parent = null, state = null, after = '', limit = LIST_ROWS_MAX } = query;
    const { rows } = await this.#database.pool.query<BodyRow<T>>(
      `SELECT body FROM ${SQL_NAMES[table]}
       WHERE ($1::text IS NULL OR parent = $1) AND ($2::text IS NULL OR state = $2) AND id > $3
       ORDER BY id LIMIT $4`,
      [parent, state, after, Math.min(limit, LIST_ROWS_MAX)],
    );
    return rows.map(({ body }) => body);
  }

  async update<T extends TableName>(table: T, row: Tables[T]): Promise<boolean> {
    const { rowCount } = await this.#database.pool.query(
      `UPDATE ${SQL_NAMES[table]} SET parent = $2, state = $3, version = $4, body = $5
       WHERE id = $1 AND version = $4 - 1`,
      [row.id, row.parent, row.state, row.version, JSON.stringify(row)],
    );
    return rowCount === 1;
  }

  async putPackage(hash: string, bytes: Uint8Array): Promise<void> {
    await this.#database.pool.query(
      'INSERT INTO packages (hash, bytes) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING',
      [hash, Buffer.from(bytes)],
    );
  }

  async package(hash: string): Promise<Uint8Array | null> {
    const { rows } = await this.#database.pool.query<{ readonly bytes: Uint8Array }>(
      'SELECT bytes FROM packages WHERE hash = $1',
      [hash],
    );
    return rows[0] ? new Uint8Array(rows[0].bytes) : null;
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}
