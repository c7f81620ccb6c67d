/**
 * Shows that the payment application lives where its manager (TSM) puts it: the first tap installs
 * it, a lock stops the next payment within one contact, also of an element that was away and over a
 * warm channel, an unlock restores it, and a revoked version is locked like one.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestSystem, tapnpay, temporaryDataDir } from './system.test-kit.ts';

const system = new TestSystem(temporaryDataDir(), { isFresh: true });
/** The agent's, and that of the command `tap`. */
const ELEMENTS = 2;
const PATIENCE_MS = 60_000;
type Row = Readonly<Record<string, unknown>>;

before(() => system.up());
after(() => system.close());

async function tsm(...args: readonly string[]): Promise<readonly Row[]> {
  const done = await tapnpay(['tsm', ...args, '--data', system.dataDir, '--json']);
  assert.equal(done.code, 0, `${done.stdout}\n${done.stderr}`);
  const told = JSON.parse(done.stdout) as Row | readonly Row[];
  return Array.isArray(told) ? told : [told as Row];
}

/** The code of a tap, or its outcome. */
async function tap(): Promise<string> {
  const args = ['tap', '--amount', '2.00', '--interface', 'contactless', '--json'];
  const done = await tapnpay([...args, '--data', system.dataDir]);
  const told = JSON.parse(done.stdout) as { outcome?: string; error?: { code: string } };
  return told.error?.code ?? told.outcome ?? done.stdout;
}

/** Serials of both elements of the system, the agent's and the command's, once they are enrolled. */
async function enrolled(): Promise<readonly string[]> {
  const deadlineMs = Date.now() + PATIENCE_MS;
  for (;;) {
    const jobs = (await tsm('jobs')).filter(({ kind }) => kind === 'enrol');
    const isDone = jobs.length === ELEMENTS && jobs.every(({ state }) => state === 'done');
    if (isDone) return jobs.map(({ serial }) => String(serial));
    if (Date.now() > deadlineMs) throw new Error(JSON.stringify(jobs));
  }
}

async function forAll(...command: readonly string[]): Promise<void> {
  const [action = '', ...rest] = command;
  for (const serial of await enrolled()) await tsm(action, serial, ...rest);
}

test('first tap: enrolled, loaded and personalised by the manager', async () => {
  assert.equal(await tap(), 'approved');
  for (const serial of await enrolled()) {
    const [element] = await tsm('element', serial);
    assert.equal(element?.['state'], 'active');
  }
});

test('a lock stops the next payment, and an unlock restores it', async () => {
  await forAll('lock', 'payment');
  assert.equal(await tap(), 'APP_LOCKED');
  assert.equal(await tap(), 'APP_LOCKED', 'still');
  await forAll('unlock', 'payment');
  assert.equal(await tap(), 'approved');
});

test('a revoked version is locked at the next contact', async () => {
  await tsm('revoke', 'payment', '1.0.0', '--reason', 'a test');
  assert.equal(await tap(), 'APP_LOCKED');
});
