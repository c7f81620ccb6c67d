/**
 * A card in a real reader pays through the real native host; whichever way the host ends, the
 * reader and the card are free for the next one in the time that a browser grants.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PcscReaders, sealPin } from '@tapnpay/agent';
import { Secret } from '@tapnpay/protocol/bytes';
import type { WindowMessage } from '@tapnpay/protocol/wire';
import {
  type HostClient,
  isMessage,
  isShown,
  PIN,
  RelayingPage,
  SESSION,
  TestSystem,
  until,
} from '../../../agent/src/native/host.test-kit.ts';
import { SLOTS, TestCard, TestSlot } from '../inside.test-kit.ts';

/** Longer than the agent grants a reader service to see a card. */
const AFTER_CONSENT_MS = 700;
const FREE_MS = 2_000;

let system: TestSystem;
let card: TestCard;
const readers = new PcscReaders();
const slot = new TestSlot(readers, 0);
const secondSlot = new TestSlot(readers, 1);
before(async () => {
  system = await TestSystem.start({ readers: true });
  card = new TestCard(system.image, 'contact');
});
after(async () => {
  for (const end of ends.splice(0)) await end();
  await system.close();
  await readers.close();
});

const say = (host: HostClient, message: WindowMessage): void =>
  host.send({ type: 'window', message });

/** A payment that waits for the PIN of the card in the real reader, which it holds alone. */
async function atPin(): Promise<HostClient> {
  const { host } = await paying();
  const offered = await slot.insert(card.chip());
  await host.next(isShown('waitPin'), 'waitPin');
  await assert.rejects(slot.reader.connect({ sharing: 'exclusive' }), {
    code: 'ERR_READER_IN_USE',
  });
  ends.push(() => offered.close());
  return host;
}
const ends: (() => Promise<unknown>)[] = [];

async function paying(): Promise<RelayingPage> {
  for (const end of ends.splice(0)) await end();
  await slot.until(false);
  const page = new RelayingPage(system.host(), system.tlsPort);
  const { host } = page;
  await host.open(system.origin);
  host.send({ type: 'windowOpened' });
  system.freshGateway();
  page.pay();
  await host.next(isShown('consent'), 'consent');
  say(host, { type: 'consent', session: SESSION, given: true });
  await host.next(isShown('waitCard'), 'waitCard');
  await new Promise((resolve) => setTimeout(resolve, AFTER_CONSENT_MS));
  return page;
}

/** Milliseconds until another program can have the card alone. */
async function freeAfterMs(): Promise<number> {
  const fromMs = performance.now();
  for (;;) {
    try {
      const session = await slot.reader.connect({ sharing: 'exclusive' });
      const ms = performance.now() - fromMs;
      await session.disconnect();
      return ms;
    } catch (fault) {
      if (performance.now() - fromMs > 5 * FREE_MS) throw fault;
    }
  }
}

test('a card in a real reader is approved, then let go', async () => {
  const host = await atPin();
  const view = host.frames.findLast(isShown('waitPin'));
  const key = view?.message.payment?.pinKeySpki ?? '';
  say(host, { type: 'pin', session: SESSION, sealedPin: sealPin(new Secret(PIN), key) });
  const { message } = await host.next(isMessage('result'), 'result');
  assert.deepEqual([message.result.outcome, message.result.interface], ['approved', 'contact']);
  assert.ok((await freeAfterMs()) < FREE_MS, 'also while the host lives');
  const { status, ms } = await host.end();
  assert.equal(status, 0);
  assert.ok(ms < FREE_MS, `${ms} ms`);
  assert.ok(host.isClean);
});

test('a lost page, and a killed host, leave the reader free within 2 s', async (t) => {
  for (const end of ['end of input', 'SIGKILL'] as const) {
    const host = await atPin();
    if (end === 'SIGKILL') host.child.kill('SIGKILL');
    else host.child.stdin.end();
    const ms = await freeAfterMs();
    assert.ok(ms < FREE_MS, `${end}: ${ms} ms`);
    t.diagnostic(`PC/SC reader free ${Math.round(ms)} ms after ${end}`);
    await host.exited;
    await until(() => system.elements().length === 0, 'the end of the element');
  }
});

