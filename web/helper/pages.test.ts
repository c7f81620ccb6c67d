/**
 * The agent's pages in a real Chromium, under their real headers, against an agent that says what
 * the test wants: pairing, every state of a payment, PIN, reload, lost agent, languages, keyboard.
 */
import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import {
  type Browser,
  type BrowserContext,
  chromium,
  type Locator,
  type Page,
} from 'playwright-core';
import {
  buildHelper,
  CODE,
  FakeAgent,
  ORDER,
  paymentOf,
  SESSION,
  viewOf,
  waitCard,
} from './helper.test-kit.ts';

const CHROMIUM = '/usr/bin/chromium';
const skip = existsSync(CHROMIUM) || process.env['CI'] ? false : 'chromium is not installed';
const PHONE = { width: 375, height: 667 };
const POPUP = { width: 440, height: 760 };
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PIN_KEY = publicKey.export({ type: 'spki', format: 'der' }).toString('hex').toUpperCase();
const CARD_IN = { name: 'Virtual reader', kind: 'virtual', card: 'debit', interface: 'contact' };
const READER_WITH_CARD = CARD_IN as ReturnType<typeof viewOf>['reader'];

let helper: Awaited<ReturnType<typeof buildHelper>>;
let browser: Browser;
let agent: FakeAgent;
let context: BrowserContext;
/** What pages complained about: scripts that failed, policies that were broken. */
const complaints: string[] = [];

before(async () => {
  if (skip) return;
  helper = await buildHelper();
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  browser = await chromium.launch({ executablePath: CHROMIUM, args });
});
after(async () => {
  await browser?.close();
  helper?.remove();
});
beforeEach(async () => {
  if (skip) return;
  agent = new FakeAgent(helper.folder);
  await agent.start();
  context = await newContext('en');
  complaints.length = 0;
});
afterEach(async () => {
  if (skip) return;
  await context.close();
  await agent.stop();
  assert.deepEqual(complaints, []);
});

async function newContext(language: 'zh' | 'en', viewport = POPUP): Promise<BrowserContext> {
  const locale = language === 'zh' ? 'zh-CN' : 'en-GB';
  const made = await browser.newContext({ locale, viewport, reducedMotion: 'reduce' });
  made.setDefaultTimeout(10_000);
  made.on('page', (page) => {
    page.on('pageerror', (fault) => complaints.push(String(fault)));
    page.on('console', (line) => {
      if (/Content Security Policy|Trusted/.test(line.text())) complaints.push(line.text());
    });
  });
  return made;
}

const at = (page: Page, name: string) => page.locator(`[data-test=${name}]`);
const state = (page: Page, name: string) => page.locator(`main[data-state=${name}]`).waitFor();
const textOf = async (element: Locator) => (await element.textContent()) ?? '';
const focused = (page: Page) =>
  page.evaluate(() => document.activeElement?.getAttribute('data-test') ?? null);
const alertOf = (page: Page) => textOf(page.locator('[role=alert]:not(:empty)'));

/** A paired page. */
async function open(path = '/window', from: BrowserContext = context): Promise<Page> {
  const page = await from.newPage();
  await page.goto(agent.url + path);
  await state(page, 'pairing');
  await at(page, 'pairing-code').fill(CODE);
  await at(page, 'pairing-ok').click();
  await page.locator('main:not([data-state=pairing], [data-state=loading])').waitFor();
  return page;
}

/** Messages of the windows once there are so many. */
async function sent(count: number): Promise<readonly unknown[]> {
  for (let round = 0; agent.messages.length < count; round += 1) {
    assert.ok(round < 200, `only ${JSON.stringify(agent.messages)}`);
    await new Promise((done) => setTimeout(done, 20));
  }
  return agent.messages;
}

test('a browser is paired by the code that the terminal shows', { skip }, async () => {
  const page = await context.newPage();
  await page.goto(`${agent.url}/window`);
  await state(page, 'pairing');
  assert.equal(await focused(page), 'pairing-code');
  await at(page, 'pairing-ok').click();
  assert.match(await alertOf(page), /8 characters/);
  await page.keyboard.type('aaaabbbb');
  assert.equal(await at(page, 'pairing-code').inputValue(), 'AAAA-BBBB');
  await page.keyboard.press('Enter');
  assert.match(await alertOf(page), /not the code.*ERR_PAIRING_CODE/s);
  for (const _ of [2, 3, 4]) await at(page, 'pairing-ok').click();
  await page.getByText('ERR_PAIRING_TRIES').waitFor();
  assert.match(await alertOf(page), /Wait a minute/);
  agent.wrongCodes = 0;
  await at(page, 'pairing-code').fill(CODE);
  await at(page, 'pairing-ok').click();
  await state(page, 'idle');
  await page.reload();
  await state(page, 'idle');
});

