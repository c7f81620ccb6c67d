/** Drives the state machine of a payment: clock, gateway, transport and the page's callback. */
import type { AgentState, CardInterface, PayOrderView } from '@tapnpay/protocol/wire';
import { afterMs, keptTexts } from './browser.ts';
import type { Charged, PaymentError } from './errors.ts';
import { type GatewayChannel, type GatewayClient, GatewayFault, gatewayClient } from './gateway.ts';
import { canCancel, canStart, chargedOf, reduce } from './machine.ts';
import { type Effect, INITIAL, type Machine, type PaymentEvent, type TimerName } from './model.ts';
import type { StateName } from './states.ts';
import type { Transport } from './transport.ts';

/** A payment as a page shows it. */
export type PaymentState = {
  readonly name: StateName;
  readonly order: PayOrderView | null;
  readonly error: PaymentError | null;
  readonly charged: Charged;
  /** Which interfaces are asked for, until when, and why again. */
  readonly card: Extract<AgentState, { name: 'waitCard' }> | null;
  readonly pinDeadlineMs: number | null;
  readonly interface: CardInterface | null;
  /** It takes longer than usual. */
  readonly isSlow: boolean;
  /** The browser did not open the agent's window: `show` in a click does. */
  readonly isBlocked: boolean;
  readonly isCancelling: boolean;
  /** A payment of this page is under way. */
  readonly isRunning: boolean;
  readonly canStart: boolean;
  readonly canCancel: boolean;
};

/** One order's payment on a page. */
export type Payment = {
  readonly state: PaymentState;
  /** Starts a payment, or another where nothing was charged; call it inside the click. */
  start(): void;
  /** Cancels the running payment, or the order while none runs. */
  cancel(): void;
  /** Brings the agent's window to the front; call it inside the click. */
  show(): void;
  /** Asks the gateway again, e.g. when the page was away. */
  refresh(): void;
  /** The page goes away: nothing more is told. */
  stop(): void;
};

/** What the driver takes of its surroundings; tests give their own. */
export type PaymentPorts = {
  readonly gateway: GatewayClient;
  nowMs(): number;
  after(ms: number, call: () => void): () => void;
  newSession(): string;
  /** Why no payment may run here: `frame`, `insecure`; null when it may. */
  readonly fault: string | null;
  readSealed(orderId: string): { readonly before: string | null } | null;
  keepSealed(orderId: string, sealed: { readonly before: string | null } | null): void;
};

/** A payment of `orderId`; it looks the order up at once. `on` hears every change. */
export function createPayment(options: {
  readonly orderId: string;
  readonly gatewayUrl: string;
  readonly transport: Transport;
  readonly on: (state: PaymentState) => void;
  readonly ports?: PaymentPorts;
}): Payment {
  const { orderId, gatewayUrl, transport, on } = options;
  const ports = options.ports ?? browserPorts(gatewayUrl);
  return new Driver({ orderId, transport, on, ports });
}

type Parts = {
  readonly orderId: string;
  readonly transport: Transport;
  readonly on: (state: PaymentState) => void;
  readonly ports: PaymentPorts;
};

class Driver implements Payment {
  readonly #parts: Parts;
  #machine: Machine = INITIAL;
  #channel: GatewayChannel | null = null;
  #loads = 0;
  #isStopped = false;
  readonly #timers = new Map<TimerName, () => void>();

  constructor(parts: Parts) {
    const { transport, ports, orderId } = parts;
    this.#parts = parts;
    transport.onMessage((event) =>
      this.#dispatch({ type: 'transport', event, atMs: ports.nowMs() }),
    );
    const sealedBefore = ports.readSealed(orderId);
    this.#dispatch({ type: 'begin', fault: ports.fault, sealedBefore });
  }

