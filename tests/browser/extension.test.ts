/**
 * The extension in a real Chromium with a real host process: who is served and who is not, what a
 * page is told of every way in which its host can be lost, and the window where a person consents,
 * presents a card and types a PIN. One browser for all of it; the extension comes to a page that is
 * open already.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { withoutBrowser } from './browser.test-kit.ts';
import { ExtensionLab, type Heard, type TestPage, until } from './extension.test-kit.ts';

const skip = withoutBrowser();
const PIN = '4829';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
let lab: ExtensionLab;
let first: TestPage;

before(async () => {
  if (skip) return;
  lab = await ExtensionLab.open();
});
after(async () => {
  await lab?.close();
});

const codeOf = (heard: Heard): string => (heard.kind === 'lost' ? heard.code : heard.kind);
const framesSeen = (pid: number, type: string): number =>
  lab.system
    .hostEvents()
    .filter((event) => event.event === 'frame' && event.pid === pid && event.frame.type === type)
    .length;
const ended = (pid: number) => lab.system.hostEnded(pid);
const lastHost = () => lab.system.lastHost();

test('a page that is open already hears of the extension without a reload', { skip }, async () => {
  first = await lab.openPage();
  await first.say({ kind: 'ping' });
  assert.deepEqual(await first.heard(), []);
  await lab.installExtension();
  assert.equal((await first.hears('here', '*')).version, '0.1.0');
  await first.say({ kind: 'ping' });
  await first.hears('here');
  assert.deepEqual(lab.system.hostEvents(), [], 'no host before a page opens one');
});

test('a host says hello and hears from the browser whose page it is', { skip }, async () => {
  const hello = await first.open();
  assert.equal(codeOf(hello), 'hello');
  const pid = lastHost();
  await until(() => framesSeen(pid, 'hello') === 1, 'the hello of the worker');
  const event = lab.system.hostEvents().find((e) => e.event === 'frame');
  const page = event?.event === 'frame' ? (event.frame['page'] as object) : {};
  assert.deepEqual({ ...page, tabId: 0 }, { origin: lab.system.gateway, tabId: 0, frameId: 0 });
});

test('messages pass both ways unread, long ones too', { skip }, async () => {
  const session = crypto.randomUUID();
  for (const base64 of ['AAAA', 'Zm9v'.repeat(49_000)]) {
    await first.forget();
    await first.say({ kind: 'message', message: { type: 'channelData', session, base64 } });
    const back = await first.hearsAgent('channelData');
    const message = back.kind === 'message' ? back.message : null;
    assert.deepEqual(message, { type: 'channelData', session, base64 });
  }
});

test('ERR_MESSAGE_TOO_LARGE: the host never sees it; the page may open again', {
  skip,
}, async () => {
  const pid = lastHost();
  const seen = framesSeen(pid, 'page');
  await first.forget();
  const session = crypto.randomUUID();
  const base64 = 'A'.repeat(262_144);
  await first.say({ kind: 'message', message: { type: 'channelData', session, base64 } });
  assert.equal((await first.hears('lost')).code, 'ERR_MESSAGE_TOO_LARGE');
  await ended(pid);
  assert.equal(framesSeen(pid, 'page'), seen);
  await first.forget();
  assert.equal(codeOf(await first.open()), 'hello');
});

test('each way to lose a host has its own code, and leaves no process', { skip }, async (t) => {
  await first.say({ kind: 'close' });
  const lose = async (code: string, words: RegExp): Promise<void> => {
    await first.forget();
    const heard = await first.open();
    assert.equal(codeOf(heard), code);
    assert.match(heard.kind === 'lost' ? heard.detail : '', words);
    await until(() => lab.system.livingHosts().length === 0, 'no host');
  };
  await t.test('not installed', async () => {
    lab.system.removeHost();
    await lose('ERR_HOST_MISSING', /not found/);
  });
  await t.test('installed for another extension', async () => {
    lab.system.installHost({ forOthers: true });
    await lose('ERR_HOST_FORBIDDEN', /forbidden/);
    lab.system.installHost();
  });
  await t.test('exits at once', async () => {
    lab.system.setHost('exit');
    await lose('ERR_HOST_EXITED', /has exited/);
  });
  await t.test('writes what is no frame', async () => {
    lab.system.setHost('pollution');
    await lose('ERR_HOST_PROTOCOL', /communicating/);
  });
  await t.test('speaks only older versions', async () => {
    lab.system.setHost('older');
    await lose('ERR_HOST_OUTDATED', /speaks 0 to 0/);
  });
  await t.test('speaks only newer versions', async () => {
    lab.system.setHost('newer');
    await lose('ERR_EXTENSION_OUTDATED', /speaks 2 to 3/);
  });
  await t.test('says nothing for 5 s', async () => {
    lab.system.setHost('silent');
    await lose('ERR_HOST_TIMEOUT', /no hello/);
  });
  await t.test('and once it is there, the same page goes on', async () => {
    lab.system.setHost('payment');
    await first.forget();
    assert.equal(codeOf(await first.open()), 'hello');
  });
  await t.test('exits in the middle', async () => {
    await first.forget();
    await first.say({ kind: 'message', message: { type: 'cancel', session: crypto.randomUUID() } });
    assert.equal((await first.hears('lost')).code, 'ERR_HOST_EXITED');
  });
});

test('pages of others hear nothing, and no host is started for them', { skip }, async () => {
  const stranger = await lab.openPage(`${lab.system.stranger}/`);
  const hosts = lab.system.hostEvents().length;
  await stranger.say({ kind: 'ping' });
  await stranger.say({ kind: 'open' });
  // What the extension would have done is done by the time a gateway's page has its answer.
  await first.forget();
  await first.say({ kind: 'ping' });
  await first.hears('here');
  assert.deepEqual(await stranger.heard(), []);
  assert.equal(lab.system.hostEvents().length, hosts);
  await stranger.page.close();
});

/** The frame inside a page, once it speaks. */
async function frameOf(page: Page) {
  const frame = await until(() => page.frames()[1], 'the frame');
  await frame.waitForLoadState();
  return frame;
}

