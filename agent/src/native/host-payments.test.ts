/**
 * Payments through the real host and the real element, a page that relays records: whole ones, the
 * end of input and of the process at every state, and several hosts that want the one element.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Secret } from '@tapnpay/protocol/bytes';
import { NATIVE_FRAME_BYTES_MAX, type WindowMessage } from '@tapnpay/protocol/wire';
import { imageOf } from '../../../protocol/src/emv/icc/icc.test-kit.ts';
import { SAMPLE_PAN } from '../../../protocol/src/emv/icc/sample.test-card.ts';
import { lockDirectory } from '../directory-lock.ts';
import { sealPin } from '../payment.ts';
import { hostElementConfig } from './element-config.ts';
import {
  CARD,
  type HostClient,
  isAlive,
  isMessage,
  isShown,
  isState,
  ofType,
  PIN,
  RelayingPage,
  SESSION,
  SESSION_2,
  TestSystem,
  until,
} from './host.test-kit.ts';
import { HOST_END_MS } from './host.ts';

/** Browsers kill a host that is still there so long after its end of input. */
const BROWSER_KILLS_MS = 2_000;
const SECOND_ORIGIN = 'https://second.example';
let system: TestSystem;
before(async () => {
  // Spaces and Chinese characters stand in many a person's home.
  system = await TestSystem.start({ folder: '支付 测试' });
});
after(async () => {
  await system.close();
});

const storeDir = (): string => hostElementConfig(system.config()).storeDir;
const say = (host: HostClient, message: WindowMessage): void =>
  host.send({ type: 'window', message });

/** A welcomed page with its window. */
async function opened(origin: string = system.origin): Promise<RelayingPage> {
  const page = new RelayingPage(system.host(), system.tlsPort);
  await page.host.open(origin);
  page.host.send({ type: 'windowOpened' });
  return page;
}

/** What brings a payment from one state to the next. */
const STEPS = {
  connecting: async ({ host }: RelayingPage) => {
    await host.next(isState('connecting'), 'connecting');
  },
  consent: async ({ host }: RelayingPage) => {
    await host.next(isShown('consent'), 'consent');
  },
  waitCard: async ({ host }: RelayingPage) => {
    say(host, { type: 'consent', session: SESSION, given: true });
    await host.next(isShown('waitCard'), 'waitCard');
  },
  waitPin: async ({ host }: RelayingPage) => {
    say(host, { type: 'present', card: CARD, interface: 'contact', liftAfter: null });
    await host.next(isShown('waitPin'), 'waitPin');
  },
  authorising: async ({ host }: RelayingPage) => {
    enterPin(host);
    await host.next(isState('authorising'), 'authorising');
    await until(() => system.gateway.payment !== null, 'the sealed payment');
  },
} as const;
type Step = keyof typeof STEPS;
const STEP_NAMES = Object.keys(STEPS) as readonly Step[];

function enterPin(host: HostClient): void {
  const view = host.frames.findLast(isShown('waitPin'));
  const key = view?.message.payment?.pinKeySpki ?? '';
  say(host, { type: 'pin', session: SESSION, sealedPin: sealPin(new Secret(PIN), key) });
}

/** A payment that stands at this state. */
async function broughtTo(last: Step, page: RelayingPage | null = null): Promise<RelayingPage> {
  const paying = page ?? (await opened());
  system.freshGateway();
  paying.pay();
  for (const name of STEP_NAMES) {
    await STEPS[name](paying);
    if (name === last) break;
  }
  return paying;
}

async function approved(page: RelayingPage): Promise<void> {
  await broughtTo('waitPin', page);
  enterPin(page.host);
  const { message } = await page.host.next(isMessage('result'), 'result');
  const { outcome, charged } = message.result;
  assert.deepEqual([outcome, charged], ['approved', 'yes']);
  assert.ok(system.gateway.isArqcValid && system.gateway.isElementSignatureValid);
}

/** Nothing of a host is left: process, element, lock, card. */
async function assertNothingLeft(host: HostClient): Promise<void> {
  assert.ok(host.isExited);
  await until(() => system.elements().length === 0, 'the end of the element');
  const lock = await lockDirectory(storeDir());
  await lock.release();
}

