/** Shows the documentation page: whole in both languages, closed to everything, nothing unescaped. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { GATEWAY_ERRORS } from '../../errors.ts';
import { testGateway, testRandom } from '../../gateway.test-kit.ts';
import { openMerchantKeys } from '../../merchant-keys.ts';
import { buildHttp } from '../api.ts';
import { testHttpPorts } from '../http.test-kit.ts';
import { ROUTES } from '../routes.ts';
import { escaped } from './page.ts';
import { PROSE, WORDS } from './words.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-docs-'));
let app: FastifyInstance;
before(async () => {
  const keys = openMerchantKeys(dataDir, 'M1', testRandom(99));
  app = buildHttp(testHttpPorts(await testGateway(), { keys, dataDir }));
});
after(async () => {
  await app.close();
  rmSync(dataDir, { recursive: true });
});
const get = (url: string, language?: string): Promise<LightMyRequestResponse> =>
  app.inject({ url, headers: language === undefined ? {} : { 'accept-language': language } });

test('each page has every route, every code as an anchor, and an example of each call', async () => {
  for (const language of ['zh', 'en'] as const) {
    const { body, statusCode } = await get(`/docs?lang=${language}`);
    assert.equal(statusCode, 200);
    for (const route of ROUTES) {
      assert.ok(body.includes(`id="${route.id}"`), route.id);
      assert.ok(body.includes(escaped(route.summary[language])), route.id);
    }
    for (const [code, { text }] of Object.entries(GATEWAY_ERRORS)) {
      assert.ok(body.includes(`<tr id="${code}">`), code);
      assert.ok(body.includes(escaped(text[language])), code);
    }
    assert.equal(body.split('<pre').length - 1, ROUTES.length);
    assert.ok(body.includes('curl -X POST http://127.0.0.1:8420/v1/orders'));
  }
});

test('every link inside a page leads to an anchor of it, and no anchor is there twice', async () => {
  const { body } = await get('/docs?lang=en');
  const ids = [...body.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id ?? '');
  assert.equal(new Set(ids).size, ids.length);
  const targets = [...body.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id ?? '');
  assert.ok(targets.length > 100);
  for (const target of targets) assert.ok(ids.includes(target), target);
});

test('a reader gets the language asked for, else the browser’s, else Chinese', async () => {
  for (const [url, accepted, wanted] of [
    ['/docs?lang=en', 'zh-CN', 'en'],
    ['/docs?lang=zh', 'en', 'zh-CN'],
    ['/docs', 'en-GB,en;q=0.8', 'en'],
    ['/docs', 'zh-CN', 'zh-CN'],
    ['/docs', undefined, 'zh-CN'],
    ['/docs?lang=<script>', 'fr', 'zh-CN'],
  ] as const) {
    const { body } = await get(url, accepted);
    assert.ok(body.includes(`<html lang="${wanted}">`), `${url} ${accepted}`);
  }
});

test('the page may load its style sheet and nothing else; no script, no foreign address', async () => {
  const page = await get('/docs');
  const policy = String(page.headers['content-security-policy']);
  assert.match(policy, /default-src 'none'; style-src 'self'/);
  assert.ok(!policy.includes('script-src') && !policy.includes('unsafe'));
  assert.equal(page.headers['x-frame-options'], 'DENY');
  assert.equal(page.headers['x-content-type-options'], 'nosniff');
  assert.ok(!/<script|<iframe|<img| style="| on[a-z]+="/.test(page.body));
  const loaded = [...page.body.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, url]) => url);
  assert.ok(
    loaded.every((url) => url?.startsWith('/docs')),
    loaded.join(' '),
  );
  const style = await get('/docs/style.css');
  assert.match(String(style.headers['content-type']), /^text\/css/);
  assert.ok(!/url\(|@import/.test(style.body));
  const document = await get('/docs/openapi.json');
  assert.deepEqual(document.json()['servers'], [{ url: 'http://127.0.0.1:8420' }]);
});

test('markup in a text is shown, not obeyed', () => {
  assert.equal(escaped(`<a href="x">'&`), '&lt;a href=&quot;x&quot;&gt;&#39;&amp;');
  const texts = [
    ...Object.values(WORDS),
    ...PROSE.flatMap(({ title, paragraphs }) => [title, ...paragraphs]),
  ];
  for (const { en, zh } of texts) {
    assert.ok(en.length > 0 && zh.length > 0);
    assert.match(zh, /[\u4e00-\u9fff]|OpenAPI|English|HTTP/, zh);
  }
});
