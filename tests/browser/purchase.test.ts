/**
 * Purchases in a real Chromium against the whole system: shop, pay page, helper's window; contact
 * and contactless, with and without PIN, approved, declined and unknown, in both languages. The
 * page's word is compared with the gateway's each time.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import {
  answerWindow,
  browserSuite,
  type Choices,
  finalState,
  Payer,
  stateOf,
  untilSays,
  untilState,
} from './browser.test-kit.ts';

const { skip, system, browser } = browserSuite();

/** One order paid by one person; the page is left open for a look. */
async function payOnce(
  amount: string,
  choices: Choices,
  person: { readonly language?: 'zh' | 'en' } = {},
): Promise<{ payer: Payer; page: Page; orderId: string; end: Awaited<ReturnType<Payer['pay']>> }> {
  const payer = await Payer.open(browser(), system, person);
  const { orderId, payUrl } = await payer.order(amount);
  const page = await payer.openPayPage(payUrl);
  const end = await payer.pay(page, choices);
  return { payer, page, orderId, end };
}

for (const language of ['zh', 'en'] as const) {
  test(`from the shop's window to the paid order, by contact with PIN (${language})`, {
    skip,
  }, async () => {
    const payer = await Payer.open(browser(), system, { language });
    const page = await payer.context.newPage();
    await page.goto(system.ready.shop);
    await page.locator('[data-test^=add-]').first().click();
    await page.locator('[data-test=cart]').click();
    await page.locator('[data-test=checkout]').click();
    await page.waitForURL(/\/pay\//);
    assert.equal(
      await page.locator('html').getAttribute('lang'),
      language === 'zh' ? 'zh-CN' : 'en',
    );
    const end = await payer.pay(page, { card: 'debit', interface: 'contact' });
    assert.deepEqual([end.state, end.charged], ['APPROVED', 'yes']);
    await untilSays(page, language === 'zh' ? /交易成功/ : /Approved/i);
    await page.locator('[data-test=back]').click();
    await page.locator('[data-test=order-state][data-state=paid]').waitFor();
    await payer.close();
  });

  test(`contactless below the limit asks no PIN, above it does (${language})`, {
    skip,
  }, async () => {
    for (const [amount, withPin] of [
      ['0.01', false],
      ['300.00', false],
      ['300.01', true],
    ] as const) {
      const choices = { card: 'debit', interface: 'contactless' } as const;
      const { payer, orderId, end } = await payOnce(amount, choices, { language });
      assert.deepEqual([end.state, end.charged], ['APPROVED', 'yes'], amount);
      const order = await payView(orderId);
      assert.equal(order.payment.receipt.entryMode, 'contactless');
      // CVM results: 42 is online PIN, 1F is none.
      assert.equal(order.payment.receipt.cvmResults.slice(0, 2), withPin ? '42' : '1F', amount);
      await payer.close();
    }
  });

  test(`a declined payment says why and charges nothing (${language})`, { skip }, async () => {
    for (const [card, code, words] of [
      ['low-balance', '51', { zh: /余额不足/, en: /insufficient/i }],
      ['expired', '54', { zh: /过期/, en: /expired/i }],
    ] as const) {
      const choices = { card, interface: 'contact' } as const;
      const { payer, page, orderId, end } = await payOnce('88.00', choices, { language });
      assert.deepEqual([end.state, end.charged], ['DECLINED', 'no'], card);
      await untilSays(page, words[language]);
      const order = await payView(orderId);
      // An expired card is refused by the terminal's or the card's word or by the issuer's code.
      if (order.payment !== null) assert.equal(order.payment.responseCode, code);
      assert.equal(order.status, 'open', 'another try with another card stays possible');
      await payer.close();
    }
  });
}

test('a wrong PIN is declined, and three of them use up the tries', { skip }, async () => {
  const codes: (string | null)[] = [];
  for (let attempt = 0; attempt < 4; attempt++) {
    const choices = { card: 'travel', interface: 'contact', pin: '000000' } as const;
    const { payer, orderId, end } = await payOnce('5.00', choices);
    assert.deepEqual([end.state, end.charged], ['DECLINED', 'no']);
    codes.push((await payView(orderId)).payment.responseCode);
    await payer.close();
  }
  assert.deepEqual(codes, ['55', '55', '55', '75']);
});

test('each virtual card that declines does so, for its own reason', { skip }, async () => {
  for (const [card, wire, expected] of [
    ['blocked', 'contact', { state: 'DECLINED', responseCode: '62' }],
    ['refused', 'contactless', { state: 'DECLINED', responseCode: '05' }],
    ['pin-blocked', 'contact', { state: 'DECLINED', responseCode: '75' }],
    ['wrong-issuer-key', 'contactless', { state: 'DECLINED', responseCode: '05' }],
    ['foreign', 'contact', { state: 'DECLINED', code: 'TP_CARD_UNSUPPORTED' }],
  ] as const) {
    const { payer, orderId, end } = await payOnce('6.00', { card, interface: wire });
    assert.deepEqual([end.state, end.charged], [expected.state, 'no'], card);
    if ('code' in expected) assert.equal(end.code, expected.code);
    if ('responseCode' in expected) {
      assert.equal((await payView(orderId)).payment.responseCode, expected.responseCode, card);
    }
    await payer.close();
  }
});

test('a contactless card that wants insertion is inserted, the order stays', { skip }, async () => {
  const choices = { card: 'insert-only', interface: 'contactless', again: 'contact' } as const;
  const { payer, orderId, end } = await payOnce('7.00', choices);
  assert.deepEqual([end.state, end.charged], ['APPROVED', 'yes']);
  assert.equal((await payView(orderId)).payment.receipt.entryMode, 'contact');
  await payer.close();
});

test('a torn tap charges nothing and is simply repeated', { skip }, async () => {
  const choices = { card: 'debit', interface: 'contactless', liftAfter: 3 } as const;
  const { payer, end } = await payOnce('8.00', choices);
  assert.deepEqual([end.state, end.charged], ['APPROVED', 'yes']);
  await payer.close();
});

test('an answer that never comes is unknown, not failed, until the reversal is acknowledged', {
  skip,
}, async () => {
  const payer = await Payer.open(browser(), system, { language: 'zh' });
  const { orderId, payUrl } = await payer.order('9.00');
  const page = await payer.openPayPage(payUrl);
  // A switch that stands still answers neither the request nor its reversal.
  const held = system.processOf('switch');
  const window = await payer.pressPay(page);
  process.kill(held, 'SIGSTOP');
  try {
    await answerWindow(window, system.ready.pairingCode, {
      card: 'debit',
      interface: 'contactless',
    });
    const unknown = await untilState(page, 'UNKNOWN');
    assert.equal(unknown.charged, 'unknown');
    await untilSays(page, /请勿重复支付/);
    assert.equal(
      await page.locator('[data-test=pay]:visible, [data-test=retry]:visible').count(),
      0,
    );
  } finally {
    process.kill(held, 'SIGCONT');
  }
  const end = await untilState(page, 'DECLINED', 'INTERRUPTED', 'CANCELLED', 'APPROVED');
  const order = await payView(orderId);
  assert.deepEqual([end.charged, order.payment.outcome], ['no', 'reversed']);
  await payer.close();
});

test('the languages change without a reload, on the pay page, in the middle of a payment', {
  skip,
}, async () => {
  const payer = await Payer.open(browser(), system, { language: 'en' });
  const { payUrl } = await payer.order('3.00');
  const page = await payer.openPayPage(payUrl);
  await page.evaluate(() => Object.assign(globalThis, { isSamePage: true }));
  const window = await payer.pressPay(page);
  await window.locator('[data-state]').first().waitFor();
  await page.locator('[data-test=language]').click();
  assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
  assert.equal(await page.evaluate(() => 'isSamePage' in globalThis), true);
  await answerWindow(window, system.ready.pairingCode, { card: 'debit', interface: 'contactless' });
  assert.equal((await finalState(page)).state, 'APPROVED');
  await untilSays(page, /交易成功/);
  await payer.close();
});

test('a paid order takes no second payment: reload, back button, second tab', {
  skip,
}, async () => {
  const choices = { card: 'debit', interface: 'contactless' } as const;
  const { payer, page, end } = await payOnce('2.00', choices);
  assert.equal(end.state, 'APPROVED');
  await page.reload();
  assert.equal((await finalState(page)).state, 'APPROVED');
  const second = await payer.openPayPage(page.url());
  assert.equal((await finalState(second)).state, 'APPROVED');
  assert.equal(await second.locator('[data-test=pay]:visible').count(), 0);
  await page.goto(system.ready.shop);
  await page.goBack();
  assert.equal((await finalState(page)).state, 'APPROVED');
  assert.equal((await stateOf(page)).charged, 'yes');
  await payer.close();
});

type PayView = {
  readonly status: string;
  readonly payment: {
    readonly outcome: string;
    readonly responseCode: string | null;
    readonly receipt: { readonly entryMode: string; readonly cvmResults: string };
  };
};

async function payView(orderId: string): Promise<PayView> {
  const response = await fetch(`${system.ready.gateway}/v1/pay/${orderId}`);
  return (await response.json()) as PayView;
}
