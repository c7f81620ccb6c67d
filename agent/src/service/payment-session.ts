/** Carries out one payment: what the element asks becomes events, effects become answers. */
import { type Clock, type ErrorBody, errorBody, type TapError } from '@tapnpay/protocol/bytes';
import type { CardChannel } from '@tapnpay/protocol/iso7816';
import type {
  AgentMessage,
  CardInterface,
  ElementPayResult,
  PageMessage,
  WindowPayment,
} from '@tapnpay/protocol/wire';
import type { PresentedCard } from '../payment.ts';
import type { Relay, RelayListener } from '../record-relay.ts';
import { cardRemoved } from '../virtual-cards.ts';
import type { PayingElement } from './element-keeper.ts';
import { ServiceError, type ServiceErrorCode } from './errors.ts';
import { type AgentLog, apduEvent, hopEvent } from './events.ts';
import { PageRelay } from './page-relay.ts';
import {
  newSession,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
  type SessionTimer,
  stepSession,
} from './session-machine.ts';

/** A connected page. */
export type PageLink = {
  readonly origin: string;
  readonly send: (message: AgentMessage) => void;
};

/** How a payment ended, for the window. */
export type SessionEnd = {
  readonly outcome: ElementPayResult['outcome'] | 'failed';
  readonly reason: string | null;
};

export type SessionPorts = {
  readonly element: PayingElement;
  readonly serverName: string;
  readonly clock: Clock;
  readonly log: AgentLog;
  readonly isReaderOccupied: () => boolean;
  readonly onChange: () => void;
};

/** A card at a reader, offered to a payment. */
export type OfferedToPayment = {
  readonly interface: CardInterface;
  readonly channel: CardChannel;
  /** Name of the real reader; null: the virtual one. */
  readonly reader: string | null;
  /** Nothing more is asked of it; called again it does nothing. */
  readonly release: () => void;
};

type Pending<T> = {
  readonly resolve: (value: T) => void;
  readonly reject: (fault: TapError) => void;
};
/** Frames of a page that belong to one payment. */
export type SessionFrame = Extract<PageMessage, { session: string }>;

const MESSAGES: Readonly<Partial<Record<ServiceErrorCode, string>>> = {
  ERR_USER_CANCELLED: 'the payment was cancelled',
  ERR_USER_TIMEOUT: 'nobody confirmed the payment in time',
  ERR_CARD_TIMEOUT: 'no card was presented in time',
  ERR_CARD_REMOVED: 'the card was removed',
  ERR_PIN_TIMEOUT: 'no PIN was entered in time',
};

/** One payment, from a page's intent to its result. */
export class PaymentSession {
  readonly session: string;
  readonly orderId: string;
  readonly page: PageLink;
  readonly #ports: SessionPorts;
  readonly #timers: Map<SessionTimer, () => void> = new Map();
  readonly #events: SessionEvent[] = [];
  #state: SessionState;
  #isStepping = false;
  #isPageLost = false;
  #isCut = false;
  #relay: PageRelay | null = null;
  #card: Pending<PresentedCard> | null = null;
  #pin: Pending<string> | null = null;
  #isCardBroken = false;
  #offered: OfferedToPayment | null = null;
  /** The card that the payment has taken. */
  #taken: OfferedToPayment | null = null;

  constructor(facts: {
    readonly session: string;
    readonly orderId: string;
    readonly page: PageLink;
    readonly ports: SessionPorts;
  }) {
    this.session = facts.session;
    this.orderId = facts.orderId;
    this.page = facts.page;
    this.#ports = facts.ports;
    this.#state = newSession({ isReaderOccupied: facts.ports.isReaderOccupied() });
  }

  /** The payment's state, for the desk's checks. */
  get state(): SessionState {
    return this.#state;
  }

  /** For the agent's window. */
  view(): WindowPayment {
    const { shown: state, request, pinKeySpki } = this.#state;
    const order = request && {
      amountMinor: request.amountMinor,
      currency: request.currency,
      merchantName: request.merchantName,
      origin: request.origin,
    };
    const { session } = this;
    return { session, order, gatewayOrigin: this.page.origin, state, request, pinKeySpki };
  }

