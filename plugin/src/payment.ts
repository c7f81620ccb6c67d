/**
 * A payment of one order on a page. The agent moves the page along; only the gateway says how a
 * payment ended, and nothing is "not charged" once the sealed payment may have left.
 */
import type { AgentMessage, AgentState, PageMessage, PayOrderView } from '@tapnpay/protocol/wire';
import {
  type Charged,
  meaningOf,
  type PaymentCode,
  paymentCodeOf,
  paymentError,
} from './errors.ts';
import { type GatewayChannel, GatewayFault } from './gateway.ts';
import {
  BLANK,
  browserPorts,
  type Payment,
  type PaymentPorts,
  type PaymentState,
  type View,
} from './model.ts';
import { type End, type Ending, endingOf, endOf, endOfAttempt, resultEnding } from './settle.ts';
import {
  AFTER_CARD,
  AGENT_END_MS,
  AUTHORISING_SLOW_MS,
  BUDGETS,
  CHANNEL_MS,
  DEADLINE_SLACK_MS,
  EXPIRY_SLACK_MS,
  needStateOf,
  OPEN_GRACE_MS,
  POLL_MS,
  type StateName,
  stateOfAgent,
} from './states.ts';
import type { Transport, TransportEvent } from './transport.ts';

type Parts = {
  readonly orderId: string;
  readonly transport: Transport;
  readonly on: (state: PaymentState) => void;
  readonly ports: PaymentPorts;
};
type TimerName = 'budget' | 'slow' | 'poll' | 'expiry';
type Told<Type extends AgentMessage['type']> = Extract<AgentMessage, { type: Type }>;

/** A payment of `orderId`; it looks the order up at once. `on` hears every change. */
export function createPayment(options: {
  readonly orderId: string;
  readonly gatewayUrl: string;
  readonly transport: Transport;
  readonly on: (state: PaymentState) => void;
  readonly ports?: PaymentPorts;
}): Payment {
  return new Driver({ ...options, ports: options.ports ?? browserPorts(options.gatewayUrl) });
}

class Driver implements Payment {
  readonly #orderId: string;
  readonly #transport: Transport;
  readonly #ports: PaymentPorts;
  readonly #on: Parts['on'];
  readonly #timers: Map<TimerName, () => void> = new Map();
  #view: View = { ...BLANK, name: 'CHECKING', order: null };
  #channel: GatewayChannel | null = null;
  /** Questions to the gateway: the newest one counts. */
  #loads = 0;
  #isStopped = false;
  /** Nothing runs, and something is missing that the transport waits for. */
  #isWaiting = false;
  /** The running attempt, or null. */
  #session: string | null = null;
  /** The agent was given the intent. */
  #isAsked = false;
  /** The sealed payment may have left this page. */
  #isSealed: boolean;
  /** The order's last payment before this attempt. */
  #before: string | null;
  /** How the attempt ended as far as we know; waits for the gateway's word. */
  #ending: Ending | null = null;
  #isChannelLost = false;
  #polls = 0;
  /** Since when the gateway says "open" of an order whose sealed payment left us. */
  #openSinceMs: number | null = null;

  constructor({ orderId, transport, ports, on }: Parts) {
    this.#orderId = orderId;
    this.#transport = transport;
    this.#ports = ports;
    this.#on = on;
    const sealed = ports.readSealed(orderId);
    this.#isSealed = sealed !== null;
    this.#before = sealed?.before ?? null;
    transport.onMessage((event) => {
      if (!this.#isStopped) this.#onTransport(event);
    });
    const { fault } = ports;
    if (fault === null) {
      this.#show({});
      this.#load();
    } else this.#fail('INTERRUPTED', paymentCodeOf(fault), 'unknown', fault);
  }

  get state(): PaymentState {
    const { name, order, error, isCancelling } = this.#view;
    const isRunning = this.#session !== null;
    const isOpen = order?.status === 'open' && name !== 'UNKNOWN';
    const isUnsure = name === 'UNKNOWN' || this.#isSealed;
    const charged = name === 'APPROVED' ? 'yes' : isUnsure ? 'unknown' : 'no';
    return {
      ...this.#view,
      charged: order === null ? (error?.charged ?? 'unknown') : charged,
      isRunning,
      canStart: !isRunning && isOpen && !this.#isWaiting,
      canCancel: !isCancelling && (isRunning ? !this.#isSealed && this.#ending === null : isOpen),
      plugin: this.#transport.facts,
    };
  }

  start(): void {
    const { order } = this.#view;
    if (!this.state.canStart || order === null) return;
    this.#forget();
    this.#session = this.#ports.newSession();
    this.#before = order.payment?.paymentId ?? null;
    this.#after('poll', null);
    this.#show({ ...BLANK, name: 'CONNECTING' });
    this.#transport.open(order.agentUrl);
  }

  cancel(): void {
    if (!this.state.canCancel) return;
    this.#show({ isCancelling: true });
    if (this.#session === null) {
      this.#load(
        () => this.#ports.gateway.cancel(this.#orderId),
        () => this.#load(),
      );
    } else if (this.#isAsked) {
      this.#tell('cancel');
      this.#after('budget', AGENT_END_MS, () => this.#outOfBudget());
    } else this.#end(endingOf('ERR_USER_CANCELLED', { isCertain: true }));
  }

  show(): void {
    this.#transport.show();
  }

  refresh(): void {
    if (this.#session === null && this.#view.name !== 'UNKNOWN') this.#load();
  }

  stop(): void {
    this.#isStopped = true;
    for (const stopTimer of this.#timers.values()) stopTimer();
    this.#channel?.close();
    this.#transport.close();
  }

  #show(change: Partial<View>): void {
    this.#view = { ...this.#view, ...change };
    this.#on(this.state);
  }

  #fail(name: StateName, code: PaymentCode, charged: Charged, detail: string): void {
    this.#show({ name, error: paymentError(code, charged, detail) });
  }

  /** Nothing runs any more. */
  #forget(): void {
    this.#session = null;
    this.#isAsked = false;
    this.#isSealed = false;
    this.#ending = null;
    this.#isChannelLost = false;
    this.#isWaiting = false;
    this.#polls = 0;
    this.#openSinceMs = null;
  }

