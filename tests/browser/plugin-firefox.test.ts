/**
 * The plug-in in a real Firefox ESR against the whole system: the host is missing, is installed by
 * the command that the page shows, and the page that was open all the time goes on by itself to a
 * whole purchase by contact, its PIN typed in the extension's window. Then a forced update, and
 * faults while the card is waited for and while the issuer decides: what the page says is what
 * gateway, ledger and card say.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { type Browser, launch, type Page } from 'puppeteer-core';
import { tapnpay } from '../system.test-kit.ts';
import { SANDBOX_PIN } from './browser.test-kit.ts';
import { PluginSystem, PROCESS_END_MS, until } from './plugin-system.test-kit.ts';

const FIREFOX = '/usr/bin/firefox-esr';
const skip: string | false =
  existsSync(FIREFOX) || process.env['CI'] ? false : 'firefox-esr is not installed';
const CARD = 'debit';
const plugin = new PluginSystem();
let browser: Browser;
let home = '';

before(async () => {
  if (skip) return;
  await plugin.up();
  await plugin.withoutService();
  home = join(plugin.folder, 'home');
  mkdirSync(home);
  browser = await launch({
    browser: 'firefox',
    executablePath: FIREFOX,
    headless: true,
    env: { ...process.env, HOME: home },
    extraPrefsFirefox: {
      // Ours is signed by nobody here.
      'xpinstall.signatures.required': false,
      'extensions.autoDisableScopes': 0,
      'intl.accept_languages': 'en',
    },
  });
});
after(async () => {
  await browser?.close();
  await plugin.close();
});

/** Windows of the extension stay until the person closes them; the first page keeps Firefox open. */
afterEach(async () => {
  const pages = await (browser?.pages() ?? []);
  await Promise.all(pages.slice(1).map((page) => page.close().catch(() => {})));
});

/** The pay page's panel. */
type Panel = { readonly state: string; readonly code: string; readonly charged: string };
async function panelOf(page: Page): Promise<Panel> {
  return page.evaluate(() => {
    const { dataset } = document.querySelector('#panel') as HTMLElement;
    const { state = '', code = '', charged = '' } = dataset;
    return { state, code, charged };
  });
}

async function untilState(page: Page, ...states: readonly string[]): Promise<Panel> {
  let now: Panel | null = null;
  const look = async (): Promise<Panel | false> => {
    now = await panelOf(page);
    return states.includes(now.state) && now;
  };
  return await until(look, states.join(' or ')).catch((fault: unknown) => {
    throw new Error(`the page is ${JSON.stringify(now)}\n${plugin.hostLog()}`, { cause: fault });
  });
}

/** The extension's window, once it is where it should be. */
function extensionWindow(): Promise<Page> {
  return until(async () => {
    for (const candidate of await browser.pages()) {
      // What a new window reports of itself is not yet where it is.
      const address = await candidate.evaluate(() => location.href).catch(() => '');
      if (/^moz-extension:.*window\.html/.test(address)) return candidate;
    }
    return false;
  }, 'the window of the extension');
}

/** Presses a button that may be drawn anew meanwhile. */
async function press(page: Page, selector: string): Promise<void> {
  await page.locator(selector).setTimeout(30_000).click();
}

/** A pay page that would forget its mark if it were loaded again. */
async function markedPage(amount: string): Promise<{ page: Page; orderId: string; was: number }> {
  const was = plugin.counterOf(CARD);
  const { orderId, payUrl } = await plugin.system.createOrder({ amount });
  const page = await browser.newPage();
  await page.goto(payUrl);
  await page.evaluate(() => Reflect.set(globalThis, 'isSamePage', true));
  return { page, orderId, was };
}

/** Consents in the extension's window, in which the card is waited for then. */
async function untilWaitCard(page: Page): Promise<Page> {
  await press(page, '[data-test=pay]');
  const window = await extensionWindow();
  await window.waitForSelector('[data-state=consent]');
  await press(window, '[data-test=confirm]:enabled');
  await window.waitForSelector('[data-state=waitCard]');
  return window;
}

async function presentCard(window: Page, how: 'tap' | 'insert'): Promise<void> {
  await window.$eval(`[data-test=card-${CARD}]`, (choice) => (choice as HTMLElement).click());
  await press(window, `[data-test=${how}]:enabled`);
}

/** The page's last word, and that it was open all the time. */
async function lastWord(page: Page): Promise<Panel> {
  const end = await untilState(page, 'APPROVED', 'DECLINED', 'CANCELLED', 'INTERRUPTED');
  assert.equal(await page.evaluate(() => Reflect.get(globalThis, 'isSamePage')), true, 'no reload');
  return end;
}

const APPROVED: Panel = { state: 'APPROVED', code: '', charged: 'yes' };

