/** Shows a payment through page, window and reader: its states, every way out, and one at a time. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { connect as tcpConnect } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { fromHex, TapError, toHex } from '@tapnpay/protocol/bytes';
import type { WindowView } from '@tapnpay/protocol/wire';
import { SAMPLE_PAN, sampleCard } from '../../../protocol/src/emv/icc/sample.test-card.ts';
import type { PresentedCard } from '../payment.ts';
import { nodeCiphers } from '../system.ts';
import {
  CARD_ASK,
  codeOf,
  GATEWAY,
  isError,
  OTHER_GATEWAY,
  ofType,
  type PageClient,
  pageState,
  payResult,
  type ScriptedPayment,
  SESSION,
  SESSION_2,
  ServiceRig,
  shown,
  until,
  type WindowClient,
} from './service.test-kit.ts';
import { CARD_TIMEOUT_MS, CONSENT_TIMEOUT_MS, PIN_TIMEOUT_MS } from './session-machine.ts';

const SELECT = fromHex('00A4040008A000000333010101');
const SEALED_PIN = 'AB'.repeat(256);
const rsaKey = (modulusLength: number) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent: 3 });
  const jwk = privateKey.export({ format: 'jwk' });
  const part = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'));
  return { modulus: part(jwk.n), privateExponent: part(jwk.d), publicExponent: part(jwk.e) };
};
const keys = { ca: rsaKey(1408), issuer: rsaKey(1152), icc: rsaKey(1024) };
const image = JSON.stringify(sampleCard(nodeCiphers, keys).image);
const cards = { debit: image, travel: image };

let rig: ServiceRig;
let page: PageClient;
let window: WindowClient;
beforeEach(async () => {
  rig = await ServiceRig.start({ cards });
  page = await rig.page();
  window = await rig.window();
});
afterEach(() => rig.close());

type Card = Promise<PresentedCard | string>;

const present = (card = 'debit', liftAfter: number | null = null) =>
  window.send({ type: 'present', card, interface: 'contact', liftAfter });
const tap = (card = 'debit', liftAfter: number | null = null) =>
  window.send({ type: 'present', card, interface: 'contactless', liftAfter });
const consent = (given = true) => window.send({ type: 'consent', session: SESSION, given });

/** A payment brought to a state; `card` and `pin` are what the element waits for. */
async function bringTo(name: string): Promise<{
  payment: ScriptedPayment;
  card: Card | null;
  pin: Promise<string | null> | null;
}> {
  const payment = await rig.begin(page);
  if (name === 'connecting') return { payment, card: null, pin: null };
  payment.openRelay();
  await page.next(ofType('openChannel'));
  page.send({ type: 'channelOpened', session: SESSION });
  const card = payment.card();
  await window.next(shown('consent'));
  if (name === 'consent') return { payment, card, pin: null };
  consent();
  await window.next(shown('waitCard'));
  if (name === 'waitCard') return { payment, card, pin: null };
  if (name === 'removeCard') tap();
  else present();
  await window.next(shown('reading'));
  if (name === 'reading') return { payment, card, pin: null };
  if (name === 'removeCard') {
    payment.ask.onCardDone?.();
    await window.next(shown('removeCard'));
    return { payment, card, pin: null };
  }
  const pin = payment.pin();
  await window.next(shown('waitPin'));
  if (name === 'waitPin') return { payment, card, pin };
  window.send({ type: 'pin', session: SESSION, sealedPin: SEALED_PIN });
  await pin;
  payment.hop('seal');
  await window.next(shown('authorising'));
  return { payment, card, pin };
}
const BEFORE_SEAL = ['connecting', 'consent', 'waitCard', 'reading', 'waitPin', 'removeCard'];

async function cardOf(card: Card | null): Promise<PresentedCard> {
  const given = await card;
  assert.ok(given !== null && typeof given !== 'string', `a card, not ${given}`);
  return given;
}

