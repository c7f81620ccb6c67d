/**
 * A card in a real reader pays on a page: a whole system with `--readers`, the page library and a
 * window of the agent as browsers have them, the lab debit card offered to vpcd.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PcscReaders, sealPin } from '@tapnpay/agent';
import {
  ChosenTransport,
  createPayment,
  gatewayClient,
  Loopback,
  type Payment,
} from '@tapnpay/plugin/engine';
import { Secret } from '@tapnpay/protocol/bytes';
import {
  AGENT_HEALTH_PATH,
  AGENT_PAIRING_PATH,
  AGENT_WINDOW_PATH,
  type AgentReport,
  type PairingGrant,
  type PayOrderView,
  type WindowMessage,
  type WindowView,
} from '@tapnpay/protocol/wire';
import { TestSystem, temporaryDataDir } from '../../system.test-kit.ts';
import { SLOTS, TestSlot } from '../inside.test-kit.ts';

const PIN = '123456';
const PATIENCE_MS = 20_000;
/** The first test's time has the start of the system in it. */
const START_TIMEOUT_MS = 80_000;
/** Longer than the agent grants a reader service to see a card. */
const AFTER_CONSENT_MS = 700;

const system = new TestSystem(temporaryDataDir());
const readers = new PcscReaders();
const slot = new TestSlot(readers, 0);
let offered: ChildProcess | null = null;
let window: Window;

before(
  async () => {
    await system.up('--readers');
    becomePageOf(system.ready.gateway);
    window = await Window.open();
    // The element is enrolled when the gateway has answered.
    while ((await health()).element.state !== 'operable') await later(50);
  },
  { timeout: START_TIMEOUT_MS },
);
after(async () => {
  offered?.kill('SIGINT');
  window?.close();
  await readers.close();
  await system.close();
  rmSync(system.dataDir, { recursive: true, force: true });
});

const later = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

async function until(isSo: () => boolean, what: () => string): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    if (performance.now() > deadlineMs) throw new Error(`it did not come: ${what()}`);
    await later(20);
  }
}

/** Puts the lab debit card into the reader, until the service sees it. */
async function insert(...more: readonly string[]): Promise<void> {
  const main = join(import.meta.dirname, '../../../cli/src/main.ts');
  const args = ['cards', 'insert', 'debit', '--vpcd', '--data', system.dataDir, ...more];
  offered = spawn(process.execPath, [main, ...args], { stdio: 'ignore' });
  await slot.until(true);
}

async function pull(): Promise<void> {
  const card = offered;
  offered = null;
  const ended = new Promise((done) => card?.once('close', done));
  card?.kill('SIGINT');
  await ended;
  await slot.until(false);
}

/** Node's own WebSocket takes the headers that a browser sends. */
const NodeWebSocket = WebSocket as unknown as new (url: string, options: object) => WebSocket;

function connectAs(url: string, headers: Readonly<Record<string, string>>): WebSocket {
  return new NodeWebSocket(url, { headers });
}

/** From here on this process is a page of the gateway: its browser says so on every WebSocket. */
function becomePageOf(origin: string): void {
  globalThis.WebSocket = class extends NodeWebSocket {
    constructor(url: string) {
      super(url, { headers: { origin } });
    }
  } as unknown as typeof WebSocket;
}

async function health(): Promise<AgentReport> {
  return (await (await fetch(agentUrl() + AGENT_HEALTH_PATH)).json()) as AgentReport;
}

const agentUrl = () => new URL(system.ready.wallet).origin;

/** Pairs as the agent's own page does. */
async function pair(origin: string | null): Promise<{ token: string | null; cookie: string }> {
  const response = await fetch(agentUrl() + AGENT_PAIRING_PATH, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: agentUrl() },
    body: JSON.stringify({ code: system.ready.pairingCode, origin }),
  });
  assert.equal(response.status, 200);
  const { token } = (await response.json()) as PairingGrant;
  return { token, cookie: response.headers.getSetCookie()[0]?.split(';')[0] ?? '' };
}

/** The agent's window. */
class Window {
  view: WindowView | null = null;
  readonly #socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(String(data)) as WindowView | { type: 'error' };
      if (message.type === 'view') this.view = message;
    });
  }

  static async open(): Promise<Window> {
    const { cookie } = await pair(null);
    const url = `${agentUrl().replace('http', 'ws')}${AGENT_WINDOW_PATH}`;
    const socket = connectAs(url, { origin: agentUrl(), cookie });
    const opened = new Window(socket);
    await until(
      () => opened.view !== null,
      () => 'the first view',
    );
    return opened;
  }

  send(message: WindowMessage): void {
    this.#socket.send(JSON.stringify(message));
  }

  close(): void {
    this.#socket.close();
  }

  get state() {
    return this.view?.payment?.state ?? null;
  }

  async until(isSo: (view: WindowView) => boolean): Promise<void> {
    await until(
      () => this.view !== null && isSo(this.view),
      () => JSON.stringify({ ...this.view, cards: [] }),
    );
  }

  async untilWaitCard(takeOutFirst: boolean, attempt = 1): Promise<void> {
    await this.until(({ payment }) => {
      const state = payment?.state;
      const isIt = state?.name === 'waitCard' && state.attempt === attempt;
      return isIt && state.takeOutFirst === takeOutFirst;
    });
  }
}

