/** Shows the built pay page in a real Chromium, before a gateway and an agent that play their parts. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { AgentState } from '@tapnpay/protocol/wire';
import type { Page } from 'playwright-core';
import { PAIR_SCRIPT, payment, RECEIPT } from './pay.test-kit.ts';
import {
  accessibilityFaults,
  heard,
  open,
  pagesFolder,
  paying,
  skip,
  text,
  theSystem,
  troubles,
  until,
} from './suite.test-kit.ts';

/** The script that the page loads before anything is asked of it, minified, in bytes. */
const SCRIPT_BYTES_MAX = 30_000;
/** With what a receipt, a doctor or a browser without the extension loads besides. */
const ALL_SCRIPT_BYTES_MAX = 56_000;
const WAIT_CARD: AgentState = {
  name: 'waitCard',
  interfaces: ['contact', 'contactless'],
  attempt: 1,
  reason: null,
  deadlineMs: Number.MAX_SAFE_INTEGER,
  takeOutFirst: false,
};

const panel = (page: Page): ReturnType<Page['locator']> => page.locator('#panel');
const title = (page: Page): Promise<string> => text(page, 'h1');

describe('the pay page', { skip }, () => {
  test('is small, and its policy is never broken', async () => {
    const assets = join(pagesFolder(), 'assets');
    const html = readFileSync(join(pagesFolder(), 'index.html'), 'utf8');
    const scripts = readdirSync(assets).filter((file) => file.endsWith('.js'));
    const sizeOf = (file: string): number => statSync(join(assets, file)).size;
    const first = scripts.filter((file) => html.includes(file));
    assert.equal(first.length, 1, 'one script is loaded first');
    const script = readFileSync(join(assets, first[0] ?? ''), 'utf8');
    assert.doesNotMatch(script, /^import[ {"'*]|;import[ {"'*]/, 'and nothing with it');
    const bytes = sizeOf(first[0] ?? '');
    assert.ok(bytes > 1_000 && bytes < SCRIPT_BYTES_MAX, `${bytes} bytes of script`);
    const all = scripts.reduce((sum, file) => sum + sizeOf(file), 0);
    assert.ok(all < ALL_SCRIPT_BYTES_MAX, `${all} bytes of script in all`);
    assert.doesNotMatch(html, /\sstyle=|<style|\son\w+=|<script>/);
    const page = await open();
    await until(page, 'READY');
    assert.deepEqual(troubles, []);
    const isRefused = await page.evaluate(() => {
      try {
        document.body.innerHTML = '<b>x</b>';
        return false;
      } catch {
        return true;
      }
    });
    assert.equal(isRefused, true, 'Trusted Types are on');
  });

  test('shows amount, merchant and order first, as text', async () => {
    theSystem().order = {
      merchantName: '<img src=x onerror=alert(1)>',
      merchantOrderNumber: 'A&B',
    };
    const page = await open();
    await until(page, 'READY');
    assert.equal(await text(page, '[data-field=merchant]'), '<img src=x onerror=alert(1)>');
    assert.equal(await text(page, '[data-field=amount]'), '¥128.50');
    assert.equal(await text(page, '[data-field=orderNumber]'), 'A&B');
    assert.equal(await page.isVisible('#sandbox'), true);
    assert.match(await page.title(), /¥128\.50/);
    theSystem().order = { sandbox: false };
    await page.reload();
    await until(page, 'READY');
    assert.equal(await page.isVisible('#sandbox'), false);
  });

  test('walks through a payment to its receipt', async () => {
    const { page } = await paying({ name: 'consent' });
    await until(page, 'CONSENT');
    for (const [state, name, said] of [
      [WAIT_CARD, 'WAIT_CARD', 'Tap or insert your card'],
      [{ name: 'reading', interface: 'contact' }, 'READING', 'Reading, leave the card in'],
      [
        { name: 'waitPin', deadlineMs: Number.MAX_SAFE_INTEGER },
        'WAIT_PIN',
        'Enter your PIN in the payment window',
      ],
      [
        { name: 'authorising', interface: 'contact' },
        'AUTHORISING',
        'Processing, keep the card in',
      ],
      [{ name: 'removeCard' }, 'REMOVE_CARD', 'You can take your card back'],
    ] as const) {
      theSystem().state(state);
      await until(page, name);
      assert.equal(await title(page), said);
      assert.match(await text(page, '[role=status]'), new RegExp(said));
    }
    assert.equal(await page.locator('[data-test=cancel]').count(), 0);
    theSystem().order = { status: 'paid', payment: payment() };
    theSystem().result({});
    await until(page, 'APPROVED');
    assert.equal(await panel(page).getAttribute('data-charged'), 'yes');
    const receipt = await text(page, '[data-test=receipt]');
    for (const fact of [
      '898310000000001',
      '10000001',
      'Online PIN',
      'Chip, inserted',
      '0017',
      RECEIPT.aid,
      RECEIPT.arqc,
      RECEIPT.second ?? '',
      RECEIPT.tvr,
      RECEIPT.tsi ?? '',
      RECEIPT.approvalCode ?? '',
      RECEIPT.stan,
      RECEIPT.retrievalReference,
    ]) {
      assert.ok(receipt.includes(fact), `${fact} in ${receipt}`);
    }
    const back = await page.getAttribute('[data-test=back]', 'href');
    assert.match(back ?? '', /^https:\/\/shop\.greenleaf\.example\/orders\/42\?from=pay&orderId=/);
    assert.match((await page.getAttribute('[data-test=inside]', 'href')) ?? '', /inside\.example/);
    assert.deepEqual(troubles, []);
  });

  test('a way back that is no web address leads to the shop’s front page', async () => {
    theSystem().order = { status: 'paid', payment: payment(), returnUrl: 'javascript:alert(1)' };
    const page = await open();
    await until(page, 'APPROVED');
    const back = await page.getAttribute('[data-test=back]', 'href');
    assert.equal(back, 'https://shop.greenleaf.example');
  });

  test('pairs in the window and goes on by itself; forged tokens are nothing', async () => {
    theSystem().isPaired = false;
    const page = await open();
    await until(page, 'READY');
    const opened = page.waitForEvent('popup');
    await page.click('[data-test=pay]');
    const window = await opened;
    await until(page, 'NEED_PAIRING');
    await page.evaluate(() => {
      postMessage({ type: 'tapnpay-paired', token: 'a-token-of-this-agent' }, '*');
    });
    await page.waitForTimeout(200);
    await until(page, 'NEED_PAIRING');
    await window.evaluate(PAIR_SCRIPT(new URL(page.url()).origin));
    await heard('pay');
    await until(page, 'CONNECTING');
    // The token is kept: the next payment asks for no pairing.
    await page.reload();
    await until(page, 'READY');
    theSystem().heard.length = 0;
    await page.click('[data-test=pay]');
    await heard('pay');
  });

  test('a double click starts one payment', async () => {
    const page = await open();
    await until(page, 'READY');
    await page.dblclick('[data-test=pay]');
    await heard('pay');
    await page.waitForTimeout(300);
    assert.equal(theSystem().heard.filter(({ type }) => type === 'pay').length, 1);
  });

  test('changes its language without a reload, in the middle of a payment', async () => {
    const { page } = await paying(WAIT_CARD);
    await until(page, 'WAIT_CARD');
    await page.click('[data-test=language]');
    await page.getByText('请挥卡或插卡').first().waitFor();
    assert.equal(await page.getAttribute('html', 'lang'), 'zh-CN');
    await until(page, 'WAIT_CARD');
    await page.click('[data-test=language]');
    await page.getByText('Tap or insert your card').first().waitFor();
    assert.equal(theSystem().heard.filter(({ type }) => type === 'pay').length, 1);
  });

  test('Escape cancels a running payment, and never an order', async () => {
    const { page } = await paying(WAIT_CARD);
    await until(page, 'WAIT_CARD');
    await page.bringToFront();
    await page.keyboard.press('Escape');
    await heard('cancel');
    theSystem().result({ outcome: 'cancelled', charged: 'no', reason: 'ERR_USER_CANCELLED' });
    await until(page, 'CANCELLED');
    await page.keyboard.press('Escape');
    await page.waitForTimeout(200);
    await until(page, 'CANCELLED');
    assert.equal(await page.isVisible('[data-test=retry]'), true);
    await page.click('[data-test=cancel]');
    await page.getByText('This order was cancelled').first().waitFor();
    assert.equal(await page.locator('[data-test=retry]').count(), 0);
  });

  test('reloaded after the seal: do not pay again, then the truth', async () => {
    const { page } = await paying({ name: 'authorising', interface: 'contact' });
    await until(page, 'AUTHORISING');
    await page.reload();
    await until(page, 'UNKNOWN');
    assert.match(await title(page), /Do not pay again/);
    assert.equal(await page.locator('[data-test=pay], [data-test=retry]').count(), 0);
    theSystem().order = { status: 'paid', payment: payment() };
    await until(page, 'APPROVED');
  });

  test('declined: reason, code, nothing charged, and another try', async () => {
    const { page } = await paying({ name: 'authorising', interface: 'contactless' });
    await until(page, 'AUTHORISING');
    const declined = { outcome: 'declined', responseCode: '51', reason: 'issuer:51' } as const;
    theSystem().order = { payment: payment(declined) };
    theSystem().result({ outcome: 'declined', charged: 'no', reason: 'issuer:51' });
    await until(page, 'DECLINED');
    assert.equal(await title(page), 'Insufficient funds');
    assert.match(await text(page, '#panel'), /Nothing was charged/);
    assert.equal(await panel(page).getAttribute('data-response-code'), '51');
    assert.match(await text(page, '[role=alert]'), /Insufficient funds/);
    assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'H1');
    const again = page.waitForEvent('popup');
    await page.click('[data-test=retry]');
    await again;
    await until(page, 'CONNECTING');
  });

  test('the agent dies before the seal: nothing charged', async () => {
    const { page } = await paying(WAIT_CARD);
    await until(page, 'WAIT_CARD');
    theSystem().dropPage();
    await until(page, 'INTERRUPTED');
    assert.equal(await panel(page).getAttribute('data-code'), 'TP_HOST_EXITED');
    assert.equal(await panel(page).getAttribute('data-charged'), 'no');
  });

  test('counts the last seconds down, and says so once', async () => {
    const { page } = await paying({ ...WAIT_CARD, deadlineMs: Date.now() + 14_000 });
    await until(page, 'WAIT_CARD');
    await page.locator('#countdown').waitFor();
    assert.match(await text(page, '#countdown'), /^1[0-4] seconds left$/);
    assert.match(await text(page, '[role=status]'), /seconds left/);
  });

  test('has no accessibility fault in any state, in light and dark, on phone and desktop', async () => {
    const { page } = await paying({ name: 'consent' });
    const look = async (name: string): Promise<void> => {
      await until(page, name);
      const faults = await accessibilityFaults(page);
      assert.deepEqual(faults, [], name);
    };
    await look('CONSENT');
    for (const [colorScheme, width] of [
      ['light', 390],
      ['dark', 1280],
    ] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 844 });
      theSystem().state({ ...WAIT_CARD, deadlineMs: Date.now() + 14_000 });
      await look('WAIT_CARD');
      theSystem().state({ name: 'reading', interface: 'contact' });
      await look('READING');
    }
    theSystem().state({ name: 'authorising', interface: 'contact' });
    await look('AUTHORISING');
    for (const [order, state] of [
      [{ status: 'paid', payment: payment() }, 'APPROVED'],
      [{ payment: payment({ outcome: 'declined', responseCode: '55' }) }, 'DECLINED'],
      [{ status: 'unknown' }, 'UNKNOWN'],
      [{ status: 'expired' }, 'CANCELLED'],
      [{ payment: payment({ outcome: 'reversed', reason: 'timeout' }) }, 'INTERRUPTED'],
    ] as const) {
      theSystem().order = order;
      await page.reload();
      await look(state);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 1280, 'nothing sticks out');
    }
  });
});