test('a contact payment: order, consent, card, PIN, seal, result', async () => {
  const payment = await rig.begin(page);
  assert.equal(payment.ask.orderId, 'order-1');
  assert.equal(payment.ask.serverName, 'gateway.tapnpay.test');
  await pageState(page, 'connecting');
  const relay = payment.openRelay();
  await page.next(ofType('openChannel'));
  relay.send(fromHex('160301'));
  const { base64 } = await page.next(ofType('channelData'));
  assert.equal(base64, Buffer.from('160301', 'hex').toString('base64'));
  page.send({ type: 'channelOpened', session: SESSION });
  page.send({ type: 'channelData', session: SESSION, base64: 'FwMD' });
  await until(() => payment.heard.length === 2);
  assert.deepEqual(payment.heard, ['opened', 'records 170303']);

  const card = payment.card();
  await pageState(page, 'consent');
  const view = await window.next(shown('consent'));
  const { interfaces: _, attempt: __, reason: ___, ...order } = CARD_ASK;
  assert.deepEqual(view.payment?.order, order);
  assert.equal(view.payment?.gatewayOrigin, GATEWAY);
  consent();
  const { state } = await pageState(page, 'waitCard');
  assert.deepEqual(state, {
    name: 'waitCard',
    interfaces: ['contact', 'contactless'],
    attempt: 1,
    reason: null,
    deadlineMs: rig.clock.nowMs() + CARD_TIMEOUT_MS,
    takeOutFirst: false,
  });
  present();
  await pageState(page, 'reading');
  const given = await cardOf(card);
  assert.equal(given.interface, 'contact');
  assert.equal(toHex((await given.card.transmit(SELECT)).slice(-2)), '9000');

  const pin = payment.pin();
  await pageState(page, 'waitPin');
  const asking = await window.next(shown('waitPin'));
  assert.equal(asking.payment?.pinKeySpki, 'AB12');
  window.send({ type: 'pin', session: SESSION, sealedPin: SEALED_PIN });
  assert.equal(await pin, SEALED_PIN);
  payment.hop('seal');
  await pageState(page, 'authorising');
  payment.ask.onCardDone?.();
  await pageState(page, 'removeCard');
  payment.resolve(payResult('approved'));
  const { result, session } = await page.next(ofType('result'));
  assert.deepEqual([session, result], [SESSION, payResult('approved')]);
  const isOver = (message: unknown): message is WindowView =>
    (message as WindowView).last?.outcome === 'approved';
  const over = await window.next(isOver);
  assert.deepEqual([over.payment, over.reader.card], [null, 'debit'], 'the card is still in');
});

test('a tapped card leaves by itself when nothing more is asked of it; its PIN comes after', async () => {
  const payment = await rig.begin(page);
  const card = payment.card();
  await window.next(shown('consent'));
  consent();
  await window.next(shown('waitCard'));
  tap();
  const given = await cardOf(card);
  assert.equal(given.interface, 'contactless');
  await given.card.transmit(SELECT);
  payment.ask.onCardDone?.();
  const gone = await window.next(shown('removeCard'));
  assert.equal(gone.reader.card, null);
  await assert.rejects(given.card.transmit(SELECT), { code: 'ERR_CARD_REMOVED' });
  const pin = payment.pin();
  await window.next(shown('waitPin'));
  window.send({ type: 'pin', session: SESSION, sealedPin: SEALED_PIN });
  assert.equal(await pin, SEALED_PIN);
  payment.hop('seal');
  await pageState(page, 'authorising');
});

test('a torn tap: the card is asked for again without a second consent', async () => {
  const payment = await rig.begin(page);
  const card = payment.card();
  await window.next(shown('consent'));
  consent();
  await window.next(shown('waitCard'));
  tap('debit', 2);
  const given = await cardOf(card);
  await given.card.transmit(SELECT);
  await assert.rejects(given.card.transmit(SELECT), { code: 'ERR_CARD_REMOVED' });
  const second = payment.card({ attempt: 2, reason: 'ERR_CARD_REMOVED', interfaces: ['contact'] });
  const { state } = await pageState(page, 'waitCard');
  assert.ok(state.name === 'waitCard');
  await window.next(shown('waitCard'));
  tap();
  assert.equal((await window.next(isError)).error.code, 'ERR_CARD_INTERFACE');
  present();
  assert.equal((await cardOf(second)).interface, 'contact');
});

