/** A payment on a page without a browser: own clock, gateway and agent, each told what to say. */
import assert from 'node:assert/strict';
import type {
  AgentMessage,
  AgentState,
  ElementPayResult,
  PageMessage,
  PayOrderView,
  PayPaymentView,
} from '@tapnpay/protocol/wire';
import { type ChannelListener, GatewayFault } from './gateway.ts';
import type { Payment, PaymentState } from './model.ts';
import { createPayment } from './payment.ts';
import type { PluginFacts, Transport, TransportEvent } from './transport.ts';

export const ORDER_ID = '0193c0de-0000-7000-8000-000000000001';
export const START_MS = 1_800_000_000_000;
const AGENT_URL = 'http://127.0.0.1:7001';

/** An open order; `change` makes another of it. */
export function orderView(change: Partial<PayOrderView> = {}): PayOrderView {
  return {
    orderId: ORDER_ID,
    merchantId: '898310000000001',
    merchantName: 'Green Leaf Tea',
    terminalId: '10000001',
    merchantOrderNumber: 'N1',
    amountMinor: '12345',
    currency: '156',
    origin: 'http://127.0.0.1:7002',
    status: 'open',
    nowMs: START_MS,
    expiresAtMs: START_MS + 900_000,
    returnUrl: null,
    agentUrl: AGENT_URL,
    sandbox: true,
    insideUrl: null,
    payment: null,
    ...change,
  };
}

/** A payment of the order with a receipt. */
export function paymentView(change: Partial<PayPaymentView> = {}): PayPaymentView {
  return {
    paymentId: 'P1',
    outcome: 'approved',
    responseCode: '00',
    reason: null,
    receipt: {
      panMasked: '629999*********0017',
      entryMode: 'contact',
      applicationLabel: 'PBOC DEBIT',
      aid: 'A000000333010101',
      applicationTransactionCounter: 7,
      arqc: '0102030405060708',
      second: null,
      secondType: null,
      tvr: '0000008000',
      tsi: 'F800',
      cvmResults: '020300',
      approvalCode: '123456',
      stan: '000001',
      retrievalReference: '000000000001',
      createdAtMs: START_MS,
    },
    ...change,
  };
}

/** What an element says of its payment. */
export function elementResult(change: Partial<ElementPayResult>): ElementPayResult {
  return {
    outcome: 'approved',
    reason: null,
    charged: 'yes',
    interface: 'contact',
    paymentId: 'P1',
    responseCode: '00',
    card: null,
    cryptogram: { arqc: null, arpc: null, second: null, secondType: null },
    tvr: '',
    tsi: '',
    cvmResults: '',
    dataAuthentication: 'none',
    channel: null,
    ...change,
  };
}

class FakeTransport implements Transport {
  readonly facts: PluginFacts | null = null;
  isThere = true;
  looked = 0;
  opened = 0;
  closed = 0;
  shown = 0;
  updates = 0;
  readonly sent: PageMessage[] = [];
  listener: (event: TransportEvent) => void = () => {};
  readonly #after: TestPage['after'];
  #isLooking = false;

  constructor(after: TestPage['after']) {
    this.#after = after;
  }

  look(agentUrl: string): void {
    assert.equal(agentUrl, AGENT_URL);
    this.looked += 1;
    this.#isLooking = true;
    queueMicrotask(() => this.#look());
  }
  #look(): void {
    if (!this.#isLooking) return;
    if (this.isThere) this.listener(READY);
    else {
      this.listener({ kind: 'missing', code: 'ERR_HOST_MISSING', detail: AGENT_URL });
      this.#after(1_000, () => this.#look());
    }
  }
  open(agentUrl: string): void {
    assert.equal(agentUrl, AGENT_URL);
    this.#isLooking = false;
    this.opened += 1;
  }
  send(message: PageMessage): void {
    this.sent.push(message);
  }
  onMessage(listener: (event: TransportEvent) => void): void {
    this.listener = listener;
  }
  show(): void {
    this.shown += 1;
  }
  update(): void {
    this.updates += 1;
  }
  close(): void {
    this.#isLooking = false;
    this.closed += 1;
  }
}

const READY: TransportEvent = { kind: 'ready', isInstalling: false };
type Timer = { readonly atMs: number; readonly call: () => void };

/** One page with one payment. */
export class TestPage {
  readonly transport: FakeTransport = new FakeTransport((ms, call) => this.after(ms, call));
  readonly states: PaymentState[] = [];
  /** What the gateway answers; an Error is thrown. */
  order: PayOrderView | Error = orderView();
  cancelAnswer: PayOrderView | Error = orderView({ status: 'cancelled' });
  loads = 0;
  cancels = 0;
  nowMs: number = START_MS;
  sealed: { readonly before: string | null } | null = null;
  fault: string | null = null;
  channel: ChannelListener | null = null;
  readonly channelSent: string[] = [];
  channelsOpened = 0;
  #payment: Payment | null = null;
  #sessions = 0;
  readonly #timers = new Set<Timer>();

