/**
 * What cards and people do wrong at the reader, through the real host and the real element: a card
 * of somebody else's, one that lies there already, one that is pulled out at its PIN, a PIN that is
 * none. Numbers of rows are those of docs/plugin-complaints.md.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { Secret } from '@tapnpay/protocol/bytes';
import type { CardInterface, WindowMessage } from '@tapnpay/protocol/wire';
import { sealPin } from '../payment.ts';
import {
  CARD,
  type HostClient,
  type HostFrame,
  isMessage,
  isShown,
  PIN,
  RelayingPage,
  TestSystem,
  until,
} from './host.test-kit.ts';

/** A card of no scheme that this terminal takes. */
const FOREIGN = 'foreign';
/** From the card to the page's word. */
const UNSUPPORTED_MS = 3_000;
let system: TestSystem;
before(async () => {
  system = await TestSystem.start();
  const image = JSON.stringify(system.image).replaceAll('A000000333', 'A000000999');
  writeFileSync(join(system.dataDir, 'cards', `${FOREIGN}.json`), image);
});
after(() => system.close());
afterEach(async () => {
  const living = system.hosts.filter(({ isExited }) => !isExited);
  await Promise.all(living.map((host) => host.end()));
});

const say = (host: HostClient, message: WindowMessage): void =>
  host.send({ type: 'window', message });
const present = (host: HostClient, card: string, by: CardInterface = 'contact'): void =>
  say(host, { type: 'present', card, interface: by, liftAfter: null });
const takeAway = (host: HostClient): void => say(host, { type: 'takeAway' });

async function opened(): Promise<RelayingPage> {
  const page = new RelayingPage(system.host(), system.tlsPort);
  await page.host.open(system.origin);
  page.host.send({ type: 'windowOpened' });
  return page;
}

/** The payment under way. */
let session = '';
/** A payment whose person has said yes. */
async function atCard(page: RelayingPage): Promise<HostClient> {
  const { host } = page;
  session = crypto.randomUUID();
  system.freshGateway();
  page.pay(session);
  await host.next(isShown('consent'), 'consent');
  say(host, { type: 'consent', session, given: true });
  await host.next(isShown('waitCard'), 'waitCard');
  return host;
}

async function atPin(page: RelayingPage): Promise<HostClient> {
  const host = await atCard(page);
  present(host, CARD);
  await host.next(isShown('waitPin'), 'waitPin');
  return host;
}

const pinKey = (host: HostClient): string =>
  host.frames.findLast(isShown('waitPin'))?.message.payment?.pinKeySpki ?? '';
const enterPin = (host: HostClient, pin: string): void =>
  say(host, { type: 'pin', session, sealedPin: sealPin(new Secret(pin), pinKey(host)) });

async function resultOf(host: HostClient) {
  return (await host.next(isMessage('result'), 'result')).message.result;
}

/** The wait for a card in this turn, whether one must go first. */
const waits = (attempt: number, takeOutFirst: boolean) => (frame: HostFrame) => {
  if (!isShown('waitCard')(frame)) return false;
  const state = frame.message.payment?.state;
  return (
    state?.name === 'waitCard' && state.attempt === attempt && state.takeOutFirst === takeOutFirst
  );
};
const waiting = (host: HostClient, attempt: number, takeOutFirst = false) =>
  until(() => host.frames.some(waits(attempt, takeOutFirst)), `the wait for card ${attempt}`);

for (const by of ['contact', 'contactless'] as const) {
  test(`rows 12, 13: a card of others by ${by} is looked at once and told within 3 s`, async (t) => {
    const page = await opened();
    const host = await atCard(page);
    const fromMs = performance.now();
    present(host, FOREIGN, by);
    const { outcome, reason, charged } = await resultOf(host);
    const ms = performance.now() - fromMs;
    assert.deepEqual([outcome, reason, charged], ['declined', 'terminal:noApplication', 'no']);
    assert.ok(ms < UNSUPPORTED_MS, `${ms} ms`);
    t.diagnostic(`told after ${Math.round(ms)} ms`);
    assert.equal(system.gateway.payment, null);
    const turns = host.frames.filter(isShown('waitCard')).map(({ message }) => {
      const state = message.payment?.state;
      return state?.name === 'waitCard' ? state.attempt : 0;
    });
    assert.deepEqual([...new Set(turns)], [1], 'it was not asked for again');
    // It still lies there by contact: the next payment asks to take it out, and looks at it no more.
    if (by === 'contact') {
      await atCard(page);
      await waiting(host, 1, true);
      takeAway(host);
      await until(() => host.frames.some(isShown('waitCard')), 'an empty reader');
    }
    await host.end();
  });
}

