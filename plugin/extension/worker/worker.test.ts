/**
 * Shows the worker's rules with a browser of our own: one host for each page, the window when a
 * person is asked for, and nothing that outlives a port; no update under a payment.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  EXTENSION,
  FakeBrowser,
  FakeClock,
  FakePort,
  framesTo,
  GATEWAY,
  HOST_HELLO,
  PAGE_SENDER,
  settle,
  WINDOW_URL,
} from '../browser.test-kit.ts';
import { startWorker } from './worker.ts';

const SESSION = '0192f4c0-0000-7000-8000-000000000001';
const ORDER_ID = 'o1';
const VIEW = {
  type: 'view',
  payment: null,
  last: null,
  reader: { name: 'Virtual reader', kind: 'virtual', card: null, interface: null },
  readerService: { state: 'off', code: null },
  realReaders: [],
  cards: [],
} as const;

function setUp() {
  const browser = new FakeBrowser();
  const clock = new FakeClock();
  let ids = 0;
  startWorker({
    browser: browser.api,
    after: clock.after,
    newId: () => {
      ids += 1;
      return `id${ids}`;
    },
  });
  const connect = (name: string, sender: FakePort['sender']): FakePort => {
    const port = new FakePort(name, sender);
    browser.connected.fire(port);
    return port;
  };
  const openPage = (sender: FakePort['sender'] = PAGE_SENDER) => {
    const page = connect('page', sender);
    const host = browser.host;
    host.say(HOST_HELLO);
    return { page, host };
  };
  const openWindow = (id = 'id1') =>
    connect(`window#${id}`, { url: `${WINDOW_URL}#${id}`, frameId: 0 });
  const asks = (host: FakePort, name: string) => {
    const deadlineMs = 1;
    const state = name === 'waitPin' ? { name, deadlineMs } : { name };
    host.say({ type: 'page', message: { type: 'state', session: SESSION, state } });
  };
  return { browser, clock, connect, openPage, openWindow, asks };
}

test('a page gets a host of its own, which hears from the browser whose page it is', () => {
  const { browser, openPage } = setUp();
  const first = openPage();
  const second = openPage({ origin: GATEWAY, frameId: 2, tab: { id: 8 } });
  assert.equal(browser.hosts.length, 2);
  assert.notEqual(first.host, second.host);
  const pages = browser.hosts.map(({ sent }) => (sent[0] as { page: unknown }).page);
  assert.deepEqual(pages, [
    { origin: GATEWAY, tabId: 7, frameId: 0 },
    { origin: GATEWAY, tabId: 8, frameId: 2 },
  ]);
  assert.deepEqual(first.page.sent, [
    {
      kind: 'hello',
      version: '0.1.0',
      protocol: { min: 1, max: 1 },
      element: { id: 'SE-0001', state: 'operable' },
      readers: [{ name: 'Virtual reader', kind: 'virtual' }],
    },
  ]);
});

test('messages go to the own host and come from it, never to another page', () => {
  const { openPage } = setUp();
  const one = openPage();
  const other = openPage();
  const pay = { type: 'pay', session: SESSION, orderId: ORDER_ID };
  one.page.say({ kind: 'message', message: pay });
  one.host.say({ type: 'page', message: { type: 'openChannel', session: SESSION } });
  assert.deepEqual(framesTo(one.host), [{ type: 'page', message: pay }]);
  assert.deepEqual(framesTo(other.host), []);
  assert.equal(one.page.sent.length, 2);
  assert.equal(other.page.sent.length, 1);
});

test('ERR_ORIGIN and ERR_FRAME_NOT_ALLOWED: told, closed, and no host started', () => {
  const { browser, connect } = setUp();
  const cases = [
    [{ origin: 'https://shop.example', frameId: 0, tab: { id: 1 } }, 'ERR_ORIGIN'],
    [{ origin: 'https://shop.example', frameId: 3, tab: { id: 1 } }, 'ERR_FRAME_NOT_ALLOWED'],
    [{ origin: 'null', frameId: 3, tab: { id: 1 } }, 'ERR_FRAME_NOT_ALLOWED'],
    [undefined, 'ERR_FRAME_NOT_ALLOWED'],
  ] as const;
  for (const [sender, code] of cases) {
    const port = connect('page', sender);
    assert.equal((port.sent[0] as { code: string }).code, code);
    assert.equal(port.isOpen, false);
  }
  assert.equal(browser.hosts.length, 0);
});

test('a port of another name is closed', () => {
  const { browser, connect } = setUp();
  assert.equal(connect('other', PAGE_SENDER).isOpen, false);
  assert.equal(browser.hosts.length, 0);
});

test('a closed page ends its host at once, and only its own', () => {
  const { openPage } = setUp();
  const one = openPage();
  const other = openPage();
  one.page.close();
  assert.equal(one.host.isOpen, false);
  assert.equal(other.host.isOpen, true);
});

test('a lost host is told with its code, and the page port is closed', () => {
  const { browser, openPage } = setUp();
  const { page, host } = openPage();
  browser.hostEnds(host, 'Native host has exited.');
  assert.deepEqual(page.sent.at(-1), {
    kind: 'lost',
    code: 'ERR_HOST_EXITED',
    detail: 'Native host has exited.',
  });
  assert.equal(page.isOpen, false);
});

test('ERR_MESSAGE_TOO_LARGE: a page message over the limit never reaches the host', () => {
  const { openPage } = setUp();
  const { page, host } = openPage();
  const base64 = 'A'.repeat(262_144);
  page.say({ kind: 'message', message: { type: 'channelData', session: SESSION, base64 } });
  assert.equal((page.sent.at(-1) as { code: string }).code, 'ERR_MESSAGE_TOO_LARGE');
  assert.deepEqual(framesTo(host), []);
  assert.equal(host.isOpen, false);
});

test('the doctor is asked and its report told', () => {
  const { openPage } = setUp();
  const { page, host } = openPage();
  page.say({ kind: 'doctor' });
  assert.deepEqual(framesTo(host), [{ type: 'doctor' }]);
  host.say({ type: 'report', report: { checks: [] } });
  assert.deepEqual(page.sent.at(-1), { kind: 'report', report: { checks: [] } });
});

for (const name of ['consent', 'waitPin']) {
  test(`${name}: the window opens once and then comes to the front`, async () => {
    const { browser, openPage, asks } = setUp();
    const { host } = openPage();
    asks(host, name);
    await settle();
    assert.deepEqual(
      browser.windows.map(({ url }) => url),
      [`${EXTENSION}/window.html#id1`],
    );
    asks(host, name);
    await settle();
    assert.equal(browser.windows.length, 1);
    assert.deepEqual(browser.focused, [100]);
  });
}

for (const [language, url] of [
  ['zh', 'window.html?lang=zh#id1'],
  ['en', 'window.html?lang=en#id1'],
  [null, 'window.html#id1'],
  ['fr&x=', 'window.html#id1'],
] as const) {
  test(`the window of a page in ${language} has its language`, async () => {
    const { browser, openPage, asks } = setUp();
    const { page, host } = openPage();
    const message = { type: 'pay', session: SESSION, orderId: ORDER_ID };
    page.say({ kind: 'message', message, language });
    asks(host, 'consent');
    await settle();
    assert.deepEqual(
      browser.windows.map((window) => window.url),
      [`${EXTENSION}/${url}`],
    );
  });
}

test('states that ask nobody open no window; the page may ask for it', async () => {
  const { browser, openPage, asks } = setUp();
  const { page, host } = openPage();
  for (const name of ['connecting', 'removeCard']) asks(host, name);
  await settle();
  assert.equal(browser.windows.length, 0);
  page.say({ kind: 'show' });
  await settle();
  assert.equal(browser.windows.length, 1);
});

test('the window speaks with the host of its page', async () => {
  const { openPage, openWindow, asks } = setUp();
  const { host } = openPage();
  asks(host, 'consent');
  await settle();
  const window = openWindow();
  assert.deepEqual(framesTo(host), [{ type: 'windowOpened' }]);
  host.say({ type: 'window', message: VIEW });
  assert.deepEqual(window.sent, [{ kind: 'message', message: VIEW }]);
  const consent = { type: 'consent', session: SESSION, given: true };
  window.say({ kind: 'message', message: consent });
  assert.deepEqual(framesTo(host).at(-1), { type: 'window', message: consent });
});

test('a window of nobody, of another URL, or of a page is not let in', () => {
  const { openPage, connect, openWindow } = setUp();
  const { host } = openPage();
  const wrong = [
    openWindow('id2'),
    connect('window#id1', PAGE_SENDER),
    connect('window#id1', { url: `${GATEWAY}/#${WINDOW_URL}`, frameId: 0 }),
    connect('window#id1', { url: `${EXTENSION}/options.html`, frameId: 0 }),
  ];
  for (const port of wrong) {
    assert.deepEqual(port.sent, [{ kind: 'ended', code: null, last: null }]);
    assert.equal(port.isOpen, false);
  }
  assert.deepEqual(framesTo(host), []);
});

test('closing the window says no to what it asked', async () => {
  for (const [name, refusal] of [
    ['consent', { type: 'consent', session: SESSION, given: false }],
    ['waitPin', { type: 'pin', session: SESSION, sealedPin: null }],
  ] as const) {
    const { browser, openPage, openWindow, asks } = setUp();
    const { host } = openPage();
    asks(host, name);
    await settle();
    openWindow();
    browser.closeWindow(100);
    assert.deepEqual(framesTo(host), [
      { type: 'windowOpened' },
      { type: 'windowClosed' },
      { type: 'window', message: refusal },
    ]);
  }
});

test('the end of a session takes the question back: a window that closes says nothing more', async () => {
  const ends = [
    { type: 'balanceResult', session: SESSION, balance: null, reason: 'ERR_USER_TIMEOUT' },
    {
      type: 'failed',
      session: SESSION,
      error: { code: 'ERR_BUSY', message: '', data: {} },
      sent: false,
    },
  ] as const;
  for (const end of ends) {
    const { browser, openPage, openWindow, asks } = setUp();
    const { host } = openPage();
    asks(host, 'consent');
    await settle();
    openWindow();
    host.say({ type: 'page', message: end });
    browser.closeWindow(100);
    assert.deepEqual(framesTo(host), [{ type: 'windowOpened' }, { type: 'windowClosed' }]);
  }
});

test('a window that outlives its host knows whether the balance was read', async () => {
  const balance = { currency: '156', balanceMinor: '1', panMasked: null };
  for (const [found, reason, outcome] of [
    [balance, null, 'read'],
    [null, 'card:noPurse', 'notRead'],
  ] as const) {
    const { openPage, openWindow, asks } = setUp();
    const { page, host } = openPage();
    asks(host, 'consent');
    await settle();
    const window = openWindow();
    const message = { type: 'balanceResult', session: SESSION, balance: found, reason } as const;
    host.say({ type: 'page', message });
    page.close();
    const last = { session: SESSION, outcome, reason };
    assert.deepEqual(window.sent.at(-1), { kind: 'ended', code: null, last });
  }
});

test('closing the window while a card is awaited cancels nothing', async () => {
  const { browser, openPage, openWindow, asks } = setUp();
  const { page, host } = openPage();
  asks(host, 'consent');
  await settle();
  openWindow();
  asks(host, 'removeCard');
  browser.closeWindow(100);
  assert.deepEqual(framesTo(host), [{ type: 'windowOpened' }, { type: 'windowClosed' }]);
  page.say({ kind: 'show' });
  await settle();
  assert.equal(browser.windows.length, 2, 'and it opens again');
});

test('a reloaded window is not a closed one', async () => {
  const { openPage, openWindow, asks } = setUp();
  const { host } = openPage();
  asks(host, 'waitPin');
  await settle();
  openWindow().close();
  openWindow();
  assert.deepEqual(framesTo(host), [
    { type: 'windowOpened' },
    { type: 'windowClosed' },
    { type: 'windowOpened' },
  ]);
});

test('a window that cannot be opened is no refusal of the person', async () => {
  const { browser, openPage, asks } = setUp();
  browser.windowFault = new Error('no windows here');
  const { page, host } = openPage();
  asks(host, 'consent');
  await settle();
  assert.deepEqual(framesTo(host), []);
  browser.windowFault = null;
  page.say({ kind: 'show' });
  await settle();
  assert.equal(browser.windows.length, 1);
});

test('the window hears how its payment ended, though its host is gone', async () => {
  const { openPage, openWindow, asks } = setUp();
  const { page, host } = openPage();
  asks(host, 'consent');
  await settle();
  const window = openWindow();
  const error = { code: 'ERR_USER_CANCELLED', message: '', data: {} };
  host.say({ type: 'page', message: { type: 'failed', session: SESSION, error, sent: false } });
  page.close();
  const last = { session: SESSION, outcome: 'failed', reason: 'ERR_USER_CANCELLED' };
  assert.deepEqual(window.sent.at(-1), { kind: 'ended', code: null, last });
  assert.equal(window.isOpen, false);
});

test('a page that goes while its window opens takes the window with it', async () => {
  const { browser, openPage, asks } = setUp();
  let opened = (): void => {};
  browser.windowGate = new Promise((done) => {
    opened = done;
  });
  const { page, host } = openPage();
  asks(host, 'consent');
  page.close();
  opened();
  await settle();
  assert.equal(browser.windows[0]?.isThere, false);
});

test('an update waits for the last port in use, and comes at once when there is none', () => {
  const { browser, openPage } = setUp();
  const one = openPage();
  const other = openPage();
  const hello = { type: 'hello', version: 1, token: null };
  one.page.say({ kind: 'message', message: hello });
  other.page.say({ kind: 'doctor' });
  browser.updateCame.fire();
  assert.equal(browser.reloads, 0);
  one.page.close();
  assert.equal(browser.reloads, 0);
  other.page.close();
  assert.equal(browser.reloads, 1);
  const idle = setUp();
  idle.browser.updateCame.fire();
  assert.equal(idle.browser.reloads, 1);
  const looking = setUp();
  looking.openPage();
  looking.browser.updateCame.fire();
  assert.equal(looking.browser.reloads, 1, 'a page that only looks may stand open for days');
});

test('a gateway page may ask for an update check; others may not', () => {
  const { browser } = setUp();
  browser.messaged.fire({ kind: 'update' }, PAGE_SENDER);
  assert.equal(browser.updateChecks, 1);
  browser.messaged.fire({ kind: 'update' }, { origin: 'https://shop.example', frameId: 0 });
  browser.messaged.fire({ kind: 'other' }, PAGE_SENDER);
  browser.messaged.fire(null, PAGE_SENDER);
  assert.equal(browser.updateChecks, 1);
});

test('open pages of gateways get their script when the extension arrives', async () => {
  for (const event of ['installed', 'started'] as const) {
    const { browser, clock } = setUp();
    browser.tabs = [{ id: 1 }, {}, { id: 404 }, { id: 3 }];
    browser[event].fire();
    await settle();
    assert.deepEqual(browser.queried, [[`${GATEWAY}:443/*`]]);
    assert.deepEqual(browser.injected, [1, 404, 3], 'an error page stops nobody');
    clock.pass(1_000);
    await settle();
    assert.equal(browser.queried.length, 1, 'once');
  }
});

test('and when it is enabled again, of which no event tells; not when a page woke the worker', async () => {
  const enabled = setUp();
  enabled.clock.pass(1_000);
  await settle();
  assert.equal(enabled.browser.queried.length, 1);
  const woken = setUp();
  woken.openPage();
  woken.clock.pass(1_000);
  await settle();
  assert.equal(woken.browser.queried.length, 0);
});

test("the toolbar's button opens the options page", () => {
  const { browser } = setUp();
  browser.clicked.fire();
  assert.equal(browser.optionsOpened, 1);
});