test('a gateway frame in a foreign page is served by its own origin', { skip }, async () => {
  const outer = await lab.openPage(`${lab.system.stranger}/?frame=${lab.system.gateway}/`);
  const frame = await frameOf(outer.page);
  const channel = crypto.randomUUID();
  await frame.evaluate(
    (to) => Reflect.get(globalThis, 'say')(to, { kind: 'open' }) as undefined,
    channel,
  );
  await until(
    async () => (await outer.heard(frame)).some(({ kind }) => kind === 'hello'),
    'hello in the frame',
  );
  const pid = lastHost();
  const hello = await until(
    () => lab.system.hostEvents().find((e) => e.event === 'frame' && e.pid === pid),
    'hello at the host',
  );
  const page = hello.event === 'frame' ? (hello.frame['page'] as { frameId: number }) : null;
  assert.equal((page as { origin?: string } | null)?.origin, lab.system.gateway);
  assert.notEqual(page?.frameId, 0);
  assert.deepEqual(await outer.heard(), [], 'the page around it hears nothing');
  await outer.page.close();
  await ended(pid);
});

test('foreign and sandboxed frames are not served', { skip }, async () => {
  const hosts = lab.system.hostEvents().length;
  for (const address of [
    `${lab.system.gateway}/?frame=${lab.system.stranger}/`,
    `${lab.system.gateway}/?sandbox&frame=${lab.system.gateway}/`,
    `${lab.system.stranger}/?sandbox&frame=${lab.system.gateway}/`,
  ]) {
    const outer = await lab.openPage(address);
    const frame = await frameOf(outer.page);
    await frame.evaluate(() => {
      const channel = crypto.randomUUID ? crypto.randomUUID() : 'x';
      for (const kind of ['ping', 'open']) {
        // To everybody: the frame of an opaque origin could not reach itself otherwise.
        window.postMessage({ tapnpay: 'toPlugin', channel, kind }, '*');
      }
    });
    await first.forget();
    await first.say({ kind: 'ping' });
    await first.hears('here');
    assert.deepEqual(await outer.heard(frame), [], address);
    await outer.page.close();
  }
  assert.equal(lab.system.hostEvents().length, hosts);
});

