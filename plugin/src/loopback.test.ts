/** Shows that the loopback transport pairs, waits, and believes nobody but the agent's own window. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AGENT_VERSION } from '@tapnpay/protocol/wire';
import type { WindowMessageEvent } from './browser.ts';
import { Loopback, type LoopbackBrowser } from './loopback.ts';
import type { TransportEvent } from './transport.ts';

const AGENT = 'http://127.0.0.1:7001';

class FakeSocket {
  readonly url: string;
  readyState = 0;
  readonly sent: string[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;

  constructor(url: string) {
    this.url = url;
  }
  accept(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  say(data: unknown): void {
    this.onmessage?.({ data: typeof data === 'string' ? data : JSON.stringify(data) });
  }
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.();
  }
}

class FakeWindow {
  closed = false;
  focused = 0;
  focus(): void {
    this.focused += 1;
  }
  close(): void {
    this.closed = true;
  }
}

class FakeBrowser implements LoopbackBrowser {
  readonly origin: string = 'http://127.0.0.1:7000';
  readonly sockets: FakeSocket[] = [];
  readonly windows: FakeWindow[] = [];
  readonly urls: string[] = [];
  blocks = false;
  tokens: Map<string, string> = new Map();
  timers: Set<{ readonly ms: number; readonly call: () => void }> = new Set();
  listeners: Set<(event: WindowMessageEvent) => void> = new Set();

  openWindow(url: string): FakeWindow | null {
    this.urls.push(url);
    if (this.blocks) return null;
    const opened = new FakeWindow();
    this.windows.push(opened);
    return opened;
  }
  connect(url: string): WebSocket {
    const socket = new FakeSocket(url);
    this.sockets.push(socket);
    return socket as unknown as WebSocket;
  }
  onWindowMessage(listener: (event: WindowMessageEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
  readToken(agentOrigin: string): string | null {
    return this.tokens.get(agentOrigin) ?? null;
  }
  keepToken(agentOrigin: string, token: string | null): void {
    if (token === null) this.tokens.delete(agentOrigin);
    else this.tokens.set(agentOrigin, token);
  }
  after(ms: number, call: () => void): () => void {
    const timer = { ms, call };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  get socket(): FakeSocket {
    const last = this.sockets.at(-1);
    assert.ok(last);
    return last;
  }
  /** Lets the one running timer end. */
  expire(ms: number): void {
    const [timer] = [...this.timers];
    assert.equal(timer?.ms, ms);
    this.timers.clear();
    timer?.call();
  }
  post(event: WindowMessageEvent): void {
    for (const listener of this.listeners) listener(event);
  }
}

function opened(): { browser: FakeBrowser; transport: Loopback; events: TransportEvent[] } {
  const browser = new FakeBrowser();
  const transport = new Loopback(browser);
  const events: TransportEvent[] = [];
  transport.onMessage((event) => events.push(event));
  transport.open(AGENT);
  return { browser, transport, events };
}

const WELCOME = {
  type: 'welcome',
  version: 1,
  element: { id: 'E', state: 'operable' },
  readers: [{ name: 'Virtual reader', kind: 'virtual' }],
};
const READY = { kind: 'ready', isInstalling: false };
const MISSING = { kind: 'missing', code: 'ERR_HOST_MISSING', detail: AGENT };
const NOT_PAIRED = {
  type: 'refused',
  error: { code: 'ERR_NOT_PAIRED', message: 'no', data: {} },
};

