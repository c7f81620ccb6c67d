/** For tests: a scratch embedded database, or one line that says why there is none. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorBody } from '@tapnpay/protocol/bytes';
import { startEmbeddedPostgres } from './embedded-postgres.ts';

/** A database that lives as long as a test file. */
export type TestDatabase = { readonly url: string; readonly close: () => Promise<void> };

/**
 * An embedded database in a temporary folder, or null with one line on standard error where its
 * part is missing. With `CI=true` nothing is skipped: then it throws.
 */
export async function startTestDatabase(): Promise<TestDatabase | null> {
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
