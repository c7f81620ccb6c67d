/**
 * Shows which card in a real reader is charged and which never: only after the person's consent,
 * fresh, alone and by the interface asked for; and how every loss on the way is told.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  AGENT_VERSION,
  type AgentReport,
  type CardRequest,
  type WindowError,
  type WindowView,
} from '@tapnpay/protocol/wire';
import type { PresentedCard } from '../payment.ts';
import { READER_LAG_MS } from './desk.ts';
import { FakeReaders, TEST_ATR, TestChip } from './real-readers.test-kit.ts';
import {
  codeOf,
  isError,
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
import { CARD_TIMEOUT_MS } from './session-machine.ts';

const SELECT = fromHex('00A4040008A000000333010101');
const ONE = 'Contact reader (serial 4711) 00 00';
const TWO = 'Antenna 01 00';

let readers: FakeReaders;
let rig: ServiceRig;
let page: PageClient;
let window: WindowClient;
beforeEach(async () => {
  readers = new FakeReaders();
  rig = await ServiceRig.start({ readers });
  page = await rig.page();
  window = await rig.window();
  readers.plug(ONE);
  readers.plug(TWO);
});
afterEach(() => rig.close());

type Card = Promise<PresentedCard | string>;

async function bringToConsent(ask: Partial<CardRequest> = {}) {
  const payment = await rig.begin(page);
  const card = payment.card(ask);
  await window.next(shown('consent'));
  return { payment, card };
}

/** Consent, and as long after it as a service may be late. */
async function consent(): Promise<void> {
  window.send({ type: 'consent', session: SESSION, given: true });
  await window.next(shown('waitCard'));
  rig.clock.advance(READER_LAG_MS);
}

async function bringToCard(ask: Partial<CardRequest> = {}) {
  const begun = await bringToConsent(ask);
  await consent();
  return begun;
}

async function taken(card: Card): Promise<PresentedCard> {
  const given = await card;
  assert.ok(typeof given !== 'string', `a card, not ${given}`);
  return given;
}

/** The next view in which this is so. */
function seen(isSo: (view: WindowView) => boolean): Promise<WindowView> {
  return window.next(
    (message: WindowView | WindowError): message is WindowView =>
      message.type === 'view' && isSo(message),
  );
}
const waits = (takeOutFirst: boolean) => (view: WindowView) =>
  view.payment?.state.name === 'waitCard' && view.payment.state.takeOutFirst === takeOutFirst;
const faultOf = (view: WindowView, name: string) =>
  view.realReaders.find((reader) => reader.name === name)?.fault;

/** Nothing happens in a while in which it could. */
async function untouched(chip: TestChip): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([chip.resets, chip.commands], [0, 0], 'the card was not even powered');
}

test('a card inserted after the yes pays, is let go when nothing more is asked, and stays shown', async () => {
  const { payment, card } = await bringToCard();
  const chip = new TestChip();
  readers.insert(ONE, chip);
  const given = await taken(card);
  assert.equal(given.interface, 'contact');
  assert.equal(toHex(await given.card.transmit(SELECT)), '9000');
  await assert.rejects(
    readers.reader(ONE).connect(),
    { code: 'ERR_READER_IN_USE' },
    'for us alone',
  );
  payment.hop('seal');
  payment.ask.onCardDone?.();
  const done = await window.next(shown('removeCard'));
  assert.deepEqual(done.realReaders, [
    { name: ONE, kind: 'pcsc', isCardThere: true, fault: null },
    { name: TWO, kind: 'pcsc', isCardThere: false, fault: null },
  ]);
  await until(() => readers.reader(ONE).sessions === 0);
  await assert.rejects(given.card.transmit(SELECT), { code: 'ERR_CARD_TRANSPORT' });
  payment.resolve(payResult('approved'));
  assert.equal((await page.next(ofType('result'))).result.outcome, 'approved');
  assert.equal(chip.commands, 1);
});

test('a payment that ends lets the card go, whatever it ended by', async () => {
  const { card } = await bringToCard();
  readers.insert(TWO, new TestChip('contactless'));
  const given = await taken(card);
  assert.equal(given.interface, 'contactless');
  window.send({ type: 'cancel', session: SESSION });
  const isBroken = () => given.card.transmit(SELECT).then(() => false, codeOf);
  while (!(await isBroken())) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(await isBroken(), 'ERR_CARD_REMOVED');
  rig.element.payments[0]?.resolve(payResult('cancelled'));
  await page.next(ofType('result'));
  await until(() => readers.reader(TWO).sessions === 0);
});