describe('opening', () => {
  test('opens the window at once, connects, and sends hello with the kept token', () => {
    const browser = new FakeBrowser();
    browser.tokens.set(AGENT, 'T1');
    const transport = new Loopback(browser);
    const events: TransportEvent[] = [];
    transport.onMessage((event) => events.push(event));
    transport.open(AGENT);
    assert.deepEqual(browser.urls, [`${AGENT}/window?origin=http%3A%2F%2F127.0.0.1%3A7000`]);
    assert.equal(browser.socket.url, 'ws://127.0.0.1:7001/v1/session');
    browser.socket.accept();
    const hello = { type: 'hello', version: AGENT_VERSION, token: 'T1' };
    assert.deepEqual(
      browser.socket.sent.map((text) => JSON.parse(text)),
      [hello],
    );
    assert.deepEqual(events, []);
    browser.socket.say(WELCOME);
    assert.deepEqual(events, [READY]);
  });

  test('sends nothing before the welcome and hears nothing after close', () => {
    const { browser, transport, events } = opened();
    transport.send({ type: 'cancel', session: 's' });
    browser.socket.accept();
    browser.socket.say({ type: 'channelEnd', session: 's' });
    assert.deepEqual(events, []);
    browser.socket.say(WELCOME);
    transport.send({ type: 'cancel', session: 's' });
    assert.equal(browser.socket.sent.length, 2);
    const { socket } = browser;
    transport.close();
    assert.equal(socket.readyState, 3);
    socket.say({ type: 'channelEnd', session: 's' });
    transport.send({ type: 'cancel', session: 's' });
    assert.equal(socket.sent.length, 2);
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['ready'],
    );
    assert.equal(browser.timers.size, 0);
    assert.equal(browser.listeners.size, 0);
  });

  test('a blocked window is told; show opens it later and then brings it to the front', () => {
    const browser = new FakeBrowser();
    browser.blocks = true;
    const transport = new Loopback(browser);
    const events: TransportEvent[] = [];
    transport.onMessage((event) => events.push(event));
    transport.open(AGENT);
    assert.deepEqual(events, [{ kind: 'blocked' }]);
    browser.blocks = false;
    transport.show();
    transport.show();
    assert.equal(browser.windows.length, 1);
    assert.equal(browser.windows[0]?.focused, 1);
  });

  test('another payment gets another window', () => {
    const { browser, transport } = opened();
    transport.close();
    transport.open(AGENT);
    assert.deepEqual(
      browser.windows.map(({ closed }) => closed),
      [true, false],
    );
  });
});

describe('nobody there', () => {
  test('missing after 1 s, then tried again each second until it answers', () => {
    const { browser, events } = opened();
    browser.socket.close();
    assert.deepEqual(events, [], 'a refused connection waits for its second');
    browser.expire(1_000);
    assert.deepEqual(events, [MISSING]);
    assert.equal(browser.sockets.length, 2);
    browser.expire(1_000);
    browser.socket.accept();
    browser.socket.say(WELCOME);
    assert.ok(events.some(({ kind }) => kind === 'ready'));
  });

  test('an agent that is only slow is not dropped', () => {
    const { browser, events } = opened();
    browser.expire(1_000);
    assert.equal(browser.sockets.length, 1);
    browser.socket.accept();
    browser.socket.say(WELCOME);
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['missing', 'ready'],
    );
  });

  test('a connection without a welcome ends after 5 s', () => {
    const { browser, events } = opened();
    browser.socket.accept();
    browser.expire(5_000);
    assert.deepEqual(events, [{ kind: 'lost', code: 'ERR_AGENT_TIMEOUT', detail: 'no welcome' }]);
    assert.equal(browser.socket.readyState, 3);
  });

  test('a lost connection is told once', () => {
    const { browser, events } = opened();
    browser.socket.accept();
    browser.socket.say(WELCOME);
    browser.socket.close();
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['ready', 'lost'],
    );
  });

  test('probe: found, refused, silent; it says nothing to the agent', async () => {
    const browser = new FakeBrowser();
    const transport = new Loopback(browser);
    const found = transport.probe(AGENT);
    browser.socket.accept();
    assert.equal(await found, true);
    assert.deepEqual(browser.socket.sent, []);
    assert.equal(browser.socket.readyState, 3);
    const refused = transport.probe(AGENT);
    browser.socket.close();
    assert.equal(await refused, false);
    const silent = transport.probe(AGENT);
    browser.expire(1_000);
    assert.equal(await silent, false);
    assert.equal(browser.timers.size, 0);
  });
});

