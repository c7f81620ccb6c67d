/** Shows that keys for load files outlive a restart, and open under their own master key alone. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { seededRandom } from './hsm.test-kit.ts';
import { sealedSigningVault } from './signing-vault.ts';

const folder = mkdtempSync(join(tmpdir(), 'tapnpay-signing-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('the same keys after a restart; none under another master key or from an altered file', () => {
  const path = join(folder, 'signing.bin');
  const random = seededRandom('vault');
  const lmk = random.bytes(32);
  const first = sealedSigningVault({ path, lmk, random });
  const ecdsa = first.key('ecdsaP256');
  const rsa = first.key('rsaPss');
  const again = sealedSigningVault({ path, lmk, random });
  assert.ok(again.key('ecdsaP256').equals(ecdsa));
  assert.ok(again.key('rsaPss').equals(rsa));
  const other = sealedSigningVault({ path, lmk: random.bytes(32), random });
  assert.throws(() => other.key('ecdsaP256'), { code: 'ERR_HSM_STORE' });
  const file = readFileSync(path);
  file[20] = (file[20] ?? 0) ^ 1;
  for (const content of [file, file.subarray(0, 10)]) {
    writeFileSync(path, content);
    const broken = sealedSigningVault({ path, lmk, random });
    assert.throws(() => broken.key('ecdsaP256'), { code: 'ERR_HSM_STORE' });
  }
});