test('a card that lay there before the yes is never charged; taken out and in again it is', async () => {
  const old = new TestChip();
  readers.insert(ONE, old);
  const { card } = await bringToConsent();
  await consent();
  await untouched(old);
  assert.ok((await pageState(page, 'waitCard')).state.name === 'waitCard');
  readers.remove(ONE);
  await seen(waits(false));
  readers.insert(ONE, old);
  assert.equal((await taken(card)).interface, 'contact');
});

test('a card that came while the question was open must go first, too', async () => {
  const { card } = await bringToConsent();
  const early = new TestChip();
  readers.insert(ONE, early);
  window.send({ type: 'consent', session: SESSION, given: true });
  await seen(waits(true));
  rig.clock.advance(READER_LAG_MS);
  await untouched(early);
  readers.remove(ONE);
  await seen(waits(false));
  readers.insert(ONE, early);
  await taken(card);
});

test('a card that is seen too soon after the yes may have come before it', async () => {
  await bringToConsent();
  window.send({ type: 'consent', session: SESSION, given: true });
  await window.next(shown('waitCard'));
  rig.clock.advance(READER_LAG_MS - 1);
  const chip = new TestChip();
  readers.insert(ONE, chip);
  await seen(waits(true));
  await untouched(chip);
});

test('a reader that is plugged in with a card in it charges nothing', async () => {
  await bringToCard();
  const chip = new TestChip();
  readers.plug('New reader');
  readers.insert('New reader', chip, { isFresh: false });
  await seen(waits(true));
  await untouched(chip);
});

test('no payment, or one that is not yet at its card: no card is touched', async () => {
  const chip = new TestChip();
  readers.insert(ONE, chip);
  await seen(({ realReaders }) => realReaders.some(({ isCardThere }) => isCardThere));
  await untouched(chip);
});

test('pulled on the way: told like a virtual card, asked for again without a second consent', async () => {
  const { payment, card } = await bringToCard();
  readers.insert(ONE, new TestChip());
  const given = await taken(card);
  await given.card.transmit(SELECT);
  readers.remove(ONE);
  await assert.rejects(given.card.transmit(SELECT), { code: 'ERR_CARD_REMOVED' });
  const second = payment.card({ attempt: 2, reason: 'ERR_CARD_REMOVED' });
  await seen((view) => waits(false)(view) && view.payment?.request?.attempt === 2);
  readers.insert(ONE, new TestChip());
  const again = await taken(second);
  assert.equal(toHex(await again.card.transmit(SELECT)), '9000');
  assert.equal(readers.reader(ONE).sessions, 1, 'the first session was given back');
});

test('a lost card that was put back at once must be presented anew', async () => {
  const { payment, card } = await bringToCard();
  readers.insert(ONE, new TestChip());
  await taken(card);
  readers.remove(ONE);
  const back = new TestChip();
  readers.insert(ONE, back);
  payment.card({ attempt: 2, reason: 'ERR_CARD_REMOVED' });
  await seen(waits(true));
  await untouched(back);
});

async function bringToPin(): Promise<{ payment: ScriptedPayment; pin: Promise<string | null> }> {
  const { payment, card } = await bringToCard();
  readers.insert(ONE, new TestChip());
  await taken(card);
  const pin = payment.pin();
  await window.next(shown('waitPin'));
  return { payment, pin };
}

test('a contact card pulled at the PIN ends the entry; another card in another reader does not', async () => {
  const { pin } = await bringToPin();
  let ended = false;
  pin.then(() => {
    ended = true;
  });
  readers.insert(TWO, new TestChip('contactless'));
  readers.remove(TWO);
  await seen(({ realReaders }) => realReaders[1]?.isCardThere === false);
  assert.equal(ended, false);
  // Something lies elsewhere: the payment's own card is gone all the same.
  readers.insert(TWO, new TestChip('contactless'));
  readers.remove(ONE);
  assert.equal(await pin, 'ERR_CARD_REMOVED');
});

test('two cards at once: neither is charged, and one alone is after both were taken away', async () => {
  const { card } = await bringToCard();
  const [first, second] = [new TestChip(), new TestChip('contactless')];
  let open: () => void = () => {};
  readers.reader(ONE).gate = new Promise((resolve) => {
    open = resolve;
  });
  readers.insert(ONE, first);
  readers.insert(TWO, second);
  await seen(waits(true));
  open();
  await until(() => first.resets === 1 && readers.reader(ONE).sessions === 0);
  await untouched(second);
  assert.equal(first.commands, 0);
  readers.remove(ONE);
  await seen((view) => waits(true)(view) && view.realReaders[0]?.isCardThere === false);
  readers.remove(TWO);
  await seen(waits(false));
  readers.insert(TWO, second);
  assert.equal((await taken(card)).interface, 'contactless');
});

