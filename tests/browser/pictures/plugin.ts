/** Pictures of what a payer with the extension sees: its window, its options, the pay page. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NATIVE_HOST_NAME } from '@tapnpay/protocol/wire';
import type { Browser, Page } from 'playwright-core';
import { imageOf } from '../../../protocol/src/emv/icc/icc.test-kit.ts';
import {
  type Choices,
  DESKTOP,
  PHONE,
  presentCard,
  settingsOf,
  untilState,
} from '../browser.test-kit.ts';
import { answer, nextWindow, openPayPage, PluginBrowser, pressPay } from '../plugin.test-kit.ts';
import type { PluginSystem } from '../plugin-system.test-kit.ts';
import type { Album, Person } from './album.ts';

/** The inner size that the extension gives its window on a desktop, less the browser's frame. */
const POPUP = { width: 460, height: 720 } as const;
const PURSE = 'purse';
const electronicCash = {
  balanceMinor: '48765',
  singleTransactionLimitMinor: '5000',
  resetThresholdMinor: '1000',
};

/** What pictures are taken of, where they are kept, and for whom. */
export type PluginParts = {
  readonly album: Album;
  readonly plugin: PluginSystem;
  /** A browser without the extension. */
  readonly plain: Browser;
  readonly person: Person;
};

/** Takes all of them for one person; the agent's service must not run. */
export async function pluginPictures(parts: PluginParts): Promise<void> {
  const browser = await PluginBrowser.open(parts.plugin, parts.person);
  const round = new Round(parts, browser);
  try {
    await round.payment();
    await round.ends();
    await round.purse();
    await round.busy();
    await round.updates();
    await round.options();
    await round.withoutHost();
    await round.withoutExtension();
  } finally {
    await browser.close();
  }
}

class Round {
  readonly #parts: PluginParts;
  readonly #browser: PluginBrowser;

  constructor(parts: PluginParts, browser: PluginBrowser) {
    this.#parts = parts;
    this.#browser = browser;
  }