test('a card that was there before must be taken out, then a fresh one counts', async () => {
  present('debit');
  const isIn = (message: unknown): message is WindowView =>
    (message as WindowView).reader?.card === 'debit';
  await window.next(isIn);
  const payment = await rig.begin(page);
  const card = payment.card();
  let given = false;
  card.then(() => {
    given = true;
  });
  await window.next(shown('consent'));
  consent();
  const first = await pageState(page, 'waitCard');
  assert.ok(first.state.name === 'waitCard' && first.state.takeOutFirst);
  present('travel');
  assert.equal((await window.next(isError)).error.code, 'ERR_READER_OCCUPIED');
  assert.equal(given, false);
  window.send({ type: 'takeAway' });
  const second = await pageState(page, 'waitCard');
  assert.ok(second.state.name === 'waitCard' && !second.state.takeOutFirst);
  present('debit');
  assert.equal((await cardOf(card)).interface, 'contact');
});

test('a card that was on its way before the yes is none of this payment', async () => {
  const { card } = await bringTo('consent');
  // Its lock is still being taken when the person says yes.
  present();
  consent();
  const { payment } = await window.next(shown('waitCard'));
  assert.deepEqual(payment?.state, { ...payment?.state, takeOutFirst: true });
  window.send({ type: 'takeAway' });
  await window.next((message): message is WindowView => {
    const state = message.type === 'view' ? message.payment?.state : undefined;
    return state?.name === 'waitCard' && !state.takeOutFirst;
  });
  tap('travel');
  const given = await card;
  assert.equal(typeof given === 'object' && given !== null && given.interface, 'contactless');
});

test('one payment at a time: another is told who holds it, but not a foreign order id', async () => {
  await bringTo('consent');
  const ask = { type: 'pay', session: SESSION_2, orderId: 'order-2' } as const;
  const second = await rig.page();
  second.send(ask);
  const busy = await second.next(ofType('failed'));
  assert.deepEqual([busy.session, busy.sent, busy.error.code], [SESSION_2, false, 'ERR_BUSY']);
  const holder = { gatewayOrigin: GATEWAY, sinceMs: rig.clock.nowMs() };
  assert.deepEqual(busy.error.data, { ...holder, orderId: 'order-1' });
  const foreign = await rig.page(OTHER_GATEWAY);
  foreign.send(ask);
  const { error } = await foreign.next(ofType('failed'));
  assert.deepEqual(error.data, { ...holder, orderId: null });
  page.send(ask);
  assert.equal((await page.next(ofType('failed'))).error.code, 'ERR_BUSY');
  assert.equal(rig.element.payments.length, 1);
  second.close();
  await second.closed;
  consent();
  await pageState(page, 'waitCard');
});

test('the next payment begins when the last has ended, with a session of its own', async () => {
  const first = await rig.begin(page);
  first.resolve(payResult('declined', 'issuer:51'));
  await page.next(ofType('result'));
  page.send({ type: 'pay', session: SESSION, orderId: 'order-1' });
  assert.equal((await page.next(ofType('failed'))).error.code, 'ERR_SEQUENCE');
  const second = await rig.begin(page, SESSION_2);
  second.openRelay();
  await page.next(ofType('openChannel'));
  // Late frames of the payment before, and frames of nobody.
  page.send({ type: 'channelClosed', session: SESSION });
  page.send({ type: 'cancel', session: SESSION });
  page.send({ type: 'channelClosed', session: '99999999-2222-4333-8444-555555555555' });
  page.send({ type: 'channelOpened', session: SESSION_2 });
  await until(() => second.heard.length > 0);
  assert.deepEqual(second.heard, ['opened']);
});

test('another page cannot speak for a payment, even with its session', async () => {
  const { payment, card } = await bringTo('waitCard');
  const other = await rig.page();
  other.send({ type: 'cancel', session: SESSION });
  other.send({ type: 'channelClosed', session: SESSION });
  other.send({ type: 'channelData', session: SESSION, base64: 'FwMD' });
  other.send({ type: 'pay', session: SESSION_2, orderId: 'o' });
  await other.next(ofType('failed'));
  assert.deepEqual(payment.heard, ['opened']);
  present();
  await cardOf(card);
});

