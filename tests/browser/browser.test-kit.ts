/** A person at a real Chromium: shops, pays, answers the helper's window, and what they then see. */
import { existsSync } from 'node:fs';
import { after, before } from 'node:test';
import type { TokenWish } from '@tapnpay/protocol/wire';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core';
import { TestSystem, temporaryDataDir } from '../system.test-kit.ts';

const CHROMIUM = '/usr/bin/chromium';
/** PIN of the sandbox cards. */
export const SANDBOX_PIN = '123456';
/** Longest wait for a page to say something new. */
export const PAGE_TIMEOUT_MS = 20_000;

/** Why the browser tests cannot run here, or false; in CI a missing browser is a failure. */
export function withoutBrowser(): string | false {
  if (existsSync(CHROMIUM) || process.env['CI']) return false;
  return 'chromium is not installed (apt-get install chromium)';
}

/**
 * What Playwright 1.65 switches off, for the last list of a command line is the only one, and then
 * the popups of the address bar: two more processes for every window, half of what a window costs.
 */
const FEATURES_OFF = [
  ...['AvoidUnnecessaryBeforeUnloadCheckSync', 'DestroyProfileOnBrowserClose', 'HttpsUpgrades'],
  ...['HttpsFirstBalancedModeAutoEnable', 'LensOverlay', 'MediaRouter', 'PaintHolding'],
  ...['ThirdPartyStoragePartitioning', 'AvoidCorsURLLoaderRestartOnRedirect'],
  ...['OptimizationHints', 'NetworkTimeServiceQuerying', 'AimEnabled', 'PreconnectToSearch'],
  ...['WebUIOmniboxPopup', 'WebUIOmniboxAimPopup', 'WebUIOmniboxFullPopup'],
];

/** Arguments of a Chromium with its real sandbox, except for root, whom it does not serve so. */
export function chromiumArguments(): string[] {
  const isRoot = process.getuid?.() === 0;
  return [...(isRoot ? ['--no-sandbox'] : []), `--disable-features=${FEATURES_OFF.join(',')}`];
}

/** A headless Chromium. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: chromiumArguments() });
}

/** A whole system and a browser for one file of tests, or the reason why there are none. */
export type BrowserSuite = {
  readonly skip: string | false;
  readonly system: TestSystem;
  readonly browser: () => Browser;
};

/**
 * Starts both before the tests of this file and ends them afterwards. `prepare` runs when both are
 * there, `finish` before they go.
 */
export function browserSuite(
  own: { readonly prepare?: () => Promise<void>; readonly finish?: () => Promise<void> } = {},
): BrowserSuite {
  const skip = withoutBrowser();
  const system = new TestSystem(temporaryDataDir());
  let browser: Browser | null = null;
  before(async () => {
    if (skip) return;
    await system.up();
    browser = await openBrowser();
    await own.prepare?.();
  });
  after(async () => {
    await own.finish?.();
    await browser?.close();
    await system.close();
  });
  return {
    skip,
    system,
    browser: () => {
      if (browser === null) throw new Error('the browser is not open');
      return browser;
    },
  };
}

/** What a payer does with the helper's window. */
export type Choices = {
  readonly card: string;
  readonly interface: 'contact' | 'contactless';
  readonly pin?: string;
  /** Lifts the card before this command; the next presentation stays. */
  readonly liftAfter?: number;
  /** What to do when a card is asked for again: present it again, or cancel. */
  readonly again?: 'present' | 'cancel' | 'contact';
  readonly consent?: boolean;
};

/** How a pay page stands. */
export type PageEnd = { readonly state: string; readonly code: string; readonly charged: string };

/** Sizes of what people look at, in pixels. */
export const PHONE = { width: 390, height: 844 } as const;
export const DESKTOP = { width: 1280, height: 900 } as const;

/** What a browser is told of a person. */
export function settingsOf(person: {
  readonly language?: 'zh' | 'en';
  readonly phone?: boolean;
}): Pick<BrowserContextOptions, 'locale' | 'viewport' | 'reducedMotion'> {
  return {
    locale: person.language === 'zh' ? 'zh-CN' : 'en-GB',
    viewport: person.phone ? PHONE : DESKTOP,
    reducedMotion: 'reduce',
  };
}

/** One browser of one person. */
export class Payer {
  readonly context: BrowserContext;
  readonly system: TestSystem;

  private constructor(system: TestSystem, context: BrowserContext) {
    this.system = system;
    this.context = context;
  }

