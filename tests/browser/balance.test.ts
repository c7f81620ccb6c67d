/**
 * The page library's `balance` on a page of the gateway, in a real Chromium: by the plug-in, with
 * the agent's service and without it, and by loopback. The person is told who asks and that nothing
 * is charged, and card, ledger and process table say that nothing was. Beside it the window of a
 * load, which says that it is one.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { imageOf } from '../../protocol/src/emv/icc/icc.test-kit.ts';
import {
  answerWindow,
  type Choices,
  openBrowser,
  Payer,
  pressBalance,
  untilState,
  withoutBrowser,
} from './browser.test-kit.ts';
import { answer, nextWindow, PluginBrowser, pressPay } from './plugin.test-kit.ts';
import { PluginSystem, PROCESS_END_MS } from './plugin-system.test-kit.ts';

const skip = withoutBrowser();
const plugin = new PluginSystem();
let browser: PluginBrowser;
/** Another one, without the plug-in. */
let plain: Browser;

const PURSE = 'purse';
const electronicCash = {
  balanceMinor: '48765',
  singleTransactionLimitMinor: '5000',
  resetThresholdMinor: '1000',
};
const IMAGE = JSON.stringify(imageOf({ request: { electronicCash } }));
const FOUND = { currency: '156', balanceMinor: '48765', panMasked: '629999******0009' };
const READ = [...['CONNECTING', 'CONSENT', 'WAIT_CARD', 'READING', 'REMOVE_CARD', 'BALANCE_READ']];

before(async () => {
  if (skip) return;
  await plugin.up();
  writeFileSync(join(plugin.dataDir, 'cards', `${PURSE}.json`), IMAGE);
  browser = await PluginBrowser.open(plugin);
  plain = await openBrowser();
});
after(async () => {
  await browser?.close();
  await plain?.close();
  await plugin.close();
});

/** How a look ended, and every state on the way. */
type Look = {
  readonly names: readonly string[];
  readonly end: {
    readonly name: string;
    readonly charged: string;
    readonly code: string | null;
    readonly balance: object | null;
  };
};

async function ended(page: Page): Promise<Look> {
  const look = await page.waitForFunction(() => (globalThis as { look?: unknown }).look);
  return (await look.jsonValue()) as Look;
}

const cardNow = (): string => readFileSync(join(plugin.dataDir, 'cards', `${PURSE}.json`), 'utf8');

/** A look by the plug-in's window. */
async function lookAt(page: Page, choices: Choices): Promise<Look> {
  const opened = nextWindow(browser.context);
  await pressBalance(page, plugin.system);
  const window = await opened;
  await window.locator('[data-state=consent]').waitFor();
  const who = (await window.locator('[data-test=who]').textContent()) ?? '';
  assert.ok(who.includes(plugin.gateway) && /Nothing is charged/.test(who), who);
  assert.equal(await window.locator('[data-test=amount]').count(), 0);
  await answer(window, choices);
  return await ended(page);
}

async function gatewayPage(): Promise<Page> {
  const { payUrl } = await plugin.system.createOrder({ amount: '5.00' });
  return await browser.openPayPage(payUrl);
}

for (const seat of ['with the service', 'without the service'] as const) {
  for (const by of ['contact', 'contactless'] as const) {
    test(`by the plug-in, ${seat}, by ${by}: told after the yes, and nothing moved`, {
      skip,
    }, async () => {
      if (seat === 'without the service') await plugin.withoutService();
      const was = await plugin.standing('debit');
      const page = await gatewayPage();
      const { names, end } = await lookAt(page, { card: PURSE, interface: by });
      assert.deepEqual(names, READ);
      assert.deepEqual(end, { name: 'BALANCE_READ', charged: 'no', code: null, balance: FOUND });
      assert.equal(cardNow(), IMAGE, 'no counter of the card has moved');
      assert.deepEqual(await plugin.standing('debit'), was);
      assert.ok(!plugin.hostLog().includes(FOUND.balanceMinor));
      await browser.closePages();
      assert.ok((await plugin.untilNothingLeft()) < PROCESS_END_MS);
    });
  }

  test(`by the plug-in, ${seat}: a no, a card without e-cash, a torn tap`, { skip }, async () => {
    const page = await gatewayPage();
    const no = await lookAt(page, { card: PURSE, interface: 'contact', consent: false });
    const cancelled = { name: 'CANCELLED', charged: 'no', code: 'TP_USER_CANCELLED' };
    assert.deepEqual(no.end, { ...cancelled, balance: null });
    assert.ok(!no.names.includes('READING'));
    await page.close();

    const without = await gatewayPage();
    const { end } = await lookAt(without, { card: 'debit', interface: 'contactless' });
    const unsupported = { name: 'DECLINED', charged: 'no', code: 'TP_CARD_UNSUPPORTED' };
    assert.deepEqual(end, { ...unsupported, balance: null });
    await without.close();

    const torn = await gatewayPage();
    const choices = { card: PURSE, interface: 'contactless', liftAfter: 2 } as const;
    assert.deepEqual((await lookAt(torn, choices)).end.balance, FOUND);
    assert.equal(cardNow(), IMAGE);
    await browser.closePages();
    assert.ok((await plugin.untilNothingLeft()) < PROCESS_END_MS);
  });

  test(`by the plug-in, ${seat}: the window of a load says so, and a no charges nothing`, {
    skip,
  }, async () => {
    const was = await plugin.standing('debit');
    const order = { amount: '50.00', kind: 'ecashLoad' } as const;
    const { orderId, payUrl } = await plugin.system.createOrder(order);
    const page = await browser.openPayPage(payUrl);
    const window = await pressPay(page);
    await window.locator('[data-state=consent]').waitFor();
    assert.match((await window.locator('h1').textContent()) ?? '', /Load this amount/);
    const hint = (await window.locator('#consent-hint').textContent()) ?? '';
    assert.match(hint, /from your bank account into the e-cash on your card/);
    await answer(window, { card: 'debit', interface: 'contact', consent: false });
    const { state, charged } = await untilState(page, 'CANCELLED', 'INTERRUPTED');
    assert.deepEqual([state, charged], ['CANCELLED', 'no']);
    const facts = { amountMinor: 0n, before: was, card: 'debit' };
    assert.equal((await plugin.settled(orderId, facts)).payment, 'none');
    await browser.closePages();
  });
}

test('by loopback, in a browser without the plug-in', { skip }, async () => {
  await plugin.withService();
  const payer = await Payer.open(plain, plugin.system);
  const { payUrl } = await plugin.system.createOrder({ amount: '5.00' });
  const page = await payer.openPayPage(payUrl);
  const opened = page.waitForEvent('popup');
  await pressBalance(page, plugin.system);
  const choices = { card: PURSE, interface: 'contactless' } as const;
  await answerWindow(await opened, plugin.system.ready.pairingCode, choices);
  const { names, end } = await ended(page);
  assert.deepEqual(end, { name: 'BALANCE_READ', charged: 'no', code: null, balance: FOUND });
  assert.ok(names.includes('NEED_PAIRING') && names.includes('CONSENT'), String(names));
  assert.equal(cardNow(), IMAGE);
  await payer.close();
});