/** Types the PIN that the window is asked for now, and waits for the end of the payment. */
async function finish(host: HostClient) {
  const key = host.frames.findLast(isShown('waitPin'))?.message.payment?.pinKeySpki ?? '';
  say(host, { type: 'pin', session: SESSION, sealedPin: sealPin(new Secret(PIN), key) });
  return (await host.next(isMessage('result'), 'result')).message.result;
}

test('pulled at the PIN: told as removed, its next insertion is seen, and pays; rows 29, 33', async () => {
  const host = await atPin();
  for (const end of ends.splice(0)) await end();
  const again = await host.next(isShown('waitCard'), 'waitCard');
  assert.equal(again.message.payment?.request?.reason, 'ERR_CARD_REMOVED');
  assert.equal(system.gateway.payment, null, 'the bank has heard of no PIN');
  await slot.until(false);
  const offered = await slot.insert(card.chip());
  ends.push(() => offered.close());
  await host.next(isShown('waitPin'), 'waitPin');
  assert.equal((await finish(host)).outcome, 'approved');
  await host.end();
});

test('a card in each of two readers: both must go, and the one that is put in again pays; row 11', async () => {
  for (const end of ends.splice(0)) await end();
  await Promise.all([slot.until(false), secondSlot.until(false)]);
  const other = new TestCard(system.image, 'contact');
  const lying = [await slot.insert(other.chip()), await secondSlot.insert(card.chip())];
  const was = [other.state.atc, card.state.atc];
  const page = new RelayingPage(system.host(), system.tlsPort);
  const { host } = page;
  await host.open(system.origin);
  host.send({ type: 'windowOpened' });
  system.freshGateway();
  page.pay();
  await host.next(isShown('consent'), 'consent');
  say(host, { type: 'consent', session: SESSION, given: true });
  await until(() => host.frames.some(asksToTakeOut(true)), 'the request to take both out');
  const [view] = host.frames.filter(isShown('waitCard'));
  assert.deepEqual(
    view?.message.realReaders.map(({ name, isCardThere }) => [name, isCardThere]),
    SLOTS.map((name) => [name, true]),
    'each is told by its reader',
  );
  await lying[0]?.close();
  await slot.until(false);
  assert.ok(!host.frames.some(asksToTakeOut(false)), 'one still lies there');
  await lying[1]?.close();
  await until(() => host.frames.some(asksToTakeOut(false)), 'the request for a card');
  const chosen = await secondSlot.insert(card.chip());
  ends.push(() => chosen.close());
  await host.next(isShown('waitPin'), 'waitPin');
  assert.equal((await finish(host)).outcome, 'approved');
  assert.deepEqual([other.state.atc, card.state.atc], [was[0], (was[1] ?? 0) + 1]);
  await host.end();
});

/** The window is asked for a card, with or without one that must go first. */
function asksToTakeOut(first: boolean) {
  return (frame: Parameters<ReturnType<typeof isShown>>[0]): boolean => {
    if (!isShown('waitCard')(frame)) return false;
    const state = frame.message.payment?.state;
    return state?.name === 'waitCard' && state.takeOutFirst === first;
  };
}

test('a card that lay in the reader before is asked for nothing until it was taken out', async () => {
  const { host: before } = await paying();
  const offered = await slot.insert(card.chip());
  await before.next(isShown('waitPin'), 'waitPin');
  await before.end();
  const page = new RelayingPage(system.host(), system.tlsPort);
  const { host } = page;
  await host.open(system.origin);
  host.send({ type: 'windowOpened' });
  page.pay();
  await host.next(isShown('consent'), 'consent');
  say(host, { type: 'consent', session: SESSION, given: true });
  await until(() => host.frames.some(asksToTakeOut(true)), 'the request to take it out');
  await offered.close();
  await until(() => host.frames.some(asksToTakeOut(false)), 'the request for a card');
  await host.end();
});
