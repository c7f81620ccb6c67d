/**
 * What is missing comes while the payer waits, and the page that was open all the time goes on by
 * itself, in a real Chromium that its administrator manages: the extension from the gateway's own
 * update channel, the host by the installer, a forced update, an optional one, and one that comes
 * in the middle of a payment. The page is never reloaded, and its order stays the same.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { POLICY_FILE } from '../../agent/src/install/policy.ts';
import { tapnpay } from '../system.test-kit.ts';
import { finalState, stateOf, untilSays, untilState } from './browser.test-kit.ts';
import { type ForcedExtension, ManagedChromium, withoutManaged } from './managed.test-kit.ts';
import { answer, nextWindow, openPayPage, payByPlugin, pressPay } from './plugin.test-kit.ts';
import { PluginSystem, until } from './plugin-system.test-kit.ts';

const skip = withoutManaged('chromium');
const plugin = new PluginSystem();
let browser: ManagedChromium;
let extensionId = '';
const CARD = 'debit';
const tap = { card: CARD, interface: 'contactless' } as const;

before(async () => {
  if (skip) return;
  await plugin.up();
  await plugin.withoutService();
  browser = await ManagedChromium.open();
  extensionId = (await plugin.versions()).extension.id;
});
after(async () => {
  await browser?.close();
  await plugin.close();
});

afterEach(async () => {
  await Promise.all((browser?.context.pages() ?? []).slice(1).map((page) => page.close()));
});

/** A pay page that would forget its mark if it were loaded again. */
async function markedPage(amount = '2.00'): Promise<{ page: Page; orderId: string }> {
  const { orderId, payUrl } = await plugin.system.createOrder({ amount });
  const page = await openPayPage(browser.context, payUrl);
  await page.evaluate(() => Reflect.set(globalThis, 'isSamePage', true));
  return { page, orderId };
}

/** The payment is this page's, this order's, and the gateway's. */
async function assertPaid(page: Page, orderId: string): Promise<void> {
  const end = await untilState(page, 'APPROVED', 'DECLINED', 'CANCELLED', 'INTERRUPTED');
  assert.deepEqual(end, { state: 'APPROVED', code: '', charged: 'yes' });
  assert.equal(await page.evaluate(() => Reflect.get(globalThis, 'isSamePage')), true, 'no reload');
  assert.ok(page.url().endsWith(`/pay/${orderId}`));
  assert.equal(await orderStatus(orderId), 'paid');
}

async function orderStatus(orderId: string): Promise<string> {
  const response = await fetch(`${plugin.gateway}/v1/pay/${orderId}`);
  return ((await response.json()) as { status: string }).status;
}

/** The look before the click has found everything: a click that comes sooner has a part in it. */
async function untilLooked(page: Page): Promise<void> {
  await untilState(page, 'READY');
  await until(() => plugin.elements().length > 0, 'the element of the host that was found');
}

/** The browser looks for a newer version, as it does by itself every few hours, and has it. */
async function untilUpdateWaits(page: Page): Promise<void> {
  const worker = browser.context.serviceWorkers().find((one) => one.url().includes(extensionId));
  assert.ok(worker, 'the worker of the extension');
  await worker.evaluate(() => {
    const { chrome } = globalThis as unknown as WorkerScope;
    chrome.runtime.onUpdateAvailable.addListener(() => {
      Reflect.set(globalThis, 'isUpdateHere', true);
    });
  });
  const wish = { tapnpay: 'toPlugin', channel: crypto.randomUUID(), kind: 'update' };
  await page.evaluate((message) => window.postMessage(message, location.origin), wish);
  const look = () => worker.evaluate(() => Reflect.get(globalThis, 'isUpdateHere') === true);
  await until(look, 'the newer version');
}

type WorkerScope = {
  readonly chrome: {
    readonly runtime: {
      readonly onUpdateAvailable: { addListener(listener: () => void): void };
    };
  };
};

const installed = async (): Promise<string | undefined> =>
  (await browser.states([extensionId]))[extensionId];

async function agentInstall(...options: readonly string[]): Promise<void> {
  const done = await tapnpay(['agent', 'install', '--data', plugin.dataDir, ...options]);
  assert.equal(done.code, 0, `${done.stdout}\n${done.stderr}`);
}