test('a payment with PIN is approved; page and host carry no PAN and no PIN', async () => {
  const page = await opened();
  const { host } = page;
  await approved(page);
  const carried = [
    ...host.frames.map((frame) => JSON.stringify(frame)),
    Buffer.concat(page.records).toString('latin1'),
    host.stderr,
  ].join('\n');
  const image = readFileSync(join(system.dataDir, 'cards', `${CARD}.json`), 'utf8');
  assert.ok(image.includes(SAMPLE_PAN), 'positive control');
  assert.ok(!carried.includes(SAMPLE_PAN) && !carried.includes(PIN));
  assert.ok(!host.stderr.includes('"trace"'), 'no APDU in a browser log');
  const [first] = page.records;
  assert.equal(first?.[0], 22, 'a TLS handshake record');
  const { status, ms } = await host.end();
  assert.equal(status, 0);
  assert.ok(ms < HOST_END_MS, `${ms} ms`);
  assert.ok(host.isClean);
  await assertNothingLeft(host);
});

test('the next host knows how the element was seen last, before it asks anybody', async () => {
  const host = system.host();
  const { element } = await host.next(ofType('hello'), 'hello');
  assert.equal(element.state, 'operable');
  assert.match(element.id ?? '', /^[0-9A-F]{16}$/);
  assert.deepEqual(system.elements(), []);
  await host.end();
  assert.equal(system.enrolments, 1);
});

test('two payments over one port, and a session is used once', async () => {
  const page = await opened();
  await broughtTo('consent', page);
  say(page.host, { type: 'consent', session: SESSION, given: false });
  const { message } = await page.host.next(isMessage('result'), 'result');
  assert.deepEqual([message.result.outcome, message.result.charged], ['cancelled', 'no']);
  page.pay();
  const again = await page.host.next(isMessage('failed'), 'failed');
  assert.deepEqual([again.message.error.code, again.message.sent], ['ERR_SEQUENCE', false]);
  page.pay(SESSION_2);
  await page.host.next(isShown('consent'), 'consent');
  await page.host.end();
});

test('the window shows the payment of its own page and takes its answers only', async () => {
  const page = await broughtTo('consent');
  const { host } = page;
  say(host, { type: 'consent', session: SESSION_2, given: true });
  const { message } = await host.next(
    (frame): frame is Extract<typeof frame, { type: 'window' }> =>
      frame.type === 'window' && frame.message.type === 'error',
    'error',
  );
  assert.equal(message.type === 'error' && message.error.code, 'ERR_SESSION');
  const view = host.frames.findLast(isShown('consent'));
  assert.equal(view?.message.payment?.gatewayOrigin, system.origin);
  assert.equal(view?.message.payment?.order?.amountMinor, '1234');
  await host.end();
});

for (const name of STEP_NAMES) {
  test(`end of input at ${name}: everything is free in time, and only what was sealed was sent`, async () => {
    system.isSilent = name === 'authorising';
    const { host } = await broughtTo(name);
    const gateway = system.gateway;
    const { status, ms } = await host.end();
    system.isSilent = false;
    assert.equal(status, 0);
    assert.ok(ms < BROWSER_KILLS_MS, `${ms} ms`);
    assert.ok(host.isClean);
    assert.doesNotMatch(host.stderr, /hostFault|EPIPE/);
    await assertNothingLeft(host);
    assert.equal(gateway.payment !== null, name === 'authorising');
  });
}

for (const name of ['consent', 'waitPin', 'authorising'] as const) {
  test(`SIGKILL at ${name}: the lock is free at once, no element is left, the next one pays`, async () => {
    system.isSilent = name === 'authorising';
    const { host } = await broughtTo(name);
    const [element = -1] = system.elements();
    assert.ok(isAlive(element));
    host.child.kill('SIGKILL');
    const fromMs = performance.now();
    const lock = await lockDirectory(storeDir(), { waitMs: BROWSER_KILLS_MS });
    const ms = performance.now() - fromMs;
    const left = system.elements();
    await lock.release();
    assert.ok(ms < 1_000, `${ms} ms`);
    assert.deepEqual(left, [], 'the lock lives as long as the element');
    system.isSilent = false;
    const next = await opened();
    await approved(next);
    await next.host.end();
  });
}

