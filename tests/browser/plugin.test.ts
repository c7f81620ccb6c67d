/**
 * Whole purchases by the plug-in in a real Chromium: shop, pay page, extension, native host,
 * element, gateway; with the agent's service running, which has element and cards then, and without
 * it. What the page says is compared with gateway, ledger and the card's counter.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { finalState, untilSays, untilState, withoutBrowser } from './browser.test-kit.ts';
import { answer, nextWindow, PluginBrowser, payByPlugin, pressPay } from './plugin.test-kit.ts';
import { soak } from './plugin-soak.test-kit.ts';
import { PluginSystem, PROCESS_END_MS } from './plugin-system.test-kit.ts';

const skip = withoutBrowser();
const plugin = new PluginSystem();
let browser: PluginBrowser;

before(async () => {
  if (skip) return;
  await plugin.up();
  browser = await PluginBrowser.open(plugin);
});
after(async () => {
  await browser?.close();
  await plugin.close();
});

const CARD = 'debit';

/** Chooses an article of the shop and goes to the pay page; answers the order's id. */
async function shop(page: Page, article: number): Promise<string> {
  await page.goto(plugin.system.ready.shop);
  await page.locator('[data-test^=add-]').nth(article).click();
  await page.locator('[data-test=cart]').click();
  await page.locator('[data-test=checkout]').click();
  await page.waitForURL(/\/pay\//);
  return new URL(page.url()).pathname.split('/').at(-1) ?? '';
}

const digitsOf = (text: string | null | undefined): string => (text ?? '').replace(/\D/g, '');

/** What the window shows of the payment. */
async function shown(window: Page): Promise<readonly (string | null)[]> {
  const text = (test: string) => window.locator(`[data-test=${test}]`).textContent();
  return [await text('amount'), await text('gateway-origin'), await text('origin')];
}

/** Gateway and ledger say so; each payment of this file has an amount of its own. */
async function assertPaid(orderId: string, amountMinor: bigint): Promise<void> {
  const settled = await plugin.settled(orderId, { amountMinor });
  assert.deepEqual(settled, { order: 'paid', payment: 'captured' });
  assert.equal(await plugin.ledgerMinor(amountMinor), amountMinor);
}

for (const [at, seat] of ['with the service', 'without the service'].entries()) {
  test(`from the shop to the paid order, by contact with PIN, ${seat}`, { skip }, async () => {
    if (seat === 'without the service') await plugin.withoutService();
    const was = plugin.counterOf(CARD);
    const page = await browser.context.newPage();
    const orderId = await shop(page, at);
    const asked = (await page.locator('[data-field=amount]').textContent()) ?? '';
    const window = await pressPay(page);
    await window.locator('[data-state=consent]').waitFor();
    const [amount, gatewayOrigin, origin] = await shown(window);
    assert.equal(digitsOf(amount), digitsOf(asked));
    assert.equal(gatewayOrigin, plugin.gateway);
    assert.equal(origin, plugin.system.ready.shop);
    await answer(window, { card: CARD, interface: 'contact' });
    const end = await finalState(page);
    assert.deepEqual([end.state, end.charged], ['APPROVED', 'yes']);
    await page.locator('[data-test=back]').click();
    await page.locator('[data-test=order-state][data-state=paid]').waitFor();
    const amountMinor = BigInt(digitsOf(asked));
    await assertPaid(orderId, amountMinor);
    assert.equal(plugin.counterOf(CARD) - was, 1);
    await page.close();
    assert.ok((await plugin.untilNothingLeft()) < PROCESS_END_MS);
  });
  test(`a tap below the limit asks no PIN, ${seat}`, { skip }, async () => {
    const was = plugin.counterOf(CARD);
    const { orderId, payUrl } = await plugin.system.createOrder({ amount: `12.0${at}` });
    const page = await browser.openPayPage(payUrl);
    const end = await payByPlugin(page, { card: CARD, interface: 'contactless', pin: 'none' });
    assert.deepEqual([end.state, end.charged], ['APPROVED', 'yes']);
    await assertPaid(orderId, BigInt(1200 + at));
    assert.equal(plugin.counterOf(CARD) - was, 1);
    await page.close();
  });

  test(`a second tab is told who pays, ${seat}; its own order stays`, { skip }, async () => {
    const was = plugin.counterOf(CARD);
    const [one, other] = [
      await plugin.system.createOrder({ amount: `3.0${at}` }),
      await plugin.system.createOrder({ amount: `4.0${at}` }),
    ];
    const page = await browser.openPayPage(one.payUrl);
    const window = await pressPay(page);
    await window.locator('[data-test=confirm]:enabled').click();
    await untilState(page, 'WAIT_CARD');
    const second = await browser.openPayPage(other.payUrl);
    await second.locator('[data-test=pay]').click();
    const busy = await untilState(second, 'INTERRUPTED', 'DECLINED', 'CANCELLED');
    assert.deepEqual(busy, { state: 'INTERRUPTED', code: 'TP_BUSY', charged: 'no' });
    await untilSays(second, new RegExp(plugin.gateway));
    await answer(window, { card: CARD, interface: 'contactless' });
    assert.equal((await finalState(page)).state, 'APPROVED');
    // What the first one held is free, and the second goes on where it stood.
    const again = nextWindow(browser.context);
    await second.locator('[data-test=retry]').click();
    await answer(await again, { card: CARD, interface: 'contactless' });
    assert.deepEqual(await untilState(second, 'APPROVED'), {
      state: 'APPROVED',
      code: '',
      charged: 'yes',
    });
    await assertPaid(one.orderId, BigInt(300 + at));
    await assertPaid(other.orderId, BigInt(400 + at));
    assert.equal(plugin.counterOf(CARD) - was, 2);
    await browser.closePages();
    assert.ok((await plugin.untilNothingLeft()) < PROCESS_END_MS);
  });
}

test('ten payments in a row leave no process behind', { skip }, async () => {
  const { hostsMax, ...counts } = await soak({ plugin, browser, payments: 10 });
  assert.deepEqual(counts, { approved: 10, hosts: 0, elements: 0, counter: 10 });
  assert.ok(hostsMax <= 1, `${hostsMax} hosts after a payment`);
});
