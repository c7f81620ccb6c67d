/** Forward-only migrations of one schema: numbered SQL files, each applied once and then fixed. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PoolClient } from 'pg';
import { RuntimeError } from './errors.ts';

/** How long a process waits for another one that migrates. */
const TURN_TIMEOUT = '60s';
/** How long a migration waits for a table that a running payment holds. */
const LOCK_TIMEOUT = '5s';
/** First key of our advisory locks ("TnPm"); the second is the schema's hash. */
const ADVISORY_CLASS = 0x546e506d;

type Migration = {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
};
type Applied = { readonly number: number; readonly name: string; readonly checksum: string };

/**
 * Brings `schema` up to the newest file of `migrationsDir`, all in the caller's transaction.
 * @throws RuntimeError `ERR_DATABASE_MIGRATION` when a file is missing, altered or unknown here.
 */
export async function migrate(
  client: PoolClient,
  target: { readonly schema: string; readonly migrationsDir: string },
): Promise<void> {
  const migrations = readMigrations(target.migrationsDir);
  await client.query(`SET LOCAL lock_timeout = '${TURN_TIMEOUT}'`);
  await client.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [
    ADVISORY_CLASS,
    target.schema,
  ]);
  await client.query(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
  await client.query(`CREATE SCHEMA IF NOT EXISTS "${target.schema}"`);
  await client.query(`CREATE TABLE IF NOT EXISTS migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
  )`);
  const { rows } = await client.query<Applied>(
    'SELECT number, name, checksum FROM migrations ORDER BY number',
  );
  for (const row of rows) assertUnchanged(row, migrations[row.number - 1]);
  for (const { number, name, sql, checksum } of migrations.slice(rows.length)) {
    try {
      await client.query(sql);
    } catch (cause) {
      const words = cause instanceof Error ? cause.message : String(cause);
      throw migrationError(name, `failed: ${words}`, cause);
    }
    await client.query('INSERT INTO migrations (number, name, checksum) VALUES ($1, $2, $3)', [
      number,
      name,
      checksum,
    ]);
  }
}

function readMigrations(dir: string): readonly Migration[] {
  const names = readdirSync(dir)
    .filter((name) => name.endsWith('.sql'))
    .sort();
  return names.map((name, index) => {
    const number = Number(/^([0-9]{3})-/.exec(name)?.[1]);
    if (number !== index + 1) {
      throw migrationError(name, `is not number ${index + 1} of its folder (NNN-name.sql)`);
    }
    const sql = readFileSync(join(dir, name), 'utf8').replaceAll('\r\n', '\n');
    return { number, name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
  });
}

function assertUnchanged(applied: Applied, file: Migration | undefined): void {
  if (!file) {
    const why = 'was applied by a newer version of this program; use that one';
    throw migrationError(applied.name, why);
  }
  if (file.checksum !== applied.checksum) {
    throw migrationError(file.name, 'was changed after it had been applied; add a new file');
  }
}

function migrationError(name: string, why: string, cause?: unknown): RuntimeError {
  const text = `migration ${name} ${why}`;
  return new RuntimeError('ERR_DATABASE_MIGRATION', text, { name }, cause);
}