describe('an agent that is there and cannot pay yet', () => {
  test('an application that is not installed is installed by its first payment', () => {
    const { browser, events } = opened();
    browser.socket.accept();
    browser.socket.say({ ...WELCOME, element: { id: null, state: 'notEnrolled' } });
    assert.deepEqual(events, [{ kind: 'ready', isInstalling: true }]);
  });

  for (const [name, change, code] of [
    ['a locked application', { element: { id: 'E', state: 'locked' } }, 'ERR_ELEMENT_LOCKED'],
    ['no reader', { readers: [] }, 'ERR_NO_READER'],
  ] as const) {
    test(`${name}: asked anew each second, in the window that is open`, () => {
      const { browser, transport, events } = opened();
      browser.socket.accept();
      browser.socket.say({ ...WELCOME, ...change });
      assert.deepEqual(events, [{ kind: 'missing', code, detail: 'E' }]);
      transport.send({ type: 'cancel', session: 's' });
      assert.equal(browser.socket.sent.length, 1, 'nothing is asked of it');
      browser.expire(1_000);
      browser.socket.accept();
      browser.socket.say(WELCOME);
      assert.deepEqual(events.at(-1), READY);
      assert.equal(browser.windows.length, 1);
    });
  }
});

describe('pairing', () => {
  test('drops the refused token, waits for the window, and goes on by itself', () => {
    const { browser, events } = opened();
    browser.tokens.set(AGENT, 'old');
    browser.socket.accept();
    browser.socket.say(NOT_PAIRED);
    assert.deepEqual(events, [{ kind: 'pairing' }]);
    assert.equal(browser.tokens.size, 0);
    assert.equal(browser.timers.size, 0, 'a person may take their time');
    const source = browser.windows[0];
    browser.post({ data: { type: 'tapnpay-paired', token: 'T2' }, origin: AGENT, source });
    assert.equal(browser.tokens.get(AGENT), 'T2');
    assert.equal(browser.sockets.length, 2);
    browser.socket.accept();
    assert.equal(JSON.parse(browser.socket.sent[0] ?? '').token, 'T2');
  });

  test('forged messages are ignored', () => {
    const { browser } = opened();
    browser.socket.accept();
    browser.socket.say(NOT_PAIRED);
    const data = { type: 'tapnpay-paired', token: 'forged' };
    const source = browser.windows[0];
    for (const event of [
      { data, origin: 'http://evil.example', source },
      { data, origin: browser.origin, source },
      { data, origin: AGENT, source: new FakeWindow() },
      { data, origin: AGENT, source: null },
      { data: { ...data, type: 'paired' }, origin: AGENT, source },
      { data: { ...data, token: 7 }, origin: AGENT, source },
      { data: { ...data, token: 'x'.repeat(513) }, origin: AGENT, source },
      { data: 'tapnpay-paired', origin: AGENT, source },
      { data: null, origin: AGENT, source },
    ]) {
      browser.post(event);
    }
    assert.equal(browser.tokens.size, 0);
    assert.equal(browser.sockets.length, 1);
  });

  test('with a blocked window a message without a source is nobody', () => {
    const browser = new FakeBrowser();
    browser.blocks = true;
    new Loopback(browser).open(AGENT);
    browser.post({ data: { type: 'tapnpay-paired', token: 'T' }, origin: AGENT, source: null });
    assert.equal(browser.tokens.size, 0);
  });

  test('a token while a payment runs does not restart it', () => {
    const { browser } = opened();
    browser.socket.accept();
    browser.socket.say(WELCOME);
    const source = browser.windows[0];
    browser.post({ data: { type: 'tapnpay-paired', token: 'T3' }, origin: AGENT, source });
    assert.equal(browser.sockets.length, 1);
    assert.equal(browser.tokens.get(AGENT), 'T3');
  });

  test('other refusals are told and end it', () => {
    for (const code of ['ERR_VERSION', 'ERR_ORIGIN']) {
      const { browser, events } = opened();
      browser.socket.accept();
      browser.socket.say({ type: 'refused', error: { code, message: 'no', data: {} } });
      assert.deepEqual(events, [{ kind: 'lost', code, detail: 'no' }]);
      assert.equal(browser.socket.readyState, 3);
    }
  });

  for (const frame of ['no json', '[]', 'null', '7', new Uint8Array(2)]) {
    test(`a frame that is no message (${JSON.stringify(frame)}) ends it`, () => {
      const { browser, events } = opened();
      browser.socket.accept();
      browser.socket.onmessage?.({ data: frame });
      assert.equal(events[0]?.kind, 'lost');
      assert.equal(browser.socket.readyState, 3);
    });
  }
});