  get state(): PaymentState {
    return stateOf(this.#machine);
  }

  start(): void {
    this.#dispatch({ type: 'start', session: this.#parts.ports.newSession() });
  }

  cancel(): void {
    this.#dispatch({ type: 'cancel' });
  }

  show(): void {
    this.#parts.transport.show();
  }

  refresh(): void {
    this.#dispatch({ type: 'refresh' });
  }

  stop(): void {
    this.#isStopped = true;
    for (const stopTimer of this.#timers.values()) stopTimer();
    this.#channel?.close();
    this.#parts.transport.close();
  }

  #dispatch(event: PaymentEvent): void {
    if (this.#isStopped) return;
    const before = this.#machine;
    const { machine, effects } = reduce(before, event);
    this.#machine = machine;
    if (machine !== before) this.#parts.on(stateOf(machine));
    for (const effect of effects) this.#do(effect);
  }

  #do(effect: Effect): void {
    const { transport, ports, orderId } = this.#parts;
    switch (effect.do) {
      case 'load':
        this.#ask(() => ports.gateway.order(orderId));
        break;
      case 'cancelOrder':
        this.#ask(() => ports.gateway.cancel(orderId), { isCancel: true });
        break;
      case 'probe':
        void transport
          .probe(effect.agentUrl)
          .then((found) => this.#dispatch({ type: 'probed', found }));
        break;
      case 'openAgent':
        transport.open(effect.agentUrl);
        break;
      case 'closeAgent':
        transport.close();
        break;
      case 'tellAgent':
        transport.send(effect.message);
        break;
      case 'openChannel':
        this.#openChannel();
        break;
      case 'closeChannel':
        this.#channel?.close();
        this.#channel = null;
        break;
      case 'sendChannel':
        this.#channel?.send(effect.base64);
        break;
      case 'remember':
        ports.keepSealed(orderId, effect.sealed);
        break;
      case 'timer':
        this.#setTimer(effect.name, effect.ms);
        break;
    }
  }

  /** The newest question counts; an older answer may be from before what it is asked about. */
  #ask(ask: () => Promise<PayOrderView>, { isCancel = false } = {}): void {
    this.#loads += 1;
    const load = this.#loads;
    const unlessStale = (event: () => PaymentEvent): void => {
      if (load === this.#loads) this.#dispatch(event());
    };
    ask().then(
      (view) => unlessStale(() => ({ type: 'orderLoaded', view, atMs: this.#parts.ports.nowMs() })),
      (fault: unknown) =>
        unlessStale(() => {
          if (isCancel) return { type: 'cancelFailed' };
          const code = fault instanceof GatewayFault ? fault.code : 'ERR_NETWORK';
          return { type: 'orderFailed', code, detail: String(fault) };
        }),
    );
  }

  #openChannel(): void {
    this.#channel?.close();
    this.#channel = this.#parts.ports.gateway.openChannel({
      opened: () => this.#dispatch({ type: 'channelOpened' }),
      received: (base64) => this.#dispatch({ type: 'channelData', base64 }),
      closed: () => this.#dispatch({ type: 'channelClosed' }),
    });
  }

  #setTimer(name: TimerName, ms: number | null): void {
    this.#timers.get(name)?.();
    this.#timers.delete(name);
    if (ms === null) return;
    const stop = this.#parts.ports.after(ms, () => {
      this.#timers.delete(name);
      this.#dispatch({ type: 'timer', name });
    });
    this.#timers.set(name, stop);
  }
}

function stateOf(machine: Machine): PaymentState {
  return {
    ...machine,
    charged: chargedOf(machine),
    isRunning: machine.session !== null,
    canStart: canStart(machine),
    canCancel: canCancel(machine),
  };
}

const SEALED_KEY = 'tapnpay-sealed:';

/** The browser that this page runs in. */
function browserPorts(gatewayUrl: string): PaymentPorts {
  const sealed = keptTexts('sessionStorage', SEALED_KEY);
  return {
    gateway: gatewayClient(gatewayUrl),
    nowMs: () => Date.now(),
    after: afterMs,
    newSession: () => crypto.randomUUID(),
    fault: window.top === window ? (isSecureContext ? null : 'insecure') : 'frame',
    readSealed: (orderId) => JSON.parse(sealed.read(orderId) ?? 'null'),
    keepSealed: (orderId, value) => sealed.keep(orderId, value && JSON.stringify(value)),
  };
}
