/** The vault: what it seals opens, what was altered does not, and its key file is made once. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemRandom } from './system.ts';
import { createVault, readOrMakeVaultKey, VAULT_KEY_BYTES } from './vault.ts';

const dir = mkdtempSync(join(tmpdir(), 'tapnpay-vault-'));
after(() => rmSync(dir, { recursive: true, force: true }));

test('a sealed text opens again, differs each time, and shows nothing of the text', () => {
  const vault = createVault(systemRandom.bytes(VAULT_KEY_BYTES), systemRandom);
  for (const text of ['', '6299990000000017', '密'.repeat(1000)]) {
    const sealed = vault.seal(text);
    assert.equal(vault.open(sealed), text);
    assert.notEqual(vault.seal(text), sealed);
    if (text !== '') assert.ok(!sealed.includes(Buffer.from(text).toString('hex').toUpperCase()));
  }
});

test('an altered, cut or foreign text does not open: ERR_VAULT', () => {
  const vault = createVault(systemRandom.bytes(VAULT_KEY_BYTES), systemRandom);
  const sealed = vault.seal('text');
  const last = sealed.at(-1) === '0' ? '1' : '0';
  const foreign = createVault(systemRandom.bytes(VAULT_KEY_BYTES), systemRandom).seal('text');
  for (const wrong of [sealed.slice(0, -1) + last, sealed.slice(0, 20), '', 'XY', foreign]) {
    assert.throws(() => vault.open(wrong), { code: 'ERR_VAULT' });
  }
  assert.throws(() => createVault(new Uint8Array(16), systemRandom), { code: 'ERR_VAULT' });
});

test('digests are equal for equal texts under one key only', () => {
  const key = systemRandom.bytes(VAULT_KEY_BYTES);
  const vault = createVault(key, systemRandom);
  assert.equal(vault.digest('a'), createVault(key, systemRandom).digest('a'));
  assert.notEqual(vault.digest('a'), vault.digest('b'));
  const other = createVault(systemRandom.bytes(VAULT_KEY_BYTES), systemRandom);
  assert.notEqual(vault.digest('a'), other.digest('a'));
});

test('the key file is made once, for its owner only; a broken one is an error', () => {
  const path = join(dir, 'switch', 'vault.key');
  const key = readOrMakeVaultKey(path, systemRandom);
  assert.equal(key.length, VAULT_KEY_BYTES);
  assert.deepEqual(readOrMakeVaultKey(path, systemRandom), key);
  if (process.platform !== 'win32') assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(join(dir, 'switch')), ['vault.key']);
  writeFileSync(path, 'ABCD');
  assert.throws(() => readOrMakeVaultKey(path, systemRandom), { code: 'ERR_VAULT' });
});