  /** Runs to the end and tells the page; never rejects. */
  async run(): Promise<SessionEnd> {
    const { session } = this;
    this.#tell({ type: 'state', session, state: this.#state.shown });
    let end: SessionEnd;
    try {
      const result = this.#told(await this.#pay());
      this.#tell({ type: 'result', session, result });
      end = { outcome: result.outcome, reason: result.reason };
    } catch (fault) {
      const error = this.#failure(fault);
      this.#tell({ type: 'failed', session, error, sent: this.#state.sealed });
      end = { outcome: 'failed', reason: error.code };
    }
    for (const stop of this.#timers.values()) stop();
    this.#timers.clear();
    this.#isCardBroken = true;
    this.#taken?.release();
    const { orderId } = this;
    this.#ports.log({
      event: 'paymentEnded',
      ...end,
      sent: this.#state.sealed,
      references: [orderId],
    });
    return end;
  }

  /** A frame of this payment's page. */
  onFrame(frame: SessionFrame): void {
    switch (frame.type) {
      case 'channelOpened':
        this.#relay?.onOpened();
        break;
      case 'channelData':
        this.#relay?.onData(frame.base64);
        break;
      case 'channelClosed':
        this.#relay?.onClosed();
        break;
      case 'cancel':
        this.apply({ type: 'cancel' });
        break;
      case 'pay':
        break;
    }
  }

  /** The page is gone: no record can pass any more; before the seal the payment ends. */
  onPageLost(): void {
    this.#isPageLost = true;
    this.apply({ type: 'pageLost' });
    this.#cut();
  }

  /** A card has come; it is this payment's when the machine says so. */
  onPresented(card: OfferedToPayment): void {
    this.#offered = card;
    this.apply({ type: 'presented', interface: card.interface });
  }

  /** A card has left this reader; null: the virtual one. */
  onCardGone(reader: string | null): void {
    if (this.#taken?.reader === reader) this.apply({ type: 'cardLost' });
  }

  /** Takes events one after the other, those of its own effects included. */
  apply(event: SessionEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    for (let next = this.#events.shift(); next; next = this.#events.shift()) this.#step(next);
    this.#isStepping = false;
    this.#ports.onChange();
  }

  #step(event: SessionEvent): void {
    const before = this.#state;
    const { state, effects } = stepSession(before, event, this.#ports.clock.nowMs());
    this.#state = state;
    const { session } = this;
    // Told before its effects: what comes of them is told after it.
    if (state.shown !== before.shown) this.#tell({ type: 'state', session, state: state.shown });
    for (const effect of effects) this.#perform(effect);
  }

  #pay(): Promise<ElementPayResult> {
    const { element, serverName, clock, log } = this.#ports;
    const { orderId } = this;
    return element.pay({
      orderId,
      serverName,
      clock,
      openRelay: (listener) => this.#openRelay(listener),
      presentCard: (request) => {
        const presented = this.#ask<PresentedCard>((pending) => {
          this.#card = pending;
        });
        this.apply({ type: 'cardAsked', request });
        return presented;
      },
      enterPin: ({ publicKeySpki }) => {
        const entered = this.#ask<string>((pending) => {
          this.#pin = pending;
        });
        this.apply({ type: 'pinAsked', publicKeySpki });
        return entered;
      },
      onCardDone: () => this.apply({ type: 'cardDone' }),
      onHop: (record) => {
        log(hopEvent(record, orderId));
        this.apply({ type: 'hop', name: record.name });
      },
      onApdu: (apdu) => {
        const { sealed } = this.#state;
        log(apduEvent({ apdu, orderId, atMs: clock.nowMs(), sealed }));
      },
    });
  }

  #ask<T>(keep: (pending: Pending<T>) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => keep({ resolve, reject }));
  }

  #openRelay(listener: RelayListener): Relay {
    this.#relay?.destroy();
    const { session } = this;
    const relay = new PageRelay(listener, (message) => this.#tell({ ...message, session }));
    this.#relay = relay;
    // The listener hears nothing before it has its relay.
    if (this.#isCut) queueMicrotask(() => relay.cut());
    return relay;
  }

  #perform(effect: SessionEffect): void {
    switch (effect.type) {
      case 'startTimer':
        this.#startTimer(effect.timer, effect.delayMs);
        break;
      case 'stopTimer':
        this.#stopTimer(effect.timer);
        break;
      case 'giveCard':
        this.#giveCard();
        break;
      case 'refuseCard':
        this.#card?.reject(refusal(effect.code));
        this.#card = null;
        break;
      case 'givePin':
        this.#pin?.resolve(effect.sealedPin);
        this.#pin = null;
        break;
      case 'refusePin':
        this.#pin?.reject(refusal(effect.code));
        this.#pin = null;
        break;
      case 'breakCard':
        this.#isCardBroken = true;
        break;
      case 'cutChannel':
        this.#cut();
        break;
      case 'releaseCard':
        this.#taken?.release();
        break;
    }
  }

  #giveCard(): void {
    const card = this.#offered;
    if (card === null) return;
    this.#taken = card;
    const guarded: CardChannel = {
      transmit: async (command) => {
        if (this.#isCardBroken) throw cardRemoved();
        return await card.channel.transmit(command);
      },
    };
    this.#card?.resolve({ interface: card.interface, card: guarded });
    this.#card = null;
  }

  #cut(): void {
    this.#isCut = true;
    this.#relay?.cut();
  }

  #startTimer(timer: SessionTimer, delayMs: number): void {
    this.#stopTimer(timer);
    const stop = this.#ports.clock.startTimer(delayMs, () => {
      this.#timers.delete(timer);
      this.apply({ type: 'timeout', timer });
    });
    this.#timers.set(timer, stop);
  }

  #stopTimer(timer: SessionTimer): void {
    this.#timers.get(timer)?.();
    this.#timers.delete(timer);
  }

  #tell(message: AgentMessage): void {
    if (!this.#isPageLost) this.page.send(message);
  }

  /** The element knows that nothing was charged, the agent knows why. */
  #told(result: ElementPayResult): ElementPayResult {
    const { abortedBy } = this.#state;
    if (abortedBy === null || result.outcome !== 'cancelled') return result;
    return { ...result, reason: abortedBy };
  }

  #failure(fault: unknown): ErrorBody {
    const { abortedBy, sealed } = this.#state;
    if (abortedBy !== null && !sealed) return errorBody(refusal(abortedBy));
    return errorBody(fault);
  }
}

function refusal(code: ServiceErrorCode): ServiceError {
  return new ServiceError(code, MESSAGES[code] ?? 'the payment was ended');
}
