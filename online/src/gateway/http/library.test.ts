/** The page library is served to the pages of any shop, and nothing beside it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import Fastify from 'fastify';
import { addLibrary } from './library.ts';

const folder = mkdtempSync(join(tmpdir(), 'library-'));
mkdirSync(join(folder, 'library'));
writeFileSync(join(folder, 'library', 'tapnpay.js'), 'export {};');
writeFileSync(join(folder, 'secret.txt'), 'none of yours');
after(() => rmSync(folder, { recursive: true }));

test('a module that a page of another origin may load', async () => {
  const app = Fastify();
  addLibrary(app, join(folder, 'library'));
  const answer = await app.inject('/library/tapnpay.js');
  assert.equal(answer.statusCode, 200);
  assert.match(String(answer.headers['content-type']), /javascript/);
  assert.equal(answer.headers['access-control-allow-origin'], '*');
  assert.equal(answer.headers['cross-origin-resource-policy'], 'cross-origin');
  for (const path of ['/library/', '/library/../secret.txt', '/library/..%2fsecret.txt']) {
    assert.ok([403, 404].includes((await app.inject(path)).statusCode), path);
  }
  await app.close();
});

test('a library that is not built is not there', async () => {
  const app = Fastify();
  addLibrary(app, null);
  addLibrary(app, join(folder, 'none'));
  assert.equal((await app.inject('/library/tapnpay.js')).statusCode, 404);
  await app.close();
});
