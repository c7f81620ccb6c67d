/** `TsmStore` in memory, for unit tests. */
import { TABLE_NAMES, type TableName, type Tables } from './model.ts';
import { LIST_ROWS_MAX, type RowQuery, type TsmStore } from './store.ts';

/** Forgets when it is dropped. */
export class MemoryTsmStore implements TsmStore {
  readonly #tables = new Map(TABLE_NAMES.map((name) => [name, new Map<string, string>()]));
  readonly #packages = new Map<string, Uint8Array>();

  /** What another one has now; they go on apart. */
  constructor(from?: MemoryTsmStore) {
    if (!from) return;
    for (const [name, rows] of from.#tables) this.#tables.set(name, new Map(rows));
    for (const [hash, bytes] of from.#packages) this.#packages.set(hash, bytes);
  }

  #table(name: TableName): Map<string, string> {
    const table = this.#tables.get(name);
    if (table) return table;
    throw new Error(`no table ${name}`);
  }

  async insert<T extends TableName>(table: T, row: Tables[T]): Promise<boolean> {
    const rows = this.#table(table);
    if (rows.has(row.id)) return false;
    // As text: nobody who keeps a row can change what is stored.
    rows.set(row.id, JSON.stringify(row));
    return true;
  }

  async find<T extends TableName>(table: T, id: string): Promise<Tables[T] | null> {
    const text = this.#table(table).get(id);
    return text === undefined ? null : (JSON.parse(text) as Tables[T]);
  }

  async list<T extends TableName>(table: T, query: RowQuery = {}): Promise<readonly Tables[T][]> {
    const { parent, state, after = '', limit = LIST_ROWS_MAX } = query;
    return [...this.#table(table).values()]
      .map((text) => JSON.parse(text) as Tables[T])
      .filter((row) => parent === undefined || row.parent === parent)
      .filter((row) => state === undefined || row.state === state)
      .filter((row) => row.id > after)
      .toSorted((one, other) => (one.id < other.id ? -1 : 1))
      .slice(0, Math.min(limit, LIST_ROWS_MAX));
  }

  async update<T extends TableName>(table: T, row: Tables[T]): Promise<boolean> {
    // Without waiting in between: two changes at once are one after the other.
    const text = this.#table(table).get(row.id);
    const before = text === undefined ? null : (JSON.parse(text) as Tables[T]);
    if (before?.version !== row.version - 1) return false;
    this.#table(table).set(row.id, JSON.stringify(row));
    return true;
  }

  async putPackage(hash: string, bytes: Uint8Array): Promise<void> {
    if (!this.#packages.has(hash)) this.#packages.set(hash, bytes.slice());
  }

  async package(hash: string): Promise<Uint8Array | null> {
    return this.#packages.get(hash)?.slice() ?? null;
  }

  async close(): Promise<void> {}
}
