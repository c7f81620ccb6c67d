/**
 * The same system on somebody else's PostgreSQL by DATABASE_URL: here Debian's, in a cluster of
 * its own. Without Debian's server the test says so in one line; with CI=true it must be there.
 * `npm run own-postgres` runs the suites of the stores there.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { debianPrograms, startDebianServer } from './debian-postgres.test-kit.ts';
import { TestSystem, temporaryDataDir } from './system.test-kit.ts';

const closers: (() => void | Promise<void>)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

test("payments on Debian's PostgreSQL", async (context) => {
  const programs = debianPrograms();
  if (!programs) {
    assert.notEqual(process.env['CI'], 'true', 'CI installs postgresql');
    return context.skip("Debian's postgresql is not installed");
  }
  const server = await startDebianServer(programs);
  closers.push(server.close);
  const system = new TestSystem(temporaryDataDir(), { databaseUrl: server.url });
  closers.push(() => system.close());
  await system.up();
  const embedded = join(system.dataDir, 'postgres');
  assert.equal(existsSync(embedded), false, 'no embedded database was made');
  assert.equal((await system.tap()).outcome, 'approved');
  const wrong = await system.tap('--pin', '000000');
  assert.deepEqual([wrong.outcome, wrong.responseCode], ['declined', '55']);
});
