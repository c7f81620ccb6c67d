/**
 * Shows that the content script listens to its own page only, keeps the channels of a page apart,
 * and says truly why a channel was lost.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToPage, ToPluginBody } from '@tapnpay/protocol/wire';
import { FakeClock, FakePort, GATEWAY, MANIFEST } from '../browser.test-kit.ts';
import { CHANNELS_MAX, ContentScript, type PageEvent, type PageWindow } from './content.ts';

const CHANNEL = '0192f4c0-0000-7000-8000-000000000001';
const SESSION = '0192f4c0-0000-7000-8000-000000000002';
const PAY = { type: 'pay', session: SESSION, orderId: 'o1' } as const;
const SETTLED_MS = 100;

class FakeWindow implements PageWindow {
  readonly origin = GATEWAY;
  readonly told: ToPage[] = [];
  readonly targets: string[] = [];
  readonly #listeners = new Set<(event: PageEvent) => void>();
  postMessage(message: unknown, target: string): void {
    this.told.push(message as ToPage);
    this.targets.push(target);
  }
  addEventListener(_: 'message', listener: (event: PageEvent) => void): void {
    this.#listeners.add(listener);
  }
  removeEventListener(_: 'message', listener: (event: PageEvent) => void): void {
    this.#listeners.delete(listener);
  }
  fire(event: PageEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
  get listeners(): number {
    return this.#listeners.size;
  }
}

/** The codes of what was lost; other messages by their kind. */
function codesOf(window: FakeWindow): readonly string[] {
  return window.told.map((message) => (message.kind === 'lost' ? message.code : message.kind));
}

function setUp() {
  const window = new FakeWindow();
  const clock = new FakeClock();
  const ports: FakePort[] = [];
  const sent: unknown[] = [];
  const extension: { id: string | undefined; fault: Error | null } = { id: 'x', fault: null };
  const page = { language: 'zh-CN' };
  const script = new ContentScript({
    window,
    documentLanguage: () => page.language,
    after: clock.after,
    runtime: {
      get id() {
        return extension.id;
      },
      getManifest: () => MANIFEST,
      connect: ({ name }) => {
        if (extension.fault) throw extension.fault;
        const port = new FakePort(name);
        ports.push(port);
        return port;
      },
      sendMessage: async (message) => void sent.push(message),
    },
  });
  script.start();
  window.told.length = 0;
  const say = (body: ToPluginBody, channel: string = CHANNEL): void =>
    window.fire({
      data: { tapnpay: 'toPlugin', channel, ...body },
      source: window,
      origin: GATEWAY,
    });
  const port = (): FakePort => ports.at(-1) ?? assert.fail('no port');
  /** The extension is replaced: its scripts lose it. */
  const replace = (): void => {
    extension.id = undefined;
    extension.fault = new Error('Extension context invalidated.');
    for (const open of ports) open.isInvalid = true;
  };
  return { window, clock, ports, sent, script, say, port, replace, page };
}

test('says here unasked, to its own origin only, and again when asked', () => {
  const { window, say, script } = setUp();
  script.announce();
  say({ kind: 'ping' });
  assert.deepEqual(window.told, [
    { tapnpay: 'toPage', channel: '*', kind: 'here', version: '0.1.0' },
    { tapnpay: 'toPage', channel: CHANNEL, kind: 'here', version: '0.1.0' },
  ]);
  assert.deepEqual(new Set(window.targets), new Set([GATEWAY]));
});

test('forged: another window, another origin, an opaque one, the other direction, no message', () => {
  const { window, ports } = setUp();
  const data = { tapnpay: 'toPlugin', channel: CHANNEL, kind: 'open' };
  const frame = new FakeWindow();
  window.fire({ data, source: frame, origin: GATEWAY });
  window.fire({ data, source: null, origin: GATEWAY });
  window.fire({ data, source: window, origin: 'https://shop.example' });
  window.fire({ data, source: window, origin: 'null' });
  window.fire({ data: { ...data, tapnpay: 'toPage' }, source: window, origin: GATEWAY });
  window.fire({ data: 'open', source: window, origin: GATEWAY });
  assert.equal(ports.length, 0);
  assert.deepEqual(window.told, []);
});

test('open, message, show and doctor reach the worker; its answers reach the channel', () => {
  const { window, say, port } = setUp();
  say({ kind: 'open' });
  say({ kind: 'message', message: PAY });
  say({ kind: 'show' });
  say({ kind: 'doctor' });
  assert.equal(port().name, 'page');
  assert.deepEqual(port().sent, [
    { kind: 'message', message: PAY, language: 'zh' },
    { kind: 'show' },
    { kind: 'doctor' },
  ]);
  const message = { type: 'openChannel', session: SESSION };
  port().say({ kind: 'message', message });
  assert.deepEqual(window.told, [
    { tapnpay: 'toPage', channel: CHANNEL, kind: 'message', message },
  ]);
});

test('each message tells the language that the page has then', () => {
  const { say, port, page } = setUp();
  say({ kind: 'open' });
  for (const language of ['en', 'EN-GB', 'zh-Hant', 'fr', '']) {
    page.language = language;
    say({ kind: 'message', message: PAY });
  }
  assert.deepEqual(
    port().sent.map((message) => (message as { language: unknown }).language),
    ['en', 'en', 'zh', null, null],
  );
});

