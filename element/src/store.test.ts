/** The sealed store: all or nothing at every byte of a write, and no way to read or fork it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ElementStore, STORE_SLOT_BYTES } from './store.ts';
import { systemRandom } from './system.ts';

const directories: string[] = [];

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tapnpay-store-'));
  directories.push(directory);
  return directory;
}

afterEach(() => {
  for (const path of directories.splice(0)) rmSync(path, { recursive: true });
});

const open = (directory: string) => new ElementStore(directory, systemRandom);

test('what was written is read again by the next process, and is not readable on the disk', () => {
  const directory = newDirectory();
  const store = open(directory);
  assert.equal(store.read(), '');
  for (const text of ['one', 'TWO-IS-SECRET', '三']) {
    store.write(text);
    assert.equal(open(directory).read(), text);
  }
  for (const name of readdirSync(directory)) {
    assert.ok(!readFileSync(join(directory, name)).includes('TWO-IS-SECRET'), name);
    if (process.platform !== 'win32') {
      assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
    }
  }
});

test('a write cut off at any byte leaves the old state or the new one', () => {
  const directory = newDirectory();
  const path = join(directory, 'element.store');
  const store = open(directory);
  store.write('old');
  const before = readFileSync(path);
  store.write('new state');
  const after = readFileSync(path);
  const first = after.findIndex((byte, index) => byte !== before[index]);
  const last = after.findLastIndex((byte, index) => byte !== before[index]);
  assert.ok(first >= 0 && last > first);
  for (let cut = first; cut <= last + 1; cut++) {
    const torn = Buffer.concat([after.subarray(0, cut), before.subarray(cut)]);
    writeFileSync(path, torn);
    assert.equal(open(directory).read(), cut === last + 1 ? 'new state' : 'old', `cut at ${cut}`);
  }
});

test('a store of which no slot opens is damage, not an empty store', () => {
  const directory = newDirectory();
  open(directory).write('x');
  const path = join(directory, 'element.store');
  writeFileSync(path, readFileSync(path).fill(0xa5));
  assert.throws(() => open(directory), { code: 'ERR_STORE_CORRUPT' });
  writeFileSync(path, '');
  assert.throws(() => open(directory), { code: 'ERR_STORE_CORRUPT' });
});

test('a missing or foreign key file opens nothing', () => {
  const directory = newDirectory();
  open(directory).write('x');
  const keyPath = join(directory, 'element.key');
  writeFileSync(keyPath, Buffer.alloc(32));
  assert.throws(() => open(directory), { code: 'ERR_STORE_CORRUPT' });
  rmSync(keyPath);
  assert.throws(() => open(directory), { code: 'ERR_STORE_CORRUPT' });
});

test('a slot moved to the other place, or bent by one bit, does not open', () => {
  const directory = newDirectory();
  const path = join(directory, 'element.store');
  const store = open(directory);
  store.write('first');
  const bytes = readFileSync(path);
  const swapped = Buffer.concat([
    bytes.subarray(STORE_SLOT_BYTES),
    bytes.subarray(0, STORE_SLOT_BYTES),
  ]);
  writeFileSync(path, swapped);
  assert.throws(() => open(directory), { code: 'ERR_STORE_CORRUPT' });
  for (const offset of [9, 20, 30, 50]) {
    const bent = Buffer.from(bytes);
    bent[offset] = (bent[offset] ?? 0) ^ 1;
    writeFileSync(path, bent);
    assert.equal(open(directory).read(), '', `bit of byte ${offset}`);
  }
});

test('a second writer of one store is found before it writes', () => {
  const directory = newDirectory();
  const [first, second] = [open(directory), open(directory)];
  first.write('mine');
  assert.throws(() => second.write('yours'), { code: 'ERR_STORE_FORK' });
  assert.equal(open(directory).read(), 'mine');
});

test('a state that does not fit is refused and the old one stays', () => {
  const directory = newDirectory();
  const store = open(directory);
  store.write('small');
  assert.throws(() => store.write('x'.repeat(STORE_SLOT_BYTES)), { code: 'ERR_STORE_SIZE' });
  assert.equal(store.read(), 'small');
  assert.equal(open(directory).read(), 'small');
});

test('a first start that was killed before its store stood can be started again', () => {
  const directory = newDirectory();
  open(directory);
  copyFileSync(join(directory, 'element.store'), join(directory, 'element.store.new'));
  rmSync(join(directory, 'element.store'));
  assert.equal(open(directory).read(), '');
});

/** Counts up in a store for ever, under the permission model, saying each number once durable. */
const COUNTING = `
const [store, system, directory] = process.argv.slice(1);
const { ElementStore } = await import(store);
const { systemRandom } = await import(system);
const kept = new ElementStore(directory, systemRandom);
for (let n = Number(kept.read() || 0) + 1; ; n++) {
  kept.write(String(n).padEnd(20000, ' '));
  process.stdout.write(n + '\\n');
  await new Promise((resolve) => setImmediate(resolve));
}`;

function startCounting(directory: string): ChildProcess {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const modules = ['./store.ts', './system.ts'].map((name) => new URL(name, import.meta.url).href);
  return spawn(
    process.execPath,
    [
      ...['--permission', `--allow-fs-read=${root}`, `--allow-fs-read=${directory}`],
      ...[`--allow-fs-write=${directory}`, '--input-type=module', '--eval', COUNTING],
      ...modules,
      directory,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
}

test('kill -9 at random points: the last number said is there, or the next one', async () => {
  const directory = newDirectory();
  let known = 0;
  for (let round = 0; round < 8; round++) {
    const child = startCounting(directory);
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    if (child.stdout) await once(child.stdout, 'data');
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
    child.kill('SIGKILL');
    await once(child, 'close');
    const last = Number(said.trim().split('\n').at(-1));
    assert.ok(last > known, 'each process goes on where the last one ended');
    const kept = Number(open(directory).read());
    assert.ok(kept === last || kept === last + 1, `said ${last}, kept ${kept}`);
    known = kept;
  }
});
