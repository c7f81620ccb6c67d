/**
 * `npm run own-postgres`: every test file that uses a database, on the server of DATABASE_URL or
 * else on Debian's, each in a database of its own; says at the end how many tests passed.
 */
import { spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { debianPrograms, startDebianServer } from './debian-postgres.test-kit.ts';

const ROOT = join(import.meta.dirname, '..');
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Test files that ask for a database. */
function databaseTests(): readonly string[] {
  const files = globSync(['online/**/*.test.ts', 'cli/**/*.test.ts'], {
    cwd: ROOT,
    exclude: ['**/node_modules'],
  });
  return files
    .filter((file) => readFileSync(join(ROOT, file), 'utf8').includes('startTestDatabase'))
    .sort();
}

async function versionOf(connectionString: string): Promise<string> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ version: string }>('SELECT version()');
    return rows[0]?.version ?? '';
  } finally {
    await client.end();
  }
}

async function runTests(databaseUrl: string): Promise<number> {
  const files = databaseTests();
  process.stdout.write(`${files.length} files on ${await versionOf(databaseUrl)}\n`);
  const options = ['--import=./tools/property-seed.ts', '--test', '--test-timeout=300000'];
  const child = spawn(process.execPath, [...options, '--test-concurrency=2', ...files], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, DATABASE_URL: databaseUrl },
  });
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  return new Promise((done) => child.once('close', (code) => done(code ?? 1)));
}

const own = process.env['DATABASE_URL'];
const programs = own ? null : debianPrograms();
if (own) {
  process.exitCode = await runTests(own);
} else if (programs) {
  const server = await startDebianServer(programs);
  try {
    process.exitCode = await runTests(server.url);
  } finally {
    server.close();
  }
} else {
  process.stderr.write('set DATABASE_URL, or apt-get install postgresql (15 or later)\n');
  process.exitCode = 2;
}
