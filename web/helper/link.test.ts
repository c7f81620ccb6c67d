/** Shows that the page finds its agent again, and asks for a code only when it is not paired. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WindowView } from '@tapnpay/protocol/wire';
import { AgentLink, parseAgentMessage, RETRY_PAUSES_MS, type Socket } from './link.ts';

const VIEW: WindowView = {
  type: 'view',
  payment: null,
  last: null,
  reader: { name: 'virtual', kind: 'virtual', card: null, interface: null },
  readerService: { state: 'off', code: null },
  realReaders: [],
  cards: [],
};

class FakeSocket implements Socket {
  readonly sent: string[] = [];
  isClosed = false;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.isClosed = true;
  }
  say(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

function setUp(answer: 'paired' | 'notPaired' | 'away' = 'paired') {
  const sockets: FakeSocket[] = [];
  const log: string[] = [];
  const timers: { readonly action: () => void; readonly pauseMs: number }[] = [];
  const asked = { count: 0, answer };
  const link = new AgentLink({
    openSocket: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    askPaired: () => {
      asked.count += 1;
      return Promise.resolve(asked.answer);
    },
    later: (action, pauseMs) => {
      const timer = { action, pauseMs };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
    onStatus: (status) => log.push(status),
    onView: () => log.push('view'),
    onError: (error) => log.push(error.code),
  });
  const last = (): FakeSocket => sockets.at(-1) ?? assert.fail('no socket');
  const settle = () => new Promise((done) => setImmediate(done));
  return { link, sockets, log, timers, asked, last, settle };
}

test('a view opens the link, and only then a message leaves', () => {
  const { link, log, last } = setUp();
  link.start();
  assert.equal(link.send({ type: 'takeAway' }), false);
  last().say(VIEW);
  assert.equal(link.send({ type: 'takeAway' }), true);
  assert.deepEqual(last().sent, ['{"type":"takeAway"}']);
  assert.deepEqual(log, ['open', 'view']);
});

test('a lost agent is tried again with growing pauses that end at the longest', async () => {
  const { link, timers, last, settle, asked } = setUp('away');
  link.start();
  const pauses: number[] = [];
  for (let round = 0; round < RETRY_PAUSES_MS.length + 2; round += 1) {
    last().onclose?.();
    await settle();
    const timer = timers.pop() ?? assert.fail('no new try');
    pauses.push(timer.pauseMs);
    timer.action();
  }
  assert.deepEqual(pauses, [...RETRY_PAUSES_MS, 5000, 5000]);
  assert.equal(asked.count, pauses.length);
});

test('the pauses start anew after a view, and a link that was open does not ask about pairing', async () => {
  const { link, timers, last, settle, asked, log } = setUp();
  link.start();
  last().onclose?.();
  await settle();
  timers.pop()?.action();
  last().say(VIEW);
  last().onclose?.();
  await settle();
  assert.equal(timers.at(-1)?.pauseMs, RETRY_PAUSES_MS[0]);
  assert.equal(asked.count, 1);
  assert.equal(log.at(-1), 'lost');
});

test('a browser that is not paired waits for its person', async () => {
  const { link, timers, last, settle, log, sockets } = setUp('notPaired');
  link.start();
  last().onclose?.();
  await settle();
  assert.deepEqual(log, ['notPaired']);
  assert.equal(timers.length, 0);
  link.start();
  last().say(VIEW);
  assert.deepEqual(log, ['notPaired', 'open', 'view']);
  assert.equal(sockets.length, 2);
});

test('an agent that says so in words is believed as well', async () => {
  const { link, timers, last, settle, log } = setUp();
  link.start();
  const socket = last();
  socket.say({ type: 'error', error: { code: 'ERR_NOT_PAIRED', message: '', data: {} } });
  socket.onclose?.();
  await settle();
  assert.ok(socket.isClosed);
  assert.deepEqual([log, timers.length], [['notPaired'], 0]);
});

test('an old socket is not heard after a new start', async () => {
  const { link, sockets, log, settle, timers } = setUp();
  link.start();
  link.start();
  sockets[0]?.say(VIEW);
  sockets[0]?.onclose?.();
  await settle();
  assert.deepEqual([log, timers.length], [[], 0]);
});

test('refused commands are told with their code', () => {
  const { link, log, last } = setUp();
  link.start();
  last().say(VIEW);
  last().say({ type: 'error', error: { code: 'ERR_CARD_IN_USE', message: '', data: {} } });
  assert.deepEqual(log, ['open', 'view', 'ERR_CARD_IN_USE']);
});

test('what is no message of the agent is dropped', () => {
  const wrong = ['', 'null', '[]', '{}', '{"type":"view"}', '{"type":"error","error":null}', '1{'];
  for (const text of wrong) assert.equal(parseAgentMessage(text), null, text);
  assert.equal(parseAgentMessage(new Uint8Array(3)), null);
  assert.deepEqual(parseAgentMessage(JSON.stringify(VIEW)), VIEW);
});