for (const name of BEFORE_SEAL) {
  for (const who of ['page', 'window', 'lost page'] as const) {
    test(`${who} ends the payment at ${name}: nothing leaves, and it says why`, async () => {
      const { payment, card, pin } = await bringTo(name);
      const reached = card === null ? null : await Promise.race([card, null]);
      if (who === 'page') page.send({ type: 'cancel', session: SESSION });
      else if (who === 'window') window.send({ type: 'cancel', session: SESSION });
      else page.close();
      if (name === 'consent' || name === 'waitCard') {
        assert.equal(await card, 'ERR_USER_CANCELLED');
      } else if (name === 'waitPin') {
        assert.equal(await pin, 'ERR_USER_CANCELLED');
      } else if (name !== 'connecting') {
        await until(() => payment.heard.includes('closed'));
      }
      if (reached !== null && typeof reached !== 'string') {
        await assert.rejects(reached.card.transmit(SELECT), { code: 'ERR_CARD_REMOVED' });
      }
      if (name === 'connecting') {
        // A channel that is opened only now is closed at once.
        await until(() => {
          payment.openRelay();
          return payment.heard.includes('closed');
        });
      }
      assert.equal(await payment.card({ attempt: 2 }), 'ERR_USER_CANCELLED');
      assert.equal(await payment.pin(), 'ERR_USER_CANCELLED');
      payment.resolve(payResult('cancelled', 'ERR_CHANNEL_CLOSED'));
      const isOver = (message: unknown): message is WindowView =>
        (message as WindowView).last?.session === SESSION;
      const { last } = await window.next(isOver);
      const end = { session: SESSION, outcome: 'cancelled', reason: 'ERR_USER_CANCELLED' };
      assert.deepEqual(last, end);
      if (who === 'lost page') return;
      const { result } = await page.next(ofType('result'));
      assert.deepEqual([result.reason, result.charged], ['ERR_USER_CANCELLED', 'no']);
    });
  }
}

test('after the seal nobody cancels; a lost page only closes the channel', async () => {
  const { payment, card } = await bringTo('authorising');
  page.send({ type: 'cancel', session: SESSION });
  window.send({ type: 'cancel', session: SESSION });
  assert.equal((await window.next(isError)).error.code, 'ERR_TOO_LATE');
  const given = await cardOf(card);
  await given.card.transmit(SELECT);
  assert.ok(!payment.heard.includes('closed'));
  page.close();
  await until(() => payment.heard.includes('closed'));
  await given.card.transmit(SELECT);
  payment.resolve(payResult('unknown', 'ERR_CHANNEL_CLOSED'));
  const isOver = (message: unknown): message is WindowView =>
    (message as WindowView).last?.outcome === 'unknown';
  const { last } = await window.next(isOver);
  assert.equal(last?.reason, 'ERR_CHANNEL_CLOSED', 'the element’s word stands');
});

test('the payer says no, to the order or to the PIN', async () => {
  const { card, payment } = await bringTo('consent');
  consent(false);
  assert.equal(await card, 'ERR_USER_CANCELLED');
  payment.resolve(payResult('cancelled', 'ERR_USER_CANCELLED'));
  await page.next(ofType('result'));
  const second = await rig.begin(page, SESSION_2);
  const next = second.card();
  await window.next(shown('consent'));
  window.send({ type: 'consent', session: SESSION_2, given: true });
  await window.next(shown('waitCard'));
  present();
  await next;
  const pin = second.pin();
  await window.next(shown('waitPin'));
  window.send({ type: 'pin', session: SESSION_2, sealedPin: null });
  assert.equal(await pin, 'ERR_USER_CANCELLED');
});

