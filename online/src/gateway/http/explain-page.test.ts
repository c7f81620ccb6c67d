/** The explainer's page is served as files, and its policy lets it connect nowhere. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type FastifyInstance, fastify } from 'fastify';
import { GatewayError } from '../errors.ts';
import { addExplainPage } from './explain-page.ts';

const folder = mkdtempSync(join(tmpdir(), 'explain-page-'));
mkdirSync(join(folder, 'assets'));
writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Explain</title>');
writeFileSync(join(folder, 'assets', 'main-1a2b.js'), 'export {};');
writeFileSync(join(folder, 'secret.txt'), 'secret');
after(() => rmSync(folder, { recursive: true, force: true }));

function serve(pagesDir: string | null): FastifyInstance {
  const app = fastify();
  app.setErrorHandler((thrown, _request, reply) => {
    reply.code(thrown instanceof GatewayError ? 503 : 500).send(thrown);
  });
  addExplainPage(app, pagesDir);
  return app;
}

test('page and script come with a policy that allows no connection at all', async () => {
  const app = serve(folder);
  for (const [url, type] of [
    ['/explain', /^text\/html/],
    ['/explain/', /^text\/html/],
    ['/explain/?lang=zh', /^text\/html/],
    ['/explain/assets/main-1a2b.js', /javascript/],
  ] as const) {
    const { statusCode, headers } = await app.inject({ url });
    assert.equal(statusCode, 200, url);
    assert.match(String(headers['content-type']), type);
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /connect-src 'none'/);
    assert.match(policy, /require-trusted-types-for 'script'/);
    assert.equal(headers['x-frame-options'], 'DENY');
  }
});

test('nothing beside its assets is served', async () => {
  const app = serve(folder);
  for (const url of [
    '/explain/secret.txt',
    '/explain/assets/../secret.txt',
    '/explain/assets/..%2fsecret.txt',
    '/explain/assets/none.js',
  ]) {
    const { statusCode, body } = await app.inject({ url });
    assert.ok(statusCode >= 400, url);
    assert.ok(!body.includes('secret\n') && body !== 'secret', url);
  }
});

test('a page that is not built says so', async () => {
  for (const pagesDir of [null, join(folder, 'missing')]) {
    assert.equal((await serve(pagesDir).inject({ url: '/explain' })).statusCode, 503);
  }
});
