/**
 * Browsers under an administrator's policies, as on a managed machine. Each sees a policy folder of
 * its own in a private mount namespace, so that two checkouts never meet and nothing but an empty
 * folder stays on the machine. Needs root.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { chromiumArguments } from './browser.test-kit.ts';

/** Where the browsers of Debian are, and where they look for policies. */
const BROWSERS = {
  chromium: { program: '/usr/bin/chromium', policies: '/etc/chromium/policies/managed' },
  firefox: { program: '/usr/bin/firefox-esr', policies: '/etc/firefox/policies' },
} as const;
type BrowserName = keyof typeof BROWSERS;

const WAIT_MS = 60_000;
const LOOK_MS = 50;
/** Between wishes to reload policies, and longer each time: one stops the one before. */
const RELOAD_MS = 500;
const DAY_MS = 86_400_000;

/** Why a managed browser cannot run here, or false; in CI it must run. */
export function withoutManaged(name: BrowserName): string | false {
  if (process.env['CI']) return false;
  if (!existsSync(BROWSERS[name].program)) return `${BROWSERS[name].program} is not installed`;
  const tried = spawnSync('unshare', ['--mount', 'true'], { stdio: 'ignore' });
  return tried.status === 0 ? false : 'unshare is not permitted here; it takes root';
}

