/**
 * The service's door for native hosts of this user: who may come in, and that a host's page pays,
 * with a window of its own, beside the pages and windows of the loopback way.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import {
  AGENT_NATIVE_PATH,
  AGENT_VERSION,
  NATIVE_HELLO_TIMEOUT_MS,
  NATIVE_PROTOCOL,
  type NativeHostFrame,
  type NativeWorkerFrame,
} from '@tapnpay/protocol/wire';
import { imageOf } from '../../../protocol/src/emv/icc/icc.test-kit.ts';
import {
  connect,
  GATEWAY,
  OTHER_GATEWAY,
  ofType as ofMessage,
  payResult,
  type ScriptedPayment,
  SESSION,
  SESSION_2,
  ServiceRig,
  shown,
  until,
} from './service.test-kit.ts';
import { WINDOW_GRACE_MS } from './session-machine.ts';

/** A card with 487.65 in its purse. */
const electronicCash = {
  balanceMinor: '48765',
  singleTransactionLimitMinor: '5000',
  resetThresholdMinor: '1000',
};
const PURSE = JSON.stringify(imageOf({ request: { electronicCash } }));

let rig: ServiceRig;
beforeEach(async () => {
  rig = await ServiceRig.start({ cards: { purse: PURSE } });
});
afterEach(async () => {
  await rig.close();
});

type Host = Awaited<ReturnType<typeof connect<NativeHostFrame, NativeWorkerFrame>>>;
type Frame<T extends NativeHostFrame['type']> = Extract<NativeHostFrame, { type: T }>;

function localKey(): string {
  const file = readFileSync(join(rig.dataDir, 'agent', 'local-key'), 'utf8');
  return (JSON.parse(file) as { key: string }).key;
}

async function host(): Promise<Host> {
  const url = `ws://127.0.0.1:${rig.port}${AGENT_NATIVE_PATH}`;
  return await connect(url, { authorization: `Bearer ${localKey()}` });
}

const ofType =
  <T extends NativeHostFrame['type']>(type: T) =>
  (frame: NativeHostFrame): frame is Frame<T> =>
    frame.type === type;
const isMessage =
  (type: string) =>
  (frame: NativeHostFrame): frame is Frame<'page'> =>
    frame.type === 'page' && frame.message.type === type;
const isWindowAt =
  (name: string | null) =>
  (frame: NativeHostFrame): frame is Frame<'window'> =>
    frame.type === 'window' &&
    frame.message.type === 'view' &&
    (frame.message.payment?.state.name ?? null) === name;
const isWindowError = (frame: NativeHostFrame): frame is Frame<'window'> =>
  frame.type === 'window' && frame.message.type === 'error';

const workerHello = (origin: string): NativeWorkerFrame => ({
  type: 'hello',
  version: '0.1.0',
  protocol: NATIVE_PROTOCOL,
  page: { origin, tabId: 1, frameId: 0 },
});

/** A welcomed page of a host. */
async function opened(origin: string = GATEWAY): Promise<Host> {
  const port = await host();
  await port.next(ofType('hello'));
  port.send(workerHello(origin));
  port.send({ type: 'page', message: { type: 'hello', version: AGENT_VERSION, token: null } });
  await port.next(isMessage('welcome'));
  return port;
}

async function begun(port: Host, session: string = SESSION): Promise<ScriptedPayment> {
  const before = rig.element.payments.length;
  port.send({ type: 'page', message: { type: 'pay', session, orderId: 'order-1' } });
  await until(() => rig.element.payments.length > before);
  const payment = rig.element.payments[before];
  assert.ok(payment);
  return payment;
}

test('only a program of this user with the key comes in, and no page does', async () => {
  const authorization = `Bearer ${localKey()}`;
  assert.equal((await rig.upgrade(AGENT_NATIVE_PATH, { authorization })).status, 101);
  for (const wrong of ['', 'Bearer ', `Bearer ${'0'.repeat(64)}`, localKey()]) {
    const answer = await rig.upgrade(AGENT_NATIVE_PATH, { authorization: wrong });
    assert.deepEqual([answer.status, answer.code], [401, 'ERR_LOCAL_KEY'], wrong);
  }
  assert.equal((await rig.upgrade(AGENT_NATIVE_PATH, {})).code, 'ERR_LOCAL_KEY');
  for (const origin of [GATEWAY, rig.origin, 'null', 'http://evil.test', 'chrome-extension://x']) {
    const answer = await rig.upgrade(AGENT_NATIVE_PATH, { authorization, origin });
    assert.deepEqual([answer.status, answer.code], [403, 'ERR_ORIGIN'], origin);
  }
  const evil = await rig.upgrade(AGENT_NATIVE_PATH, { authorization, host: 'evil.test' });
  assert.equal(evil.code, 'ERR_HOST');
  assert.equal((await rig.ask(AGENT_NATIVE_PATH, { headers: { authorization } })).status, 404);
  const cookie = await rig.cookie();
  assert.equal((await rig.upgrade(AGENT_NATIVE_PATH, { cookie })).code, 'ERR_LOCAL_KEY');
});

