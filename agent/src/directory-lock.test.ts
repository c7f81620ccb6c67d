/** Shows that a lock has one owner, that it can be asked for, and when it is free again. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type HeldLock, lockDirectory } from './directory-lock.ts';

const root = mkdtempSync(join(tmpdir(), 'tapnpay-lock-'));
after(() => rmSync(root, { recursive: true }));
const fresh = (): string => mkdtempSync(join(root, 'store-'));
const IN_USE = { code: 'ERR_ELEMENT_IN_USE' };
const WAIT = { waitMs: 5_000 } as const;
const skip = process.platform === 'linux' ? false : 'names are of Linux and Windows';

test('one owner at a time; free again after its release', { skip }, async () => {
  const directory = fresh();
  const first = await lockDirectory(directory);
  await assert.rejects(lockDirectory(directory), IN_USE);
  await lockDirectory(fresh()).then((other) => other.release());
  await first.release();
  await lockDirectory(directory).then((next) => next.release());
});

test('an owner that does not let go says no at once', { skip }, async () => {
  const directory = fresh();
  const asked: string[] = [];
  const owner = await lockDirectory(directory, {
    onWanted: () => {
      asked.push('wanted');
      return false;
    },
  });
  const fromMs = performance.now();
  await assert.rejects(lockDirectory(directory, WAIT), IN_USE);
  assert.ok(performance.now() - fromMs < 2_000);
  assert.deepEqual(asked, ['wanted']);
  await owner.release();
  const plain = await lockDirectory(directory);
  await assert.rejects(lockDirectory(directory, WAIT), IN_USE, 'an owner that never listens');
  await plain.release();
});

test('who takes only what is free asks nobody', { skip }, async () => {
  const directory = fresh();
  const owner = await lockDirectory(directory, { onWanted: () => assert.fail('asked') });
  await assert.rejects(lockDirectory(directory), IN_USE);
  await owner.release();
});

test('an owner that lets go is followed by the one who asked', { skip }, async () => {
  const directory = fresh();
  const owner: HeldLock = await lockDirectory(directory, {
    onWanted: () => {
      setImmediate(() => void owner.release());
      return true;
    },
  });
  const next = await lockDirectory(directory, WAIT);
  await assert.rejects(lockDirectory(directory), IN_USE);
  await next.release();
});

test('of several who ask one gets it, and the others hear its no', { skip }, async () => {
  const directory = fresh();
  const owner: HeldLock = await lockDirectory(directory, {
    onWanted: () => {
      setImmediate(() => void owner.release());
      return true;
    },
  });
  const asked = Array.from({ length: 5 }, () => lockDirectory(directory, WAIT));
  const ended = await Promise.allSettled(asked);
  const won = ended.filter((end) => end.status === 'fulfilled');
  assert.equal(won.length, 1);
  await won[0]?.value.release();
});

test('an owner that promises and does not let go is waited for no longer than said', {
  skip,
}, async () => {
  const directory = fresh();
  const owner = await lockDirectory(directory, { onWanted: () => true });
  const fromMs = performance.now();
  await assert.rejects(lockDirectory(directory, { waitMs: 100 }), IN_USE);
  const ms = performance.now() - fromMs;
  assert.ok(ms >= 95 && ms < 2_000, `${ms} ms`);
  await owner.release();
});

test('a child that was handed the lock holds it after its parent has let go', {
  skip,
}, async () => {
  const directory = fresh();
  const lock = await lockDirectory(directory);
  assert.ok(lock.fd !== null);
  const child = spawn('cat', [], { stdio: ['pipe', 'ignore', 'ignore', lock.fd] });
  await new Promise((resolve) => child.once('spawn', resolve));
  await lock.release();
  await assert.rejects(lockDirectory(directory), IN_USE);
  const next = lockDirectory(directory, WAIT);
  child.kill('SIGKILL');
  await (await next).release();
});
