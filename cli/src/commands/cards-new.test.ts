/** `tapnpay cards new` without a system: cards of an own issuer, and what is said when none runs. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { iccSummary, parseCaKeyFile, parseIccImage } from '@tapnpay/protocol/emv/data';
import { nodeCiphers } from '@tapnpay/protocol/node';

const MAIN = join(import.meta.dirname, '../main.ts');
const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-cards-new-'));
after(() => rmSync(dataDir, { recursive: true }));

type Ran = { readonly exit: number; readonly text: string; readonly error: string };
function run(args: readonly string[], input = ''): Promise<Ran> {
  return new Promise((resolve) => {
    const all = [MAIN, 'cards', 'new', ...args, '--data', dataDir];
    const child = execFile(process.execPath, all, (fault, text, error) => {
      resolve({ exit: fault === null ? 0 : Number(fault.code), text, error });
    });
    child.stdin?.end(input);
  });
}

const MODEL = JSON.stringify({
  pan: '6299990000000009',
  validity: { from: '2501', to: '3112' },
  applications: [
    { product: 'electronicCash', priority: 1 },
    { product: 'credit', priority: 2, algorithms: ['RSA', 'SM2'] },
  ],
  troubles: ['fci-padding'],
});

test('a model makes a card of an own issuer, its CA keys beside it', async () => {
  const file = join(dataDir, 'model.json');
  writeFileSync(file, MODEL);
  const ran = await run(['mine', file, '--own-issuer', '--json']);
  assert.equal(ran.exit, 0, ran.error);
  const made = JSON.parse(ran.text);
  assert.equal(made.issuer, 'own');
  assert.equal(made.panMasked, '629999******0009');
  assert.deepEqual(
    made.applications.map(({ aid }: { aid: string }) => aid),
    ['A000000333010106', 'A000000333010102'],
  );
  const path = join(dataDir, 'cards', 'mine.json');
  const image = parseIccImage(readFileSync(path, 'utf8'));
  assert.equal(iccSummary(image).label, 'PBOC ECASH');
  assert.equal(image.applications.length, 2);
  assert.equal(parseCaKeyFile(nodeCiphers, readFileSync(made.caKeys, 'utf8')).length, 2);
  if (process.platform !== 'win32') assert.equal(statSync(made.caKeys).mode & 0o777, 0o600);
  const again = await run(['mine', '-', '--own-issuer'], MODEL);
  assert.notEqual(again.exit, 0);
  assert.match(again.error, /there already/);
});

test('without a model it is a debit card; a wrong model is told by its path', async () => {
  const plain = await run(['plain', '--own-issuer']);
  assert.equal(plain.exit, 0, plain.error);
  assert.match(plain.text, /plain {2}629999\*+[0-9]{4} .*\n {2}debit A000000333010101\n/);
  const wrong = await run(['wrong', '-', '--own-issuer'], MODEL.replace('fci-padding', 'rust'));
  assert.notEqual(wrong.exit, 0);
  assert.match(wrong.error, /troubles\[0\] is not known; write one of: expired/);
  const missing = await run(['wrong', join(dataDir, 'none.json'), '--own-issuer']);
  assert.equal(missing.exit, 2);
  for (const wish of [['--balance', '5'], ['--pin-mailer'], ['--day', '5']]) {
    const wished = await run(['wished', '--own-issuer', ...wish]);
    assert.deepEqual([wished.exit, /keeps no accounts/.test(wished.error)], [2, true]);
  }
  assert.equal((await run(['wished', '--balance', '1.00'])).exit, 2);
  const nameless = await run([]);
  assert.equal(nameless.exit, 2);
});

test("without --own-issuer the lab's issuer must run", async () => {
  const ran = await run(['payable', '-'], MODEL);
  assert.notEqual(ran.exit, 0);
  assert.match(ran.error, /ERR_NO_SYSTEM/);
});
