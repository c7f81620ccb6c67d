/**
 * Shows a page's look at an e-cash balance, with virtual cards and real ones, by both interfaces:
 * the amount leaves after the person's yes and a fresh card alone, nothing is asked of the card but
 * SELECT and reading, and nobody else's word, card or session counts.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { toHex } from '@tapnpay/protocol/bytes';
import type { IccImage } from '@tapnpay/protocol/emv/data';
import type { AgentMessage, CardInterface, WindowView } from '@tapnpay/protocol/wire';
import { IMAGE, imageOf } from '../../../protocol/src/emv/icc/icc.test-kit.ts';
import { SAMPLE_PAN } from '../../../protocol/src/emv/icc/sample.test-card.ts';
import type { ChipCard } from '../readers/card-reader.ts';
import { virtualCard } from '../readers/virtual-card.ts';
import { nodeCiphers, systemRandom } from '../system.ts';
import { BALANCE_PRESENTATIONS_MAX } from './balance-work.ts';
import { READER_LAG_MS } from './desk.ts';
import { ServiceError } from './errors.ts';
import { FakeReaders, TEST_ATR } from './real-readers.test-kit.ts';
import {
  GATEWAY,
  isError,
  OTHER_GATEWAY,
  ofType,
  type PageClient,
  pageState,
  payResult,
  SESSION,
  SESSION_2,
  ServiceRig,
  shown,
  until,
  type WindowClient,
} from './service.test-kit.ts';
import { CARD_TIMEOUT_MS, CONSENT_TIMEOUT_MS, WINDOW_GRACE_MS } from './session-machine.ts';

const electronicCash = {
  balanceMinor: '48765',
  singleTransactionLimitMinor: '5000',
  resetThresholdMinor: '1000',
};
const purse = imageOf({ request: { electronicCash } });
const plain = IMAGE;
const cards = { purse: JSON.stringify(purse), plain: JSON.stringify(plain) };
const FOUND = { currency: '156', balanceMinor: '48765' };
const PAN_MASKED = '629999******0009';
const WAYS = ['contact', 'contactless'] as const;
const READER = 'Reader 00 00';

let readers: FakeReaders;
let rig: ServiceRig;
let page: PageClient;
let window: WindowClient;
beforeEach(async () => {
  readers = new FakeReaders();
  rig = await ServiceRig.start({ cards, readers });
  page = await rig.page();
  window = await rig.window();
  readers.plug(READER);
});
afterEach(() => rig.close());

const ask = (session: string = SESSION, from: PageClient = page): void =>
  from.send({ type: 'balance', session });
const consent = (given = true): void => window.send({ type: 'consent', session: SESSION, given });
const present = (card: string, by: CardInterface, liftAfter: number | null = null): void =>
  window.send({ type: 'present', card, interface: by, liftAfter });
const result = () => page.next(ofType('balanceResult'));
const failed = (from: PageClient = page) => from.next(ofType('failed'));
const seen = (isSo: (view: WindowView) => boolean): Promise<WindowView> =>
  window.next((message): message is WindowView => message.type === 'view' && isSo(message));
const isOver = (view: WindowView): boolean => view.last?.session === SESSION;

async function bringToConsent(): Promise<void> {
  ask();
  await window.next(shown('consent'));
}

/** A wait for a card that is long enough for a real one, too. */
async function bringToCard(): Promise<void> {
  await bringToConsent();
  consent();
  await window.next(shown('waitCard'));
  rig.clock.advance(READER_LAG_MS);
}

/** A real chip: the image's, its commands kept; each waits for the gate. */
function chipOf(image: IccImage, by: CardInterface) {
  const commands: string[] = [];
  const inner = virtualCard({ image, interface: by, ciphers: nodeCiphers, random: systemRandom });
  const gate = { before: Number.POSITIVE_INFINITY, opened: Promise.resolve() };
  const chip: ChipCard = {
    interface: by,
    reset: () => inner.reset(),
    transmit: async (command) => {
      commands.push(toHex(command));
      if (commands.length >= gate.before) await gate.opened;
      return await inner.transmit(command);
    },
  };
  return { chip, commands, gate };
}

/** A chip that answers everything with the same. */
function stubborn(answer: Uint8Array): ChipCard {
  return { interface: 'contact', reset: () => TEST_ATR, transmit: () => answer };
}