test('a security key is no reader: it is not shown, in nobody’s way and never touched; row 10', async () => {
  const KEY = 'Yubico YubiKey OTP+FIDO+CCID 00 00';
  const key = new TestChip();
  readers.plug(KEY);
  readers.insert(KEY, key, { isFresh: false });
  const { card } = await bringToCard();
  // Unplugged and plugged again in the middle, as a person who signs in elsewhere does.
  readers.unplug(KEY);
  readers.plug(KEY);
  readers.insert(KEY, key, { isFresh: false });
  readers.insert(ONE, new TestChip());
  assert.equal((await taken(card)).interface, 'contact');
  const view = await window.next(shown('reading'));
  assert.deepEqual(
    view.realReaders.map(({ name }) => name),
    [ONE, TWO],
  );
  assert.deepEqual([key.resets, key.commands], [0, 0]);
});

test('two cards: each is told by its reader, and which one pays is never left to chance; row 11', async () => {
  const { card } = await bringToCard();
  const chips = [new TestChip(), new TestChip()];
  readers.insert(ONE, chips[0] ?? new TestChip());
  readers.insert(TWO, chips[1] ?? new TestChip());
  const both = await seen(waits(true));
  assert.deepEqual(
    both.realReaders.map(({ name, isCardThere }) => [name, isCardThere]),
    [
      [ONE, true],
      [TWO, true],
    ],
  );
  await until(() => readers.reader(ONE).sessions === 0);
  assert.deepEqual(
    chips.map(({ commands }) => commands),
    [0, 0],
    'neither was asked anything',
  );
  // The person chooses: out with both, in with one.
  readers.remove(ONE);
  readers.remove(TWO);
  await seen(waits(false));
  const chosen = new TestChip();
  readers.insert(TWO, chosen);
  await (await taken(card)).card.transmit(SELECT);
  assert.deepEqual([chosen.commands, ...chips.map(({ commands }) => commands)], [1, 0, 0]);
});

test('a card that came while another one is read is no part of the payment', async () => {
  const { card } = await bringToCard();
  readers.insert(ONE, new TestChip());
  const given = await taken(card);
  const other = new TestChip();
  readers.insert(TWO, other);
  await untouched(other);
  assert.equal(toHex(await given.card.transmit(SELECT)), '9000');
});

test('a reader that another program holds, and a mute card: told by code until the card is gone', async () => {
  const { card } = await bringToCard();
  const chip = new TestChip();
  readers.reader(ONE).memory.insert(chip);
  const theirs = await readers.reader(ONE).memory.connect({ sharing: 'exclusive' });
  readers.tell({ type: 'cardInserted', reader: ONE, atr: TEST_ATR, isFresh: true });
  const busy = await seen((view) => faultOf(view, ONE) === 'ERR_READER_IN_USE');
  assert.ok(waits(true)(busy));
  assert.equal(chip.commands, 0);
  await theirs.disconnect();
  readers.remove(ONE);
  assert.equal(faultOf(await seen(waits(false)), ONE), null);
  const mute = new TestChip();
  mute.isMute = true;
  readers.insert(ONE, mute);
  await seen((view) => waits(true)(view) && faultOf(view, ONE) === 'ERR_CARD_MUTE');
  readers.remove(ONE);
  await seen(waits(false));
  readers.insert(ONE, new TestChip());
  await taken(card);
});

test('no card in time: the page learns why the one that is there could not pay; rows 35, 36', async () => {
  const { payment, card } = await bringToCard();
  const mute = new TestChip();
  mute.isMute = true;
  readers.insert(ONE, mute);
  await seen((view) => faultOf(view, ONE) === 'ERR_CARD_MUTE');
  rig.clock.advance(CARD_TIMEOUT_MS);
  assert.equal(await card, 'ERR_CARD_TIMEOUT');
  payment.resolve(payResult('cancelled', 'ERR_CARD_TIMEOUT'));
  assert.equal((await page.next(ofType('result'))).result.reason, 'ERR_CARD_MUTE');
  // It is taken out, and nothing keeps the next one from paying but that nobody comes.
  readers.remove(ONE);
  const next = await rig.begin(page, SESSION_2);
  const none = next.card();
  await seen(
    ({ payment: under }) => under?.session === SESSION_2 && under.state.name === 'consent',
  );
  window.send({ type: 'consent', session: SESSION_2, given: true });
  await seen(waits(false));
  rig.clock.advance(CARD_TIMEOUT_MS);
  assert.equal(await none, 'ERR_CARD_TIMEOUT');
  next.resolve(payResult('cancelled', 'ERR_CARD_TIMEOUT'));
  assert.equal((await page.next(ofType('result'))).result.reason, 'ERR_CARD_TIMEOUT');
});

