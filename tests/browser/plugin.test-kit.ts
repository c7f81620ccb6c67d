/**
 * A person at a real Chromium with the plug-in: pays on the gateway's page and answers the
 * extension's own window.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import {
  answerWindow,
  type Choices,
  chromiumArguments,
  finalState,
  PAGE_TIMEOUT_MS,
  type PageEnd,
  panel,
  settingsOf,
} from './browser.test-kit.ts';
import { type PluginSystem, until } from './plugin-system.test-kit.ts';

const CHROMIUM = '/usr/bin/chromium';
/** The extension's window pairs nobody. */
const NO_PAIRING = '';

type Person = Parameters<typeof settingsOf>[0];

/** A Chromium with the extension of a system, whose host is registered with its profile. */
export class PluginBrowser {
  readonly profile: string;
  readonly #extension: string;
  readonly #person: Person;
  #context: BrowserContext | null = null;

  private constructor(profile: string, extension: string, person: Person) {
    this.profile = profile;
    this.#extension = extension;
    this.#person = person;
  }

  static async open(system: PluginSystem, person: Person = {}): Promise<PluginBrowser> {
    const profile = join(system.folder, 'profile');
    const browser = new PluginBrowser(profile, await system.unpackExtension('chromium'), person);
    await system.installHost({ scope: 'profile', userDataDir: profile });
    await browser.launch();
    return browser;
  }

  get context(): BrowserContext {
    if (this.#context === null) throw new Error('the browser is not open');
    return this.#context;
  }

  /** Opens it, again after `kill`. */
  async launch(): Promise<void> {
    const settings = settingsOf(this.#person);
    this.#context = await chromium.launchPersistentContext(this.profile, {
      executablePath: CHROMIUM,
      headless: true,
      ...settings,
      args: [
        ...chromiumArguments(),
        // A window of the extension may read its language before the driver has it.
        `--accept-lang=${settings.locale}`,
        `--disable-extensions-except=${this.#extension}`,
        `--load-extension=${this.#extension}`,
      ],
    });
    this.#context.setDefaultTimeout(PAGE_TIMEOUT_MS);
  }

  /** Ends the whole browser without a word. */
  async kill(): Promise<void> {
    const closed = this.context.waitForEvent('close');
    for (const pid of browserProcesses(this.profile)) process.kill(pid, 'SIGKILL');
    await closed;
    this.#context = null;
  }

  /** As the browser itself does when it wants the memory. */
  async stopWorker(): Promise<void> {
    const session = await this.context.browser()?.newBrowserCDPSession();
    if (!session) throw new Error('the browser has no debugger');
    const { targetInfos } = await session.send('Target.getTargets');
    const worker = targetInfos.find(({ type }) => type === 'service_worker');
    if (!worker) throw new Error('there is no worker');
    await session.send('Target.closeTarget', { targetId: worker.targetId });
    await session.detach();
  }

  /** Opens the pay page of an order. */
  openPayPage(payUrl: string, prepare?: (page: Page) => Promise<unknown>): Promise<Page> {
    return openPayPage(this.context, payUrl, prepare);
  }

  /** Closes all pages but an empty one: a browser without any may end. */
  async closePages(): Promise<void> {
    const pages = this.#context?.pages() ?? [];
    const shown = pages.filter((page) => page.url() !== 'about:blank');
    await Promise.all(shown.map((page) => page.close().catch(() => undefined)));
  }

  async close(): Promise<void> {
    await this.#context?.close();
    this.#context = null;
  }
}

/** The browser's first process alone: the others end with it. */
function browserProcesses(profile: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
        const isChild = words.some((word) => word.startsWith('--type='));
        return !isChild && words.includes(`--user-data-dir=${profile}`);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Opens the pay page of an order; `prepare` has the page before it is loaded. */
export async function openPayPage(
  context: BrowserContext,
  payUrl: string,
  prepare?: (page: Page) => Promise<unknown>,
): Promise<Page> {
  const page = await context.newPage();
  await prepare?.(page);
  await page.goto(payUrl);
  await panel(page).waitFor();
  return page;
}

/** Whether a page is the extension's payment window. */
function isWindow(page: Page): boolean {
  return /^chrome-extension:\/\/[a-p]{32}\/window\.html(?:\?lang=[a-z]+)?#/.test(page.url());
}

/** The next window that the extension opens. */
export function nextWindow(context: BrowserContext): Promise<Page> {
  const known = new Set(context.pages());
  return until(
    () => context.pages().find((page) => !known.has(page) && isWindow(page)),
    'the window of the extension',
  );
}

/** Presses "pay"; the extension's window comes once the gateway has said what is to be paid. */
export async function pressPay(page: Page): Promise<Page> {
  const window = nextWindow(page.context());
  await page.locator('[data-test=pay]').click();
  return await window;
}

/** Presses "pay" and answers the window until the pay page stands still. */
export async function payByPlugin(page: Page, choices: Choices): Promise<PageEnd> {
  const window = await pressPay(page);
  await answerWindow(window, NO_PAIRING, choices);
  return await finalState(page);
}

/** Does what the window asks for. */
export function answer(window: Page, choices: Choices): Promise<void> {
  return answerWindow(window, NO_PAIRING, choices);
}
