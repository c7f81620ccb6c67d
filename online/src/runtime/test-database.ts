/** For tests: a database of a file's own, or one line that says why there is none. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorBody } from '@tapnpay/protocol/bytes';
import pg from 'pg';
import { startEmbeddedPostgres } from './embedded-postgres.ts';

/** A database that lives as long as a test file. */
export type TestDatabase = { readonly url: string; readonly close: () => Promise<void> };

/**
 * A new, empty database: on the server of DATABASE_URL when that is set, else on the embedded one
 * that `npm test` keeps for all files of a run (TAPNPAY_TEST_SERVER), else on one of its own.
 * @throws when a named server gives none, for what was named must not be skipped.
 */
export async function startTestDatabase(): Promise<TestDatabase | null> {
  const { DATABASE_URL, TAPNPAY_TEST_SERVER } = process.env;
  const server = DATABASE_URL || TAPNPAY_TEST_SERVER;
  return server ? createDatabase(server) : startEmbeddedTestDatabase();
}

/**
 * An embedded server in a temporary folder, or null with one line on standard error where its
 * part is missing. With `CI=true` nothing is skipped: then it throws.
 */
export async function startEmbeddedTestDatabase(): Promise<TestDatabase | null> {
  const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-db-'));
  const clean = (): void => rmSync(dataDir, { recursive: true, force: true });
  try {
    const database = await startEmbeddedPostgres({ dataDir });
    const close = async (): Promise<void> => {
      await database.stop();
      clean();
    };
    return { url: database.url, close };
  } catch (thrown) {
    clean();
    if (process.env['CI'] === 'true') throw thrown;
    process.stderr.write(`skipped: no embedded database here (${errorBody(thrown).message})\n`);
    return null;
  }
}

/** A database beside the others of a server; what is in those is not touched. */
async function createDatabase(server: string): Promise<TestDatabase> {
  const name = `tapnpay_test_${randomBytes(8).toString('hex')}`;
  await runStatement(server, `CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, close: () => runStatement(server, `DROP DATABASE ${name} (FORCE)`) };
}

async function runStatement(connectionString: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