for (const by of WAYS) {
  test(`a virtual card by ${by}: yes, card, balance; the card is as it was, the log says nothing`, async () => {
    ask();
    const asked = await window.next(shown('consent'));
    assert.deepEqual(asked.payment, {
      session: SESSION,
      intent: 'balance',
      wish: null,
      order: null,
      gatewayOrigin: GATEWAY,
      state: { name: 'consent' },
      request: null,
      pinKeySpki: null,
    });
    consent();
    const { state } = await pageState(page, 'waitCard');
    assert.deepEqual(state, {
      name: 'waitCard',
      interfaces: WAYS,
      attempt: 1,
      reason: null,
      deadlineMs: rig.clock.nowMs() + CARD_TIMEOUT_MS,
      takeOutFirst: false,
    });
    present('purse', by);
    const reading = await pageState(page, 'reading');
    assert.deepEqual(reading.state, { name: 'reading', interface: by });
    await pageState(page, 'removeCard');
    const { type: _, ...told } = await result();
    const balance = { ...FOUND, panMasked: PAN_MASKED };
    assert.deepEqual(told, { session: SESSION, balance, reason: null });
    const over = await seen(isOver);
    assert.deepEqual(over.last, { session: SESSION, outcome: 'read', reason: null });
    assert.equal(over.reader.card, by === 'contact' ? 'purse' : null, 'a tap is over');
    assert.deepEqual(rig.element.payments, []);
    assert.deepEqual(rig.element.uses, [{ gatewayOrigin: GATEWAY, orderId: null }]);
    const image = readFileSync(join(rig.dataDir, 'cards', 'purse.json'), 'utf8');
    assert.equal(image, cards.purse, 'no counter has moved');
    const logged = JSON.stringify(rig.log);
    assert.ok(logged.includes('balanceEnded'));
    for (const secret of [FOUND.balanceMinor, SAMPLE_PAN, PAN_MASKED]) {
      assert.ok(!logged.includes(secret), secret);
    }
  });

  test(`a real card by ${by}: SELECT and reading alone, and it is let go`, async () => {
    await bringToCard();
    const { chip, commands } = chipOf(purse, by);
    readers.insert(READER, chip);
    const { balance, reason } = await result();
    assert.deepEqual([balance, reason], [{ ...FOUND, panMasked: null }, null]);
    const instructions = new Set(commands.map((command) => command.slice(2, 4)));
    assert.ok(instructions.has('A4') && instructions.has('CA'));
    const others = [...instructions].filter((ins) => !['A4', 'B2', 'CA'].includes(ins));
    assert.deepEqual(others, [], 'no GPO, VERIFY, GENERATE AC or anything else');
    await until(() => readers.reader(READER).sessions === 0);
  });

  test(`a card without e-cash by ${by}: card:noPurse`, async () => {
    await bringToCard();
    present('plain', by);
    const { balance, reason } = await result();
    assert.deepEqual([balance, reason], [null, 'card:noPurse']);
    const { last } = await seen(isOver);
    assert.deepEqual(last, { session: SESSION, outcome: 'notRead', reason: 'card:noPurse' });
  });

  test(`pulled at each command by ${by}: asked for again without a second yes, then read`, async () => {
    const whole = chipOf(purse, by);
    await bringToCard();
    readers.insert(READER, whole.chip);
    await result();
    readers.remove(READER);
    for (let number = 1; number <= whole.commands.length; number++) {
      await until(() => rig.log.filter(({ event }) => event === 'balanceEnded').length === number);
      const session = SESSION.replace(/.{4}$/, String(number).padStart(4, '0'));
      ask(session);
      await window.next(shown('consent'));
      window.send({ type: 'consent', session, given: true });
      await window.next(shown('waitCard'));
      present('purse', by, number);
      const isAgain = (view: WindowView): boolean => {
        const state = view.payment?.state;
        return state?.name === 'waitCard' && state.attempt === 2 && !state.takeOutFirst;
      };
      const { payment } = await seen(isAgain);
      assert.ok(payment?.state.name === 'waitCard');
      assert.equal(payment.state.reason, 'ERR_CARD_REMOVED', `command ${number}`);
      present('purse', by);
      const { balance } = await result();
      assert.equal(balance?.balanceMinor, FOUND.balanceMinor, `command ${number}`);
      if (by === 'contact') window.send({ type: 'takeAway' });
    }
  });
}

test('pulled every time: no balance, with the reason', async () => {
  await bringToCard();
  for (let attempt = 1; attempt <= BALANCE_PRESENTATIONS_MAX; attempt++) {
    if (attempt > 1) {
      await seen(({ payment }) => {
        const state = payment?.state;
        return state?.name === 'waitCard' && state.attempt === attempt && !state.takeOutFirst;
      });
    }
    present('purse', 'contactless', 2);
  }
  const { balance, reason } = await result();
  assert.deepEqual([balance, reason], [null, 'ERR_CARD_REMOVED']);
});

