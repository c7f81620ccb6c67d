/** Pictures of what a payer without the extension sees: shop, pay page, helper's window, wallet. */
import type { Browser, Page } from 'playwright-core';
import type { TestSystem } from '../../system.test-kit.ts';
import { answerWindow, Payer, presentCard, takeAway, untilState } from '../browser.test-kit.ts';
import type { Album, Person } from './album.ts';

/** What pictures are taken of, where they are kept, and for whom. */
export type LoopbackParts = {
  readonly album: Album;
  readonly system: TestSystem;
  readonly browser: Browser;
  readonly person: Person;
};

/** Takes all of them for one person. */
export async function loopbackPictures(parts: LoopbackParts): Promise<void> {
  const payer = await Payer.open(parts.browser, parts.system, parts.person);
  const round = new Round(parts, payer);
  const page = await round.shop();
  await round.payment(page);
  await page.close();
  await round.ends();
  await round.again();
  await round.unknown();
  await round.walletAndBackOffice();
  await payer.close();
}

/** Pictures below the fold load when they are seen. */
async function untilDrawn(page: Page): Promise<void> {
  const end = await page.evaluate(() => document.documentElement.scrollHeight);
  for (let at = 0; at < end; at += 400) await page.mouse.wheel(0, 400);
  await page.waitForFunction(() => [...document.images].every((image) => image.complete));
  await page.evaluate(() => scrollTo(0, 0));
}

class Round {
  readonly #parts: LoopbackParts;
  readonly #payer: Payer;

  constructor(parts: LoopbackParts, payer: Payer) {
    this.#parts = parts;
    this.#payer = payer;
  }