test('no card in time: without virtual cards a missing reader or service is why; row 36', async () => {
  const { payment, card } = await bringToCard();
  readers.unplug(ONE);
  readers.unplug(TWO);
  await seen(({ realReaders }) => realReaders.length === 0);
  rig.clock.advance(CARD_TIMEOUT_MS);
  assert.equal(await card, 'ERR_CARD_TIMEOUT');
  const late = payResult('cancelled', 'ERR_CARD_TIMEOUT');
  payment.resolve(late);
  assert.equal((await page.next(ofType('result'))).result.reason, 'ERR_READER_GONE');
  readers.tell({ type: 'serviceLost', code: 'ERR_READER_DENIED' });
  const next = await rig.begin(page, SESSION_2);
  next.card();
  await seen(
    ({ payment: under }) => under?.session === SESSION_2 && under.state.name === 'consent',
  );
  window.send({ type: 'consent', session: SESSION_2, given: true });
  await seen(waits(false));
  rig.clock.advance(CARD_TIMEOUT_MS);
  next.resolve(late);
  assert.equal((await page.next(ofType('result'))).result.reason, 'ERR_READER_DENIED');
});

test('a card by the wrong interface is told as such, and the right one pays', async () => {
  const { card } = await bringToCard({ interfaces: ['contact'] });
  const wrong = new TestChip('contactless');
  readers.insert(TWO, wrong);
  await seen((view) => waits(true)(view) && faultOf(view, TWO) === 'ERR_CARD_INTERFACE');
  assert.deepEqual([wrong.commands, readers.reader(TWO).sessions], [0, 0]);
  readers.remove(TWO);
  await seen(waits(false));
  readers.insert(ONE, new TestChip());
  assert.equal((await taken(card)).interface, 'contact');
});

test('what was wrong with a card is forgotten with the payment', async () => {
  const { payment } = await bringToCard({ interfaces: ['contact'] });
  readers.insert(TWO, new TestChip('contactless'));
  await seen((view) => faultOf(view, TWO) === 'ERR_CARD_INTERFACE');
  payment.resolve(payResult('cancelled'));
  const after = await seen(({ payment: under }) => under === null);
  assert.deepEqual([faultOf(after, TWO), after.realReaders[1]?.isCardThere], [null, true]);
});

test('a reader unplugged in mid-payment: the card is lost in transport, the PIN entry ends', async () => {
  const { card } = await bringToCard();
  readers.insert(ONE, new TestChip());
  const given = await taken(card);
  readers.unplug(ONE);
  await assert.rejects(given.card.transmit(SELECT), (fault: { code: string; data: unknown }) => {
    assert.equal(fault.code, 'ERR_CARD_TRANSPORT');
    assert.equal((fault.data as { readerCode: string }).readerCode, 'ERR_READER_GONE');
    return true;
  });
  await seen(({ realReaders }) => realReaders.length === 1);
});

test('a reader unplugged at the PIN: the card is asked for again', async () => {
  const { payment, pin } = await bringToPin();
  readers.unplug(ONE);
  assert.equal(await pin, 'ERR_CARD_REMOVED');
  const again = payment.card({ attempt: 2, reason: 'ERR_CARD_REMOVED' });
  await seen((view) => waits(false)(view));
  readers.insert(TWO, new TestChip('contactless'));
  assert.equal((await taken(again)).interface, 'contactless');
});

test('gone before it had power: nothing is told as wrong, the next one pays', async () => {
  const { card } = await bringToCard();
  let open: () => void = () => {};
  readers.reader(ONE).gate = new Promise((resolve) => {
    open = resolve;
  });
  for (let round = 0; round < 2; round += 1) {
    readers.insert(ONE, new TestChip());
    readers.remove(ONE);
  }
  // The same reader has another card by the time the first connect gets through.
  const next = new TestChip();
  readers.insert(ONE, next);
  open();
  await taken(card);
  assert.equal(next.resets, 1, 'by its own connect only');
  assert.equal(readers.reader(ONE).sessions, 1);
  assert.equal(faultOf(await seen(() => true), ONE), null);
});