test('Firefox: the missing host is installed, and the open page goes on to a purchase with PIN', {
  skip,
}, async () => {
  const { page, orderId, was } = await markedPage('23.45');
  assert.equal((await untilState(page, 'NEED_EXTENSION')).code, 'TP_EXTENSION_MISSING');
  await browser.installExtension(await plugin.unpackExtension('firefox'));
  assert.equal((await untilState(page, 'NEED_HOST')).code, 'TP_HOST_MISSING');
  const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: '', CHROME_CONFIG_HOME: '' };
  const done = await tapnpay(['agent', 'install', '--data', plugin.dataDir], { env });
  assert.equal(done.code, 0, done.stderr);
  plugin.keepHostLog();
  await untilState(page, 'READY');

  await press(page, '[data-test=pay]');
  const window = await extensionWindow();
  await window.waitForSelector('[data-state=consent]');
  const shown = await window.$eval('main', (main) => main.textContent ?? '');
  for (const text of ['23.45', plugin.gateway, plugin.system.ready.shop]) {
    assert.ok(shown.includes(text), `${text} in the window`);
  }
  await press(window, '[data-test=confirm]:enabled');
  await window.waitForSelector('[data-state=waitCard]');
  await presentCard(window, 'insert');
  await window.waitForSelector('[data-state=waitPin]');
  for (const digit of SANDBOX_PIN) await press(window, `[data-test=pin-key-${digit}]`);
  await press(window, '[data-test=pin-ok]');

  assert.deepEqual(await lastWord(page), APPROVED);
  const settled = await plugin.settled(orderId, { amountMinor: 2345n });
  assert.deepEqual(settled, { order: 'paid', payment: 'captured' });
  assert.equal(plugin.counterOf(CARD) - was, 1);
  await page.close();
  assert.ok((await plugin.untilNothingLeft()) < PROCESS_END_MS);
});

test('Firefox: a forced update starts nothing, and the open page goes on with the new version', {
  skip,
}, async () => {
  const { page, orderId, was } = await markedPage('3.01');
  await untilState(page, 'READY');
  plugin.publish({ extension: { required: '0.3.0' } });
  await press(page, '[data-test=pay]');
  const need = await untilState(page, 'NEED_UPDATE');
  assert.deepEqual([need.code, need.charged], ['TP_EXTENSION_OUTDATED', 'no']);
  await plugin.untilNothingLeft();
  assert.equal(plugin.counterOf(CARD), was);
  plugin.publish({ extension: { version: '0.3.0', required: '0.3.0' } });
  await browser.installExtension(await plugin.unpackExtension('firefox', '0.3.0'));
  // The person had pressed already.
  const window = await extensionWindow();
  await press(window, '[data-test=confirm]:enabled');
  await window.waitForSelector('[data-state=waitCard]');
  await presentCard(window, 'tap');
  assert.deepEqual(await lastWord(page), APPROVED);
  const settled = await plugin.settled(orderId, { amountMinor: 301n });
  assert.deepEqual(settled, { order: 'paid', payment: 'captured' });
});

async function killHost(): Promise<void> {
  const [host = 0] = plugin.hosts();
  process.kill(host, 'SIGKILL');
}

for (const [name, amount, strike] of [
  ['the host is killed', '3.02', killHost],
  ['the tab is closed', '3.03', (page: Page) => page.close()],
] as const) {
  test(`Firefox: ${name} while the card is waited for: nothing is charged`, { skip }, async () => {
    const { page, orderId, was } = await markedPage(amount);
    await untilState(page, 'READY');
    await untilWaitCard(page);
    await strike(page);
    assert.ok((await plugin.untilNothingLeft()) < PROCESS_END_MS);
    if (!page.isClosed()) assert.equal((await lastWord(page)).charged, 'no');
    const amountMinor = BigInt(Math.round(100 * Number(amount)));
    const settled = await plugin.settled(orderId, { amountMinor });
    assert.deepEqual(settled, { order: 'open', payment: 'none' });
    assert.equal(plugin.counterOf(CARD), was);
    await plugin.takeElementAndCard(CARD);
  });
}

test('Firefox: the host is killed while the issuer decides: unknown first, then what is true', {
  skip,
}, async () => {
  const { page, orderId, was } = await markedPage('3.04');
  await untilState(page, 'READY');
  const window = await untilWaitCard(page);
  const issuer = plugin.system.processOf('issuer');
  process.kill(issuer, 'SIGSTOP');
  try {
    await presentCard(window, 'tap');
    await plugin.untilPayment(orderId);
    await killHost();
    assert.equal((await untilState(page, 'UNKNOWN')).charged, 'unknown');
  } finally {
    process.kill(issuer, 'SIGCONT');
  }
  assert.deepEqual(await lastWord(page), APPROVED);
  const settled = await plugin.settled(orderId, { amountMinor: 304n });
  assert.deepEqual(settled, { order: 'paid', payment: 'captured' });
  assert.equal(plugin.counterOf(CARD) - was, 1);
  await plugin.untilNothingLeft();
  await plugin.takeElementAndCard(CARD);
});