test('the person says no: no card is touched, and the page learns only that', async () => {
  await bringToConsent();
  consent(false);
  const { balance, reason } = await result();
  assert.deepEqual([balance, reason], [null, 'ERR_USER_CANCELLED']);
  const { chip, commands } = chipOf(purse, 'contact');
  readers.insert(READER, chip);
  await seen(({ realReaders }) => realReaders.some(({ isCardThere }) => isCardThere));
  assert.deepEqual(commands, []);
});

test('nothing is read before the yes: an early card must go first, a fresh one counts', async () => {
  const early = chipOf(purse, 'contact');
  readers.insert(READER, early.chip);
  await bringToConsent();
  consent();
  const { state } = await pageState(page, 'waitCard');
  assert.ok(state.name === 'waitCard' && state.takeOutFirst);
  rig.clock.advance(READER_LAG_MS);
  assert.deepEqual(early.commands, []);
  readers.remove(READER);
  await seen((view) => {
    const now = view.payment?.state;
    return now?.name === 'waitCard' && !now.takeOutFirst;
  });
  readers.insert(READER, early.chip);
  assert.equal((await result()).balance?.balanceMinor, FOUND.balanceMinor);
});

for (const who of ['page', 'window'] as const) {
  test(`${who} takes it back while the last command runs: the amount is not told`, async () => {
    const probe = chipOf(purse, 'contact');
    await bringToCard();
    readers.insert(READER, probe.chip);
    await result();
    readers.remove(READER);
    await until(() => rig.log.some(({ event }) => event === 'balanceEnded'));

    const { chip, commands, gate } = chipOf(purse, 'contact');
    let release = (): void => {};
    gate.before = probe.commands.length;
    gate.opened = new Promise((resolve) => {
      release = resolve;
    });
    ask(SESSION_2);
    await window.next(shown('consent'));
    window.send({ type: 'consent', session: SESSION_2, given: true });
    await window.next(shown('waitCard'));
    rig.clock.advance(READER_LAG_MS);
    readers.insert(READER, chip);
    await until(() => commands.length === gate.before);
    (who === 'page' ? page : window).send({ type: 'cancel', session: SESSION_2 });
    // What comes after the cancel on the same socket is answered after it.
    if (who === 'page') {
      ask(SESSION);
      await failed();
    } else {
      window.send({ type: 'cancel', session: SESSION });
      await window.next(isError);
    }
    release();
    const { balance, reason } = await result();
    assert.deepEqual([balance, reason], [null, 'ERR_USER_CANCELLED']);
    assert.equal(commands.length, gate.before);
  });
}

for (const name of ['consent', 'waitCard'] as const) {
  test(`the page is lost at ${name}: over at once, and the next one is served`, async () => {
    await (name === 'consent' ? bringToConsent() : bringToCard());
    page.close();
    const { last } = await seen(isOver);
    const end = { session: SESSION, outcome: 'notRead', reason: 'ERR_USER_CANCELLED' };
    assert.deepEqual(last, end);
    assert.ok(!page.received.some(({ type }) => type === 'balanceResult'));
    page = await rig.page();
    ask(SESSION_2);
    await window.next(shown('consent'));
  });
}

test('time runs out at consent and card; a window that is closed and stays so says no', async () => {
  const ends = [
    [bringToConsent, CONSENT_TIMEOUT_MS, 'ERR_USER_TIMEOUT'],
    [bringToCard, CARD_TIMEOUT_MS, 'ERR_CARD_TIMEOUT'],
  ] as const;
  for (const [bring, ms, code] of ends) {
    const own = await ServiceRig.start({ cards });
    const outer = [rig, page, window] as const;
    [rig, page, window] = [own, await own.page(), await own.window()];
    await bring();
    own.clock.advance(ms);
    const { balance, reason } = await result();
    assert.deepEqual([balance, reason], [null, code]);
    [rig, page, window] = outer;
    await own.close();
  }
  await bringToConsent();
  window.close();
  await window.closed;
  await new Promise((resolve) => setTimeout(resolve, 50));
  rig.clock.advance(WINDOW_GRACE_MS);
  assert.equal((await result()).reason, 'ERR_USER_CANCELLED');
});