  /** Starts a timer anew, or stops it. */
  #after(name: TimerName, ms: number | null, call?: () => void): void {
    this.#timers.get(name)?.();
    this.#timers.delete(name);
    if (ms === null) return;
    const due = (): void => {
      this.#timers.delete(name);
      call?.();
    };
    this.#timers.set(name, this.#ports.after(ms, due));
  }

  #budget(ms: number | null): void {
    this.#after('budget', ms, () => this.#outOfBudget());
  }

  /** An older answer may be from before what it is asked about. */
  #load(
    ask = (): Promise<PayOrderView> => this.#ports.gateway.order(this.#orderId),
    onFault = (fault: unknown): void => this.#orderFailed(fault),
  ): void {
    this.#loads += 1;
    const load = this.#loads;
    const unlessStale =
      <Value>(act: (value: Value) => void) =>
      (value: Value): void => {
        if (load === this.#loads && !this.#isStopped) act(value);
      };
    ask().then(
      unlessStale((view) => this.#orderLoaded(view)),
      unlessStale(onFault),
    );
  }

  #orderLoaded(view: PayOrderView): void {
    const { order, name } = this.#view;
    const isRunning = this.#session !== null && this.#ending === null;
    // A look after an end that nobody changed keeps the page as it is.
    const isSame = order?.payment?.paymentId === view.payment?.paymentId && view.status === 'open';
    const isAtEnd = this.#session === null && !this.#isSealed && order !== null;
    const change = { order: view, isCancelling: isRunning && this.#view.isCancelling };
    if ((isRunning || (isAtEnd && isSame)) && name !== 'UNKNOWN') this.#show(change);
    else {
      this.#view = { ...this.#view, ...change };
      this.#settle(view);
    }
  }

  #orderFailed(fault: unknown): void {
    const detail = String(fault);
    if (this.#view.order === null) {
      const code = paymentCodeOf(fault instanceof GatewayFault ? fault.code : 'ERR_NETWORK');
      // What was sealed in this tab is not undone by a gateway that does not find it now.
      if (code === 'TP_BAD_ARGUMENT' && !this.#isSealed) {
        this.#fail('INTERRUPTED', code, 'no', detail);
        return;
      }
      this.#fail('CHECKING', 'TP_NETWORK', 'unknown', detail);
      this.#poll();
    } else if (this.#ending !== null && !this.#isSealed) this.#finish(endOfAttempt(this.#ending));
    else if (this.#isSealed || this.#view.name === 'UNKNOWN') this.#stayUnknown();
    else this.#poll();
  }

  /** Moves the page to what the order's view says. */
  #settle(order: PayOrderView): void {
    const attempt = { before: this.#before, ending: this.#ending, isSealed: this.#isSealed };
    const end = endOf(order, attempt);
    if (end === 'unknown') this.#stayUnknown();
    else if (end === 'unsure') this.#waitForOpen();
    else this.#finish(end);
  }

  /** The sealed payment may still be on its way in: "open" counts when it has stayed so. */
  #waitForOpen(): void {
    const nowMs = this.#ports.nowMs();
    this.#openSinceMs ??= nowMs;
    if (nowMs - this.#openSinceMs >= OPEN_GRACE_MS) {
      this.#finish(endOfAttempt(this.#ending));
      return;
    }
    // Nothing more may pass, or the wait would prove nothing.
    this.#closeChannel();
    this.#transport.close();
    this.#stayUnknown();
  }

  /** Nobody knows yet: asks again. */
  #stayUnknown(): void {
    const detail = this.#ending?.detail ?? this.#view.order?.payment?.reason ?? '';
    this.#budget(null);
    this.#fail('UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown', detail);
    this.#poll();
  }

  /** The next question to the gateway, each after a longer pause. */
  #poll(): void {
    const ms = POLL_MS[Math.min(this.#polls, POLL_MS.length - 1)] ?? null;
    this.#polls += 1;
    this.#after('poll', ms, () => this.#load());
  }

  /** The end of an attempt, or of the first look at the order. */
  #finish({ name, code, detail = '' }: End): void {
    const { order, interface: by } = this.#view;
    this.#forget();
    this.#closeChannel();
    this.#transport.close();
    this.#ports.keepSealed(this.#orderId, null);
    for (const each of ['budget', 'slow', 'poll', 'expiry'] as const) this.#after(each, null);
    const error = code === undefined ? null : paymentError(code, 'no', detail);
    this.#show({ ...BLANK, name, interface: by, error });
    if (order?.status !== 'open') return;
    const leftMs = Math.max(0, order.expiresAtMs - order.nowMs) + EXPIRY_SLACK_MS;
    this.#after('expiry', leftMs, () => this.refresh());
    // The agent is looked for before the click; an extension that went may come back.
    if (name === 'READY' || name === 'NEED_EXTENSION') this.#transport.look(order.agentUrl);
  }

  #closeChannel(): void {
    this.#channel?.close();
    this.#channel = null;
  }

  #tell(type: 'cancel' | 'channelOpened' | 'channelClosed'): void {
    if (this.#session !== null) this.#transport.send({ type, session: this.#session });
  }

  #onTransport(event: TransportEvent): void {
    if (event.kind === 'message') {
      const { message } = event;
      // A message of another payment is none of ours.
      const isOurs = 'session' in message && message.session === this.#session;
      if (isOurs) this.#onAgent(message);
    } else if (event.kind === 'lost') this.#onLost(event.code, event.detail);
    else if (this.#ending === null) this.#onWay(event);
  }

  /** News of the way to the agent, before a payment and at its start. */
  #onWay(event: Exclude<TransportEvent, { kind: 'message' | 'lost' }>): void {
    const { name, error, order } = this.#view;
    const isRunning = this.#session !== null;
    if (!isRunning && name !== 'READY' && !this.#isWaiting && name !== 'NEED_EXTENSION') return;
    if (event.kind === 'missing') {
      const code = paymentCodeOf(event.code);
      const isNews = error?.code !== code || error.detail !== event.detail;
      this.#isWaiting = !isRunning;
      this.#budget(null);
      if (isNews) this.#fail(needStateOf(meaningOf(code).state), code, 'no', event.detail);
    } else if (event.kind === 'pairing') {
      this.#budget(null);
      this.#show({ name: 'NEED_PAIRING', error: null });
    } else if (event.kind === 'blocked') this.#show({ isBlocked: true });
    else if (!isRunning) {
      this.#isWaiting = false;
      this.#show({ name: 'READY', error: null });
    } else if (!this.#isAsked && order !== null) {
      this.#isAsked = true;
      if (event.isInstalling) this.#fail('APP_NOT_READY', 'TP_APP_NOT_INSTALLED', 'no', '');
      else this.#show({ name: 'CONNECTING', error: null });
      this.#send({ type: 'pay', session: this.#session ?? '', orderId: order.orderId });
      this.#budget(BUDGETS[this.#view.name]?.[0] ?? null);
    }
  }

  /** Without the agent nothing more can leave this page, and nothing more will be heard. */
  #onLost(code: string, detail: string): void {
    if (this.#session === null) return;
    if (this.#ending !== null) this.#closeChannel();
    else this.#end({ ...endingOf(code, { isCertain: false }), detail: `${code} ${detail}` });
  }

  #send(message: PageMessage): void {
    this.#transport.send(message);
  }

  #onAgent(message: AgentMessage): void {
    switch (message.type) {
      case 'state':
        this.#onAgentState(message.state);
        break;
      case 'openChannel':
        if (this.#ending === null) this.#openChannel();
        break;
      case 'channelData':
        this.#onRecords(message);
        break;
      case 'channelEnd':
        this.#closeChannel();
        break;
      case 'result':
        this.#endTold(resultEnding(message.result));
        break;
      case 'failed':
        this.#onFailed(message);
        break;
    }
  }

  #openChannel(): void {
    this.#closeChannel();
    if (this.#view.name === 'APP_NOT_READY') this.#show({ name: 'CONNECTING', error: null });
    this.#channel = this.#ports.gateway.openChannel({
      opened: () => this.#tell('channelOpened'),
      received: (base64) => {
        const session = this.#session;
        if (session !== null) this.#send({ type: 'channelData', session, base64 });
      },
      closed: () => this.#channelClosed(),
    });
    this.#budget(CHANNEL_MS);
  }

  /**
   * Between handshake and seal the application says nothing: what it sends after a card was read
   * may be the sealed payment, also if the agent dies before it says so.
   */
  #onRecords({ base64 }: Told<'channelData'>): void {
    // An attempt that ended before its seal has no channel any more.
    if (this.#ending !== null && !this.#isSealed) return;
    if (AFTER_CARD.includes(this.#view.name) && !this.#isSealed) {
      this.#seal();
      this.#show({});
    }
    this.#channel?.send(base64);
  }

  #onFailed({ error, sent }: Told<'failed'>): void {
    const holder = error.data['gatewayOrigin'];
    const ending = endingOf(error.code, { isCertain: !sent });
    this.#endTold({ ...ending, detail: String(holder ?? error.code) });
  }

  #seal(): void {
    if (this.#isSealed) return;
    this.#isSealed = true;
    this.#ports.keepSealed(this.#orderId, { before: this.#before });
  }

  #onAgentState(state: AgentState): void {
    const name = stateOfAgent(state);
    if (this.#ending !== null || this.#view.name === 'UNKNOWN' || name === null) return;
    // An application that is being installed has its own time; the channel comes after it.
    if (name === 'CONNECTING' && this.#view.name === 'APP_NOT_READY') return;
    if (name === 'AUTHORISING') this.#seal();
    const card = state.name === 'waitCard' ? state : null;
    const isCancelling = this.#view.isCancelling && !this.#isSealed;
    // Why a card is asked for again; nothing was charged.
    const reason = card?.reason ?? null;
    this.#show({
      name,
      card,
      pinDeadlineMs: state.name === 'waitPin' ? state.deadlineMs : null,
      interface: 'interface' in state ? state.interface : this.#view.interface,
      error: reason === null ? null : paymentError(paymentCodeOf(reason), 'no', reason),
      isCancelling,
    });
    if (name === 'AUTHORISING') {
      this.#after('slow', AUTHORISING_SLOW_MS, () => this.#show({ isSlow: true }));
    }
    // A cancelled payment has its own budget; taking the card out does not restart the issuer's.
    if (isCancelling || (name === 'REMOVE_CARD' && this.#isSealed)) return;
    const leftMs = 'deadlineMs' in state ? state.deadlineMs - this.#ports.nowMs() : null;
    const ownMs = BUDGETS[name]?.[0] ?? null;
    this.#budget(leftMs === null ? ownMs : Math.max(0, leftMs) + DEADLINE_SLACK_MS);
  }

  /** The gateway's connection broke; the agent has a moment to say how its payment ended. */
  #channelClosed(): void {
    if (this.#session === null || this.#ending !== null) return;
    this.#isChannelLost = true;
    this.#tell('channelClosed');
    this.#budget(AGENT_END_MS);
  }

  #outOfBudget(): void {
    const unsure = { isCertain: false };
    const { isCancelling, name } = this.#view;
    if (this.#session === null || this.#ending !== null) return;
    if (isCancelling) this.#end(endingOf('ERR_USER_CANCELLED', unsure));
    else if (this.#isChannelLost) this.#end(endingOf('ERR_CHANNEL_CLOSED', unsure));
    else if (this.#isSealed) this.#end(endingOf('timeout', unsure));
    else {
      const code = BUDGETS[name]?.[1] ?? 'TP_HOST_TIMEOUT';
      this.#tell('cancel');
      this.#end({ ...endingOf('timeout', unsure), code });
    }
  }

  /** An end in the agent's words; one that it is not sure of may have been sealed. */
  #endTold(ending: Ending): void {
    if (!ending.isCertain) this.#seal();
    // However the agent broke it off: the person wanted it so.
    const isWish = this.#view.isCancelling && ending.isCertain;
    this.#end(isWish ? endingOf('ERR_USER_CANCELLED', { isCertain: true }) : ending);
  }

  /** The attempt is over as far as we know; the gateway is asked what it knows. */
  #end(ending: Ending): void {
    // The first word counts: what follows it is an echo of our own cancel or close.
    const isBetter = this.#ending?.isCertain === false && ending.isCertain;
    this.#ending = isBetter ? ending : (this.#ending ?? ending);
    this.#after('slow', null);
    this.#budget(null);
    if (!this.#isSealed) this.#closeChannel();
    this.#load();
  }
}