  #take(page: Page, name: string): Promise<void> {
    const { album, person } = this.#parts;
    return album.take(page, name, person);
  }

  async #openPayPage(order: { amount?: string; kind?: 'ecashLoad' } = {}): Promise<Page> {
    const wanted = { amount: '66.00', ...order };
    const { payUrl } = await this.#parts.plugin.system.createOrder(wanted);
    const page = await this.#browser.openPayPage(payUrl);
    await page.locator('[data-state=CHECKING][data-charged]').waitFor({ state: 'detached' });
    return page;
  }

  /** A window of the extension with the size that it has, once it asks for the yes. */
  async #consent(opened: Promise<Page> | Page): Promise<Page> {
    const window = await opened;
    await window.setViewportSize(this.#parts.person.phone ? PHONE : POPUP);
    await window.locator('[data-state=consent] [data-test=confirm]:enabled').waitFor();
    return window;
  }

  /** The states of one contact payment, page and window side by side. */
  async payment(): Promise<void> {
    const page = await this.#openPayPage({ amount: '128.50' });
    await untilState(page, 'READY');
    await this.#take(page, 'plugin-ready');
    const window = await this.#consent(pressPay(page));
    await this.#take(window, 'plugin-window-consent');
    await this.#take(page, 'plugin-consent');
    await window.locator('[data-test=confirm]').click();
    await window.locator('[data-state=waitCard]').waitFor();
    await this.#take(window, 'plugin-window-card');
    await this.#take(page, 'plugin-wait-card');
    await presentCard(window, { card: 'debit', interface: 'contact' });
    await window.locator('[data-state=waitPin]').waitFor();
    await this.#take(window, 'plugin-window-pin');
    await this.#take(page, 'plugin-wait-pin');
    await answer(window, { card: 'debit', interface: 'contact' });
    await this.#end(window, 'plugin-window-approved');
    await untilState(page, 'APPROVED');
    await page.locator('[data-test=receipt]').waitFor();
    await this.#take(page, 'plugin-approved');
    await this.#done();
  }

  async #end(window: Page, name: string): Promise<void> {
    await window.locator('[data-state=end]').waitFor();
    await this.#take(window, name);
  }

  async #done(): Promise<void> {
    await this.#browser.closePages();
    await this.#parts.plugin.untilNothingLeft();
  }

  async ends(): Promise<void> {
    for (const [name, state, choices] of [
      ['declined', 'DECLINED', { card: 'low-balance', interface: 'contact' }],
      ['cancelled', 'CANCELLED', { card: 'debit', interface: 'contact', consent: false }],
    ] as const satisfies readonly (readonly [string, string, Choices])[]) {
      const page = await this.#openPayPage();
      const window = await this.#consent(pressPay(page));
      await answer(window, choices);
      await this.#end(window, `plugin-window-${name}`);
      await untilState(page, state);
      await this.#take(page, `plugin-${name}`);
      await this.#done();
    }
    const page = await this.#openPayPage();
    const window = await this.#consent(pressPay(page));
    await window.locator('[data-test=confirm]').click();
    await window.locator('[data-state=waitCard]').waitFor();
    await presentCard(window, { card: 'debit', interface: 'contactless', liftAfter: 3 });
    await window.locator('[data-test=again]').waitFor();
    await this.#take(window, 'plugin-window-torn');
    await this.#take(page, 'plugin-torn');
    await this.#done();
  }

  /** A look at a balance, and the yes that a load asks for. */
  async purse(): Promise<void> {
    const image = JSON.stringify(imageOf({ request: { electronicCash } }));
    writeFileSync(join(this.#parts.plugin.dataDir, 'cards', `${PURSE}.json`), image);
    const page = await this.#openPayPage();
    const opened = nextWindow(this.#browser.context);
    await askBalance(page);
    const window = await this.#consent(opened);
    await this.#take(window, 'plugin-window-balance');
    await answer(window, { card: PURSE, interface: 'contact' });
    await this.#end(window, 'plugin-window-balance-read');
    await this.#done();
    const load = await this.#openPayPage({ amount: '50.00', kind: 'ecashLoad' });
    await this.#take(await this.#consent(pressPay(load)), 'plugin-window-load');
    await this.#done();
  }

  async busy(): Promise<void> {
    const first = await this.#openPayPage();
    const window = await this.#consent(pressPay(first));
    await window.locator('[data-test=confirm]').click();
    await untilState(first, 'WAIT_CARD');
    const second = await this.#openPayPage();
    await second.locator('[data-test=pay]').click();
    await untilState(second, 'INTERRUPTED');
    await this.#take(second, 'plugin-busy');
    await this.#done();
  }

  /** What the operator's word on versions makes of the page. */
  async updates(): Promise<void> {
    const { plugin } = this.#parts;
    for (const [name, state, word] of [
      ['update-optional', 'READY', { host: { latest: '0.2.0' } }],
      ['update-forced', 'NEED_UPDATE', { extension: { required: '0.2.0' } }],
      ['update-host', 'NEED_UPDATE', { host: { required: '0.2.0' } }],
    ] as const) {
      plugin.publish(word);
      const page = await this.#openPayPage();
      await untilState(page, state);
      await this.#take(page, `plugin-${name}`);
      await this.#done();
    }
    plugin.publish({});
  }

  async #openOptions(): Promise<Page> {
    const { id } = (await this.#parts.plugin.versions()).extension;
    const page = await this.#browser.context.newPage();
    await page.goto(`chrome-extension://${id}/options.html`);
    await page.setViewportSize(this.#parts.person.phone ? PHONE : DESKTOP);
    await page.locator('[data-state=asking]').first().waitFor({ state: 'detached' });
    await page.waitForFunction(() => document.querySelector('[data-state=asking]') === null);
    return page;
  }

  async options(): Promise<void> {
    const page = await this.#openOptions();
    await this.#take(page, 'plugin-options');
    await page.locator('[data-test=doctor]').click();
    await page.locator('[data-test=conclusion]').waitFor();
    await this.#take(page, 'plugin-options-doctor');
    await this.#done();
    const pay = await this.#openPayPage();
    this.#parts.plugin.publish({ host: { required: '0.2.0' } });
    await pay.reload();
    await untilState(pay, 'NEED_UPDATE');
    await this.#doctor(pay, 'plugin-doctor');
    this.#parts.plugin.publish({});
    await this.#done();
  }

  async #doctor(page: Page, name: string): Promise<void> {
    await page.locator('[data-test=doctor]').click();
    await page.locator('[data-test=doctor-report] [data-check]').first().waitFor();
    await this.#take(page, name);
  }

  async withoutHost(): Promise<void> {
    const folder = join(this.#browser.profile, 'NativeMessagingHosts');
    rmSync(join(folder, `${NATIVE_HOST_NAME}.json`));
    const page = await this.#openPayPage();
    await untilState(page, 'NEED_HOST');
    await this.#take(page, 'plugin-need-host');
    await this.#doctor(page, 'plugin-doctor-no-host');
    await page.close();
    await this.#take(await this.#openOptions(), 'plugin-options-no-host');
    await this.#done();
  }

  async withoutExtension(): Promise<void> {
    const { plain, person, plugin } = this.#parts;
    const context = await plain.newContext(settingsOf(person));
    const { payUrl } = await plugin.system.createOrder({ amount: '66.00' });
    const page = await openPayPage(context, payUrl);
    await untilState(page, 'NEED_EXTENSION');
    await this.#take(page, 'plugin-need-extension');
    await this.#doctor(page, 'plugin-doctor-no-extension');
    await context.close();
  }
}

/** Asks for the balance as a page of the gateway does, inside a click. */
async function askBalance(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const library = '/library/tapnpay.js';
    const { createTapAndPay } = await import(library);
    const tapAndPay = createTapAndPay();
    const button = document.createElement('button');
    button.id = 'balance';
    button.textContent = 'balance';
    button.addEventListener('click', () => void tapAndPay.balance());
    document.body.prepend(button);
  });
  await page.click('#balance');
}