  static async open(
    browser: Browser,
    system: TestSystem,
    person: Parameters<typeof settingsOf>[0] = {},
  ): Promise<Payer> {
    const context = await browser.newContext(settingsOf(person));
    context.setDefaultTimeout(PAGE_TIMEOUT_MS);
    return new Payer(system, context);
  }

  /** An order of a merchant, as its back end makes it. */
  async order(amount: string, fault?: string): Promise<{ orderId: string; payUrl: string }> {
    return this.system.createOrder({ amount, ...(fault ? { fault } : {}) });
  }

  /** An order that fills the purse of the payer's card. */
  loadOrder(amount: string): Promise<{ orderId: string; payUrl: string }> {
    return this.system.createOrder({ amount, kind: 'ecashLoad' });
  }

  /** Opens the pay page of an order. */
  async openPayPage(payUrl: string): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(payUrl);
    await panel(page).waitFor();
    return page;
  }

  /** Presses "pay" and answers the window until the pay page stands still. */
  async pay(page: Page, choices: Choices): Promise<PageEnd> {
    const window = await this.pressPay(page);
    await answerWindow(window, this.system.ready.pairingCode, choices);
    return await finalState(page);
  }

  /** The helper's window that the press of "pay" opened. */
  async pressPay(page: Page): Promise<Page> {
    const opened = page.waitForEvent('popup');
    await page.locator('[data-test=pay]').click();
    return await opened;
  }

  close(): Promise<void> {
    return this.context.close();
  }
}

/**
 * Gives a page of the gateway a button that asks the page library for the balance of a card, and
 * presses it; how that ends is kept as the page's `look`.
 */
export async function pressBalance(page: Page, { ready }: TestSystem): Promise<void> {
  const agentUrl = new URL(ready.wallet).origin;
  await page.evaluate(async (url) => {
    const library = '/library/tapnpay.js';
    const { createTapAndPay } = await import(library);
    const tapAndPay = createTapAndPay();
    const button = document.createElement('button');
    button.id = 'balance';
    button.textContent = 'balance';
    const names: string[] = [];
    button.addEventListener('click', async () => {
      const on = ({ name }: { name: string }) => {
        if (names.at(-1) !== name) names.push(name);
      };
      const { name, charged, error, balance } = await tapAndPay.balance({ agentUrl: url, on });
      const end = { name, charged, code: error?.code ?? null, balance };
      Object.assign(globalThis, { look: { names, end } });
    });
    document.body.prepend(button);
  }, agentUrl);
  await page.click('#balance');
}

/** The same for a dynamic token over a wish. */
export async function pressToken(
  page: Page,
  { ready }: TestSystem,
  wish: TokenWish,
): Promise<void> {
  const agentUrl = new URL(ready.wallet).origin;
  await page.evaluate(
    async ([url, asked]) => {
      const library = '/library/tapnpay.js';
      const { createTapAndPay } = await import(library);
      const tapAndPay = createTapAndPay();
      const button = document.createElement('button');
      button.id = 'token';
      button.textContent = 'token';
      const names: string[] = [];
      button.addEventListener('click', async () => {
        const on = ({ name }: { name: string }) => {
          if (names.at(-1) !== name) names.push(name);
        };
        const { name, charged, error, token } = await tapAndPay.token({
          ...{ agentUrl: url, on, wish: asked },
        });
        const end = { name, charged, code: error?.code ?? null, token };
        Object.assign(globalThis, { look: { names, end } });
      });
      document.body.prepend(button);
    },
    [agentUrl, wish] as const,
  );
  await page.click('#token');
}

/** The pay page's main panel. */
export function panel(page: Page): ReturnType<Page['locator']> {
  return page.locator('[data-state][data-charged]').first();
}

/** What the panel says now. */
export async function stateOf(page: Page): Promise<PageEnd> {
  const [state, code, charged] = await Promise.all(
    ['data-state', 'data-code', 'data-charged'].map((name) => panel(page).getAttribute(name)),
  );
  return { state: state ?? '', code: code ?? '', charged: charged ?? '' };
}

/** Waits until the panel is in one of these states. */
export async function untilState(page: Page, ...states: readonly string[]): Promise<PageEnd> {
  const selector = states.map((state) => `[data-state="${state}"][data-charged]`).join(', ');
  try {
    await page
      .locator(selector)
      .first()
      .waitFor({ timeout: 2 * PAGE_TIMEOUT_MS });
  } catch {
    const now = await stateOf(page);
    throw new Error(`the page is ${JSON.stringify(now)}, not ${states.join(' or ')}`);
  }
  return await stateOf(page);
}

const FINAL = ['APPROVED', 'DECLINED', 'CANCELLED', 'INTERRUPTED', 'UNKNOWN'] as const;