  /** Opens the page and waits for its first look at the order. */
  async open(): Promise<this> {
    this.#payment = createPayment({
      orderId: ORDER_ID,
      gatewayUrl: 'http://127.0.0.1:7000',
      transport: this.transport,
      on: (state) => this.states.push(state),
      ports: {
        gateway: {
          order: () => {
            this.loads += 1;
            return answer(this.order);
          },
          cancel: () => {
            this.cancels += 1;
            return answer(this.cancelAnswer);
          },
          openChannel: (listener) => this.#openChannel(listener),
        },
        nowMs: () => this.nowMs,
        after: (ms, call) => this.after(ms, call),
        newSession: () => {
          this.#sessions += 1;
          return `session-${this.#sessions}`;
        },
        fault: this.fault,
        readSealed: () => this.sealed,
        keepSealed: (_orderId, sealed) => {
          this.sealed = sealed;
        },
      },
    });
    await this.settle();
    return this;
  }

  get payment(): Payment {
    assert.ok(this.#payment);
    return this.#payment;
  }

  get state(): PaymentState {
    return this.payment.state;
  }

  /** Lets every answer arrive. */
  async settle(): Promise<void> {
    await new Promise((done) => setImmediate(done));
  }

  /** Moves the clock and runs what is due, in order. */
  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    for (;;) {
      const due = [...this.#timers]
        .filter(({ atMs }) => atMs <= endMs)
        .sort((left, right) => left.atMs - right.atMs)[0];
      if (!due) break;
      this.#timers.delete(due);
      this.nowMs = due.atMs;
      due.call();
      await this.settle();
    }
    this.nowMs = endMs;
  }

  async event(event: TransportEvent): Promise<void> {
    this.transport.listener(event);
    await this.settle();
  }

  /** A message of the agent. */
  async say(message: AgentMessage): Promise<void> {
    await this.event({ kind: 'message', message });
  }

  /** The agent's state of this session. */
  async agent(state: AgentState, session: string = this.session): Promise<void> {
    await this.say({ type: 'state', session, state });
  }

  async result(change: Partial<ElementPayResult>, session: string = this.session): Promise<void> {
    await this.say({ type: 'result', session, result: elementResult(change) });
  }

  async failed(code: string, sent: boolean): Promise<void> {
    const error = { code, message: code, data: {} };
    await this.say({ type: 'failed', session: this.session, error, sent });
  }

  get session(): string {
    return `session-${this.#sessions}`;
  }

  async ready(isInstalling = false): Promise<void> {
    await this.event({ kind: 'ready', isInstalling });
  }

  /** From the click to this point of a payment. */
  async payTo(point: PointName): Promise<void> {
    this.payment.start();
    await this.ready();
    await this.say({ type: 'openChannel', session: this.session });
    this.channel?.opened();
    for (const state of POINTS[point]) await this.agent(state);
  }

  #openChannel(listener: ChannelListener): { send(base64: string): void; close(): void } {
    this.channelsOpened += 1;
    this.channel = listener;
    return {
      send: (base64) => this.channelSent.push(base64),
      close: () => {
        if (this.channel === listener) this.channel = null;
      },
    };
  }

  after(ms: number, call: () => void): () => void {
    const timer = { atMs: this.nowMs + ms, call };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
}

export const WAIT_CARD: Extract<AgentState, { name: 'waitCard' }> = {
  name: 'waitCard',
  interfaces: ['contact', 'contactless'],
  attempt: 1,
  reason: null,
  deadlineMs: START_MS + 60_000,
  takeOutFirst: false,
};
const CONNECTING: readonly AgentState[] = [{ name: 'connecting' }];
const CONSENT: readonly AgentState[] = [...CONNECTING, { name: 'consent' }];
const CARD: readonly AgentState[] = [...CONSENT, WAIT_CARD];
const READING: readonly AgentState[] = [...CARD, { name: 'reading', interface: 'contact' }];
const PIN: readonly AgentState[] = [
  ...READING,
  { name: 'waitPin', deadlineMs: START_MS + 120_000 },
];
const AUTHORISING: readonly AgentState[] = [...PIN, { name: 'authorising', interface: 'contact' }];
const REMOVE_CARD: readonly AgentState[] = [...AUTHORISING, { name: 'removeCard' }];
export type PointName =
  | 'CONNECTING'
  | 'CONSENT'
  | 'WAIT_CARD'
  | 'READING'
  | 'WAIT_PIN'
  | 'AUTHORISING'
  | 'REMOVE_CARD';
/** Points of a contact payment by the page's state. */
export const POINTS: Readonly<Record<PointName, readonly AgentState[]>> = {
  CONNECTING,
  CONSENT,
  WAIT_CARD: CARD,
  READING,
  WAIT_PIN: PIN,
  AUTHORISING,
  REMOVE_CARD,
};

function answer(said: PayOrderView | Error): Promise<PayOrderView> {
  return said instanceof Error ? Promise.reject(said) : Promise.resolve(said);
}

export const NETWORK: GatewayFault = new GatewayFault('ERR_NETWORK', 'refused');