test('channels of one page have ports of their own', () => {
  const { window, say, ports } = setUp();
  say({ kind: 'open' }, 'a');
  say({ kind: 'open' }, 'b');
  ports[1]?.say({ kind: 'report', report: { checks: [] } });
  assert.deepEqual(window.told, [
    { tapnpay: 'toPage', channel: 'b', kind: 'report', report: { checks: [] } },
  ]);
  say({ kind: 'close' }, 'a');
  assert.deepEqual(
    ports.map(({ isOpen }) => isOpen),
    [false, true],
  );
});

test('opening a channel again gives it a new port and closes the old one', () => {
  const { window, say, ports, clock } = setUp();
  say({ kind: 'open' });
  say({ kind: 'open' });
  assert.deepEqual(
    ports.map(({ isOpen }) => isOpen),
    [false, true],
  );
  ports[0]?.say({ kind: 'report', report: { checks: [] } });
  ports[0]?.close();
  clock.pass(SETTLED_MS);
  assert.deepEqual(window.told, [], 'the old port says nothing more');
});

test('ERR_FRAME_NOT_ALLOWED: more channels than a frame may have', () => {
  const { window, say, ports } = setUp();
  for (let at = 0; at < CHANNELS_MAX; at += 1) say({ kind: 'open' }, `c${at}`);
  assert.deepEqual(window.told, []);
  say({ kind: 'open' });
  assert.equal(ports.length, CHANNELS_MAX);
  assert.equal(codesOf(window)[0], 'ERR_FRAME_NOT_ALLOWED');
  say({ kind: 'close' }, 'c0');
  say({ kind: 'open' });
  assert.equal(ports.length, CHANNELS_MAX + 1);
});

test('without a port nothing is sent, and nothing told', () => {
  const { window, say } = setUp();
  say({ kind: 'message', message: PAY });
  say({ kind: 'show' });
  say({ kind: 'close' });
  assert.deepEqual(window.told, []);
});

test("the worker's loss is passed on, once", () => {
  const { window, say, port, clock } = setUp();
  say({ kind: 'open' });
  port().say({ kind: 'lost', code: 'ERR_HOST_EXITED', detail: 'Native host has exited.' });
  port().close();
  clock.pass(SETTLED_MS);
  assert.deepEqual(window.told, [
    {
      tapnpay: 'toPage',
      channel: CHANNEL,
      kind: 'lost',
      code: 'ERR_HOST_EXITED',
      detail: 'Native host has exited.',
    },
  ]);
});

test('ERR_WORKER_STOPPED: the port closes without a word, and may be opened again', () => {
  const { window, say, port, ports, clock } = setUp();
  say({ kind: 'open' });
  port().close();
  clock.pass(SETTLED_MS);
  assert.equal(codesOf(window)[0], 'ERR_WORKER_STOPPED');
  say({ kind: 'open' });
  assert.equal(ports.length, 2);
});

test('ERR_EXTENSION_RELOADED: the port closes first, then the extension is gone', () => {
  const { window, say, port, clock, replace } = setUp();
  say({ kind: 'open' });
  port().close();
  replace();
  clock.pass(SETTLED_MS);
  assert.equal(codesOf(window)[0], 'ERR_EXTENSION_RELOADED');
  say({ kind: 'ping' });
  say({ kind: 'open' });
  assert.deepEqual(codesOf(window), Array(3).fill('ERR_EXTENSION_RELOADED'));
});

test('a script without its extension leaves the page to a newer one', () => {
  const { window, replace } = setUp();
  const here = { tapnpay: 'toPage', channel: '*', kind: 'here', version: '0.2.0' };
  window.fire({ data: here, source: window, origin: GATEWAY });
  assert.equal(window.listeners, 1, 'one that lives stays');
  replace();
  window.fire({ data: here, source: {}, origin: GATEWAY });
  assert.equal(window.listeners, 1, 'a frame cannot send it away');
  window.fire({ data: here, source: window, origin: GATEWAY });
  assert.equal(window.listeners, 0);
});

test('a newer script may come before the loss of the port is told: it is told then', () => {
  const { window, say, port, clock, replace } = setUp();
  say({ kind: 'open' });
  port().close();
  replace();
  const here = { tapnpay: 'toPage', channel: '*', kind: 'here', version: '0.2.0' };
  window.fire({ data: here, source: window, origin: GATEWAY });
  clock.pass(SETTLED_MS);
  assert.deepEqual(codesOf(window), ['ERR_EXTENSION_RELOADED'], 'once');
});

test('ERR_MESSAGE_TOO_LARGE: over the limit, refused before it costs anything', () => {
  const { window, say, port } = setUp();
  say({ kind: 'open' });
  const base64 = 'A'.repeat(262_144);
  say({ kind: 'message', message: { type: 'channelData', session: SESSION, base64 } });
  assert.deepEqual(port().sent, []);
  assert.equal(port().isOpen, false);
  assert.equal(codesOf(window)[0], 'ERR_MESSAGE_TOO_LARGE');
});

test('a port that takes nothing any more is lost', () => {
  const { window, say, port } = setUp();
  say({ kind: 'open' });
  port().fault = new Error('Attempting to use a disconnected port object');
  say({ kind: 'show' });
  assert.equal(codesOf(window)[0], 'ERR_WORKER_STOPPED');
});

test('an update is asked for while there is an extension to ask', () => {
  const { sent, say, replace } = setUp();
  say({ kind: 'update' });
  replace();
  say({ kind: 'update' });
  assert.deepEqual(sent, [{ kind: 'update' }]);
});