  get #pairingCode(): string {
    return this.#parts.system.ready.pairingCode;
  }

  #take(page: Page, name: string): Promise<void> {
    const { album, person } = this.#parts;
    return album.take(page, name, person);
  }

  async #openPayPage(amount = '66.00'): Promise<Page> {
    return await this.#payer.openPayPage((await this.#payer.order(amount)).payUrl);
  }

  async shop(): Promise<Page> {
    const page = await this.#payer.context.newPage();
    await page.goto(this.#parts.system.ready.shop);
    await page.locator('[data-test^=add-]').first().waitFor();
    await untilDrawn(page);
    await this.#take(page, 'shop');
    await page.locator('[data-test^=add-]').first().click();
    await page.locator('[data-test=cart]').click();
    await page.locator('[data-test=checkout]').waitFor();
    await this.#take(page, 'shop-cart');
    await page.locator('[data-test=checkout]').click();
    await page.waitForURL(/\/pay\//);
    await untilState(page, 'READY');
    await this.#take(page, 'pay-ready');
    return page;
  }

  /** The states of one contact payment, page and window side by side. */
  async payment(page: Page): Promise<void> {
    const window = await this.#payer.pressPay(page);
    await window.locator('[data-state=pairing], [data-state=consent]').first().waitFor();
    if (await window.locator('[data-state=pairing]').count()) {
      await this.#take(window, 'window-pairing');
      await this.#take(page, 'pay-need-pairing');
      await window.locator('[data-test=pairing-code]').fill(this.#pairingCode);
      await window.locator('[data-test=pairing-ok]').click();
    }
    await window.locator('[data-state=consent] [data-test=confirm]:enabled').waitFor();
    await this.#take(window, 'window-consent');
    await this.#take(page, 'pay-consent');
    await window.locator('[data-test=confirm]').click();
    await window.locator('[data-state=waitCard]').waitFor();
    await this.#take(window, 'window-card');
    await this.#take(page, 'pay-wait-card');
    await presentCard(window, { card: 'debit', interface: 'contact' });
    await window.locator('[data-state=waitPin]').waitFor();
    await this.#take(window, 'window-pin');
    await this.#take(page, 'pay-wait-pin');
    await answerWindow(window, this.#pairingCode, { card: 'debit', interface: 'contact' });
    await untilState(page, 'APPROVED');
    await page.locator('[data-test=receipt]').waitFor();
    await this.#take(page, 'pay-approved');
    await this.#inside(page);
  }

  async #inside(page: Page): Promise<void> {
    const address = await page.locator('[data-test=inside]').getAttribute('href');
    if (!address) return;
    const look = await this.#payer.context.newPage();
    await look.goto(new URL(address, page.url()).href);
    await look.locator('[data-test=hop-10]').waitFor();
    await this.#take(look, 'inside');
    for (const hop of [4, 8, 10]) await look.locator(`[data-test=hop-${hop}]`).click();
    await this.#take(look, 'inside-open');
    await look.close();
  }

  async ends(): Promise<void> {
    for (const [name, card, state] of [
      ['declined', 'low-balance', 'DECLINED'],
      ['unsupported', 'foreign', 'DECLINED'],
    ] as const) {
      const page = await this.#openPayPage();
      await this.#payer.pay(page, { card, interface: 'contact' });
      await untilState(page, state);
      await this.#take(page, `pay-${name}`);
      await page.close();
    }
    const page = await this.#openPayPage();
    await this.#payer.pay(page, { card: 'debit', interface: 'contact', consent: false });
    await this.#take(page, 'pay-cancelled');
    await page.close();
  }

  /** A torn tap, a card that wants insertion, and a second page that finds the helper busy. */
  async again(): Promise<void> {
    for (const [name, card, liftAfter] of [
      ['torn', 'debit', 3],
      ['use-contact', 'insert-only', null],
    ] as const) {
      const page = await this.#openPayPage();
      const window = await this.#payer.pressPay(page);
      await window.locator('[data-state=consent] [data-test=confirm]').click();
      await window.locator('[data-state=waitCard]').waitFor();
      const lift = liftAfter === null ? {} : { liftAfter };
      await presentCard(window, { card, interface: 'contactless', ...lift });
      await window.locator('[data-test=again]').waitFor();
      await this.#take(window, `window-${name}`);
      await this.#take(page, `pay-${name}`);
      if (name === 'torn') await this.#busy();
      await takeAway(window);
      await window.locator('[data-test=cancel]').click();
      await untilState(page, 'CANCELLED');
      await page.close();
      await window.close();
    }
  }

  async #busy(): Promise<void> {
    const other = await this.#openPayPage('67.00');
    await (await this.#payer.pressPay(other)).close();
    await untilState(other, 'INTERRUPTED');
    await this.#take(other, 'pay-busy');
    await other.close();
  }

  async unknown(): Promise<void> {
    const page = await this.#openPayPage();
    const window = await this.#payer.pressPay(page);
    const held = this.#parts.system.processOf('switch');
    process.kill(held, 'SIGSTOP');
    try {
      await answerWindow(window, this.#pairingCode, { card: 'debit', interface: 'contactless' });
      await untilState(page, 'AUTHORISING', 'UNKNOWN');
      await this.#take(page, 'pay-authorising');
      await untilState(page, 'UNKNOWN');
      await this.#take(page, 'pay-unknown');
    } finally {
      process.kill(held, 'SIGCONT');
    }
    await untilState(page, 'DECLINED', 'INTERRUPTED', 'CANCELLED');
    await this.#take(page, 'pay-reversed');
    await page.close();
  }

  async walletAndBackOffice(): Promise<void> {
    const { wallet, shop, adminPassword } = this.#parts.system.ready;
    const page = await this.#payer.context.newPage();
    await page.goto(wallet);
    await page.locator('[data-test=card-debit]').waitFor();
    await this.#take(page, 'wallet');
    await page.goto(`${shop}/admin`);
    await page.locator('[data-test=admin-password]').fill(adminPassword);
    await page.locator('[data-test=admin-login]').click();
    await page.waitForLoadState('networkidle');
    await this.#take(page, 'admin');
    await page.close();
  }
}
