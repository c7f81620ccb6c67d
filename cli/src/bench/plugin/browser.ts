/** A real Chromium with the built extension of a system, driven by Playwright. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { TapError } from '@tapnpay/protocol/bytes';
import { manifestOf, PLUGIN_GECKO_ID, PLUGIN_VERSIONS_PATH } from '@tapnpay/protocol/wire';
import { findBrowsers } from '../../doctor/browser.ts';
import { type Machine, thisMachine } from '../../doctor/machine.ts';
import { pagesDir, versionOf } from '../../system/layout.ts';
import { PAGE_SCRIPT } from './page-script.ts';

type PlaywrightPage = {
  goto(url: string): Promise<unknown>;
  evaluate(expression: string): Promise<unknown>;
};
type PlaywrightContext = {
  newPage(): Promise<PlaywrightPage>;
  close(): Promise<void>;
};
/** The part of Playwright that is used; it is a development tool of the whole project. */
export type Playwright = {
  readonly chromium: {
    launchPersistentContext(folder: string, options: object): Promise<PlaywrightContext>;
  };
};

/** A page of the gateway with the benchmark's script in it. */
export type BenchPage = {
  /** Runs an expression of `pageCalls`. */
  readonly call: <Answer>(expression: string) => Promise<Answer>;
  readonly close: () => Promise<void>;
};

/** Where a system's publisher keeps the key that fixes the extension's id. */
const PUBLISHER_KEY = 'publisher/extension-key.pem';
/** A benchmark that was begun on purpose waits no longer for a browser. */
const LAUNCH_TIMEOUT_MS = 30_000;

/** @throws TapError `ERR_BENCH_BROWSER` that says what is missing. */
export async function chromiumPath(machine: Machine = thisMachine): Promise<string> {
  const browsers = await findBrowsers(machine);
  const usable = browsers.find(
    ({ kind, packaging }) => kind === 'chromium' && packaging === 'system',
  );
  if (usable !== undefined) return usable.path;
  const text = 'no Chromium with --load-extension is installed; Debian: apt-get install chromium';
  throw new TapError('ERR_BENCH_BROWSER', text);
}

/** Writes the built extension with the manifest of a system into `folder`. */
export function unpackExtension(folder: string, system: { dataDir: string; origin: string }): void {
  const built = pagesDir('extension');
  if (!existsSync(built)) {
    const text = 'the extension is not built; run node web/build.ts';
    throw new TapError('ERR_BENCH_BROWSER', text);
  }
  const pem = readFileSync(join(system.dataDir, PUBLISHER_KEY), 'utf8');
  const publicKey = createPublicKey(createPrivateKey(pem));
  const manifest = manifestOf({
    browser: 'chromium',
    version: versionOf('plugin'),
    gatewayOrigins: [system.origin],
    publicKeyBase64: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    updateUrl: null,
    geckoId: PLUGIN_GECKO_ID,
    geckoUpdateUrl: null,
  });
  cpSync(built, folder, { recursive: true });
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
}

/** Opens a browser with the extension and a page of the gateway in it. */
export async function openBenchPage(facts: {
  readonly executablePath: string;
  readonly extension: string;
  readonly userDataDir: string;
  readonly origin: string;
}): Promise<BenchPage> {
  const { executablePath, extension, userDataDir, origin } = facts;
  const isRoot = process.getuid?.() === 0;
  const context = await loadPlaywright().chromium.launchPersistentContext(userDataDir, {
    executablePath,
    headless: true,
    timeout: LAUNCH_TIMEOUT_MS,
    // The page is a document of the gateway, whose policy lets no page open a channel from it.
    bypassCSP: true,
    args: [
      ...(isRoot ? ['--no-sandbox'] : []),
      `--disable-extensions-except=${extension}`,
      `--load-extension=${extension}`,
    ],
  });
  try {
    const page = await context.newPage();
    await page.goto(`${origin}${PLUGIN_VERSIONS_PATH}`);
    await page.evaluate(PAGE_SCRIPT);
    return {
      call: async <Answer>(expression: string) => (await page.evaluate(expression)) as Answer,
      close: () => context.close(),
    };
  } catch (fault) {
    await context.close();
    throw fault;
  }
}

/** @throws TapError `ERR_BENCH_BROWSER`. */
export function loadPlaywright(folder: string = import.meta.url): Playwright {
  try {
    return createRequire(folder)('playwright-core') as Playwright;
  } catch (cause) {
    const text = 'playwright-core is missing; install the development dependencies: npm ci';
    throw new TapError('ERR_BENCH_BROWSER', text, {}, cause);
  }
}
