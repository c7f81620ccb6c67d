/**
 * `tapnpay explain` as a process: exit codes, `--json`, masking, files and standard input, on some
 * of the published inputs.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  caseDifferences,
  pasted,
  readInputs,
} from '../../../protocol/src/explain/inputs.test-kit.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'explain-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function run(args: readonly string[], input = ''): { code: number; out: string; err: string } {
  const done = spawnSync(process.execPath, [MAIN, 'explain', ...args], { input, encoding: 'utf8' });
  return { code: done.status ?? -1, out: done.stdout, err: done.stderr };
}

const { cases } = readInputs();

for (const [id, code] of [
  ['cup-05-mac-unanswered-question', 0],
  ['iso-72-truncated-0810', 1],
  ['visa-18-issuer-cert', 0],
] as const) {
  test(`${id}: --json answers every restated field, exit ${code}`, () => {
    const one = cases.find((candidate) => candidate.id === id);
    assert.ok(one);
    const done = run(['--json', '--unmask', '-'], pasted(one.input));
    assert.equal(done.code, code, done.err);
    const answer = JSON.parse(done.out);
    assert.deepEqual(caseDifferences(one, answer), []);
    assert.equal(answer.ok, code === 0);
    assert.equal(answer.masked, false);
  });
}

test('a file with a log is read; text names both languages and byte offsets', () => {
  const file = join(folder, 'sign-in.json');
  const one = cases.find(({ id }) => id === 'cup-01-signin-f62-40B');
  writeFileSync(file, pasted(one?.input));
  const done = run(['--lang', 'zh', file]);
  assert.equal(done.code, 0, done.err);
  assert.match(done.out, /2 个校验值中 2 个相符/);
  assert.match(done.out, /2\+16 .*PIN 密钥（PIK）密文 PIN key \(PIK\), enciphered/);
  assert.match(done.out, /✓ mak\.kcv: 通过/);
});

test('a wrong key fails its check: exit 1', () => {
  const bytes = '6701EAD6A9AD51E51AA406E2C27FCFA98D0A74B8B651F9E9BACE9AE10000000000000000AB7153CA';
  const done = run([
    '--as',
    'workingKeys',
    '--key',
    `tmk=${'11'.repeat(16)}`,
    '--lang',
    'en',
    bytes,
  ]);
  assert.equal(done.code, 1);
  assert.match(done.out, /✗ pik\.kcv: FAILED/);
});

test('card numbers are masked unless --unmask is given', () => {
  const pan = '6299990000000017';
  const masked = run(['--json', `5A08${pan}`]);
  assert.equal(masked.code, 0, masked.err);
  assert.ok(!masked.out.includes(pan));
  assert.ok(masked.out.includes('629999******0017'));
  assert.ok(run(['--json', '--unmask', `5A08${pan}`]).out.includes(pan));
});

test('an impossible input has a coded error with its offset: exit 1', () => {
  const done = run(['--json', '--as', 'iso8583', 'FFFFFFFF']);
  assert.equal(done.code, 1);
  const { error } = JSON.parse(done.out);
  assert.equal(error.code, 'ERR_EXPLAIN_FORMAT');
  assert.equal(typeof error.data.offsetBytes, 'number');
});

test('wrong usage exits 2 with one line and never repeats a key', () => {
  for (const args of [
    ['--as', 'nonsense', '00'],
    ['--lang', 'fr', '00'],
    ['--key', '0123456789ABCDEF', '00'],
    ['no/such/file.txt'],
  ]) {
    const done = run(args);
    assert.equal(done.code, 2, args.join(' '));
    assert.equal(done.err.trim().split('\n').length, 1);
    assert.ok(!done.err.includes('0123456789ABCDEF'));
  }
});