/** What the installer has managed browsers install, written below a folder of our own. */
async function policyOfInstaller(): Promise<readonly ForcedExtension[]> {
  const root = join(plugin.folder, 'root');
  await agentInstall('--system', '--extension', '--root', root);
  const path = join(root, 'etc/chromium/policies/managed', POLICY_FILE);
  const policy = JSON.parse(readFileSync(path, 'utf8')) as {
    readonly ExtensionInstallForcelist: readonly string[];
  };
  return policy.ExtensionInstallForcelist.map((entry) => {
    const [id = '', updateUrl = ''] = entry.split(';');
    return { id, updateUrl };
  });
}

test('nothing is there: extension and host are installed, and the open page goes on', {
  skip,
}, async () => {
  const { page, orderId } = await markedPage();
  assert.deepEqual(await untilState(page, 'NEED_EXTENSION'), {
    state: 'NEED_EXTENSION',
    code: 'TP_EXTENSION_MISSING',
    charged: 'no',
  });
  await browser.install(await policyOfInstaller());
  assert.equal((await untilState(page, 'NEED_HOST')).code, 'TP_HOST_MISSING');
  await untilSays(page, /tapnpay agent install/);
  await agentInstall('--browser-profile', browser.profile);
  plugin.keepHostLog();
  await untilState(page, 'READY');
  await answer(await pressPay(page), tap);
  await assertPaid(page, orderId);
});

test('optional update: it is offered, and stops nothing; in a payment it waits for the end', {
  skip,
}, async () => {
  plugin.publish({ extension: { version: '0.2.0' } });
  const idle = await markedPage();
  await untilLooked(idle.page);
  await untilSays(idle.page, /new(er)? version/i);
  const { page, orderId } = await markedPage();
  await untilState(page, 'READY');
  const window = await pressPay(page);
  await window.locator('[data-test=confirm]:enabled').click();
  await untilState(page, 'WAIT_CARD');
  await untilUpdateWaits(page);
  assert.equal((await stateOf(page)).state, 'WAIT_CARD');
  assert.match((await installed()) ?? '', /^0\.1\.0 /);
  await answer(window, tap);
  await assertPaid(page, orderId);
  // The page that only stands there keeps nobody from it, and needs no reload either.
  await until(async () => (await installed()) === '0.2.0 ENABLED', 'the update');
  await page.close();
  await untilLooked(idle.page);
  assert.equal((await payByPlugin(idle.page, tap)).state, 'APPROVED');
  await assertPaid(idle.page, idle.orderId);
});

test('forced update: the page says so and starts nothing, and goes on with the new version', {
  skip,
}, async () => {
  const was = plugin.counterOf(CARD);
  const { page, orderId } = await markedPage();
  await untilLooked(page);
  plugin.publish({ extension: { required: '0.3.0' } });
  const pages = browser.context.pages().length;
  await page.locator('[data-test=pay]').click();
  const need = await untilState(page, 'NEED_UPDATE');
  assert.deepEqual([need.code, need.charged], ['TP_EXTENSION_OUTDATED', 'no']);
  assert.equal(browser.context.pages().length, pages, 'no window');
  await plugin.untilNothingLeft();
  assert.deepEqual([await orderStatus(orderId), plugin.counterOf(CARD)], ['open', was]);
  plugin.publish({ extension: { version: '0.3.0', required: '0.3.0' } });
  const window = nextWindow(browser.context);
  // Of its own accord it looks every few hours, and a page's wish is heard about once an hour.
  await browser.checkForUpdates();
  await answer(await window, tap);
  await assertPaid(page, orderId);
  assert.equal(await installed(), '0.3.0 ENABLED');
});

test('a host that is too old is told apart, and the page goes on when it is not', {
  skip,
}, async () => {
  plugin.publish({ extension: { version: '0.3.0' }, host: { required: '0.2.0' } });
  const { page, orderId } = await markedPage();
  const need = await untilState(page, 'NEED_UPDATE');
  assert.deepEqual([need.code, need.charged], ['TP_HOST_OUTDATED', 'no']);
  await plugin.untilNothingLeft();
  plugin.publish({ extension: { version: '0.3.0' } });
  await untilState(page, 'READY');
  await answer(await pressPay(page), tap);
  await finalState(page);
  await assertPaid(page, orderId);
});
