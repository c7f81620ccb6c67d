/**
 * `npm run screenshots`: pictures of every page in both languages, desktop and phone, from a system
 * of its own, into `screenshots/`, which git ignores.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { TestSystem, temporaryDataDir } from '../system.test-kit.ts';
import {
  answerWindow,
  openBrowser,
  Payer,
  presentCard,
  takeAway,
  untilState,
} from './browser.test-kit.ts';

const folder = join(import.meta.dirname, '../../screenshots');
mkdirSync(folder, { recursive: true });

const system = new TestSystem(temporaryDataDir());
let count = 0;

/** One picture; its name says page, state, language and size. */
async function picture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  count += 1;
  process.stderr.write(`\r${count} pictures 张截图  ${name.padEnd(48)}`);
}

/** Pictures below the fold load when they are seen. */
async function untilDrawn(page: Page): Promise<void> {
  const end = await page.evaluate(() => document.documentElement.scrollHeight);
  for (let at = 0; at < end; at += 400) await page.mouse.wheel(0, 400);
  await page.waitForFunction(() => [...document.images].every((image) => image.complete));
  await page.evaluate(() => scrollTo(0, 0));
}

type Person = { readonly language: 'zh' | 'en'; readonly phone: boolean };

async function shopPictures(payer: Payer, suffix: string): Promise<Page> {
  const page = await payer.context.newPage();
  await page.goto(system.ready.shop);
  await page.locator('[data-test^=add-]').first().waitFor();
  await untilDrawn(page);
  await picture(page, `shop-${suffix}`);
  await page.locator('[data-test^=add-]').first().click();
  await page.locator('[data-test=cart]').click();
  await page.locator('[data-test=checkout]').waitFor();
  await picture(page, `shop-cart-${suffix}`);
  await page.locator('[data-test=checkout]').click();
  await page.waitForURL(/\/pay\//);
  await untilState(page, 'READY');
  await picture(page, `pay-ready-${suffix}`);
  return page;
}

/** The states of one contact payment, page and window side by side. */
async function paymentPictures(payer: Payer, page: Page, suffix: string): Promise<void> {
  const window = await payer.pressPay(page);
  const pairing = window.locator('[data-state=pairing]');
  await window.locator('[data-state=pairing], [data-state=consent]').first().waitFor();
  if (await pairing.count()) {
    await picture(window, `window-pairing-${suffix}`);
    await picture(page, `pay-need-pairing-${suffix}`);
    await window.locator('[data-test=pairing-code]').fill(system.ready.pairingCode);
    await window.locator('[data-test=pairing-ok]').click();
  }
  await window.locator('[data-state=consent]').waitFor();
  await picture(window, `window-consent-${suffix}`);
  await picture(page, `pay-consent-${suffix}`);
  await window.locator('[data-test=confirm]').click();
  await window.locator('[data-state=waitCard]').waitFor();
  await window.mouse.move(1, 1);
  await picture(window, `window-card-${suffix}`);
  await picture(page, `pay-wait-card-${suffix}`);
  await presentCard(window, { card: 'debit', interface: 'contact' });
  await window.locator('[data-state=waitPin]').waitFor();
  await picture(window, `window-pin-${suffix}`);
  await picture(page, `pay-wait-pin-${suffix}`);
  await answerWindow(window, system.ready.pairingCode, { card: 'debit', interface: 'contact' });
  await untilState(page, 'APPROVED');
  await picture(page, `pay-approved-${suffix}`);
  const inside = page.locator('[data-test=inside]');
  const address = await inside.getAttribute('href');
  if (address) {
    const look = await payer.context.newPage();
    await look.goto(new URL(address, page.url()).href);
    await look.locator('[data-test=hop-10]').waitFor();
    await picture(look, `inside-${suffix}`);
    for (const hop of [4, 8, 10]) await look.locator(`[data-test=hop-${hop}]`).click();
    await picture(look, `inside-open-${suffix}`);
    await look.close();
  }
}

async function endPictures(payer: Payer, suffix: string): Promise<void> {
  for (const [name, card, state] of [
    ['declined', 'low-balance', 'DECLINED'],
    ['unsupported', 'foreign', 'DECLINED'],
  ] as const) {
    const page = await payer.openPayPage((await payer.order('66.00')).payUrl);
    await payer.pay(page, { card, interface: 'contact' });
    await untilState(page, state);
    await picture(page, `pay-${name}-${suffix}`);
    await page.close();
  }
  await againPictures(payer, suffix);
  await unknownPictures(payer, suffix);
  const page = await payer.openPayPage((await payer.order('66.00')).payUrl);
  await payer.pay(page, { card: 'debit', interface: 'contact', consent: false });
  await picture(page, `pay-cancelled-${suffix}`);
  await page.close();
}

/** A torn tap, a card that wants insertion, and a second page that finds the helper busy. */
async function againPictures(payer: Payer, suffix: string): Promise<void> {
  for (const [name, card, liftAfter] of [
    ['torn', 'debit', 3],
    ['use-contact', 'insert-only', null],
  ] as const) {
    const page = await payer.openPayPage((await payer.order('66.00')).payUrl);
    const window = await payer.pressPay(page);
    await window.locator('[data-state=consent] [data-test=confirm]').click();
    await window.locator('[data-state=waitCard]').waitFor();
    await presentCard(window, {
      card,
      interface: 'contactless',
      ...(liftAfter === null ? {} : { liftAfter }),
    });
    await window.locator('[data-test=again]').waitFor();
    await picture(window, `window-${name}-${suffix}`);
    await picture(page, `pay-${name}-${suffix}`);
    if (name === 'torn') {
      const other = await payer.openPayPage((await payer.order('67.00')).payUrl);
      await (await payer.pressPay(other)).close();
      await untilState(other, 'INTERRUPTED');
      await picture(other, `pay-busy-${suffix}`);
      await other.close();
    }
    await takeAway(window);
    await window.locator('[data-test=cancel]').click();
    await untilState(page, 'CANCELLED');
    await page.close();
    await window.close();
  }
}

async function unknownPictures(payer: Payer, suffix: string): Promise<void> {
  const page = await payer.openPayPage((await payer.order('66.00')).payUrl);
  const window = await payer.pressPay(page);
  const held = system.processOf('switch');
  process.kill(held, 'SIGSTOP');
  try {
    await answerWindow(window, system.ready.pairingCode, {
      card: 'debit',
      interface: 'contactless',
    });
    await untilState(page, 'AUTHORISING', 'UNKNOWN');
    await picture(page, `pay-authorising-${suffix}`);
    await untilState(page, 'UNKNOWN');
    await picture(page, `pay-unknown-${suffix}`);
  } finally {
    process.kill(held, 'SIGCONT');
  }
  await untilState(page, 'DECLINED', 'INTERRUPTED', 'CANCELLED');
  await picture(page, `pay-reversed-${suffix}`);
  await page.close();
}

async function walletPictures(payer: Payer, suffix: string): Promise<void> {
  const page = await payer.context.newPage();
  await page.goto(system.ready.wallet);
  await page.locator('[data-test=card-debit]').waitFor();
  await picture(page, `wallet-${suffix}`);
  await page.goto(`${system.ready.shop}/admin`);
  await page.locator('[data-test=admin-password]').fill(system.ready.adminPassword);
  await page.locator('[data-test=admin-login]').click();
  await page.waitForLoadState('networkidle');
  await picture(page, `admin-${suffix}`);
  await page.close();
}

async function person(browser: Browser, { language, phone }: Person): Promise<void> {
  const payer = await Payer.open(browser, system, { language, phone });
  const suffix = `${language}-${phone ? 'phone' : 'desktop'}`;
  const page = await shopPictures(payer, suffix);
  await paymentPictures(payer, page, suffix);
  await page.close();
  await endPictures(payer, suffix);
  await walletPictures(payer, suffix);
  await payer.close();
}

await system.up();
const browser = await openBrowser();
try {
  for (const language of ['zh', 'en'] as const) {
    for (const phone of [false, true]) await person(browser, { language, phone });
  }
  process.stderr.write(`\n${count} pictures in ${folder}\n`);
} finally {
  await browser.close();
  await system.close();
}