test('an element that hangs is killed when the host ends', async () => {
  const { host } = await broughtTo('consent');
  const [element = -1] = system.elements();
  process.kill(element, 'SIGSTOP');
  const { status, ms } = await host.end();
  assert.equal(status, 0);
  assert.ok(ms < BROWSER_KILLS_MS, `${ms} ms`);
  await until(() => !isAlive(element), 'the end of the element');
});

test('an idle host lets the element go to one that pays; it says who pays, to whom it may', async () => {
  const first = await opened();
  await until(() => system.elements().length === 1, 'the first element');
  const second = await opened();
  await broughtTo('consent', second);
  assert.match(first.host.stderr, /elementLetGo/);
  assert.equal(system.elements().length, 1);
  first.pay(SESSION_2, 'order-2');
  const { message } = await first.host.next(isMessage('failed'), 'failed');
  const { code, data } = message.error;
  assert.deepEqual([message.session, message.sent, code], [SESSION_2, false, 'ERR_BUSY']);
  const { sinceMs, ...holder } = data;
  assert.deepEqual(holder, { gatewayOrigin: system.origin, orderId: 'order-1' });
  assert.ok(typeof sinceMs === 'number' && Date.now() - sinceMs < 60_000);

  const stranger = await opened(SECOND_ORIGIN);
  stranger.pay(SESSION_2, 'order-3');
  const busy = await stranger.host.next(isMessage('failed'), 'failed');
  assert.deepEqual(
    [busy.message.error.code, busy.message.error.data['orderId']],
    ['ERR_BUSY', null],
    'an order id is for pages of its gateway',
  );
  assert.equal(busy.message.error.data['gatewayOrigin'], system.origin);

  second.host.child.kill('SIGKILL');
  await second.host.exited;
  await broughtTo('consent', stranger);
  await Promise.all([first, stranger].map(({ host }) => host.end()));
  await assertNothingLeft(first.host);
});

/** A card with 487.65 in its purse, under this name. */
function addPurse(name: string): string {
  const electronicCash = {
    balanceMinor: '48765',
    singleTransactionLimitMinor: '5000',
    resetThresholdMinor: '1000',
  };
  const image = JSON.stringify(imageOf({ request: { electronicCash } }));
  writeFileSync(join(system.dataDir, 'cards', `${name}.json`), image);
  return image;
}
const look = ({ host }: RelayingPage, session: string): void =>
  host.send({ type: 'page', message: { type: 'balance', session } });

for (const by of ['contact', 'contactless'] as const) {
  test(`the balance of a card by ${by}: told after the yes; the gateway hears nothing`, async (test) => {
    const image = addPurse('purse');
    test.after(() => rmSync(join(system.dataDir, 'cards', 'purse.json')));
    const page = await opened();
    const { host } = page;
    const gateway = system.freshGateway();
    look(page, SESSION);
    const { message: view } = await host.next(isShown('consent'), 'consent');
    const { intent, gatewayOrigin, order } = view.payment ?? {};
    assert.deepEqual([intent, gatewayOrigin, order], ['balance', system.origin, null]);
    say(host, { type: 'consent', session: SESSION, given: true });
    await host.next(isShown('waitCard'), 'waitCard');
    say(host, { type: 'present', card: 'purse', interface: by, liftAfter: null });
    const { message } = await host.next(isMessage('balanceResult'), 'balanceResult');
    assert.equal(message.reason, null);
    assert.deepEqual(message.balance, {
      currency: '156',
      balanceMinor: '48765',
      panMasked: '629999******0009',
    });
    assert.deepEqual(page.records, [], 'no channel was opened');
    assert.equal(gateway.payment, null);
    assert.equal(readFileSync(join(system.dataDir, 'cards', 'purse.json'), 'utf8'), image);
    assert.ok(!host.stderr.includes('48765') && !host.stderr.includes(SAMPLE_PAN));
    const { status, ms } = await host.end();
    assert.equal(status, 0);
    assert.ok(ms < BROWSER_KILLS_MS, `${ms} ms`);
    await assertNothingLeft(host);
  });
}