test('row 31: a card that lies there already is asked to be taken out, and then it pays', async () => {
  const page = await opened();
  const { host } = page;
  present(host, CARD);
  await until(() => host.frames.some(isCardThere), 'the card');
  await atCard(page);
  await waiting(host, 1, true);
  takeAway(host);
  const count = host.frames.length;
  await until(() => host.frames.slice(count).some(waits(1, false)), 'an empty reader');
  present(host, CARD);
  await host.next(isShown('waitPin'), 'waitPin');
  enterPin(host, PIN);
  assert.equal((await resultOf(host)).outcome, 'approved');
  await host.end();
});
const isCardThere = (frame: HostFrame): boolean =>
  frame.type === 'window' && frame.message.type === 'view' && frame.message.reader.card === CARD;

test('rows 29, 33: pulled at the PIN it is told so, seen again, and no PIN was tried', async () => {
  const page = await opened();
  const host = await atPin(page);
  const gateway = system.gateway;
  const firstKey = pinKey(host);
  takeAway(host);
  await waiting(host, 2);
  const told = host.frames.findLast(waits(2, false));
  assert.ok(told !== undefined && isShown('waitCard')(told));
  assert.equal(told.message.payment?.request?.reason, 'ERR_CARD_REMOVED');
  assert.equal(gateway.payment, null, 'the bank has heard of no PIN');
  present(host, CARD);
  await until(() => pinKey(host) !== firstKey, 'the PIN of the second presentation');
  enterPin(host, PIN);
  assert.equal((await resultOf(host)).outcome, 'approved');
  assert.ok(gateway.isArqcValid);
  await host.end();
});

test('rows 29, 33: pulled at the PIN again and again it ends as removed, nothing was sent', async () => {
  const page = await opened();
  const host = await atPin(page);
  const gateway = system.gateway;
  for (let turn = 2; turn <= 5; turn++) {
    const key = pinKey(host);
    takeAway(host);
    const isEnd = () => host.frames.some(isMessage('result'));
    await until(() => isEnd() || host.frames.some(waits(turn, false)), `turn ${turn}`);
    if (isEnd()) break;
    present(host, CARD);
    await until(() => pinKey(host) !== key, `the PIN of turn ${turn}`);
  }
  const { outcome, reason, charged } = await resultOf(host);
  assert.deepEqual([outcome, reason, charged], ['cancelled', 'ERR_CARD_REMOVED', 'no']);
  assert.equal(gateway.payment, null);
  await host.end();
});

test('row 30: cancelled after the card was pulled early, by page and by window', async () => {
  for (const who of ['page', 'window'] as const) {
    const page = await opened();
    const host = await atPin(page);
    takeAway(host);
    await waiting(host, 2);
    const cancel = { type: 'cancel', session } as const;
    if (who === 'page') host.send({ type: 'page', message: cancel });
    else say(host, cancel);
    const fromMs = performance.now();
    const { outcome, reason } = await resultOf(host);
    assert.deepEqual([outcome, reason], ['cancelled', 'ERR_USER_CANCELLED'], who);
    assert.ok(performance.now() - fromMs < 2_000);
    await host.end();
  }
});

test('row 8: an empty PIN, or one that is none, reaches neither bank nor card', async () => {
  const page = await opened();
  for (const pin of ['', '123', '1234567890123', '12a4']) {
    const host = await atPin(page);
    enterPin(host, pin);
    const { outcome, reason, charged } = await resultOf(host);
    assert.deepEqual([outcome, reason, charged], ['cancelled', 'ERR_PIN_FORMAT', 'no'], `"${pin}"`);
    assert.equal(system.gateway.payment, null, `"${pin}"`);
    takeAway(host);
  }
});