test('one session at a time: a look and a payment refuse each other, and tell no foreign order', async () => {
  const busy = async (from: PageClient) => {
    const { session, sent, error } = await failed(from);
    assert.deepEqual([session, sent, error.code], [SESSION_2, false, 'ERR_BUSY']);
    return error.data;
  };
  await bringToConsent();
  const other = await rig.page(OTHER_GATEWAY);
  const holder = { gatewayOrigin: GATEWAY, orderId: null, sinceMs: rig.clock.nowMs() };
  for (const from of [page, other]) {
    ask(SESSION_2, from);
    assert.deepEqual(await busy(from), holder);
    from.send({ type: 'pay', session: SESSION_2, orderId: 'order-2' });
    assert.deepEqual(await busy(from), holder);
  }
  assert.deepEqual(rig.element.payments, []);
  consent(false);
  await result();

  const payment = await rig.begin(page, '11111111-2222-4333-8444-777777777777');
  ask(SESSION_2);
  assert.equal((await busy(page))['orderId'], 'order-1');
  ask(SESSION_2, other);
  assert.equal((await busy(other))['orderId'], null);
  payment.resolve(payResult('declined'));
  await page.next(ofType('result'));
  ask(SESSION_2);
  await pageState(page, 'consent');
});

test('another program of the system pays: busy, naming its page, and nobody is asked', async () => {
  const data = { gatewayOrigin: OTHER_GATEWAY, orderId: null, sinceMs: 1 };
  rig.element.refusal = new ServiceError('ERR_BUSY', 'busy', data);
  ask();
  const { error, sent } = await failed();
  assert.deepEqual([error.code, error.data, sent], ['ERR_BUSY', data, false]);
  const { last } = await seen(isOver);
  assert.deepEqual([last?.outcome, last?.reason], ['notRead', 'ERR_BUSY']);
  const isConsent = (message: AgentMessage): boolean =>
    message.type === 'state' && message.state.name === 'consent';
  assert.ok(!page.received.some(isConsent));
});

test('a session that is not this page’s, or was used before, gets nothing', async () => {
  await bringToConsent();
  const other = await rig.page();
  other.send({ type: 'cancel', session: SESSION });
  other.send({ type: 'channelClosed', session: SESSION });
  // Frames of a payment mean nothing here.
  page.send({ type: 'channelOpened', session: SESSION });
  page.send({ type: 'channelData', session: SESSION, base64: 'FwMD' });
  ask(SESSION_2, other);
  await failed(other);
  for (const [message, code] of [
    [{ type: 'consent', session: SESSION_2, given: true }, 'ERR_SESSION'],
    [{ type: 'cancel', session: SESSION_2 }, 'ERR_SESSION'],
    [{ type: 'pin', session: SESSION, sealedPin: 'AB'.repeat(256) }, 'ERR_SEQUENCE'],
  ] as const) {
    window.send(message);
    assert.equal((await window.next(isError)).error.code, code);
  }
  consent();
  await window.next(shown('waitCard'));
  present('purse', 'contact');
  assert.notEqual((await result()).balance, null);
  await seen(isOver);
  assert.ok(!JSON.stringify(other.received).includes(FOUND.balanceMinor));
  for (const again of [
    { type: 'balance', session: SESSION },
    { type: 'pay', session: SESSION, orderId: 'order-1' },
  ] as const) {
    page.send(again);
    assert.equal((await failed()).error.code, 'ERR_SEQUENCE');
  }
  assert.deepEqual(rig.element.payments, []);
});

test('a page that is not paired asks for nothing', async () => {
  const stranger = await rig.stranger();
  ask(SESSION, stranger);
  assert.equal((await stranger.closed).reason, 'ERR_SEQUENCE');
  assert.deepEqual(rig.element.uses, []);
});

test('a card of no application of ours, and one that speaks no sense', async () => {
  const cases = [
    [Uint8Array.of(0x6a, 0x82), 'terminal:noApplication'],
    [Uint8Array.of(0x6a, 0x81), 'card:blocked'],
  ] as const;
  let session = SESSION;
  const look = async (answer: Uint8Array): Promise<void> => {
    ask(session);
    await window.next(shown('consent'));
    window.send({ type: 'consent', session, given: true });
    await window.next(shown('waitCard'));
    rig.clock.advance(READER_LAG_MS);
    readers.insert(READER, stubborn(answer));
    session = session.replace(/.$/, (digit) => String((Number(digit) + 1) % 10));
  };
  for (const [answer, why] of cases) {
    await look(answer);
    const { balance, reason } = await result();
    assert.deepEqual([balance, reason], [null, why]);
    readers.remove(READER);
    await seen(({ payment, last }) => payment === null && last?.reason === why);
  }
  await look(Uint8Array.of(0x90));
  const { error, sent } = await failed();
  assert.deepEqual([error.code, sent], ['ERR_APDU_LENGTH', false]);
});

test('the end of the service ends it', async () => {
  await bringToCard();
  await rig.stop();
  const { balance, reason } = await result();
  assert.deepEqual([balance, reason], [null, 'ERR_USER_CANCELLED']);
  await Promise.all([page.closed, window.closed]);
});
