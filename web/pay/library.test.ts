/**
 * Shows that the page library is small, and that the example shop's page pays an order with it, on
 * an origin of its own, under a strict policy with Trusted Types.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { pageHeaders } from '@tapnpay/protocol/wire';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { LIBRARY_FILE, libraryBuild } from '../library.ts';
import { plainImports } from '../plain-imports.ts';
import { ORDER_ID, payment } from './pay.test-kit.ts';
import { newPerson, skip, theSystem, until } from './suite.test-kit.ts';

/** What a shop's page loads, minified, in bytes. */
const SHOP_BYTES_MAX = 15_000;
/** The whole library with the engine of the gateway's pages: minified, and as it is transferred. */
const WHOLE_BYTES_MAX = 32_000;
const WHOLE_GZIP_BYTES_MAX = 15_000;
const EXAMPLE = join(import.meta.dirname, '../../plugin/example');
const EXAMPLE_LINES_MAX = 10;

type Chunk = { readonly fileName: string; readonly code: string; readonly imports: string[] };

/** The chunks of the built library. */
async function chunks(): Promise<readonly Chunk[]> {
  const built = await build(libraryBuild(null));
  const outputs = (Array.isArray(built) ? built : [built]) as readonly { output: Chunk[] }[];
  return outputs.flatMap(({ output }) => output);
}

describe('the library', () => {
  test('is under 15 KB for a shop, and under 15 KB as a whole when it is transferred', async () => {
    const all = await chunks();
    const needed = new Set<string>();
    const need = (file: string): void => {
      if (needed.has(file)) return;
      needed.add(file);
      for (const next of all.find(({ fileName }) => fileName === file)?.imports ?? []) need(next);
    };
    need(LIBRARY_FILE);
    const sum = (some: readonly Chunk[]): number =>
      some.reduce((bytes, { code }) => bytes + Buffer.byteLength(code), 0);
    const shop = sum(all.filter(({ fileName }) => needed.has(fileName)));
    const whole = sum(all);
    const gzip = gzipSync(all.map(({ code }) => code).join('')).length;
    const said = `${shop} for a shop, ${whole} in all, ${gzip} transferred`;
    assert.ok(shop > 1_000 && shop < SHOP_BYTES_MAX, said);
    assert.ok(whole > shop && whole < WHOLE_BYTES_MAX, said);
    assert.ok(gzip < WHOLE_GZIP_BYTES_MAX, said);
  });

  test('makes no script of text, and writes no markup', async () => {
    for (const { fileName, code } of await chunks()) {
      const found = /\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write/;
      assert.doesNotMatch(code, found, fileName);
    }
  });

  test('the example shop’s script has ten lines', () => {
    const lines = readFileSync(join(EXAMPLE, 'main.ts'), 'utf8')
      .split('\n')
      .filter((line) => line.trim() !== '' && !line.startsWith('/**'));
    assert.ok(lines.length <= EXAMPLE_LINES_MAX, `${lines.length} lines`);
  });
});

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
};

/** The example's page on an origin of its own, with the policy of our own pages. */
async function serveExample(folder: string): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://shop').pathname;
    const file = path === '/' ? '/index.html' : path;
    const gateway = new URL(theSystem().payUrl).origin;
    response.writeHead(200, {
      ...pageHeaders({ connect: [gateway] }),
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    });
    response.end(existsSync(join(folder, file)) ? readFileSync(join(folder, file)) : '');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
}

describe('the example shop', { skip }, () => {
  test('opens the gateway’s page in the click, and thanks when the order is paid', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tapnpay-shop-'));
    await build({
      root: EXAMPLE,
      configFile: false,
      logLevel: 'error',
      plugins: [plainImports],
      publicDir: false,
      build: { outDir: folder, emptyOutDir: true, modulePreload: false, target: 'es2023' },
    });
    const shop = await serveExample(folder);
    const { origin } = new URL(shop.url);
    theSystem().order = { origin };
    try {
      const context = await newPerson({});
      const page = await context.newPage();
      const troubles: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error') troubles.push(message.text());
      });
      const gatewayUrl = new URL(theSystem().payUrl).origin;
      const query = new URLSearchParams({ orderId: ORDER_ID, gatewayUrl });
      await page.goto(`${shop.url}?${query}`);
      const [payPage]: [Page, unknown] = await Promise.all([
        context.waitForEvent('page'),
        page.click('#pay'),
      ]);
      await until(payPage, 'READY');
      assert.equal(payPage.url(), theSystem().payUrl);
      await page.getByText('AT_GATEWAY').waitFor();
      theSystem().order = { origin, status: 'paid', payment: payment() };
      await page.getByText('Thank you!').waitFor();
      assert.deepEqual(troubles, []);
    } finally {
      await shop.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
