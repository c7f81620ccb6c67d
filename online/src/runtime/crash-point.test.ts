/** Shows that a party dies at the armed point, at its nth passing, once, and only in a laboratory. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { armCrashPoint, crashPointPath, openCrashPoints } from './crash-point.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-crash-'));
after(() => rmSync(dataDir, { recursive: true, force: true }));

class Store {
  readonly #rows: string[] = [];
  async write(row: string): Promise<number> {
    this.#rows.push(row);
    return this.#rows.length;
  }
  count(): number {
    return this.#rows.length;
  }
}

function opened(lab: boolean): { readonly store: Store; readonly kills: number[] } {
  const store = new Store();
  const kills: number[] = [];
  const kill = (): void => void kills.push(store.count());
  const points = openCrashPoints({ dataDir, party: 'issuer', lab, kill });
  return { store: points('store', store), kills };
}

test('before a call nothing of it has happened, after it all of it', async () => {
  for (const [moment, rows] of [
    ['before', 0],
    ['after', 1],
  ] as const) {
    armCrashPoint(dataDir, { party: 'issuer', point: `store.write.${moment}` });
    const { store, kills } = opened(true);
    await store.write('a');
    assert.deepEqual(kills, [rows], moment);
    await store.write('b');
    assert.deepEqual(kills, [rows], 'once');
  }
});

test('the nth passing, of that point and that party only', async () => {
  armCrashPoint(dataDir, { party: 'issuer', point: 'store.write.before', nth: 3 });
  armCrashPoint(dataDir, { party: 'switch', point: 'store.write.before' });
  const { store, kills } = opened(true);
  for (const row of ['a', 'b']) await store.write(row);
  assert.deepEqual(kills, []);
  await store.write('c');
  assert.deepEqual(kills, [2]);
  assert.equal(existsSync(crashPointPath(dataDir, 'switch')), true);
});

test('outside a laboratory a port is left as it is', async () => {
  armCrashPoint(dataDir, { party: 'issuer', point: 'store.write.before' });
  const { store, kills } = opened(false);
  await store.write('a');
  assert.deepEqual(kills, []);
  assert.equal(existsSync(crashPointPath(dataDir, 'issuer')), true);
});

test('the kill is a SIGKILL of the process itself', () => {
  armCrashPoint(dataDir, { party: 'gateway', point: 'line.send.during' });
  const module = JSON.stringify(join(import.meta.dirname, 'crash-point.ts'));
  const script = `import { openCrashPoints } from ${module};
    const points = openCrashPoints({ dataDir: process.argv[1], party: 'gateway', lab: true });
    const line = points('line', { send: () => new Promise((done) => setTimeout(done, 5_000)) });
    await line.send();`;
  const args = ['--input-type=module', '-e', script, dataDir];
  const { signal } = spawnSync(process.execPath, args, { timeout: 20_000 });
  assert.equal(signal, 'SIGKILL');
});
