/**
 * Pages for everybody: axe-core finds no fault on any page in either language, a payment works with
 * the keyboard alone, the policy of each page holds, and the pay page's script stays small.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { tapnpay } from '../system.test-kit.ts';
import { browserSuite, finalState, Payer, presentCard, untilState } from './browser.test-kit.ts';

const { skip, system, browser } = browserSuite();
/** The script that the pay page loads first, before any compression. */
const PAY_SCRIPT_BYTES_MAX = 30 * 1024;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds, one line each. */
async function faults(page: Page): Promise<readonly string[]> {
  // Through the debugger: the page's own policy lets no script in, and that is as it should be.
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: axe });
  const { result } = await session.send('Runtime.evaluate', {
    expression: `axe.run().then(({ violations }) => JSON.stringify(violations.map(
      ({ id, nodes }) => id + ': ' + nodes.map((node) => node.target.join(' ')).join(', '))))`,
    awaitPromise: true,
  });
  await session.detach();
  return JSON.parse(String(result.value)) as string[];
}

test('positive control: axe finds a button without a name', { skip }, async () => {
  const context = await browser().newContext();
  const page = await context.newPage();
  await page.setContent('<!doctype html><html lang="en"><title>x</title><button></button></html>');
  assert.ok((await faults(page)).some((fault) => fault.startsWith('button-name')));
  await context.close();
});

for (const language of ['zh', 'en'] as const) {
  test(`axe finds nothing on any page (${language})`, { skip }, async (context) => {
    const payer = await Payer.open(browser(), system, { language });
    context.after(() => payer.close());
    const page = await payer.openPayPage((await payer.order('1.00')).payUrl);
    await page.locator('#language:not(:empty)').waitFor();
    assert.deepEqual(await faults(page), [], 'pay page, ready');
    const window = await payer.pressPay(page);
    await window.locator('[data-state=pairing]').waitFor();
    assert.deepEqual(await faults(window), [], 'window, pairing');
    await window.locator('[data-test=pairing-code]').fill(system.ready.pairingCode);
    await window.locator('[data-test=pairing-ok]').click();
    await window.locator('[data-state=consent]').waitFor();
    assert.deepEqual(await faults(window), [], 'window, consent');
    await window.locator('[data-test=confirm]').click();
    await window.locator('[data-state=waitCard]').waitFor();
    assert.deepEqual(await faults(window), [], 'window, card');
    assert.deepEqual(await faults(page), [], 'pay page, waiting');
    await presentCard(window, { card: 'debit', interface: 'contact' });
    await window.locator('[data-state=waitPin]').waitFor();
    assert.deepEqual(await faults(window), [], 'window, PIN');
    for (const digit of '123456') await window.locator(`[data-test=pin-key-${digit}]`).click();
    await window.locator('[data-test=pin-ok]').click();
    await untilState(page, 'APPROVED');
    assert.deepEqual(await faults(page), [], 'pay page, receipt');
    const look = await page.locator('[data-test=inside]').getAttribute('href');
    await page.goto(new URL(look ?? '', page.url()).href);
    await page.locator('[data-test=hop-14]').waitFor();
    assert.deepEqual(await faults(page), [], 'look inside');
    await page.goto(system.ready.wallet);
    await page.locator('[data-test=card-debit]').waitFor();
    assert.deepEqual(await faults(page), [], 'wallet');
    await page.goto(system.ready.shop);
    await page.locator('[data-test^=add-]').first().waitFor();
    assert.deepEqual(await faults(page), [], 'shop');
    await page.goto(`${system.ready.shop}/admin`);
    await page.locator('[data-test=admin-login]').waitFor();
    assert.deepEqual(await faults(page), [], 'administration');
  });
}

/** Presses Tab until the element has the focus. */
async function tabTo(page: Page, test: string): Promise<void> {
  // A button that comes up disabled takes no focus yet; a person tabs slower than this loop.
  await page.locator(`[data-test=${test}]:enabled`).waitFor();
  for (let count = 0; count < 80; count++) {
    const focused = await page.evaluate(() => document.activeElement?.getAttribute('data-test'));
    if (focused === test) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab never reaches ${test}`);
}

test('a payment with the keyboard alone', { skip }, async (context) => {
  const emptied = await tapnpay(['cards', 'take-away', '--data', system.dataDir]);
  assert.equal(emptied.code, 0, emptied.stderr);
  const payer = await Payer.open(browser(), system, { language: 'en' });
  context.after(() => payer.close());
  const page = await payer.openPayPage((await payer.order('1.00')).payUrl);
  await tabTo(page, 'pay');
  const opened = page.waitForEvent('popup');
  await page.keyboard.press('Enter');
  const window = await opened;
  await window.locator('[data-state=pairing]').waitFor();
  await tabTo(window, 'pairing-code');
  await window.keyboard.type(system.ready.pairingCode);
  await window.keyboard.press('Enter');
  await window.locator('[data-state=consent]').waitFor();
  await tabTo(window, 'confirm');
  await window.keyboard.press('Enter');
  await window.locator('[data-state=waitCard]').waitFor();
  await tabTo(window, 'card-debit');
  await window.keyboard.press('Space');
  await tabTo(window, 'insert');
  await window.keyboard.press('Enter');
  await window.locator('[data-state=waitPin]').waitFor();
  await window.keyboard.type('123456');
  await window.keyboard.press('Enter');
  assert.equal((await finalState(page)).state, 'APPROVED');
});

test('no page breaks its own policy, and each has one', { skip }, async () => {
  const payer = await Payer.open(browser(), system);
  const { payUrl } = await payer.order('1.00');
  for (const url of [
    system.ready.shop,
    payUrl,
    system.ready.wallet,
    `${system.ready.observer}/inside/x`,
  ]) {
    const page = await payer.context.newPage();
    const broken: string[] = [];
    page.on('console', (message) => {
      if (/Content Security Policy|TrustedScript|Trusted Type/i.test(message.text())) {
        broken.push(message.text());
      }
    });
    const response = await page.goto(url);
    await page.waitForLoadState('load');
    await page.locator('main, [role=main]').first().waitFor();
    assert.match(response?.headers()['content-security-policy'] ?? '', /require-trusted-types-for/);
    assert.deepEqual(broken, [], url);
    const isClosed = await page.evaluate(() => {
      try {
        document.body.setHTMLUnsafe('<img src=x onerror=alert(1)>');
        return false;
      } catch {
        return true;
      }
    });
    assert.equal(isClosed, true, `${url} takes markup from a script`);
    await page.close();
  }
  await payer.close();
});

test('the pay page loads less than 30 KB of script first', { skip }, () => {
  const pages = join(import.meta.dirname, '../../web/dist/pay');
  const assets = join(pages, 'assets');
  const html = readFileSync(join(pages, 'index.html'), 'utf8');
  // What a receipt, a doctor or a browser without the extension needs is loaded when it is needed.
  const scripts = readdirSync(assets).filter((file) => file.endsWith('.js') && html.includes(file));
  const bytes = scripts.reduce((sum, file) => sum + statSync(join(assets, file)).size, 0);
  assert.ok(bytes > 0 && bytes < PAY_SCRIPT_BYTES_MAX, `${bytes} bytes`);
});