test('forged messages do nothing: from a frame, and from a page that plays us', {
  skip,
}, async () => {
  const outer = await lab.openPage(`${lab.system.gateway}/?frame=${lab.system.stranger}/`);
  const frame = await frameOf(outer.page);
  const hosts = lab.system.hostEvents().length;
  await outer.hears('here', '*');
  await frame.evaluate((origin) => {
    const forged = { tapnpay: 'toPlugin', channel: 'forged', kind: 'open' };
    window.parent.postMessage(forged, origin);
    window.parent.postMessage({ ...forged, tapnpay: 'toPage', kind: 'here', version: '9' }, origin);
  }, lab.system.gateway);
  await outer.page.evaluate(() => {
    const hello = { kind: 'hello', version: '9', protocol: {}, element: {}, readers: [] };
    window.postMessage({ tapnpay: 'toPage', channel: 'forged', ...hello }, location.origin);
    window.postMessage({ tapnpay: 'toPage', channel: '*', kind: 'here', version: '9' }, '*');
  });
  await outer.say({ kind: 'ping' });
  await outer.hears('here');
  assert.equal(lab.system.hostEvents().length, hosts, 'no host for a frame of others');
  assert.ok((await outer.heard()).every((heard) => heard.kind !== 'lost'));
  assert.equal(codeOf(await outer.open()), 'hello', 'and the script is still at work');
  await outer.page.close();
});

test('two pages have two hosts; each ends with its page, at once', { skip }, async () => {
  const pages = [await lab.openPage(), await lab.openPage()];
  const pids: number[] = [];
  for (const page of pages) {
    assert.equal(codeOf(await page.open()), 'hello');
    pids.push(lastHost());
  }
  const [one, other] = pages;
  const [pid = 0, otherPid = 0] = pids;
  assert.notEqual(pid, otherPid);
  const closedMs = Date.now();
  await one?.page.close();
  const { atMs } = await ended(pid);
  assert.ok(atMs - closedMs < 1_000, `${atMs - closedMs} ms`);
  assert.ok(lab.system.livingHosts().includes(otherPid));
  await other?.page.reload();
  await ended(otherPid);
  await other?.page.close();
});

test('a stopped worker is told within a second, and wakes for the next host', {
  skip,
}, async () => {
  await first.forget();
  await first.open();
  const pid = lastHost();
  await first.forget();
  const stoppedMs = Date.now();
  await lab.stopWorker();
  const lost = await first.hears('lost');
  assert.equal(lost.code, 'ERR_WORKER_STOPPED');
  assert.ok(lost.atMs - stoppedMs < 1_000, `${lost.atMs - stoppedMs} ms`);
  await ended(pid);
  await first.forget();
  assert.equal(codeOf(await first.open()), 'hello');
});

/** Starts a payment; answers the window that comes for it. */
async function pay(page: TestPage): Promise<Page> {
  await page.forget();
  if (codeOf(await page.open()) !== 'hello') throw new Error('no host');
  const opened = lab.context.waitForEvent('page');
  const session = crypto.randomUUID();
  await page.say({ kind: 'message', message: { type: 'pay', session, orderId: 'o1' } });
  const window = await opened;
  await window.locator('[data-state=consent]').waitFor();
  return window;
}

/** From consent to the PIN. */
async function toPin(window: Page): Promise<void> {
  await window.locator('[data-test=confirm]:enabled').click();
  await window.locator('[data-test=card-debit]').click();
  await window.locator('[data-test=insert]').click();
  await window.locator('[data-state=waitPin]').waitFor();
}

