/**
 * The manager's durable memory. Rows are read by id, parent or state and changed one at a time: a
 * change names the version that it was made from, so that of two writers one is told.
 */
import type { TableName, Tables } from './model.ts';

/** Rows of one list at most. */
export const LIST_ROWS_MAX = 500;

/** What a list asks for; in the order of ids. */
export type RowQuery = {
  readonly parent?: string | undefined;
  readonly state?: string | undefined;
  /** Behind this id. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
};

/** Durable memory; one suite shows what both implementations promise. */
export interface TsmStore {
  /** False when the id is there already. */
  insert<T extends TableName>(table: T, row: Tables[T]): Promise<boolean>;
  find<T extends TableName>(table: T, id: string): Promise<Tables[T] | null>;
  list<T extends TableName>(table: T, query?: RowQuery): Promise<readonly Tables[T][]>;
  /** The row in place of the one before it (`row.version - 1`); false when that has gone on. */
  update<T extends TableName>(table: T, row: Tables[T]): Promise<boolean>;
  /** Keeps bytes under their SHA-256; what is there stays. */
  putPackage(hash: string, bytes: Uint8Array): Promise<void>;
  package(hash: string): Promise<Uint8Array | null>;
  close(): Promise<void>;
}