/** The first state in which the page asks for nothing more. */
export function finalState(page: Page): Promise<PageEnd> {
  return untilState(page, ...FINAL);
}

/** Waits until a visible text of the page matches. */
export async function untilSays(page: Page, words: RegExp): Promise<void> {
  await page.getByText(words).filter({ visible: true }).first().waitFor();
}

/** What the helper's window asks a person for; `turn` changes when they have to look anew. */
type Asked = { readonly state: string; readonly turn: string };

/** Both in one look: between two the window may go on. */
async function asked(window: Page): Promise<Asked> {
  const closed = { state: 'closed', turn: 'closed' };
  if (window.isClosed()) return closed;
  const read = (element: Element): Asked => ({
    state: element.getAttribute('data-state') ?? '',
    turn: element.getAttribute('data-turn') ?? '',
  });
  const main = window.locator('[data-state]').first();
  const found = await main.evaluate(read, undefined, { timeout: 2_000 }).catch(() => null);
  return found ?? (window.isClosed() ? closed : { state: 'unknown', turn: 'unknown' });
}

/** State of the helper's window. */
export async function windowState(window: Page): Promise<string> {
  return (await asked(window)).state;
}

/** Does what the window asks for, until the payment needs no person any more. */
export async function answerWindow(
  window: Page,
  pairingCode: string,
  choices: Choices,
): Promise<void> {
  const person = new Person(window, pairingCode, choices);
  const deadline = performance.now() + 3 * PAGE_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (await person.answer(await asked(window))) return;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`the window still says ${await windowState(window)}`);
}

/** One person's answers, each given once for each time it is asked for. */
class Person {
  readonly #window: Page;
  readonly #pairingCode: string;
  readonly #choices: Choices;
  #presented = 0;
  #before = '';

  constructor(window: Page, pairingCode: string, choices: Choices) {
    this.#window = window;
    this.#pairingCode = pairingCode;
    this.#choices = choices;
  }

  /** True when nothing more will be asked. */
  async answer({ state, turn }: Asked): Promise<boolean> {
    const isNew = turn !== this.#before;
    this.#before = turn;
    if (state === 'closed' || ['authorising', 'removeCard', 'end'].includes(state)) return true;
    if (!isNew) return false;
    try {
      if (state === 'pairing') await this.#pair();
      if (state === 'consent') await this.#consent();
      if (state === 'waitCard') await this.#present();
      if (state === 'waitPin') await this.#enterPin();
    } catch (fault) {
      // The window may close, or go on, under a click.
      if (!this.#window.isClosed() && (await windowState(this.#window)) === state) throw fault;
    }
    return false;
  }

  async #pair(): Promise<void> {
    await this.#window.locator('[data-test=pairing-code]').fill(this.#pairingCode);
    await this.#click('pairing-ok');
  }

  async #consent(): Promise<void> {
    await this.#click(this.#choices.consent === false ? 'cancel' : 'confirm');
  }

  async #present(): Promise<void> {
    const { card, liftAfter, again = 'present' } = this.#choices;
    const isFirst = this.#presented === 0;
    this.#presented += 1;
    if (!isFirst && again === 'cancel') return await this.#click('cancel');
    const wanted = !isFirst && again === 'contact' ? 'contact' : this.#choices.interface;
    await presentCard(this.#window, {
      card,
      interface: wanted,
      ...(isFirst && liftAfter ? { liftAfter } : {}),
    });
  }

  async #enterPin(): Promise<void> {
    const { pin = SANDBOX_PIN } = this.#choices;
    for (const digit of pin) await this.#click(`pin-key-${digit}`);
    await this.#click('pin-ok');
  }

  #click(test: string): Promise<void> {
    return this.#window.locator(`[data-test=${test}]`).click({ timeout: 5_000 });
  }
}

/** Takes a card of before away, if one is there. */
export async function takeAway(window: Page): Promise<void> {
  const away = window.locator('[data-test=take-away]');
  if (!(await away.isVisible())) return;
  await away.click();
  await window.locator('[data-test=insert]').waitFor();
}

/** Taps or inserts a virtual card in the window or the wallet. */
export async function presentCard(
  window: Page,
  act: { readonly card: string; readonly interface: string; readonly liftAfter?: number },
): Promise<void> {
  await takeAway(window);
  await window.locator(`[data-test=card-${act.card}]`).click();
  if (act.liftAfter !== undefined) {
    await window.locator('[data-test=lift-early]').fill(String(act.liftAfter));
  }
  const gesture = act.interface === 'contact' ? 'insert' : 'tap';
  await window.locator(`[data-test=${gesture}]`).click();
}