/** An order on a page of the gateway, brought to the person's yes. */
async function begin(amount: string): Promise<{ payment: Payment; orderId: string }> {
  const { orderId } = await system.createOrder({ amount });
  const { gateway } = system.ready;
  const { token } = await pair(gateway);
  const after = (ms: number, call: () => void) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  };
  const loopback = new Loopback({
    origin: gateway,
    openWindow: () => ({ closed: false, focus: () => {}, close: () => {} }),
    connect: (url) => new WebSocket(url),
    onWindowMessage: () => () => {},
    readToken: () => token,
    keepToken: () => {},
    after,
  });
  const transport = new ChosenTransport(gateway, {
    loopback: () => Promise.resolve(loopback),
    // A browser without the extension: nobody answers.
    bus: {
      origin: gateway,
      self: null,
      post: () => {},
      onWindowMessage: () => () => {},
      after,
      newChannel: randomUUID,
    },
    versions: () => Promise.resolve(null),
    userAgent: '',
    after,
  });
  const payment = createPayment({
    orderId,
    gatewayUrl: gateway,
    transport,
    on: () => {},
    ports: {
      gateway: gatewayClient(gateway),
      nowMs: () => Date.now(),
      after,
      newSession: () => randomUUID(),
      fault: null,
      readSealed: () => null,
      keepSealed: () => {},
    },
  });
  await until(
    () => payment.state.canStart,
    () => payment.state.name,
  );
  payment.start();
  await window.until(({ payment: under }) => under?.state.name === 'consent');
  return { payment, orderId };
}

async function consent(): Promise<void> {
  const session = window.view?.payment?.session ?? '';
  window.send({ type: 'consent', session, given: true });
  await window.until(({ payment }) => payment?.state.name === 'waitCard');
  await later(AFTER_CONSENT_MS);
}

/** Types the PIN whenever it is asked for, until the page knows the end. */
async function finish(payment: Payment): Promise<string> {
  const typed = new Set<string>();
  const ends = ['APPROVED', 'DECLINED', 'CANCELLED', 'INTERRUPTED', 'UNKNOWN'];
  await until(
    () => {
      const { state, pinKeySpki, session } = window.view?.payment ?? {};
      if (state?.name === 'waitPin' && pinKeySpki && !typed.has(pinKeySpki)) {
        typed.add(pinKeySpki);
        const sealedPin = sealPin(new Secret(PIN), pinKeySpki);
        window.send({ type: 'pin', session: session ?? '', sealedPin });
      }
      return ends.includes(payment.state.name);
    },
    () => `${payment.state.name} ${JSON.stringify(window.state)}`,
  );
  const end = payment.state.name;
  payment.stop();
  return end;
}

async function orderOf(orderId: string): Promise<PayOrderView> {
  return await gatewayClient(system.ready.gateway).order(orderId);
}

test('contact: pulled at the PIN, presented again, approved; then the card is let go', {
  timeout: START_TIMEOUT_MS,
}, async () => {
  await window.until(({ realReaders }) => realReaders.length === SLOTS.length);
  assert.deepEqual(window.view?.readerService, { state: 'on', code: null });
  const { payment, orderId } = await begin('12.34');
  await consent();
  await insert();
  await window.until(({ payment: under }) => under?.state.name === 'waitPin');
  assert.deepEqual(window.view?.realReaders[0], {
    name: SLOTS[0],
    kind: 'pcsc',
    isCardThere: true,
    fault: null,
  });
  await assert.rejects(slot.reader.connect(), { code: 'ERR_READER_IN_USE' });
  await pull();
  await window.untilWaitCard(false, 2);
  await insert();
  assert.equal(await finish(payment), 'APPROVED');
  const order = await orderOf(orderId);
  assert.equal(order.status, 'paid');
  await window.until(({ payment: under }) => under === null);
  const session = await slot.reader.connect({ sharing: 'exclusive' });
  await session.disconnect();
});

test('a card left in the reader is not charged; contactless, presented afresh, it pays', async () => {
  assert.ok(window.view?.realReaders[0]?.isCardThere, 'the card of the last payment');
  const { payment, orderId } = await begin('1.00');
  await consent();
  await window.untilWaitCard(true);
  await later(1_000);
  assert.equal((await orderOf(orderId)).status, 'open');
  assert.equal(window.state?.name, 'waitCard');
  await pull();
  await window.untilWaitCard(false);
  await insert('--interface', 'contactless');
  await window.until(({ payment: under }) => {
    const state = under?.state;
    return state?.name !== 'waitCard';
  });
  assert.equal(await finish(payment), 'APPROVED');
  assert.equal((await orderOf(orderId)).status, 'paid');
  await pull();
});

test('the service is killed: told by code, and a virtual card pays all the same', async () => {
  process.kill(Number(process.env['TEST_PCSCD_PID']), 'SIGKILL');
  await window.until(({ readerService }) => readerService.state === 'lost');
  assert.equal(window.view?.readerService.code, 'ERR_READER_SERVICE');
  const { payment } = await begin('2.00');
  await consent();
  window.send({ type: 'present', card: 'debit', interface: 'contact', liftAfter: null });
  assert.equal(await finish(payment), 'APPROVED');
});

test('nothing that the card answers to power, and no number of it, is in a log', () => {
  const logs = system.logs();
  assert.match(logs, /"event":"realReader","what":"cardInserted"/);
  assert.match(logs, /"what":"serviceLost","code":"ERR_READER_SERVICE"/);
  assert.doesNotMatch(logs, /"atr"/i);
  assert.doesNotMatch(logs, /629999[0-9]{10}/);
});
