/** Reading and changing rows with a coded fault for what is not there or has gone on. */
import { TsmError, type TsmErrorCode } from './errors.ts';
import type { TableName, Tables } from './model.ts';
import type { RowQuery, TsmStore } from './store.ts';

/** Pages of one list. */
const PAGES_MAX = 200;
/** Times a change is made again after another one came between. */
const CHANGE_TRIES_MAX = 5;

/** The row of an id. @throws TsmError `ERR_NOT_FOUND` or the code that is named. */
export async function needRow<T extends TableName>(
  store: Pick<TsmStore, 'find'>,
  table: T,
  id: string,
  code: TsmErrorCode = 'ERR_NOT_FOUND',
): Promise<Tables[T]> {
  const row = await store.find(table, id);
  if (row) return row;
  throw new TsmError(code, `${table} has no ${id}`, { table });
}

/** Inserts. @throws TsmError `ERR_TSM_EXISTS`. */
export async function addRow<T extends TableName>(
  store: Pick<TsmStore, 'insert'>,
  table: T,
  row: Omit<Tables[T], 'version'>,
): Promise<Tables[T]> {
  const whole = { ...row, version: 1 } as Tables[T];
  if (await store.insert(table, whole)) return whole;
  throw new TsmError('ERR_TSM_EXISTS', `${table} has ${whole.id} already`, { table });
}

/**
 * Changes a row as it is now. The change is computed again from what another writer left.
 * @throws TsmError `ERR_NOT_FOUND`, `ERR_TSM_CONFLICT`, and whatever the change throws.
 */
export async function changeRow<T extends TableName>(
  store: TsmStore,
  table: T,
  id: string,
  change: (row: Tables[T]) => Partial<Tables[T]>,
): Promise<Tables[T]> {
  for (let tries = 0; tries < CHANGE_TRIES_MAX; tries++) {
    const before = await needRow(store, table, id);
    const after = { ...before, ...change(before), id, version: before.version + 1 };
    if (await store.update(table, after)) return after;
  }
  throw new TsmError('ERR_TSM_CONFLICT', `${table} ${id} goes on changing`, { table });
}

/** Every row of a query, page by page. */
export async function allRows<T extends TableName>(
  store: Pick<TsmStore, 'list'>,
  table: T,
  query: Omit<RowQuery, 'after' | 'limit'> = {},
): Promise<readonly Tables[T][]> {
  const rows: Tables[T][] = [];
  let after = '';
  for (let page = 0; page < PAGES_MAX; page++) {
    const found = await store.list(table, { ...query, after });
    rows.push(...found);
    const last = found.at(-1);
    if (!last) return rows;
    after = last.id;
  }
  throw new TsmError('ERR_LIMIT', `${table} has more rows than are read at once`);
}
