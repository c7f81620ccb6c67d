/**
 * The e-cash balance of a card: the person says yes in the agent's window, presents a card, and the
 * page learns what its purse holds. Nothing is charged, whatever comes of it. @see PBOC3 P13
 */
import type { AgentMessage, AgentState, CardBalance } from '@tapnpay/protocol/wire';
import { afterMs } from './browser.ts';
import { ChosenTransport } from './choose.ts';
import { meaningOf, paymentCodeOf, paymentError } from './errors.ts';
import { restingState } from './hosted.ts';
import type { PayOptions } from './index.ts';
import type { PaymentState } from './model.ts';
import {
  AGENT_END_MS,
  BUDGETS,
  CHANNEL_MS,
  DEADLINE_SLACK_MS,
  needStateOf,
  stateOfAgent,
} from './states.ts';
import type { Transport, TransportEvent } from './transport.ts';

/** How a look ended: BALANCE_READ with what was read, or the state whose `error` says why not. */
export type BalanceEnd = PaymentState & { readonly balance: CardBalance | null };

type BalanceOptions = PayOptions & {
  readonly gatewayUrl: string;
  readonly agentUrl: string;
};
/** What it takes of its surroundings; tests give their own. */
export type BalancePorts = {
  readonly transport: Transport;
  newSession(): string;
  nowMs(): number;
  after(ms: number, call: () => void): () => void;
};

/** Looks once; never rejects. */
export function readBalance(
  options: BalanceOptions,
  ports: BalancePorts = realPorts(options.gatewayUrl),
): Promise<BalanceEnd> {
  return new Promise((resolve) => new Look(options, ports, resolve).start());
}

class Look {
  readonly #options: BalanceOptions;
  readonly #ports: BalancePorts;
  readonly #resolve: (end: BalanceEnd) => void;
  readonly #session: string;
  #state: PaymentState;
  #isAsked = false;
  #isOver = false;
  #stopTimer: () => void = () => {};

  constructor(options: BalanceOptions, ports: BalancePorts, resolve: (end: BalanceEnd) => void) {
    this.#options = options;
    this.#ports = ports;
    this.#resolve = resolve;
    this.#session = ports.newSession();
    const running = { charged: 'no', isRunning: true, canCancel: true } as const;
    this.#state = restingState('CONNECTING', running);
  }

  start(): void {
    const { agentUrl, signal } = this.#options;
    const { transport } = this.#ports;
    transport.onMessage((event) => {
      if (!this.#isOver) this.#onEvent(event);
    });
    this.#tell({});
    if (signal?.aborted) this.#cancel();
    else {
      signal?.addEventListener('abort', () => this.#cancel());
      transport.open(agentUrl);
    }
  }

  #tell(change: Partial<PaymentState>): void {
    this.#state = { ...this.#state, ...change, plugin: this.#ports.transport.facts };
    this.#options.on?.(this.#state, {
      show: () => this.#ports.transport.show(),
      cancel: () => this.#cancel(),
    });
  }

  /** The agent is asked to end it, or left after a moment. */
  #cancel(): void {
    if (this.#isOver || this.#state.isCancelling) return;
    if (!this.#isAsked) {
      this.#end('ERR_USER_CANCELLED');
      return;
    }
    this.#tell({ isCancelling: true, canCancel: false });
    this.#ports.transport.send({ type: 'cancel', session: this.#session });
    this.#budget(AGENT_END_MS, 'ERR_USER_CANCELLED');
  }

  #budget(ms: number | null, raw = ''): void {
    this.#stopTimer();
    if (ms !== null) this.#stopTimer = this.#ports.after(ms, () => this.#end(raw));
  }

  #onEvent(event: TransportEvent): void {
    switch (event.kind) {
      case 'message':
        this.#onAgent(event.message);
        break;
      case 'lost':
        this.#end(event.code, event.detail);
        break;
      case 'missing': {
        const code = paymentCodeOf(event.code);
        const error = paymentError(code, 'no', event.detail);
        this.#tell({ name: needStateOf(meaningOf(code).state), error });
        break;
      }
      case 'ready':
        this.#ask();
        break;
      case 'pairing':
        this.#tell({ name: 'NEED_PAIRING', error: null });
        break;
      case 'blocked':
        this.#tell({ isBlocked: true });
        break;
    }
  }

  #ask(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    this.#tell({ name: 'CONNECTING', error: null });
    this.#ports.transport.send({ type: 'balance', session: this.#session });
    this.#budget(CHANNEL_MS, 'ERR_AGENT_TIMEOUT');
  }

  #onAgent(message: AgentMessage): void {
    if (!('session' in message) || message.session !== this.#session) return;
    if (message.type === 'state') this.#onState(message.state);
    else if (message.type === 'failed') this.#end(message.error.code);
    else if (message.type === 'balanceResult') {
      const { balance, reason } = message;
      if (balance === null) this.#end(reason ?? '');
      else this.#resolved({ ...this.#state, name: 'BALANCE_READ', error: null }, balance);
    }
  }

  #onState(state: AgentState): void {
    const name = stateOfAgent(state);
    if (name === null || this.#state.isCancelling) return;
    const card = state.name === 'waitCard' ? state : null;
    const reason = card?.reason ?? null;
    const error = reason === null ? null : paymentError(paymentCodeOf(reason), 'no', reason);
    this.#tell({ name, card, error });
    const [ms = null, code = 'TP_HOST_TIMEOUT'] = BUDGETS[name] ?? [];
    const leftMs = card && Math.max(0, card.deadlineMs - this.#ports.nowMs()) + DEADLINE_SLACK_MS;
    this.#budget(leftMs ?? ms, code.replace('TP_', 'ERR_'));
  }

  #end(raw: string, detail = raw): void {
    const code = paymentCodeOf(raw);
    const error = paymentError(code, 'no', detail);
    this.#resolved({ ...this.#state, name: error.state, error }, null);
  }

  #resolved(state: PaymentState, balance: CardBalance | null): void {
    if (this.#isOver) return;
    this.#budget(null);
    this.#state = state;
    this.#tell({ isRunning: false, canCancel: false, isCancelling: false, card: null });
    this.#isOver = true;
    this.#ports.transport.close();
    this.#resolve({ ...this.#state, balance });
  }
}

function realPorts(gatewayUrl: string): BalancePorts {
  return {
    transport: new ChosenTransport(gatewayUrl),
    newSession: () => crypto.randomUUID(),
    nowMs: () => Date.now(),
    after: afterMs,
  };
}