test('the service says hello first, and needs no token of the page', async () => {
  const port = await host();
  const { element, protocol, readers } = await port.next(ofType('hello'));
  assert.deepEqual(element, { id: 'element-1', state: 'operable' });
  assert.deepEqual([protocol, readers.length], [NATIVE_PROTOCOL, 1]);
  port.send(workerHello(OTHER_GATEWAY));
  port.send({ type: 'page', message: { type: 'hello', version: AGENT_VERSION, token: null } });
  await port.next(isMessage('welcome'));
});

test('another origin, range or order is refused with its code', async () => {
  const cases: readonly (readonly [readonly NativeWorkerFrame[], string])[] = [
    [[workerHello('http://evil.test')], 'ERR_ORIGIN'],
    [[workerHello('chrome-extension://abcdefghijklmnopabcdefghijklmnop')], 'ERR_ORIGIN'],
    [
      [{ ...workerHello(GATEWAY), protocol: { min: 7, max: 8 } } as NativeWorkerFrame],
      'ERR_VERSION',
    ],
    [[{ type: 'windowOpened' }], 'ERR_SEQUENCE'],
    [[workerHello(GATEWAY), { type: 'doctor' }], 'ERR_REQUEST'],
    [[workerHello(GATEWAY), workerHello(GATEWAY)], 'ERR_SEQUENCE'],
    [[{ type: 'apdu' } as unknown as NativeWorkerFrame], 'ERR_MESSAGE_FIELD'],
    [[{ type: 'chunk', id: 1, index: 1, count: 2, text: '' }], 'ERR_FRAME_CHUNK'],
  ];
  for (const [frames, code] of cases) {
    const port = await host();
    for (const frame of frames) port.send(frame);
    const { message } = await port.next(isMessage('refused'));
    assert.equal(message.type === 'refused' && message.error.code, code);
    assert.deepEqual(await port.closed, { code: 1008, reason: code });
  }
  const silent = await host();
  await silent.next(ofType('hello'));
  rig.clock.advance(NATIVE_HELLO_TIMEOUT_MS);
  assert.equal((await silent.closed).reason, 'ERR_SEQUENCE');
});

test('a payment in the window of the extension: consent, card, records, result', async () => {
  const port = await opened();
  const payment = await begun(port);
  payment.openRelay();
  await port.next(isMessage('openChannel'));
  payment.relay?.send(Uint8Array.of(22, 3, 3));
  const { message: records } = await port.next(isMessage('channelData'));
  assert.deepEqual(records, { type: 'channelData', session: SESSION, base64: 'FgMD' });
  const opening = { type: 'page', message: { type: 'channelOpened', session: SESSION } } as const;
  port.send(opening);
  port.send({ type: 'page', message: { type: 'channelData', session: SESSION, base64: 'FwMD' } });
  await until(() => payment.heard.length === 2);
  assert.deepEqual(payment.heard, ['opened', 'records 170303']);

  port.send({ type: 'windowOpened' });
  const card = payment.card();
  await port.next(isWindowAt('consent'));
  port.send({ type: 'window', message: { type: 'consent', session: SESSION, given: true } });
  await port.next(isWindowAt('waitCard'));
  payment.resolve(payResult('approved'));
  await port.next(isMessage('result'));
  void card;
  port.close();
});

test('a look at a balance in the window of the extension, seen there alone and told its page alone', async () => {
  const mine = await opened();
  const other = await opened();
  mine.send({ type: 'page', message: { type: 'balance', session: SESSION } });
  for (const port of [mine, other]) port.send({ type: 'windowOpened' });
  const { message: view } = await mine.next(isWindowAt('consent'));
  assert.ok(view.type === 'view');
  assert.deepEqual([view.payment?.intent, view.payment?.order], ['balance', null]);
  const yes = { type: 'consent', session: SESSION, given: true } as const;
  other.send({ type: 'window', message: yes });
  const { message: refused } = await other.next(isWindowError);
  assert.equal(refused.type === 'error' && refused.error.code, 'ERR_SESSION');
  other.send({ type: 'page', message: { type: 'cancel', session: SESSION } });
  other.send({ type: 'page', message: { type: 'balance', session: SESSION_2 } });
  const { message: busy } = await other.next(isMessage('failed'));
  assert.equal(busy.type === 'failed' && busy.error.code, 'ERR_BUSY');
  mine.send({ type: 'window', message: yes });
  await mine.next(isWindowAt('waitCard'));
  const present = { card: 'purse', interface: 'contactless', liftAfter: null } as const;
  mine.send({ type: 'window', message: { type: 'present', ...present } });
  const { message: found } = await mine.next(isMessage('balanceResult'));
  assert.ok(found.type === 'balanceResult');
  assert.deepEqual(found.balance, {
    currency: '156',
    balanceMinor: '48765',
    panMasked: '629999******0009',
  });
  assert.ok(!JSON.stringify(other.received).includes('48765'));
});

