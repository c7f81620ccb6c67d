/** Shows that a system has one publisher's key and one extension id for ever, and whose key it is. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder, writeFiles } from './plugin.test-kit.ts';
import { extensionIdOf, openPublisherKey, PUBLISHER_KEY_FILE } from './publisher-key.ts';

/** Made with Chromium, which showed this id for it. */
const KNOWN_SPKI =
  'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAx0hfT3JZjYRkYZr1jnAuFcpTnw9fzSg3tT8YJNsoY6zXI/rKcbU2kuK/1ZKnqSoyQ1eJm7dX8LdnpRI659PSPAnL+emxv4plOvRxL0iiwddUpyqg6UUV1QlxOvj2A4pvJdCaGyHuyIaKkHFq2F6HaqOrV+VPaSNH0Gs0oJUfEx5/MxWzi5SMh1Mh5OIT9bNAh4k9Y6ZlKnVJUdzn9+6/WoogZyNOewbmmtrRjRWddXV8qpwRCLLYvRfhSJQaNfGvzmJJnhDw79rgh7x9iqEKvBxWg9x5beCi7U0yaYcInIYIhypz5kIl3za+ZEvdA6wtcW72TjRWJKGbJTTjLn5ZTQIDAQAB';

test("Chromium's id of a known key", () => {
  const spki = new Uint8Array(Buffer.from(KNOWN_SPKI, 'base64'));
  assert.equal(extensionIdOf(spki), 'jidnflbmgkkgnjdalbnigbchcpbbdbpf');
});

test('the key is made at the first start, for its owner only, and says that it is LAB', async (t) => {
  const dataDir = temporaryFolder(t);
  const first = await openPublisherKey(dataDir);
  const folder = join(dataDir, 'publisher');
  assert.deepEqual(readdirSync(folder).sort(), ['LAB.txt', 'extension-key.pem']);
  assert.equal(statSync(join(folder, PUBLISHER_KEY_FILE)).mode & 0o777, 0o600);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.match(readFileSync(join(folder, 'LAB.txt'), 'utf8'), /^LAB: .*实验密钥/s);
  assert.match(first.extensionId, /^[a-p]{32}$/);
  assert.equal(first.privateKey.asymmetricKeyDetails?.modulusLength, 2048);
  const again = await openPublisherKey(dataDir);
  assert.equal(again.extensionId, first.extensionId);
  assert.deepEqual(again.publicKeySpki, first.publicKeySpki);
});

test('another system has another id', async (t) => {
  const [one, other] = await Promise.all([1, 2].map(() => openPublisherKey(temporaryFolder(t))));
  assert.notEqual(one?.extensionId, other?.extensionId);
});

test('gateway and installer at once: both get the key that is on the disk', async (t) => {
  const dataDir = temporaryFolder(t);
  const keys = await Promise.all([1, 2, 3, 4].map(() => openPublisherKey(dataDir)));
  const { extensionId } = await openPublisherKey(dataDir);
  assert.deepEqual(
    keys.map((key) => key.extensionId),
    [extensionId, extensionId, extensionId, extensionId],
  );
  assert.equal(readdirSync(join(dataDir, 'publisher')).length, 2, 'and nothing beside it');
});

const pem = { type: 'pkcs8', format: 'pem' } as const;
const ecKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const shortKey = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
for (const [what, text] of [
  ['an empty file', ''],
  ['no PEM', 'LAB'],
  ['a key on a curve', ecKey.export(pem).toString()],
  ['1024 bits', shortKey.export(pem).toString()],
  ['a public key', publicKey.export({ type: 'spki', format: 'pem' }).toString()],
] as const) {
  test(`refused and not replaced: ${what}`, async (t) => {
    const dataDir = temporaryFolder(t);
    writeFiles(dataDir, { 'publisher/extension-key.pem': text });
    await assert.rejects(openPublisherKey(dataDir), { code: 'ERR_PUBLISHER_KEY' });
    assert.equal(readFileSync(join(dataDir, 'publisher/extension-key.pem'), 'utf8'), text);
  });
}