test('a look keeps every other host from paying, and a payment keeps it from looking', async () => {
  const [first, second] = [await opened(), await opened(SECOND_ORIGIN)];
  look(first, SESSION);
  await first.host.next(isShown('consent'), 'consent');
  second.pay(SESSION_2, 'order-2');
  const { message: refused } = await second.host.next(isMessage('failed'), 'failed');
  const { sinceMs: _, ...holder } = refused.error.data;
  assert.deepEqual([refused.error.code, refused.sent], ['ERR_BUSY', false]);
  assert.deepEqual(holder, { gatewayOrigin: system.origin, orderId: null });
  say(first.host, { type: 'consent', session: SESSION, given: false });
  await first.host.next(isMessage('balanceResult'), 'balanceResult');

  await broughtTo('consent', second);
  look(first, SESSION_2);
  const { message: busy } = await first.host.next(isMessage('failed'), 'failed');
  assert.deepEqual([busy.error.code, busy.error.data['orderId']], ['ERR_BUSY', null]);
  assert.equal(busy.error.data['gatewayOrigin'], SECOND_ORIGIN);
  await Promise.all([first, second].map(({ host }) => host.end()));
  await assertNothingLeft(first.host);
});

for (const name of ['consent', 'waitCard'] as const) {
  test(`end of input in a look at ${name}: everything is free in time`, async () => {
    const page = await opened();
    const { host } = page;
    look(page, SESSION);
    await host.next(isShown('consent'), 'consent');
    if (name === 'waitCard') await STEPS.waitCard(page);
    const { status, ms } = await host.end();
    assert.equal(status, 0);
    assert.ok(ms < BROWSER_KILLS_MS, `${ms} ms`);
    await assertNothingLeft(host);
  });
}

test('of two hosts that pay at the same time one pays and the other hears of it', async () => {
  const pages = await Promise.all([opened(), opened()]);
  system.freshGateway();
  for (const page of pages) page.pay();
  const ended = await Promise.all(
    pages.map(async ({ host }) => {
      const isEither = (frame: Parameters<ReturnType<typeof isState>>[0]) =>
        isState('consent')(frame) || isMessage('failed')(frame);
      await until(() => host.frames.some(isEither), 'consent or failed');
      const { message } = host.frames.find(isEither) as { message: { type: string } };
      return message.type;
    }),
  );
  assert.deepEqual(ended.sort(), ['failed', 'state']);
  const failed = pages.flatMap(({ host }) => host.frames.filter(isMessage('failed')));
  assert.equal(failed[0]?.message.error.code, 'ERR_BUSY');
  await Promise.all(pages.map(({ host }) => host.end()));
});

test('a card that one host has at its reader is free when that host is gone', async () => {
  const first = await broughtTo('waitPin');
  const other = await opened();
  const present = { type: 'present', card: CARD, interface: 'contact', liftAfter: null } as const;
  say(other.host, present);
  const isRefused = (frame: Parameters<ReturnType<typeof isState>>[0]) =>
    frame.type === 'window' && frame.message.type === 'error';
  await until(() => other.host.frames.some(isRefused), 'the refusal');
  const refused = other.host.frames.find(isRefused);
  assert.match(JSON.stringify(refused), /ERR_CARD_IN_USE/);
  await first.host.end();
  await approved(other);
  await other.host.end();
});

test('a view of 1 MB passes to the window in chunks', async () => {
  const directory = join(system.dataDir, 'cards');
  const [name = ''] = readdirSync(directory);
  const image = readFileSync(join(directory, name), 'utf8');
  for (let number = 0; number < 3_500; number++) {
    writeFileSync(join(directory, `a-card-with-a-long-name-${number}.json`), image);
  }
  const { host } = await opened();
  const { message } = await host.next(ofType('window'), 'view');
  assert.equal(message.type === 'view' && message.cards.length, 3_501);
  const bytes = Buffer.byteLength(JSON.stringify(message));
  assert.ok(bytes > 750_000 && bytes > 2 * NATIVE_FRAME_BYTES_MAX, `${bytes} bytes`);
  assert.ok(host.isClean);
  const { status } = await host.end();
  assert.equal(status, 0);
});