/** A program that starts the browser with `folder` in the place of the machine's policies. */
function managedProgram(name: BrowserName, folder: string): string {
  const { program, policies } = BROWSERS[name];
  const path = `${folder}.sh`;
  const inside = 'mkdir -p "$1" && mount --bind "$0" "$1" && shift && exec "$@"';
  const command = `exec unshare --mount --propagation private sh -c '${inside}'`;
  writeFileSync(path, `#!/bin/sh\n${command} '${folder}' '${policies}' ${program} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Looks again and again until there is something. */
export async function until<T>(
  look: () => Promise<T | undefined | false>,
  what: string,
): Promise<T> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

type ChromiumScope = {
  readonly chrome: {
    send(message: string): void;
    readonly developerPrivate: {
      autoUpdate(): Promise<void>;
      getExtensionsInfo(
        of: object,
      ): Promise<readonly { readonly id: string; readonly version: string; state: string }[]>;
    };
  };
};

/** The button "Reload policies"; by itself the browser looks every 15 minutes. */
function reloadPolicies(): void {
  (globalThis as unknown as ChromiumScope).chrome.send('reloadPolicies');
}

/** All text of a page, that inside of its components included. */
function textOfPage(): string {
  const textOf = (node: Node): string => {
    const root = node instanceof Element ? (node.shadowRoot ?? node) : node;
    const own = node.nodeType === Node.TEXT_NODE ? (node.textContent ?? '') : '';
    return own + [...root.childNodes].map(textOf).join('');
  };
  return textOf(document.body);
}

/** An extension that policies install: where its update manifest is. */
export type ForcedExtension = { readonly id: string; readonly updateUrl: string };

/** A Chromium whose administrator installs extensions, at its start or later. */
export class ManagedChromium {
  readonly context: BrowserContext;
  /** Its profile: `NativeMessagingHosts` below it is looked into. */
  readonly profile: string;
  readonly #folder: string;

  private constructor(context: BrowserContext, folder: string) {
    this.context = context;
    this.#folder = folder;
    this.profile = join(folder, 'profile');
  }

  static async open(extensions: readonly ForcedExtension[] = []): Promise<ManagedChromium> {
    const folder = mkdtempSync(join(tmpdir(), 'tapnpay-managed-'));
    const policies = join(folder, 'policies');
    mkdirSync(policies);
    writePolicy(policies, extensions);
    const context = await chromium.launchPersistentContext(join(folder, 'profile'), {
      executablePath: managedProgram('chromium', policies),
      headless: true,
      locale: 'en-GB',
      reducedMotion: 'reduce',
      args: chromiumArguments(),
      // With these of Playwright's own, extensions are neither installed nor updated.
      ignoreDefaultArgs: [
        '--disable-extensions',
        '--disable-component-extensions-with-background-pages',
        '--disable-default-apps',
        '--disable-background-networking',
      ],
    });
    context.setDefaultTimeout(WAIT_MS);
    return new ManagedChromium(context, folder);
  }

  /** The administrator rolls out extensions while the browser runs. */
  async install(extensions: readonly ForcedExtension[]): Promise<void> {
    writePolicy(join(this.#folder, 'policies'), extensions);
    const shown = extensions.at(-1)?.id ?? '[]';
    let pauseMs = RELOAD_MS;
    await this.#onPage('chrome://policy/', (page) =>
      until(async () => {
        await page.evaluate(reloadPolicies);
        await new Promise((done) => setTimeout(done, pauseMs));
        pauseMs += RELOAD_MS;
        return (await page.evaluate(textOfPage)).includes(shown);
      }, 'the policy'),
    );
  }

  /** What the browser does by itself every few hours. */
  async checkForUpdates(): Promise<void> {
    await this.#onPage('chrome://extensions/', (page) =>
      page.evaluate(() =>
        (globalThis as unknown as ChromiumScope).chrome.developerPrivate.autoUpdate(),
      ),
    );
  }

  /** Versions and states of those of these extensions that are there, switched on or off. */
  async states(ids: readonly string[]): Promise<Readonly<Record<string, string>>> {
    const all = await this.#onPage('chrome://extensions/', (page) =>
      page.evaluate(async () => {
        const { developerPrivate } = (globalThis as unknown as ChromiumScope).chrome;
        const found = await developerPrivate.getExtensionsInfo({ includeDisabled: true });
        return found.map(({ id, version, state }) => [id, `${version} ${state}`] as const);
      }),
    );
    // It has some of its own, such as the one that shows PDF files.
    return Object.fromEntries(all.filter(([id]) => ids.includes(id)));
  }

  async close(): Promise<void> {
    await this.context.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #onPage<T>(
    address: string,
    act: (page: Awaited<ReturnType<BrowserContext['newPage']>>) => Promise<T>,
  ): Promise<T> {
    const page = await this.context.newPage();
    try {
      await page.goto(address);
      return await act(page);
    } finally {
      await page.close();
    }
  }
}

/**
 * QUIRK: Chromium leaves policies alone, and forgets that it was asked, for 5 s after the newest
 * date in their folder has changed or it was started. A file of tomorrow keeps that date as it is.
 */
function writePolicy(folder: string, extensions: readonly ForcedExtension[]): void {
  const newest = join(folder, 'newest.json');
  if (!existsSync(newest)) {
    writeFileSync(newest, '{}');
    utimesSync(newest, new Date(), new Date(Date.now() + DAY_MS));
  }
  const ExtensionInstallForcelist = extensions.map(({ id, updateUrl }) => `${id};${updateUrl}`);
  // Else nobody but the person may look into an extension that their administrator installed.
  const policies = { ExtensionInstallForcelist, DeveloperToolsAvailability: 1 };
  writeFileSync(join(folder, 'tapnpay.json'), JSON.stringify(policies));
}

type FirefoxScope = {
  readonly ChromeUtils: {
    importESModule(url: string): { readonly AddonManager: AddonManager };
  };
  readonly Services: {
    readonly prefs: {
      setBoolPref(name: string, value: boolean): void;
      clearUserPref(name: string): void;
    };
    readonly wm: { getMostRecentWindow(kind: string): { readonly document: Document } };
  };
};
type AddonManager = {
  readonly UPDATE_WHEN_USER_REQUESTED: number;
  getAddonByID(id: string): Promise<Addon | null>;
  getInstallForURL(url: string): Promise<AddonInstall>;
};
type Addon = {
  readonly version: string;
  readonly isActive: boolean;
  findUpdates(listener: object, reason: number): void;
};
type AddonInstall = { readonly error: number; readonly version: string; install(): Promise<void> };

/** A Firefox ESR with policies; what its own pages may do, the test may do. */
export class ManagedFirefox {
  readonly browser: Browser;
  /** Its home: `.mozilla/native-messaging-hosts` below it is looked into. */
  readonly home: string;
  readonly #folder: string;
  readonly #chrome: Page;

  private constructor(facts: { browser: Browser; folder: string; chrome: Page }) {
    this.browser = facts.browser;
    this.#folder = facts.folder;
    this.#chrome = facts.chrome;
    this.home = join(facts.folder, 'home');
  }

  /** `policies` as in `policies.json`. */
  static async open(policies: object): Promise<ManagedFirefox> {
    const folder = mkdtempSync(join(tmpdir(), 'tapnpay-managed-'));
    for (const name of ['policies', 'home', 'profile']) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'policies/policies.json'), JSON.stringify({ policies }));
    const browser = await puppeteer.launch({
      browser: 'firefox',
      executablePath: managedProgram('firefox', join(folder, 'policies')),
      headless: true,
      userDataDir: join(folder, 'profile'),
      env: { ...process.env, HOME: join(folder, 'home') },
      // Its own pages may be driven, too: add-ons, and the questions that it asks the person.
      args: ['--remote-allow-system-access'],
    });
    const firefox = new ManagedFirefox({ browser, folder, chrome: await browser.newPage() });
    try {
      await firefox.#openOwnPage();
      return firefox;
    } catch (fault) {
      await firefox.close();
      throw fault;
    }
  }

  /** Where its own code runs. QUIRK: the page comes, but its load is never told of. */
  async #openOwnPage(): Promise<void> {
    const address = 'about:addons';
    this.#chrome.goto(address).catch(() => null);
    const isThere = async (): Promise<boolean> =>
      (await this.#chrome.evaluate(() => location.href)) === address;
    await until(isThere, address);
  }

  /** Version of an add-on that is switched on; null without one. */
  async addon(id: string): Promise<string | null> {
    return this.#chrome.evaluate(async (addonId) => {
      const { AddonManager } = (globalThis as unknown as FirefoxScope).ChromeUtils.importESModule(
        'resource://gre/modules/AddonManager.sys.mjs',
      );
      const found = await AddonManager.getAddonByID(addonId);
      return found?.isActive ? found.version : null;
    }, id);
  }

  /** Tries to install a file where signatures are required; the error's number, 0 for none. */
  async installSignedOnly(url: string): Promise<number> {
    return this.#chrome.evaluate(async (from) => {
      const { ChromeUtils, Services } = globalThis as unknown as FirefoxScope;
      const { AddonManager } = ChromeUtils.importESModule(
        'resource://gre/modules/AddonManager.sys.mjs',
      );
      Services.prefs.setBoolPref('xpinstall.signatures.required', true);
      try {
        const install = await AddonManager.getInstallForURL(from);
        await install.install().catch(() => undefined);
        return install.error;
      } finally {
        Services.prefs.clearUserPref('xpinstall.signatures.required');
      }
    }, url);
  }

  /** Looks for an update and installs it; the new version, null without one. */
  async update(id: string): Promise<string | null> {
    return this.#chrome.evaluate(async (addonId) => {
      const { AddonManager } = (globalThis as unknown as FirefoxScope).ChromeUtils.importESModule(
        'resource://gre/modules/AddonManager.sys.mjs',
      );
      const addon = await AddonManager.getAddonByID(addonId);
      return new Promise<string | null>((done, fail) => {
        const listener = {
          onUpdateAvailable: (_: Addon, install: AddonInstall) =>
            void install.install().then(
              () => done(install.version),
              () => fail(new Error(`the update failed with ${install.error}`)),
            ),
          onNoUpdateAvailable: () => done(null),
        };
        addon?.findUpdates(listener, AddonManager.UPDATE_WHEN_USER_REQUESTED);
      });
    }, id);
  }

  /** Says yes to whatever the browser asks now, as a person does; what it asked. */
  async answerQuestions(): Promise<readonly string[]> {
    return this.#chrome.evaluate(() => {
      const { wm } = (globalThis as unknown as FirefoxScope).Services;
      const { document } = wm.getMostRecentWindow('navigator:browser');
      type Question = HTMLElement & { readonly button: HTMLElement };
      const asked = [...document.querySelectorAll<Question>('panel popupnotification')].filter(
        (question) =>
          !question.hidden &&
          (question.closest('panel') as unknown as { readonly state: string }).state === 'open',
      );
      for (const { button } of asked) button.click();
      return asked.map(({ id }) => id);
    });
  }

  async close(): Promise<void> {
    await this.browser.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
