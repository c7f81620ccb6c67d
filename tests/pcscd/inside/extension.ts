/**
 * The card in a real reader pays through the extension: a whole system without the agent's service,
 * a real Chromium, the installed host with readers, the lab debit card offered to vpcd. What the
 * page says is compared with the gateway, the issuer's ledger and the card's own counter.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PcscReaders } from '@tapnpay/agent';
import type { Page } from 'playwright-core';
import { finalState, SANDBOX_PIN, untilState } from '../../browser/browser.test-kit.ts';
import { PluginBrowser, pressPay } from '../../browser/plugin.test-kit.ts';
import { PluginSystem, PROCESS_END_MS } from '../../browser/plugin-system.test-kit.ts';
import { SLOTS, TestSlot } from '../inside.test-kit.ts';

const CARD = 'debit';
/** The first test's time has the start of the system and of the browser in it. */
const START_TIMEOUT_MS = 80_000;
/** Longer than the agent grants a reader service to see a card. */
const AFTER_CONSENT_MS = 700;

const plugin = new PluginSystem();
const readers = new PcscReaders();
const slot = new TestSlot(readers, 0);
let browser: PluginBrowser;
let offered: ChildProcess | null = null;

before(
  async () => {
    await plugin.up('--readers');
    await plugin.withoutService();
    browser = await PluginBrowser.open(plugin);
  },
  { timeout: START_TIMEOUT_MS },
);
after(async () => {
  offered?.kill('SIGINT');
  await browser?.close();
  await readers.close();
  await plugin.close();
});

/** Puts the card into the reader, until the service sees it. */
async function insert(...more: readonly string[]): Promise<void> {
  const main = join(import.meta.dirname, '../../../cli/src/main.ts');
  const args = ['cards', 'insert', CARD, '--vpcd', '--data', plugin.dataDir, ...more];
  offered = spawn(process.execPath, [main, ...args], { stdio: 'ignore' });
  await slot.until(true);
}

async function pull(): Promise<void> {
  const card = offered;
  offered = null;
  const ended = new Promise((done) => card?.once('close', done));
  card?.kill('SIGINT');
  await ended;
  await slot.until(false);
}

/** A payment that waits for a card: page, window and order. */
async function waiting(amount: string): Promise<{ page: Page; window: Page; orderId: string }> {
  const { orderId, payUrl } = await plugin.system.createOrder({ amount });
  const page = await browser.openPayPage(payUrl);
  const window = await pressPay(page);
  await window.locator('[data-test=confirm]:enabled').click();
  await window.locator('[data-state=waitCard]').waitFor();
  await new Promise((done) => setTimeout(done, AFTER_CONSENT_MS));
  return { page, window, orderId };
}

async function enterPin(window: Page): Promise<void> {
  await window.locator('[data-state=waitPin]').waitFor();
  for (const digit of SANDBOX_PIN) await window.locator(`[data-test=pin-key-${digit}]`).click();
  await window.locator('[data-test=pin-ok]').click();
}

async function assertApproved(page: Page): Promise<void> {
  const end = await finalState(page);
  assert.deepEqual(end, { state: 'APPROVED', code: '', charged: 'yes' });
}

/** The reader is nobody's any more: another program can have the card for itself. */
async function assertFree(): Promise<void> {
  const session = await slot.reader.connect({ sharing: 'exclusive' });
  await session.disconnect();
}

test('contact with the PIN in the extension’s window: approved, and all books agree', {
  timeout: START_TIMEOUT_MS,
}, async () => {
  const was = await plugin.standing(CARD);
  const { page, window, orderId } = await waiting('12.34');
  assert.ok((await window.getByText(SLOTS[0]).count()) > 0, 'the window names the reader');
  await insert();
  await enterPin(window);
  await assertApproved(page);
  const facts = { amountMinor: 1234n, before: was, card: CARD };
  assert.deepEqual(await plugin.settled(orderId, facts), { order: 'paid', payment: 'captured' });
  assert.equal(plugin.counterOf(CARD) - was.counter, 1);
  await page.close();
  assert.ok((await plugin.untilNothingLeft()) < PROCESS_END_MS);
  await assertFree();
});

test('a card left in the reader is asked for nothing; pulled at the PIN it costs nothing', async () => {
  const was = await plugin.standing(CARD);
  const { page, window, orderId } = await waiting('5.00');
  await page.locator('[data-variant=takeOut]').waitFor();
  assert.deepEqual(await plugin.standing(CARD), was);
  await pull();
  await insert();
  await window.locator('[data-state=waitPin]').waitFor();
  await pull();
  await untilState(page, 'WAIT_CARD');
  await window.locator('[data-test=again]').waitFor();
  assert.equal((await plugin.standing(CARD)).ledgerMinor, was.ledgerMinor);
  await insert();
  await enterPin(window);
  await assertApproved(page);
  // Charged once, whatever the card counted when it was pulled.
  const facts = { amountMinor: 500n, before: was, card: CARD };
  assert.deepEqual(await plugin.settled(orderId, facts), { order: 'paid', payment: 'captured' });
  await pull();
  await page.close();
  assert.ok((await plugin.untilNothingLeft()) < PROCESS_END_MS);
});

test('contactless, tapped: approved without a PIN, one step of the counter', async () => {
  const was = await plugin.standing(CARD);
  const { page, orderId } = await waiting('1.00');
  await insert('--interface', 'contactless');
  await assertApproved(page);
  const facts = { amountMinor: 100n, before: was, card: CARD };
  assert.deepEqual(await plugin.settled(orderId, facts), { order: 'paid', payment: 'captured' });
  assert.equal(plugin.counterOf(CARD) - was.counter, 1);
  await pull();
  await page.close();
  assert.ok((await plugin.untilNothingLeft()) < PROCESS_END_MS);
});

test('pulled and never presented again, then cancelled: nothing was charged', async () => {
  const was = await plugin.standing(CARD);
  const { page, window, orderId } = await waiting('2.00');
  await insert();
  await window.locator('[data-state=waitPin]').waitFor();
  await pull();
  await untilState(page, 'WAIT_CARD');
  await window.locator('[data-state=waitCard] [data-test=cancel]').click();
  const end = await untilState(page, 'CANCELLED', 'INTERRUPTED');
  assert.equal(end.charged, 'no');
  const facts = { amountMinor: 200n, before: was, card: CARD };
  assert.deepEqual(await plugin.settled(orderId, facts), { order: 'open', payment: 'none' });
  assert.equal((await plugin.standing(CARD)).ledgerMinor, was.ledgerMinor);
  await page.close();
  assert.ok((await plugin.untilNothingLeft()) < PROCESS_END_MS);
});

test('no number of the card, and nothing that it answers to power, is in a log', () => {
  const logs = plugin.system.logs() + plugin.hostLog();
  assert.doesNotMatch(logs, /"atr"/i);
  assert.doesNotMatch(logs, new RegExp(plugin.panOf(CARD)));
});