/** What axe finds, one line each; through the debugger, because the page's policy lets nobody in. */
async function faults(page: Page): Promise<readonly string[]> {
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: axe });
  const { result } = await session.send('Runtime.evaluate', {
    expression: `axe.run().then(({ violations }) => JSON.stringify(violations.map(
      ({ id, nodes }) => id + ': ' + nodes.map((node) => node.target.join(' ')).join(', '))))`,
    awaitPromise: true,
  });
  await session.detach();
  return JSON.parse(String(result.value)) as string[];
}

/** The window may be gone before the press of its button is over. */
async function closeByButton(window: Page): Promise<void> {
  const press = window.locator('[data-test=close]').click();
  const refusal = await press.then(
    () => null,
    (fault: unknown) => fault,
  );
  if (refusal !== null && !window.isClosed()) throw refusal;
  await until(() => window.isClosed(), 'the window to close');
}

test('the window: consent, card and a PIN that only the element can read', { skip }, async () => {
  const window = await pay(first);
  assert.match(
    window.url(),
    new RegExp(`^chrome-extension://${lab.system.extensionId}/window.html(\\?lang=en)?#`),
  );
  assert.match((await window.locator('[data-test=amount]').textContent()) ?? '', /1,286\.00/);
  assert.equal(
    await window.locator('[data-test=gateway-origin]').textContent(),
    lab.system.gateway,
  );
  assert.equal(await window.locator('[data-test=origin]').textContent(), 'http://shop.example');
  assert.deepEqual(await faults(window), [], 'consent');
  await toPin(window);
  assert.deepEqual(await faults(window), [], 'PIN');
  const field = window.getByRole('textbox', { name: /PIN/ });
  const seen = await window.evaluate(() => [document.visibilityState, document.hasFocus()]);
  assert.deepEqual(seen, ['visible', true], 'the window is there, and has the keyboard');
  assert.ok(await field.evaluate((element) => element === document.activeElement));
  for (const digit of PIN) await window.keyboard.press(digit);
  const text = await window.locator('#pin-field').evaluate((element) => element.outerHTML);
  assert.doesNotMatch(text, /\d{2,}|value=/, 'no digit is shown');
  await window.keyboard.press('Enter');
  await window.locator('[data-state=end]').waitFor();
  const pins = lab.system.hostEvents().flatMap((e) => (e.event === 'pin' ? [e.digits] : []));
  assert.deepEqual(pins, [PIN], 'the element has it');
  const sent = lab.system.hostEvents().filter((e) => e.event === 'frame');
  assert.doesNotMatch(JSON.stringify(sent), new RegExp(`"${PIN}"`), 'no frame has it');
  assert.doesNotMatch(JSON.stringify(await first.heard()), /sealedPin|pinKeySpki/, 'nor the page');
  await closeByButton(window);
});

for (const state of ['consent', 'PIN'] as const) {
  test(`closing the window at ${state} cancels, and the page is told at once`, {
    skip,
  }, async () => {
    const window = await pay(first);
    if (state === 'PIN') await toPin(window);
    await window.close();
    const failed = await first.hearsAgent('failed');
    const message = failed.kind === 'message' ? failed.message : null;
    assert.equal(message?.type === 'failed' && message.error.code, 'ERR_USER_CANCELLED');
  });
}

test('the window comes again when the page asks, and ends with the page', { skip }, async () => {
  const page = await lab.openPage();
  const window = await pay(page);
  await window.locator('[data-test=confirm]:enabled').click();
  await window.locator('[data-state=waitCard]').waitFor();
  await window.close();
  const opened = lab.context.waitForEvent('page');
  await page.say({ kind: 'show' });
  const again = await opened;
  await again.locator('[data-state=waitCard]').waitFor();
  await again.reload();
  await again.locator('[data-state=waitCard]').waitFor();
  await page.page.close();
  await again.locator('[data-state=gone]').waitFor();
  assert.deepEqual(await faults(again), [], 'gone');
  await closeByButton(again);
});