test('the code in the fragment is filled in and leaves the address', { skip }, async () => {
  const page = await context.newPage();
  await page.goto(`${agent.url}/wallet#${CODE.toLowerCase()}`);
  await state(page, 'pairing');
  assert.equal(await at(page, 'pairing-code').inputValue(), CODE);
  assert.equal(page.url(), `${agent.url}/wallet`);
  await at(page, 'pairing-ok').click();
  await at(page, 'card-debit').waitFor();
});

/** A gateway's page that opens the window and keeps what it is told. */
async function gateway(): Promise<{ server: Server; origin: string }> {
  const server = createServer((_, response) => {
    response.writeHead(200, {
      'content-type': 'text/html',
      'cross-origin-opener-policy': 'same-origin-allow-popups',
    });
    response.end(`<script>
      const told = [];
      addEventListener('message', (event) => told.push([event.origin, event.data]));
      const openWindow = (url) => open(url, '_blank', 'popup,width=440,height=760');
    </script>`);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function popupOf(opener: Page, origin: string): Promise<Page> {
  const opened = opener.waitForEvent('popup');
  const url = `${agent.url}/window?origin=${encodeURIComponent(origin)}`;
  await opener.evaluate(`void openWindow(${JSON.stringify(url)})`);
  return opened;
}

test('the opener gets its token after pairing, and again when it was paired', {
  skip,
}, async () => {
  const { server, origin } = await gateway();
  try {
    agent.gatewayOrigins = [origin];
    const opener = await context.newPage();
    await opener.goto(origin);
    const first = await popupOf(opener, origin);
    await state(first, 'pairing');
    await at(first, 'pairing-code').fill(CODE);
    await at(first, 'pairing-ok').click();
    await state(first, 'idle');
    await opener.waitForFunction('told.length === 1');
    await first.close();
    const second = await popupOf(opener, origin);
    await state(second, 'idle');
    await opener.waitForFunction('told.length === 2');
    assert.deepEqual(await opener.evaluate('told'), [
      [agent.url, { type: 'tapnpay-paired', token: 'token-0' }],
      [agent.url, { type: 'tapnpay-paired', token: 'token-1' }],
    ]);
    assert.deepEqual(agent.tokens, [origin, origin]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('an opener that names another origin, or an unknown one, is told nothing', {
  skip,
}, async () => {
  const { server, origin } = await gateway();
  try {
    agent.gatewayOrigins = ['https://pay.example'];
    await open();
    const opener = await context.newPage();
    await opener.goto(origin);
    const named = await popupOf(opener, 'https://pay.example');
    await state(named, 'idle');
    await named.close();
    const unknown = await popupOf(opener, origin);
    await state(unknown, 'idle');
    assert.match(await alertOf(unknown), /does not trust the site/);
    assert.deepEqual(await opener.evaluate('told'), []);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('the person sees what they pay to whom, and confirms or cancels', { skip }, async () => {
  const page = await open();
  agent.show({ payment: paymentOf({ name: 'consent' }) });
  await state(page, 'consent');
  assert.equal(await at(page, 'confirm').isEnabled(), false, 'not before it can be read');
  assert.match(await textOf(at(page, 'amount')), /¥1,286\.00/);
  assert.match(await textOf(at(page, 'merchant')), /Green Hill Books/);
  assert.equal(await textOf(at(page, 'origin')), ORDER.origin);
  assert.equal(await textOf(at(page, 'gateway-origin')), 'http://127.0.0.1:4600');
  await page.locator('[data-test=confirm]:enabled').waitFor();
  assert.equal(await focused(page), 'confirm');
  await page.keyboard.press('Enter');
  assert.deepEqual(await sent(1), [{ type: 'consent', session: SESSION, given: true }]);
  agent.show({ payment: paymentOf({ name: 'consent' }, { session: 's2' }) });
  await page.locator('[data-test=confirm]:enabled').waitFor();
  await page.keyboard.press('Escape');
  assert.deepEqual((await sent(2))[1], { type: 'consent', session: 's2', given: false });
});

test('a virtual card is chosen, tapped or inserted as it can be', { skip }, async () => {
  const page = await open();
  agent.show({ payment: paymentOf(waitCard()) });
  await state(page, 'waitCard');
  assert.equal(await focused(page), 'card-debit');
  assert.match(await textOf(at(page, 'countdown')), /^(60|59|58) s left$/);
  await at(page, 'tap').click();
  const present = { type: 'present', interface: 'contactless', liftAfter: null } as const;
  assert.deepEqual(await sent(1), [{ ...present, card: 'debit' }]);
  const turn = await page.getAttribute('main', 'data-turn');
  agent.show({ payment: paymentOf(waitCard({ attempt: 2, reason: 'ERR_CARD_REMOVED' })) });
  assert.match(await textOf(at(page, 'again')), /Nothing was charged/);
  assert.notEqual(await page.getAttribute('main', 'data-turn'), turn, 'asked anew');
  await at(page, 'card-contact-only').click();
  assert.equal(await at(page, 'tap').isDisabled(), true);
  await page.reload();
  await state(page, 'waitCard');
  assert.equal(await at(page, 'card-contact-only').isChecked(), true, 'the choice survives');
  await at(page, 'insert').click();
  const second = { ...present, card: 'contact-only', interface: 'contact' };
  assert.deepEqual((await sent(2))[1], second);
  agent.show({ payment: paymentOf(waitCard({ attempt: 3, interfaces: ['contactless'] })) });
  await at(page, 'card-travel').click();
  assert.deepEqual(
    [await at(page, 'tap').isDisabled(), await at(page, 'insert').isDisabled()],
    [false, true],
  );
  await at(page, 'cancel').click();
  assert.deepEqual((await sent(3))[2], { type: 'cancel', session: SESSION });
});

test('a card that was there is taken out first', { skip }, async () => {
  const page = await open();
  const payment = paymentOf(waitCard({ takeOutFirst: true }));
  agent.show({ payment, reader: READER_WITH_CARD });
  await state(page, 'waitCard');
  assert.equal(await at(page, 'insert').count(), 0);
  assert.equal(await focused(page), 'take-away');
  await page.keyboard.press('Enter');
  assert.deepEqual(await sent(1), [{ type: 'takeAway' }]);
  agent.show({ payment: paymentOf(waitCard()), reader: viewOf().reader });
  await at(page, 'insert').waitFor();
  assert.equal(await focused(page), 'card-debit');
});

test('a card is lifted early once, before the command that was named', { skip }, async () => {
  const page = await open('/wallet');
  agent.show({ payment: paymentOf(waitCard()) });
  await at(page, 'lift-early').fill('x');
  await at(page, 'tap').click();
  assert.match(await alertOf(page), /1 to 255/);
  await at(page, 'lift-early').fill('3');
  assert.match(await textOf(page.locator('#lift-hint')), /GET PROCESSING OPTIONS/);
  await at(page, 'tap').click();
  const [message] = await sent(1);
  const wanted = { type: 'present', card: 'debit', interface: 'contactless', liftAfter: 3 };
  assert.deepEqual(message, wanted);
  agent.show({ payment: paymentOf(waitCard({ attempt: 2, reason: 'ERR_CARD_REMOVED' })) });
  await at(page, 'again').waitFor();
  assert.equal(await at(page, 'lift-early').inputValue(), '');
});

function opened(sealedPin: unknown): string {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const options = { key: privateKey, padding, oaepHash: 'sha256' };
  return privateDecrypt(options, Buffer.from(String(sealedPin), 'hex')).toString('latin1');
}

const waitPin = () =>
  paymentOf({ name: 'waitPin', deadlineMs: Date.now() + 100_000 }, { pinKeySpki: PIN_KEY });

test('the PIN is typed by keys or buttons, never shown, and leaves sealed', { skip }, async () => {
  const page = await open();
  agent.show({ payment: waitPin(), reader: READER_WITH_CARD });
  await state(page, 'waitPin');
  assert.equal(await focused(page), 'pin-field');
  await page.keyboard.type('12');
  await page.keyboard.press('Enter');
  assert.match(await alertOf(page), /at least 4/);
  for (const digit of '3957') await at(page, `pin-key-${digit}`).click();
  await page.keyboard.press('Backspace');
  await page.keyboard.type('8');
  assert.equal(await page.locator('.dot-full').count(), 6);
  assert.equal(await textOf(page.locator('#pin-count')), '6 digits entered');
  const shown = await page.evaluate(() => document.body.outerHTML);
  assert.ok(!shown.includes('123958'), 'no digit is in the page');
  await at(page, 'pin-ok').click();
  const [message] = (await sent(1)) as readonly { type: string; sealedPin: string }[];
  assert.equal(message?.type, 'pin');
  assert.equal(opened(message?.sealedPin), '123958');
  assert.equal(await page.locator('.dot-full').count(), 0);
});

test('twelve digits are the most, and Esc gives no PIN', { skip }, async () => {
  const page = await open();
  agent.show({ payment: waitPin() });
  await state(page, 'waitPin');
  await page.keyboard.type('1234567890123');
  assert.match(await alertOf(page), /at most 12/);
  assert.equal(await page.locator('.dot-full').count(), 12);
  await page.keyboard.press('Escape');
  assert.deepEqual(await sent(1), [{ type: 'pin', session: SESSION, sealedPin: null }]);
});

test('a key that holds no PIN is said, and nothing is sent', { skip }, async () => {
  const page = await open();
  agent.show({ payment: { ...waitPin(), pinKeySpki: '3000' } });
  await state(page, 'waitPin');
  await page.keyboard.type('123456');
  await page.keyboard.press('Enter');
  assert.match(await alertOf(page), /could not be encrypted/);
  assert.deepEqual(agent.messages, []);
  assert.equal(await page.locator('.dot-full').count(), 0);
});

test('after the seal nothing can be cancelled', { skip }, async () => {
  const page = await open();
  agent.show({ payment: paymentOf({ name: 'authorising', interface: 'contact' }) });
  await state(page, 'authorising');
  assert.equal(await at(page, 'cancel').count(), 0);
  assert.match(await textOf(page.locator('h1')), /keep the card in/);
  await page.keyboard.press('Escape');
  agent.show({ payment: paymentOf({ name: 'removeCard' }), reader: READER_WITH_CARD });
  await state(page, 'removeCard');
  await page.keyboard.press('Escape');
  await at(page, 'take-away').click();
  assert.deepEqual(await sent(1), [{ type: 'takeAway' }]);
});

test('each end is said in words, survives a reload, and is not shown to a new window', {
  skip,
}, async () => {
  const page = await open();
  const ends = [
    ['approved', null, /Approved/],
    ['declined', 'issuer:51', /Declined\s*Insufficient funds/],
    ['unknown', 'timeout', /Do not pay again/],
    ['cancelled', 'ERR_CARD_TIMEOUT', /Nothing was charged/],
    ['failed', 'ERR_ELEMENT_LOST', /before you pay again/],
  ] as const;
  for (const [outcome, reason, words] of ends) {
    agent.show({ payment: paymentOf({ name: 'connecting' }), last: null });
    await state(page, 'connecting');
    agent.show({ payment: null, last: { session: SESSION, outcome, reason } });
    await page.locator(`main[data-state=end][data-outcome=${outcome}]`).waitFor();
    assert.match(await textOf(page.locator('main')), words);
  }
  await page.reload();
  await page.locator('main[data-state=end][data-outcome=failed]').waitFor();
  const other = await context.newPage();
  await other.goto(`${agent.url}/window`);
  await state(other, 'idle');
});

test('a popup closes by its button, and by itself after an approval', { skip }, async () => {
  const { server, origin } = await gateway();
  try {
    agent.gatewayOrigins = [origin];
    await open();
    const opener = await context.newPage();
    await opener.goto(origin);
    for (const [outcome, reason] of [
      ['declined', 'issuer:51'],
      ['approved', null],
    ] as const) {
      const popup = await popupOf(opener, origin);
      await state(popup, 'idle');
      agent.show({ payment: paymentOf({ name: 'connecting' }), last: null });
      await state(popup, 'connecting');
      agent.show({ payment: null, last: { session: SESSION, outcome, reason } });
      await state(popup, 'end');
      assert.equal(await focused(popup), 'close');
      const closed = popup.waitForEvent('close');
      if (outcome === 'declined') await at(popup, 'close').click();
      await closed;
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('a lost agent is found again and the payment goes on', { skip }, async () => {
  const page = await open();
  agent.show({ payment: paymentOf(waitCard()) });
  await state(page, 'waitCard');
  await agent.stop();
  await state(page, 'offline');
  await agent.start();
  await state(page, 'waitCard');
  await at(page, 'tap').click();
  await sent(1);
});

test('a refused command is said with its code', { skip }, async () => {
  const page = await open('/wallet');
  await at(page, 'insert').click();
  await sent(1);
  agent.refuse('ERR_CARD_IN_USE');
  await page.getByText('ERR_CARD_IN_USE').waitFor();
  assert.match(await alertOf(page), /Another program/);
});

test('the language changes in place and is kept', { skip }, async () => {
  const page = await open();
  agent.show({ payment: paymentOf(waitCard()) });
  await state(page, 'waitCard');
  await at(page, 'card-travel').click();
  await at(page, 'language').click();
  await page.getByText('请挥卡或插卡').first().waitFor();
  assert.equal(await page.getAttribute('html', 'lang'), 'zh-CN');
  assert.equal(await focused(page), 'language');
  assert.equal(await at(page, 'card-travel').isChecked(), true);
  await page.reload();
  await page.getByText('请挥卡或插卡').first().waitFor();
});

test('the wallet explains every card and says what lies on the reader', { skip }, async () => {
  const page = await open('/wallet');
  assert.equal(await page.locator('.wallet-card').count(), agent.view.cards.length);
  for (const { name } of agent.view.cards) assert.equal(await at(page, `card-${name}`).count(), 1);
  assert.match(await textOf(page.locator('main')), /test money/);
  assert.doesNotMatch(await textOf(page.locator('main')), /A virtual card\./);
  agent.show({ reader: READER_WITH_CARD });
  await page.getByText('Inserted: Debit').waitFor();
  assert.equal(await at(page, 'tap').isDisabled(), true);
  await at(page, 'take-away').click();
  assert.deepEqual(await sent(1), [{ type: 'takeAway' }]);
});

const LOAD = { order: { ...ORDER, kind: 'ecashLoad' } } as const;
const LOOK = { intent: 'balance', order: null } as const;
const REAL = { state: 'on', code: null } as const;
const SCREENS = (): readonly (readonly [string, Partial<ReturnType<typeof viewOf>>])[] => [
  ['idle', {}],
  ['connecting', { payment: paymentOf({ name: 'connecting' }, { order: null }) }],
  ['consent', { payment: paymentOf({ name: 'consent' }) }],
  ['consent', { payment: paymentOf({ name: 'consent' }, LOAD), readerService: REAL }],
  ['consent', { payment: paymentOf({ name: 'consent' }, LOOK) }],
  ['waitCard', { payment: paymentOf(waitCard({ attempt: 2, reason: 'ERR_CARD_REMOVED' })) }],
  ['waitCard', { payment: paymentOf(waitCard(), LOOK) }],
  ['reading', { payment: paymentOf({ name: 'reading', interface: 'contactless' }) }],
  ['waitPin', { payment: waitPin(), reader: READER_WITH_CARD }],
  ['authorising', { payment: paymentOf({ name: 'authorising', interface: 'contactless' }) }],
  ['removeCard', { payment: paymentOf({ name: 'removeCard' }), reader: READER_WITH_CARD }],
  ['end', { last: { session: SESSION, outcome: 'declined', reason: 'issuer:51' } }],
];
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds, what is too small to touch, and whether the page is wider than the screen. */
async function faultsOf(page: Page): Promise<readonly string[]> {
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: axe });
  const { result } = await session.send('Runtime.evaluate', {
    expression: `axe.run().then(({ violations }) => JSON.stringify(violations.map(
      ({ id, nodes }) => id + ': ' + nodes.map((node) => node.target.join(' ')).join(', '))))`,
    awaitPromise: true,
  });
  await session.detach();
  const layout = await page.evaluate(() => {
    const small = [...document.querySelectorAll('button, input')].flatMap((element) => {
      const { width, height } = element.getBoundingClientRect();
      const isSmall = height < 44 || width < 44;
      return isSmall ? [`${element.getAttribute('data-test')} is ${width} x ${height}`] : [];
    });
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth > clientWidth ? [...small, `${scrollWidth} px wide`] : small;
  });
  return [...(JSON.parse(String(result.value)) as string[]), ...layout];
}

for (const language of ['zh', 'en'] as const) {
  test(`on a phone every screen is for everybody (${language})`, { skip }, async () => {
    const phone = await newContext(language, PHONE);
    const fresh = await phone.newPage();
    await fresh.goto(`${agent.url}/window`);
    await state(fresh, 'pairing');
    assert.deepEqual(await faultsOf(fresh), [], 'pairing');
    await fresh.close();
    const page = await open('/window', phone);
    for (const path of ['/window', '/wallet']) {
      await page.goto(agent.url + path);
      for (const [name, facts] of SCREENS()) {
        agent.show({ ...viewOf(), payment: paymentOf({ name: 'connecting' }) });
        await state(page, 'connecting');
        agent.show({ ...viewOf(), ...facts });
        await state(page, name);
        if (name === 'consent') await page.locator('[data-test=confirm]:enabled').waitFor();
        assert.deepEqual(await faultsOf(page), [], `${path} ${name}`);
      }
    }
    await phone.close();
  });
}

const realReader = (name: string, facts: { isCardThere?: boolean; fault?: string } = {}) => ({
  name,
  kind: 'pcsc' as const,
  isCardThere: facts.isCardThere ?? false,
  fault: facts.fault ?? null,
});

test('real readers: the yes says what the card is asked for, the wait lists them', {
  skip,
}, async () => {
  for (const [language, asked, cardIn] of [
    ['en', /card you present at a reader is asked for a payment cryptogram/, 'Card in'],
    ['zh', /出示的卡会被要求为这笔金额生成支付密文/, '有卡'],
  ] as const) {
    const from = await newContext(language);
    const realReaders = [realReader('ACS ACR39U 00 00', { isCardThere: true }), realReader('NFC')];
    agent.show({ readerService: REAL, realReaders, payment: paymentOf({ name: 'consent' }) });
    const page = await open('/window', from);
    await state(page, 'consent');
    assert.match(await textOf(page.locator('#consent-hint')), asked);
    const describedBy = await at(page, 'confirm').getAttribute('aria-describedby');
    assert.match(describedBy ?? '', /order-amount order-merchant consent-hint/);
    agent.show({ payment: paymentOf(waitCard({ takeOutFirst: true })) });
    await state(page, 'waitCard');
    const rows = at(page, 'real-reader');
    assert.equal(await rows.count(), 2);
    assert.match(await textOf(rows.first()), new RegExp(`ACS ACR39U 00 00.*${cardIn}`));
    assert.equal(await at(page, 'take-away').count(), 0, 'no hand of ours takes a real card out');
    await from.close();
  }
});

test('a load says that it is one: at the yes, the card, the PIN', { skip }, async () => {
  for (const [language, title, hint, confirm, strip, only, pin] of [
    [
      ...['en', /Load this amount onto your card/, /from your bank account into the e-cash/],
      ...['Confirm load', /^Load · 青山书店/, /A load takes an inserted card only/, /^Load ¥/],
    ],
    [
      ...['zh', /确认圈存这笔金额/, /从您的银行账户转入卡里的电子现金/],
      ...['确认圈存', /^圈存 · 青山书店/, /圈存只能插卡/, /^圈存 ¥/],
    ],
  ] as const) {
    const from = await newContext(language);
    agent.show({ ...viewOf(), payment: paymentOf({ name: 'consent' }, LOAD) });
    const page = await open('/window', from);
    await state(page, 'consent');
    assert.match(await textOf(page.locator('h1')), title);
    assert.match(await textOf(page.locator('#consent-hint')), hint);
    assert.equal(await textOf(at(page, 'confirm')), confirm);
    assert.match(await textOf(at(page, 'amount')), /1,286\.00/);
    agent.show({ payment: paymentOf(waitCard({ interfaces: ['contact'] }), LOAD) });
    await state(page, 'waitCard');
    assert.match(await textOf(page.locator('.strip')), strip);
    assert.match(await textOf(at(page, 'again')), only);
    agent.show({ payment: { ...waitPin(), ...LOAD } });
    await state(page, 'waitPin');
    assert.match(await textOf(page.locator('#pin-for')), pin);
    await from.close();
  }
});

test('a look at a balance: who wants it, that nothing is charged, a yes that is sent, its ends', {
  skip,
}, async () => {
  for (const [language, title, who, confirm, strip, shownText, notShown, noPurse] of [
    [
      ...['en', /Show your e-cash balance/, /The page of http:.*Nothing is charged\./],
      ...['Show balance', /^BalanceNo charge$/, /Balance shown/, /was not shown/, /has no e-cash/],
    ],
    [
      ...['zh', /向此页面显示电子现金余额/, /http:.*的页面想查看.*不会扣款/],
      ...['同意查看', /^查看余额不扣款$/, /已显示余额/, /没有显示余额/, /没有电子现金/],
    ],
  ] as const) {
    const from = await newContext(language);
    agent.messages.length = 0;
    const payment = paymentOf({ name: 'consent' }, LOOK);
    agent.show({ ...viewOf(), payment });
    const page = await open('/window', from);
    await state(page, 'consent');
    assert.match(await textOf(page.locator('h1')), title);
    assert.match(await textOf(at(page, 'who')), who);
    assert.ok((await textOf(at(page, 'who'))).includes(payment.gatewayOrigin));
    assert.equal(await at(page, 'amount').count(), 0);
    assert.equal(await textOf(at(page, 'confirm')), confirm);
    const describedBy = (await at(page, 'confirm').getAttribute('aria-describedby')) ?? '';
    for (const id of describedBy.split(' ')) assert.equal(await page.locator(`#${id}`).count(), 1);
    await at(page, 'confirm').click();
    assert.deepEqual(await sent(1), [{ type: 'consent', session: SESSION, given: true }]);
    agent.show({ payment: paymentOf(waitCard(), LOOK) });
    await state(page, 'waitCard');
    assert.match(await textOf(page.locator('.strip')), strip);
    const last = { session: SESSION, outcome: 'read', reason: null } as const;
    agent.show({ payment: null, last });
    await state(page, 'end');
    assert.match(await textOf(page.locator('main')), shownText);
    agent.show({ last: { ...last, outcome: 'notRead', reason: 'card:noPurse' } });
    await page.getByText(notShown).first().waitFor();
    assert.match(await textOf(at(page, 'reason')), noPurse);
    assert.doesNotMatch(await textOf(page.locator('main')), /pay again|重新支付/);
    await from.close();
  }
});

test('a real card that cannot pay is told aloud, with its code, until it is gone', {
  skip,
}, async () => {
  const page = await open();
  const show = (...realReaders: readonly ReturnType<typeof realReader>[]) =>
    agent.show({
      readerService: REAL,
      realReaders,
      payment: paymentOf(waitCard({ takeOutFirst: realReaders.some((one) => one.isCardThere) })),
    });
  for (const [fault, words] of [
    ['ERR_CARD_MUTE', /does not answer.*ERR_CARD_MUTE/s],
    ['ERR_READER_IN_USE', /Another program.*ERR_READER_IN_USE/s],
    ['ERR_CARD_INTERFACE', /cannot be presented this way.*ERR_CARD_INTERFACE/s],
    ['ERR_SOMETHING', /could not be read.*ERR_SOMETHING/s],
  ] as const) {
    show(realReader('Reader', { isCardThere: true, fault }));
    await page.locator('[role=alert]:not(:empty)').waitFor();
    assert.match(await alertOf(page), words);
    show(realReader('Reader'));
    await page.locator('[role=alert]:empty').waitFor({ state: 'attached' });
  }
  show(realReader('One', { isCardThere: true }), realReader('Two', { isCardThere: true }));
  await page.locator('[role=alert]:not(:empty)').waitFor();
  assert.match(await alertOf(page), /present one card only/);
});

test('no service, no library, no reader: said in words, and virtual cards are offered', {
  skip,
}, async () => {
  const page = await open();
  for (const [code, words] of [
    ['ERR_READER_SERVICE', /not running/],
    ['ERR_READER_DENIED', /refuses you/],
    ['ERR_READER_LIBRARY', /no PC\/SC library/],
    ['ERR_READER_CRASH', /does not answer/],
    [null, /No reader found/],
  ] as const) {
    const readerService = { state: code === null ? 'on' : 'lost', code } as const;
    agent.show({ readerService, realReaders: [], payment: paymentOf(waitCard()) });
    await at(page, 'reader-service').filter({ hasText: words }).waitFor();
    assert.ok(await at(page, 'insert').isEnabled());
  }
  agent.show({ readerService: { state: 'off', code: null } });
  await at(page, 'real-readers').waitFor({ state: 'detached' });
});