test('cancelled while the card gets its power: it is let go', async () => {
  const { card } = await bringToCard();
  let open: () => void = () => {};
  readers.reader(ONE).gate = new Promise((resolve) => {
    open = resolve;
  });
  const chip = new TestChip();
  readers.insert(ONE, chip);
  window.send({ type: 'cancel', session: SESSION });
  assert.equal(await card, 'ERR_USER_CANCELLED');
  open();
  await until(() => chip.resets === 1 && readers.reader(ONE).sessions === 0);
  assert.equal(chip.commands, 0);
});

test('the service dies and comes back: told by code; a card that lies there then is not charged', async () => {
  await bringToCard();
  readers.unplug(ONE);
  readers.unplug(TWO);
  readers.tell({ type: 'serviceLost', code: 'ERR_READER_SERVICE' });
  const lost = await seen(({ readerService }) => readerService.state === 'lost');
  assert.deepEqual(lost.readerService, { state: 'lost', code: 'ERR_READER_SERVICE' });
  const health = JSON.parse((await rig.ask('/v1/health')).text) as AgentReport;
  assert.equal(health.readerService.code, 'ERR_READER_SERVICE');
  assert.ok(
    rig.log.some(({ what, code }) => what === 'serviceLost' && code === 'ERR_READER_SERVICE'),
  );
  readers.tell({ type: 'serviceFound' });
  readers.plug(ONE);
  const chip = new TestChip();
  readers.insert(ONE, chip, { isFresh: false });
  const back = await seen(waits(true));
  assert.deepEqual(back.readerService, { state: 'on', code: null });
  await untouched(chip);
});

test('a virtual card beside a real one: present one card only', async () => {
  const { card } = await bringToCard();
  readers.insert(TWO, new TestChip('contactless'));
  await taken(card);
  await pageState(page, 'reading');
  readers.remove(TWO);
  rig.element.payments[0]?.card({ attempt: 2, interfaces: ['contact'] });
  await seen((view) => waits(false)(view) && view.payment?.request?.attempt === 2);
  readers.insert(TWO, new TestChip('contactless'));
  await seen((view) => faultOf(view, TWO) === 'ERR_CARD_INTERFACE');
  window.send({ type: 'present', card: 'debit', interface: 'contact', liftAfter: null });
  assert.equal((await window.next(isError)).error.code, 'ERR_READER_OCCUPIED');
});

test('pages learn that there are readers, not which; health names them; nothing tells a card', async () => {
  readers.insert(ONE, new TestChip());
  const other = await rig.stranger();
  other.send({ type: 'hello', version: AGENT_VERSION, token: await rig.token() });
  const welcome = await other.next(ofType('welcome'));
  assert.deepEqual(welcome.readers, [
    { name: 'Virtual reader', kind: 'virtual' },
    { name: 'Card reader', kind: 'pcsc' },
    { name: 'Card reader', kind: 'pcsc' },
  ]);
  const { text } = await rig.ask('/v1/health');
  const health = JSON.parse(text) as AgentReport;
  assert.deepEqual(health.readers.slice(0, 2), [
    { name: 'Virtual reader', kind: 'virtual' },
    { name: ONE, kind: 'pcsc', isCardThere: true, fault: null },
  ]);
  assert.deepEqual(health.readerService, { state: 'on', code: null });
  const everything = text + JSON.stringify(rig.log) + JSON.stringify(window.received);
  assert.equal(everything.includes(toHex(TEST_ATR)), false);
  assert.doesNotMatch(everything, /"atr"/i);
});

test('not asked for: nothing is watched, and health says off', async () => {
  const quiet = await ServiceRig.start();
  const health = JSON.parse((await quiet.ask('/v1/health')).text) as AgentReport;
  assert.deepEqual(health.readerService, { state: 'off', code: null });
  assert.equal(health.readers.length, 1);
  await quiet.close();
});

test('close ends the watch and the readers; a session under way with them', async () => {
  const { card } = await bringToCard();
  readers.insert(ONE, new TestChip());
  await taken(card);
  assert.ok(readers.isWatched);
  await rig.stop();
  assert.deepEqual([readers.isWatched, readers.isClosed], [false, true]);
  await until(() => readers.reader(ONE).sessions === 0);
});

test('the next payment wants its own fresh card', async () => {
  const { payment, card } = await bringToCard();
  const chip = new TestChip();
  readers.insert(ONE, chip);
  await taken(card);
  payment.resolve(payResult('approved'));
  await page.next(ofType('result'));
  const powered = chip.resets;
  const next = await rig.begin(page, SESSION_2);
  next.card();
  await seen(
    ({ payment: under }) => under?.session === SESSION_2 && under.state.name === 'consent',
  );
  window.send({ type: 'consent', session: SESSION_2, given: true });
  await seen(waits(true));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([chip.resets, chip.commands], [powered, 0]);
});
