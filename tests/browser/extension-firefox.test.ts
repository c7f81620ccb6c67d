/**
 * The same extension in a real Firefox: it comes to an open page, leaves other ports of the same
 * host alone though Firefox's patterns know none, tells how a host was lost in Firefox's words, and
 * takes a person through consent, card and PIN.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Browser, launch, type Page } from 'puppeteer-core';
import { ExtensionSystem, type Heard, until } from './extension.test-kit.ts';

const FIREFOX = '/usr/bin/firefox-esr';
const CHANNEL = 'a-page';
const PIN = '4829';
const skip: string | false =
  existsSync(FIREFOX) || process.env['CI'] ? false : 'firefox-esr is not installed';
let system: ExtensionSystem;
let browser: Browser;
let page: Page;

before(async () => {
  if (skip) return;
  system = await ExtensionSystem.make('firefox', 'home/.mozilla/native-messaging-hosts');
  const home = join(system.folder, 'home');
  mkdirSync(home, { recursive: true });
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
  system?.remove();
});

const heardBy = (who: Page): Promise<readonly Heard[]> =>
  who.evaluate(() => Reflect.get(globalThis, 'heard') as readonly Heard[]);
const say = (body: object, who: Page = page): Promise<void> =>
  who.evaluate(
    (channel, what) => Reflect.get(globalThis, 'say')(channel, what) as undefined,
    CHANNEL,
    body,
  );
const hears = (...kinds: readonly Heard['kind'][]): Promise<Heard> =>
  until(async () => (await heardBy(page)).find(({ kind }) => kinds.includes(kind)), `${kinds}`);
const forget = (): Promise<void> =>
  page.evaluate(() => {
    Reflect.set(globalThis, 'heard', []);
  });

/** Opens the way to a host: `hello`, or the code and the text of the loss. */
async function open(): Promise<readonly string[]> {
  await forget();
  await say({ kind: 'open' });
  const heard = await hears('hello', 'lost');
  return heard.kind === 'lost' ? [heard.code, heard.detail] : [heard.kind];
}

test('a page that is open already hears of the extension without a reload', { skip }, async () => {
  page = await browser.newPage();
  await page.goto(`${system.gateway}/`);
  await browser.installExtension(system.extension);
  await hears('here');
  await forget();
  await say({ kind: 'ping' });
  await hears('here');
});

test('another port of the same host is not touched, before or after', { skip }, async () => {
  const stranger = await browser.newPage();
  await stranger.goto(`${system.stranger}/`);
  await say({ kind: 'ping' }, stranger);
  await say({ kind: 'open' }, stranger);
  await forget();
  await say({ kind: 'ping' });
  await hears('here');
  assert.deepEqual(await heardBy(stranger), []);
  assert.deepEqual(system.hostEvents(), []);
  await stranger.close();
});

test('each way to lose a host has a code; a forbidden one looks missing here', {
  skip,
}, async () => {
  system.removeHost();
  const missing = await open();
  assert.equal(missing[0], 'ERR_HOST_MISSING');
  assert.match(missing[1] ?? '', /No such native application/);
  system.installHost({ forOthers: true });
  assert.equal((await open())[0], 'ERR_HOST_MISSING');
  system.installHost();
  for (const [mode, code] of [
    ['exit', 'ERR_HOST_EXITED'],
    ['pollution', 'ERR_HOST_PROTOCOL'],
    ['older', 'ERR_HOST_OUTDATED'],
  ] as const) {
    system.setHost(mode);
    assert.equal((await open())[0], code);
  }
  system.setHost('payment');
  assert.deepEqual(await open(), ['hello']);
});

test('long messages pass both ways', { skip }, async () => {
  await forget();
  const message = {
    type: 'channelData',
    session: crypto.randomUUID(),
    base64: 'Zm9v'.repeat(49_000),
  };
  await say({ kind: 'message', message });
  const heard = await hears('message');
  assert.deepEqual(heard.kind === 'message' ? heard.message : null, message);
});

test('the window: consent, card and a PIN that only the element can read', { skip }, async () => {
  await forget();
  const session = crypto.randomUUID();
  await say({ kind: 'message', message: { type: 'pay', session, orderId: 'o1' } });
  const window = await until(async () => {
    for (const candidate of await browser.pages()) {
      // What a new window reports of itself is not yet where it is.
      const address = await candidate.evaluate(() => location.href).catch(() => '');
      if (address.startsWith('moz-extension://')) return candidate;
    }
    return false;
  }, 'the window');
  const press = async (selector: string): Promise<void> => {
    const found = await window.waitForSelector(selector);
    await found?.click();
  };
  await press('[data-test=confirm]:enabled');
  await press('[data-test=card-debit]');
  await press('[data-test=insert]');
  await window.waitForSelector('[data-state=waitPin]');
  for (const digit of PIN) await press(`[data-test=pin-key-${digit}]`);
  await press('[data-test=pin-ok]');
  await window.waitForSelector('[data-state=end]');
  const pins = system.hostEvents().flatMap((e) => (e.event === 'pin' ? [e.digits] : []));
  assert.deepEqual(pins, [PIN]);
  await window.close();
});

test('a closed page ends its host at once, and none is left', { skip }, async () => {
  const pid = system.lastHost();
  const closedMs = Date.now();
  await page.close();
  const { atMs } = await system.hostEnded(pid);
  assert.ok(atMs - closedMs < 1_000, `${atMs - closedMs} ms`);
  await until(() => system.livingHosts().length === 0, 'no host');
});
