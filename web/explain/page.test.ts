/**
 * The page in a real Chromium, under the real policy: paste, guess, point at bytes, keys that
 * verify, both languages, keyboard, a phone, axe; and not one request after the page has come.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { pageHeaders } from '@tapnpay/protocol/wire';
import { type Browser, chromium, type Page } from 'playwright-core';
import { build } from 'vite';

const CHROMIUM = '/usr/bin/chromium';
const isMissing = !existsSync(CHROMIUM) && !process.env['CI'];
const skip = isMissing && 'chromium is not installed (apt-get install chromium)';
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const TIMEOUT_MS = 10_000;
const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.html': 'text/html; charset=utf-8',
};

let browser: Browser;
let server: Server;
let folder: string;
before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'tapnpay-explain-'));
  await build({
    root: import.meta.dirname,
    base: '/explain/',
    configFile: false,
    logLevel: 'error',
    publicDir: false,
    build: {
      outDir: folder,
      emptyOutDir: true,
      assetsInlineLimit: 0,
      modulePreload: false,
      target: 'es2023',
    },
  });
  const headers = pageHeaders({});
  const policy = headers['content-security-policy'] ?? '';
  const strict = policy.replace("connect-src 'self'", "connect-src 'none'");
  server = createServer((request, response) => {
    const path = (request.url ?? '/').replace(/\?.*$/, '').replace(/^\/explain\/?/, '');
    const file = join(folder, path === '' ? 'index.html' : path);
    const isFound = existsSync(file);
    const type = TYPES[extname(file)] ?? 'text/plain';
    const all = { ...headers, 'content-security-policy': strict, 'content-type': type };
    response.writeHead(isFound ? 200 : 404, all);
    response.end(isFound ? readFileSync(file) : '');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  browser = await chromium.launch({ executablePath: CHROMIUM, args });
});
after(async () => {
  await browser?.close();
  server?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Opens the page; fails when it complained or asked for anything after it had come. */
async function withPage(
  options: { readonly query?: string; readonly phone?: boolean },
  work: (page: Page) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({
    viewport: options.phone ? { width: 390, height: 844 } : { width: 1280, height: 900 },
    locale: 'en-GB',
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  context.setDefaultTimeout(TIMEOUT_MS);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (fault) => complaints.push(String(fault)));
  const { port } = server.address() as AddressInfo;
  try {
    await page.goto(`http://127.0.0.1:${port}/explain${options.query ?? '?lang=en'}`);
    await page.waitForSelector('#data');
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    await work(page);
    assert.deepEqual(complaints, []);
    assert.deepEqual(requests, [], 'nothing leaves the page');
  } finally {
    await context.close();
  }
}

const kindOf = (page: Page): Promise<string | null> =>
  page.locator('[data-test=kind]').textContent();

test('pasted hex is guessed, shown byte by byte, and says that it stays here', { skip }, () =>
  withPage({}, async (page) => {
    assert.match((await page.locator('[data-test=privacy]').textContent()) ?? '', /nothing/);
    await page.fill('#data', '=> 95: 0000048800');
    await page.fill('#data', '9F02 06 000000001234 9505 0000048800 9C 01 00');
    // The first text may have been drawn already.
    await page.locator('[data-test=kind]', { hasText: /^tlv$/ }).waitFor();
    assert.equal(await page.locator('.byte').count(), 19);
    await page.hover('.node-line:has-text("Terminal Verification Results")');
    assert.equal(await page.locator('.byte.marked').count(), 7, 'tag, length and value');
    await page.click('.byte[data-at="1"]');
    assert.match((await page.locator('.node-line.shown').textContent()) ?? '', /9F02/);
  }),
);

test('an example with its key: the MAC passes, another key fails it', { skip }, () =>
  withPage({}, async (page) => {
    await page.click('#example-frame');
    assert.equal(await kindOf(page), 'iso8583');
    assert.match((await page.locator('[data-test=check-mac]').textContent()) ?? '', /passed/);
    assert.ok(!((await page.locator('#result').textContent()) ?? '').includes('6299990000000017'));
    await page.fill('#keys', `mak=${'22'.repeat(16)}`);
    await page.waitForSelector('[data-test=check-mac].failed');
    await page.check('#unmask');
    await page.waitForFunction(() =>
      document.getElementById('result')?.textContent?.includes('6299990000000017'),
    );
  }),
);

test('errors say where: a refusal has code and byte, a finding its place', { skip }, () =>
  withPage({}, async (page) => {
    await page.selectOption('#kind', 'iso8583');
    await page.fill('#data', 'FFFFFFFF');
    await page.waitForSelector('.refusal');
    assert.match(
      (await page.locator('.refusal').textContent()) ?? '',
      /ERR_EXPLAIN_FORMAT · byte 0/,
    );
    await page.fill('#keys', 'nonsense');
    await page.waitForFunction(() =>
      document.querySelector('.refusal')?.textContent?.includes('1'),
    );
    await page.fill('#keys', '');
    await page.fill('#data', '600123000030383130002000000280000031323334353630303337');
    await page.waitForSelector('[data-test=ISO8583_TRUNCATED]');
  }),
);

test('languages change without a reload and keep what was pasted; copying works', { skip }, () =>
  withPage({}, async (page) => {
    await page.fill('#data', '95: 0000048800');
    await page.waitForSelector('[data-test=kind]');
    await page.click('[data-test=language]');
    assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
    assert.equal(await page.inputValue('#data'), '95: 0000048800');
    assert.match((await page.locator('#result').textContent()) ?? '', /终端验证结果/);
    await page.click('[data-test=copy-json]');
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(JSON.parse(copied).kind, 'tag');
    await page.click('[data-test=copy-text]');
    await page.waitForFunction(async () =>
      (await navigator.clipboard.readText()).includes('终端验证结果'),
    );
  }),
);

test('the keyboard reaches everything: form, lines of the tree by arrows', { skip }, () =>
  withPage({}, async (page) => {
    await page.click('#example-field55');
    await page.locator('.place').first().focus();
    await page.keyboard.press('ArrowDown');
    const focused = await page.evaluate(() => document.activeElement?.textContent ?? '');
    assert.equal(focused, await page.locator('.place').nth(1).textContent());
    assert.ok((await page.locator('.byte.marked').count()) > 0);
  }),
);

test('a phone needs no sideways scrolling; axe finds nothing in either theme', { skip }, () =>
  withPage({ phone: true, query: '?lang=zh' }, async (page) => {
    const axe = readFileSync(AXE, 'utf8');
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      for (const example of ['frame', 'log', 'signIn']) {
        await page.click(`#example-${example}`);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= 390, `${example}: ${width}`);
        const found = (await page.evaluate(`${axe}; axe.run()`)) as {
          readonly violations: readonly {
            readonly id: string;
            readonly nodes: readonly unknown[];
          }[];
        };
        assert.deepEqual(
          found.violations.map(({ id, nodes }) => [id, JSON.stringify(nodes).slice(0, 300)]),
          [],
        );
      }
    }
  }),
);
