/** Shows what the extension's window makes of its port: views, ends, and who went away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Port, WindowPortAnswer } from '@tapnpay/plugin/extension';
import type { WindowView } from '@tapnpay/protocol/wire';
import { PortLink } from './port-link.ts';

const SESSION = '0192f4c0-0000-7000-8000-000000000001';
const LAST = { session: SESSION, outcome: 'approved', reason: null } as const;
const VIEW: WindowView = {
  type: 'view',
  payment: {
    session: SESSION,
    intent: 'pay',
    wish: null,
    order: null,
    gatewayOrigin: 'https://pay.example',
    state: { name: 'consent' },
    request: null,
    pinKeySpki: null,
  },
  last: null,
  reader: { name: 'virtual', kind: 'virtual', card: null, interface: null },
  readerService: { state: 'off', code: null },
  realReaders: [],
  cards: [],
};

function setUp(facts: { readonly fault?: Error } = {}) {
  const listeners: { message?: (message: unknown) => void; close?: () => void } = {};
  const sent: unknown[] = [];
  const state = { isClosed: false, connections: 0 };
  const port: Port = {
    name: 'window#1',
    postMessage: (message: unknown) => {
      if (state.isClosed) throw new Error('Attempting to use a disconnected port object');
      sent.push(message);
    },
    disconnect: () => {},
    onMessage: {
      addListener: (listener) => {
        listeners.message = listener;
      },
    },
    onDisconnect: {
      addListener: (listener) => {
        listeners.close = () => listener(port);
      },
    },
  };
  const log: string[] = [];
  const views: WindowView[] = [];
  const link = new PortLink({
    connect: () => {
      state.connections += 1;
      if (facts.fault) throw facts.fault;
      return port;
    },
    onStatus: (status) => log.push(status),
    onView: (view) => views.push(view),
    onError: ({ code }) => log.push(code),
  });
  const hear = (answer: WindowPortAnswer): void => listeners.message?.(answer);
  const close = (): void => {
    state.isClosed = true;
    listeners.close?.();
  };
  return { link, log, views, sent, hear, close, state };
}

test('a view opens the link, and only then a message leaves', () => {
  const { link, log, views, sent, hear } = setUp();
  link.start();
  assert.equal(link.send({ type: 'takeAway' }), false);
  hear({ kind: 'message', message: VIEW });
  hear({ kind: 'message', message: VIEW });
  assert.equal(link.send({ type: 'takeAway' }), true);
  assert.deepEqual(log, ['open']);
  assert.equal(views.length, 2);
  assert.deepEqual(sent, [{ kind: 'message', message: { type: 'takeAway' } }]);
});

test('a refused command is told by its code', () => {
  const { link, log, hear } = setUp();
  link.start();
  const error = { code: 'ERR_CARD_IN_USE', message: '', data: {} };
  hear({ kind: 'message', message: { type: 'error', error } });
  assert.deepEqual(log, ['ERR_CARD_IN_USE']);
});

test('the page goes: the window is over, with the end of its payment if there was one', () => {
  const { link, log, views, hear, close } = setUp();
  link.start();
  hear({ kind: 'message', message: VIEW });
  hear({ kind: 'ended', code: null, last: LAST });
  close();
  assert.deepEqual(log, ['open', 'ended']);
  assert.deepEqual(views.at(-1), { ...VIEW, payment: null, last: LAST });
  assert.equal(link.send({ type: 'takeAway' }), false);
});

test('the worker does not know a look from a payment: its failure charged nothing', () => {
  const failed = { session: SESSION, outcome: 'failed', reason: 'ERR_CARD_TRANSPORT' } as const;
  const payment = VIEW.payment && { ...VIEW.payment, intent: 'balance' as const };
  for (const [before, outcome] of [
    [{ ...VIEW, payment }, 'notRead'],
    [VIEW, 'failed'],
  ] as const) {
    const { link, views, hear } = setUp();
    link.start();
    hear({ kind: 'message', message: before });
    hear({ kind: 'ended', code: null, last: failed });
    assert.equal(views.at(-1)?.last?.outcome, outcome);
  }
});

test("the host's own word on an end stands", () => {
  const own = { session: SESSION, outcome: 'notRead', reason: 'card:noPurse' } as const;
  const { link, views, hear } = setUp();
  link.start();
  hear({ kind: 'message', message: { ...VIEW, payment: null, last: own } });
  hear({ kind: 'ended', code: null, last: { ...own, outcome: 'failed' } });
  assert.deepEqual(views.at(-1)?.last, own);
});

test('the host goes: broken, with its code', () => {
  const { link, log, hear, close } = setUp();
  link.start();
  hear({ kind: 'message', message: VIEW });
  hear({ kind: 'ended', code: 'ERR_HOST_EXITED', last: null });
  close();
  assert.deepEqual(log, ['open', 'broken', 'ERR_HOST_EXITED']);
});

test('the worker goes without a word: broken, and it is not tried again', () => {
  const { link, log, hear, close, state } = setUp();
  link.start();
  hear({ kind: 'message', message: VIEW });
  close();
  assert.deepEqual(log, ['open', 'broken', 'ERR_WORKER_STOPPED']);
  assert.equal(state.connections, 1);
  assert.equal(link.send({ type: 'takeAway' }), false);
});

test('a window of an extension that was replaced', () => {
  const { link, log } = setUp({ fault: new Error('Extension context invalidated.') });
  link.start();
  assert.deepEqual(log, ['broken', 'ERR_EXTENSION_RELOADED']);
});