test("closing the extension's window refuses a look, too", async () => {
  const port = await opened();
  port.send({ type: 'page', message: { type: 'balance', session: SESSION } });
  port.send({ type: 'windowOpened' });
  await port.next(isWindowAt('consent'));
  port.send({ type: 'windowClosed' });
  port.send({ type: 'page', message: { type: 'balance', session: SESSION_2 } });
  await port.next(isMessage('failed'));
  rig.clock.advance(WINDOW_GRACE_MS);
  const { message } = await port.next(isMessage('balanceResult'));
  assert.equal(message.type === 'balanceResult' && message.reason, 'ERR_USER_CANCELLED');
});

test('each window shows the payments of its own page; ours shows all', async () => {
  const mine = await opened();
  const other = await opened(OTHER_GATEWAY);
  const own = await rig.window();
  for (const port of [mine, other]) port.send({ type: 'windowOpened' });
  await other.next(isWindowAt(null));
  const payment = await begun(mine);
  void payment.card();
  await mine.next(isWindowAt('consent'));
  await own.next(shown('consent'));
  assert.ok(!JSON.stringify(other.received).includes(SESSION));

  const yes = { type: 'consent', session: SESSION, given: true } as const;
  other.send({ type: 'window', message: yes });
  const { message } = await other.next(isWindowError);
  assert.equal(message.type === 'error' && message.error.code, 'ERR_SESSION');
  other.send({ type: 'window', message: { type: 'cancel', session: SESSION } });
  await other.next(isWindowError);
  own.send(yes);
  await mine.next(isWindowAt('waitCard'));
  payment.resolve(payResult('declined'));
  await mine.next(isMessage('result'));
  other.send({ type: 'window', message: { type: 'takeAway' } });
  await own.next((view): view is typeof view => view.type === 'view' && view.last !== null);
  assert.ok(!JSON.stringify(other.received).includes(SESSION), 'not its end either');
});

test("closing the extension's window ends its payment, whatever other windows are open", async () => {
  await rig.window();
  const port = await opened();
  port.send({ type: 'windowOpened' });
  const payment = await begun(port);
  const card = payment.card();
  await port.next(isWindowAt('consent'));
  port.send({ type: 'windowClosed' });
  port.send({ type: 'windowOpened' });
  await port.next(isWindowAt('consent'));
  rig.clock.advance(6_000);
  port.send({ type: 'windowClosed' });
  // The next frame's answer comes after the window has gone.
  port.send({ type: 'page', message: { type: 'pay', session: SESSION_2, orderId: 'order-2' } });
  await port.next(isMessage('failed'));
  rig.clock.advance(6_000);
  assert.equal(await card, 'ERR_USER_CANCELLED');
  payment.resolve(payResult('cancelled'));
  await port.next(isMessage('result'));
});

test("closing our window ends no payment of the extension's", async () => {
  const own = await rig.window();
  const port = await opened();
  port.send({ type: 'windowOpened' });
  const payment = await begun(port);
  void payment.card();
  await port.next(isWindowAt('consent'));
  own.close();
  await own.closed;
  rig.clock.advance(6_000);
  port.send({ type: 'window', message: { type: 'consent', session: SESSION, given: true } });
  await port.next(isWindowAt('waitCard'));
  payment.resolve(payResult('cancelled'));
  await port.next(isMessage('result'));
});

test('a host that is gone is a page that is gone: before the seal nothing is charged', async () => {
  const port = await opened();
  const payment = await begun(port);
  payment.openRelay();
  const card = payment.card();
  await until(() => rig.log.length > 0);
  port.close();
  await port.closed;
  assert.equal(await card, 'ERR_USER_CANCELLED');
  await until(() => payment.heard.includes('closed'));
  payment.resolve(payResult('cancelled'));
  const next = await opened();
  await begun(next, SESSION_2);
});

test('one payment at a time, over whichever way it came', async () => {
  const page = await rig.page();
  const payment = await rig.begin(page);
  const port = await opened(OTHER_GATEWAY);
  port.send({ type: 'page', message: { type: 'pay', session: SESSION_2, orderId: 'order-2' } });
  const { message } = await port.next(isMessage('failed'));
  assert.ok(message.type === 'failed');
  assert.deepEqual(
    [message.error.code, message.error.data],
    ['ERR_BUSY', { orderId: null, gatewayOrigin: GATEWAY, sinceMs: rig.clock.nowMs() }],
  );
  payment.resolve(payResult('declined'));
  await page.next(ofMessage('result'));
});
