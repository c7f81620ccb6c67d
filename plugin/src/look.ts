/**
 * What a page learns of a card without a payment: the person says yes in the agent's window,
 * presents a card, and the page is told. Nothing is charged, whatever comes of it.
 */
import type { AgentMessage, AgentState, PageMessage } from '@tapnpay/protocol/wire';
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
  type StateName,
  stateOfAgent,
} from './states.ts';
import type { Transport, TransportEvent } from './transport.ts';

/** What is looked for. */
export type LookKind<Value> = {
  /** The page's intent. */
  readonly ask: (session: string) => PageMessage;
  /** What an answer of the agent tells; null: it is no end of this look. */
  readonly read: (
    message: AgentMessage,
  ) => { readonly value: Value | null; readonly reason: string | null } | null;
  /** The state of a look that found it. */
  readonly found: StateName;
};

/** How a look ended: with what was found, or the state whose `error` says why not. */
export type LookEnd<Value> = { readonly state: PaymentState; readonly value: Value | null };

export type LookOptions = PayOptions & {
  readonly gatewayUrl: string;
  readonly agentUrl: string;
};
/** What it takes of its surroundings; tests give their own. */
export type LookPorts = {
  readonly transport: Transport;
  newSession(): string;
  nowMs(): number;
  after(ms: number, call: () => void): () => void;
};

/** Looks once; never rejects. */
export function look<Value>(
  kind: LookKind<Value>,
  options: LookOptions,
  ports: LookPorts = realPorts(options.gatewayUrl),
): Promise<LookEnd<Value>> {
  return new Promise((resolve) => new Look(kind, { options, ports, resolve }).start());
}

class Look<Value> {
  readonly #kind: LookKind<Value>;
  readonly #options: LookOptions;
  readonly #ports: LookPorts;
  readonly #resolve: (end: LookEnd<Value>) => void;
  readonly #session: string;
  #state: PaymentState;
  #isAsked = false;
  #isOver = false;
  #stopTimer: () => void = () => {};

  constructor(
    kind: LookKind<Value>,
    {
      options,
      ports,
      resolve,
    }: {
      readonly options: LookOptions;
      readonly ports: LookPorts;
      readonly resolve: (end: LookEnd<Value>) => void;
    },
  ) {
    this.#kind = kind;
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
    this.#ports.transport.send(this.#kind.ask(this.#session));
    this.#budget(CHANNEL_MS, 'ERR_AGENT_TIMEOUT');
  }

  #onAgent(message: AgentMessage): void {
    if (!('session' in message) || message.session !== this.#session) return;
    if (message.type === 'state') this.#onState(message.state);
    else if (message.type === 'failed') this.#end(message.error.code);
    else {
      const read = this.#kind.read(message);
      if (read === null) return;
      const { value, reason } = read;
      if (value === null) this.#end(reason ?? '');
      else this.#resolved({ ...this.#state, name: this.#kind.found, error: null }, value);
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

  #resolved(state: PaymentState, value: Value | null): void {
    if (this.#isOver) return;
    this.#budget(null);
    this.#state = state;
    this.#tell({ isRunning: false, canCancel: false, isCancelling: false, card: null });
    this.#isOver = true;
    this.#ports.transport.close();
    this.#resolve({ state: this.#state, value });
  }
}

function realPorts(gatewayUrl: string): LookPorts {
  return {
    transport: new ChosenTransport(gatewayUrl),
    newSession: () => crypto.randomUUID(),
    nowMs: () => Date.now(),
    after: afterMs,
  };
}
