/** A whole payment with a card in a real reader: the system, a card offered to it, `tapnpay tap`. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PcscReaders } from '@tapnpay/agent';
import { TestSystem, tapnpay, temporaryDataDir } from '../../system.test-kit.ts';
import { SLOTS, TestSlot } from '../inside.test-kit.ts';

const system = new TestSystem(temporaryDataDir());
const readers = new PcscReaders();
const slot = new TestSlot(readers, 0);
let offered: ChildProcess | null = null;

/** On a busy machine a system takes its time. */
before(() => system.up(), { timeout: 80_000 });
after(async () => {
  offered?.kill('SIGINT');
  await readers.close();
  await system.close();
  rmSync(system.dataDir, { recursive: true, force: true });
});

/** Runs `cards insert NAME --vpcd` until the service sees the card; ends the one before. */
async function insert(name: string, ...more: readonly string[]): Promise<void> {
  if (offered) {
    const ended = new Promise((done) => offered?.once('close', done));
    offered.kill('SIGINT');
    await ended;
    await slot.until(false);
  }
  const main = join(import.meta.dirname, '../../../cli/src/main.ts');
  const args = ['cards', 'insert', name, '--vpcd', '--data', system.dataDir, ...more];
  offered = spawn(process.execPath, [main, ...args], { stdio: 'ignore' });
  await slot.until(true);
}

async function pay(...args: readonly string[]) {
  const common = ['tap', '--data', system.dataDir, '--reader', SLOTS[0], '--json'];
  const { code, stdout, stderr } = await tapnpay([...common, ...args]);
  assert.notEqual(stdout, '', stderr);
  return { code, document: JSON.parse(stdout) };
}

test('the card in the reader pays by contact: DDA, issuer, TC, ledger', async () => {
  await insert('debit');
  const { code, document } = await pay('--consent');
  assert.deepEqual([code, document.outcome, document.interface], [0, 'approved', 'contact']);
  assert.equal(document.dataAuthentication, 'DDA');
  assert.equal(document.cryptogram.secondType, 'TC');
  assert.equal(document.issuer.arqcVerified, true);
  assert.match(document.issuer.ledgerEntryId, /^[0-9a-f-]{36}$/);
});

test('without --consent: exit 2 before a reader is touched; the card pays afterwards', async () => {
  const { code, document } = await pay();
  assert.equal(code, 2);
  assert.match(document.error.message, /--consent/);
  const again = await pay('--consent');
  assert.equal(again.document.outcome, 'approved');
});

test('no such reader: coded, and no order is made', async () => {
  const { code, document } = await pay('--consent', '--reader', 'No Such Reader');
  assert.deepEqual([code, document.error.code], [1, 'ERR_READER_GONE']);
});
