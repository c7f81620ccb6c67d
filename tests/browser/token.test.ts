/**
 * The page library's `token` on a page of the gateway, in a real Chromium, by the plug-in and by
 * loopback: the window shows what the card signs, the digits reach the page, and the issuer accepts
 * them once. Nothing is charged.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { iccSummary, parseIccImage } from '@tapnpay/protocol/emv/data';
import type { TokenWish } from '@tapnpay/protocol/wire';
import type { Browser, Page } from 'playwright-core';
import {
  answerWindow,
  openBrowser,
  Payer,
  pressToken,
  withoutBrowser,
} from './browser.test-kit.ts';
import { answer, nextWindow, PluginBrowser } from './plugin.test-kit.ts';
import { PluginSystem, PROCESS_END_MS } from './plugin-system.test-kit.ts';

const skip = withoutBrowser();
const plugin = new PluginSystem();
let browser: PluginBrowser;
/** Another one, without the plug-in. */
let plain: Browser;

const SIGN: TokenWish = { mode: 'sign', data: ['PAY 100.00 CNY', 'TO 6225880000000001'] };
const CARD = { card: 'debit', interface: 'contact' } as const;

before(async () => {
  if (skip) return;
  await plugin.up();
  browser = await PluginBrowser.open(plugin);
  plain = await openBrowser();
});
after(async () => {
  await browser?.close();
  await plain?.close();
  await plugin.close();
});

type Look = {
  readonly names: readonly string[];
  readonly end: {
    readonly name: string;
    readonly charged: string;
    readonly code: string | null;
    readonly token: string | null;
  };
};

async function ended(page: Page): Promise<Look> {
  const look = await page.waitForFunction(() => (globalThis as { look?: unknown }).look);
  return (await look.jsonValue()) as Look;
}

/** What the issuer says of a token of the card. */
async function verdictOf(token: string | null, mode: TokenWish): Promise<string> {
  const file = (...path: string[]): string => readFileSync(join(plugin.dataDir, ...path), 'utf8');
  const { pan } = iccSummary(parseIccImage(file('cards', 'debit.json')));
  const { ports } = JSON.parse(file('system.json'));
  const response = await fetch(`http://127.0.0.1:${ports.issuerTokens}/v1/tokens/verify`, {
    method: 'POST',
    headers: { authorization: `Bearer ${file('issuer', 'token-key').trim()}` },
    body: JSON.stringify({ pan, token, mode }),
  });
  return ((await response.json()) as { verdict: string }).verdict;
}

async function gatewayPage(): Promise<Page> {
  const { payUrl } = await plugin.system.createOrder({ amount: '5.00' });
  return await browser.openPayPage(payUrl);
}

test('by the plug-in: what is signed is shown, the issuer accepts the digits once', {
  skip,
}, async () => {
  const was = await plugin.standing('debit');
  const page = await gatewayPage();
  const opened = nextWindow(browser.context);
  await pressToken(page, plugin.system, SIGN);
  const window = await opened;
  await window.locator('[data-state=consent]').waitFor();
  const shown = (await window.locator('[data-test=token-data]').textContent()) ?? '';
  assert.ok(shown.includes('PAY 100.00 CNY') && shown.includes('TO 6225880000000001'), shown);
  const who = (await window.locator('[data-test=who]').textContent()) ?? '';
  assert.ok(who.includes(plugin.gateway) && /Nothing is charged/.test(who), who);
  await answer(window, CARD);
  const { names, end } = await ended(page);
  assert.deepEqual([end.name, end.charged, end.code], ['TOKEN_MADE', 'no', null]);
  assert.ok(names.includes('CONSENT') && names.includes('WAIT_CARD'), String(names));
  assert.equal(await verdictOf(end.token, { mode: 'plain' }), 'refused', 'it is for these words');
  assert.equal(await verdictOf(end.token, SIGN), 'accepted');
  assert.equal(await verdictOf(end.token, SIGN), 'refused');
  const { ledgerMinor, counter } = await plugin.standing('debit');
  assert.deepEqual([ledgerMinor, counter], [was.ledgerMinor, was.counter + 1]);
  assert.ok(!plugin.hostLog().includes(String(end.token)));
  await browser.closePages();
  assert.ok((await plugin.untilNothingLeft()) < PROCESS_END_MS);
});

test('by the plug-in: a no gives no token and asks no card', { skip }, async () => {
  const page = await gatewayPage();
  const opened = nextWindow(browser.context);
  await pressToken(page, plugin.system, { mode: 'plain' });
  const window = await opened;
  await answer(window, { ...CARD, consent: false });
  const { names, end } = await ended(page);
  const none = { name: 'CANCELLED', charged: 'no', code: 'TP_USER_CANCELLED', token: null };
  assert.deepEqual(end, none);
  assert.ok(!names.includes('READING'));
  await browser.closePages();
});

test('by loopback, in a browser without the plug-in', { skip }, async () => {
  await plugin.withService();
  const payer = await Payer.open(plain, plugin.system);
  const { payUrl } = await plugin.system.createOrder({ amount: '5.00' });
  const page = await payer.openPayPage(payUrl);
  const opened = page.waitForEvent('popup');
  const wish: TokenWish = { mode: 'challenge', challenge: '20261130' };
  await pressToken(page, plugin.system, wish);
  await answerWindow(await opened, plugin.system.ready.pairingCode, CARD);
  const { end } = await ended(page);
  assert.equal(end.name, 'TOKEN_MADE', end.code ?? '');
  assert.equal(await verdictOf(end.token, wish), 'accepted');
  await payer.close();
});