test('a killed host leaves a window that says so', { skip }, async () => {
  const page = await lab.openPage();
  const window = await pay(page);
  process.kill(lastHost(), 'SIGKILL');
  assert.equal((await page.hears('lost')).code, 'ERR_HOST_EXITED');
  await window.locator('[data-state=broken]').waitFor();
  assert.match((await window.locator('[role=alert]').textContent()) ?? '', /ERR_HOST_EXITED/);
  await window.close();
  await page.page.close();
});

/** What the clipboard holds: pasted into a page of its own. */
async function pasted(): Promise<string> {
  const page = await lab.context.newPage();
  await page.setContent('<!doctype html><textarea></textarea>');
  await page.locator('textarea').focus();
  await page.keyboard.press('Control+V');
  const text = await page.locator('textarea').inputValue();
  await page.close();
  return text;
}

for (const language of ['zh', 'en'] as const) {
  test(`options: parts, doctor and a report to copy (${language})`, { skip }, async () => {
    const page = await lab.context.newPage();
    await page.goto(`chrome-extension://${lab.system.extensionId}/options.html?lang=${language}`);
    const stateOf = (part: string) =>
      page.locator(`[data-test=part-${part}]`).getAttribute('data-state');
    await until(async () => (await stateOf('element')) === 'ok', 'the element');
    assert.equal(await stateOf('host'), 'ok');
    // The small server of this test knows nothing of versions.
    await until(async () => (await stateOf('gateway-0')) === 'broken', 'the gateway');
    assert.deepEqual(await faults(page), [], 'parts');
    await page.locator('[data-test=doctor]').focus();
    await page.keyboard.press('Enter');
    await page.locator('[data-test=check-element][data-state=ok]').waitFor();
    assert.deepEqual(await faults(page), [], 'report');
    const text = await page.locator('[data-test=report-text]').inputValue();
    assert.match(text, /SE-0001/);
    assert.match(text, language === 'zh' ? /安全单元/ : /secure element/);
    await page.locator('[data-test=copy]').click();
    await page
      .locator('#note')
      .filter({ hasText: /Copied|已复制/ })
      .waitFor();
    assert.equal(await pasted(), text);
    await page.close();
  });
}

test('options: a missing host is named with what to do', { skip }, async () => {
  lab.system.removeHost();
  const page = await lab.context.newPage();
  await page.goto(`chrome-extension://${lab.system.extensionId}/options.html?lang=en`);
  const host = page.locator('[data-test=part-host][data-state=broken]');
  await host.waitFor();
  assert.match((await host.textContent()) ?? '', /ERR_HOST_MISSING/);
  assert.match((await host.textContent()) ?? '', /agent install/);
  await page.locator('[data-test=part-element][data-state=unknown]').waitFor();
  assert.deepEqual(await faults(page), []);
  lab.system.installHost();
  await page.locator('[data-test=again]').click();
  await page.locator('[data-test=part-host][data-state=ok]').waitFor();
  await page.close();
});

test('an update under an open page: told, and gone on with without a reload', {
  skip,
}, async () => {
  await first.forget();
  assert.equal(codeOf(await first.open()), 'hello');
  await first.forget();
  await lab.reloadExtension();
  assert.equal((await first.hears('lost')).code, 'ERR_EXTENSION_RELOADED');
  await first.hears('here', '*');
  await first.forget();
  assert.equal(codeOf(await first.open()), 'hello');
  await first.say({ kind: 'ping' });
  await first.hears('here');
  const kinds = (await first.heard()).map(codeOf);
  assert.deepEqual(kinds, ['hello', 'here'], 'one script answers, not two');
  const broken: string[] = [];
  first.page.on('console', (message) => broken.push(message.text()));
  await first.page.close();
  await until(() => lab.system.livingHosts().length === 0, 'no host');
  assert.deepEqual(broken, []);
});