test('a window’s word counts for its own payment and state only', async () => {
  const { card } = await bringTo('consent');
  const refused = async () => (await window.next(isError)).error.code;
  window.send({ type: 'consent', session: SESSION_2, given: true });
  assert.equal(await refused(), 'ERR_SESSION');
  window.send({ type: 'cancel', session: SESSION_2 });
  assert.equal(await refused(), 'ERR_SESSION');
  window.send({ type: 'pin', session: SESSION, sealedPin: SEALED_PIN });
  assert.equal(await refused(), 'ERR_SEQUENCE');
  present('nobody');
  assert.equal(await refused(), 'ERR_CARD_UNKNOWN');
  present('../../agent/local-key');
  assert.equal(await refused(), 'ERR_CARD_NAME');
  let answered = false;
  card?.then(() => {
    answered = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(answered, false);
});

test('time runs out at consent, card and PIN, each with its own reason', async () => {
  const waits = [
    ['consent', CONSENT_TIMEOUT_MS, 'ERR_USER_TIMEOUT'],
    ['waitCard', CARD_TIMEOUT_MS, 'ERR_CARD_TIMEOUT'],
    ['waitPin', PIN_TIMEOUT_MS, 'ERR_PIN_TIMEOUT'],
  ] as const;
  for (const [name, timeoutMs, code] of waits) {
    const own = await ServiceRig.start({ cards });
    const [outer, outerPage, outerWindow] = [rig, page, window];
    [rig, page, window] = [own, await own.page(), await own.window()];
    const { payment, card, pin } = await bringTo(name);
    let ended: string | null = null;
    (pin ?? card)?.then((answer) => {
      ended = String(answer);
    });
    own.clock.advance(timeoutMs - 1);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(ended, null, name);
    own.clock.advance(1);
    assert.equal(await (pin ?? card), code);
    payment.resolve(payResult('cancelled', 'ERR_SOMETHING'));
    assert.equal((await page.next(ofType('result'))).result.reason, code);
    [rig, page, window] = [outer, outerPage, outerWindow];
    await own.close();
  }
});

test('a closed window may come back within its grace, but no later', async () => {
  const { card } = await bringTo('consent');
  window.close();
  await window.closed;
  await new Promise((resolve) => setTimeout(resolve, 50));
  rig.clock.advance(4_999);
  window = await rig.window();
  await window.next(shown('consent'));
  rig.clock.advance(10_000);
  consent();
  await window.next(shown('waitCard'));
  window.close();
  await window.closed;
  rig.clock.advance(10_000);
  window = await rig.window();
  await window.next(shown('waitCard'));
  present();
  await cardOf(card);
  const payment = rig.element.payments[0];
  const pin = payment?.pin();
  await window.next(shown('waitPin'));
  window.close();
  await window.closed;
  await new Promise((resolve) => setTimeout(resolve, 50));
  rig.clock.advance(5_000);
  assert.equal(await pin, 'ERR_USER_CANCELLED');
});

test('a second window keeps the payment when the first is closed', async () => {
  const { card } = await bringTo('consent');
  const second = await rig.window();
  window.close();
  await window.closed;
  await new Promise((resolve) => setTimeout(resolve, 50));
  rig.clock.advance(10_000);
  window = second;
  consent();
  await window.next(shown('waitCard'));
  present();
  await cardOf(card);
});

test('a contact card pulled out at the PIN is asked for again', async () => {
  const { payment, pin } = await bringTo('waitPin');
  window.send({ type: 'takeAway' });
  assert.equal(await pin, 'ERR_CARD_REMOVED');
  const again = payment.card({ attempt: 2, reason: 'ERR_CARD_REMOVED' });
  const { payment: shownPayment } = await window.next(shown('waitCard'));
  assert.ok(shownPayment?.state.name === 'waitCard' && !shownPayment.state.takeOutFirst);
  present();
  await cardOf(again);
});

test('a lost element is told with whether the cryptogram may have left', async () => {
  const gone = new TapError('ERR_ELEMENT_GONE', 'the secure element ended');
  const { payment } = await bringTo('reading');
  payment.reject(gone);
  const before = await page.next(ofType('failed'));
  assert.deepEqual([before.error.code, before.sent], ['ERR_ELEMENT_GONE', false]);
  window.send({ type: 'takeAway' });
  const second = await rig.begin(page, SESSION_2);
  second.hop('seal');
  second.reject(gone);
  const after = await page.next(ofType('failed'));
  assert.deepEqual([after.session, after.sent], [SESSION_2, true]);
});

test('a page that reads nothing, and one that is gone, hold up nobody', async () => {
  const { payment } = await bringTo('authorising');
  page.close();
  await until(() => payment.heard.includes('closed'));
  payment.relay?.send(new Uint8Array(100_000));
  payment.resolve(payResult('unknown'));
  const other = await rig.page();
  await until(() => rig.log.some(({ event }) => event === 'paymentEnded'));
  await rig.begin(other, SESSION_2);
});

test('the log tells hops and masked commands of the order, and nothing secret', async () => {
  const { payment, card } = await bringTo('reading');
  const given = await cardOf(card);
  payment.hop('tap');
  payment.ask.onApdu?.({
    number: 1,
    attempt: 1,
    interface: 'contact',
    command: '80A80000028300',
    response: '9000',
  });
  await given.card.transmit(SELECT);
  const pin = payment.pin();
  await window.next(shown('waitPin'));
  window.send({ type: 'pin', session: SESSION, sealedPin: SEALED_PIN });
  await pin;
  payment.hop('seal');
  const hops = rig.log.filter(({ event }) => event === 'hop');
  assert.deepEqual(
    hops.map(({ name, references }) => [name, references]),
    [
      ['tap', ['order-1']],
      ['seal', ['order-1']],
    ],
  );
  const trace = rig.log.find(({ event }) => event === 'trace');
  assert.deepEqual(trace, {
    event: 'trace',
    party: 'agent',
    atMs: rig.clock.nowMs(),
    hop: 'tap',
    references: ['order-1'],
    kind: 'apdu',
    title: 'GET PROCESSING OPTIONS',
    data: {
      number: 1,
      attempt: 1,
      interface: 'contact',
      command: '80A80000028300',
      response: '9000',
    },
  });
  const logged = JSON.stringify(rig.log);
  for (const secret of [SEALED_PIN, SAMPLE_PAN, rig.pairingCode, rig.pairingCode.slice(0, 4)]) {
    assert.ok(!logged.includes(secret));
  }
});

test('close ends everything: the payment, the element, the sockets, the port, the card', async () => {
  const { card } = await bringTo('waitCard');
  await rig.stop();
  assert.equal(await card, 'ERR_USER_CANCELLED');
  assert.ok(rig.element.isClosed);
  await Promise.all([page.closed, window.closed]);
  const refused = await new Promise((resolve) => {
    tcpConnect({ host: '127.0.0.1', port: rig.port }).on('error', resolve);
  });
  assert.equal((refused as NodeJS.ErrnoException).code, 'ECONNREFUSED');
  const next = await ServiceRig.start({ dataDir: rig.dataDir });
  const outer = window;
  window = await next.window();
  present();
  await window.next(
    (message): message is WindowView => message.type === 'view' && message.reader.card === 'debit',
  );
  window = outer;
  await next.close();
});

test('a port that is taken is a coded fault, and nothing stays behind', async () => {
  const { startAgentService } = await import('./start.ts');
  const element = { isClosed: false };
  const fault = await startAgentService(
    {
      dataDir: rig.dataDir,
      port: rig.port,
      gatewayOrigins: [],
      gatewayUrl: GATEWAY,
      serverName: '',
      element: { nodePath: '', elementEntry: '', loadFile: '', storeDir: '', allowRead: [] },
      pagesDir: rig.pagesDir,
      readers: false,
      requestPairingCode: async () => '',
    },
    {
      element: {
        status: () => ({ id: null, state: 'notEnrolled' }),
        pay: () => Promise.reject(new Error('never')),
        token: async () => ({ token: null, reason: null }),
        keepFor: () => Promise.reject(new Error('never')),
        close: async () => {
          element.isClosed = true;
        },
      },
    },
  ).catch(codeOf);
  assert.equal(fault, 'ERR_PORT_IN_USE');
  assert.ok(element.isClosed);
});
