/**
 * One session of a page at the desk: its states, its timers, its card and PIN. What it is for is
 * its work's: what the work asks becomes events of the machine, effects become answers.
 */
import { type Clock, type ErrorBody, errorBody, type TapError } from '@tapnpay/protocol/bytes';
import type { CardChannel } from '@tapnpay/protocol/iso7816';
import type {
  AgentMessage,
  CardInterface,
  PageMessage,
  ShownOrder,
  WindowPayment,
  WindowView,
} from '@tapnpay/protocol/wire';
import type { PresentedCard } from '../payment.ts';
import { cardRemoved } from '../virtual-cards.ts';
import { ServiceError, type ServiceErrorCode } from './errors.ts';
import type { AgentLog } from './events.ts';
import {
  isLook,
  newSession,
  type SessionEffect,
  type SessionEvent,
  type SessionRequest,
  type SessionState,
  type SessionTimer,
  stepSession,
} from './session-machine.ts';

/** A connected page. */
export type PageLink = {
  readonly origin: string;
  /** Its sessions are confirmed in a window of its own; else in any of ours. */
  readonly hasOwnWindow: boolean;
  readonly send: (message: AgentMessage) => void;
};

/** How a session ended, for the window. */
export type SessionEnd = Omit<NonNullable<WindowView['last']>, 'session'>;

/** Frames of a page that belong to one session. */
export type SessionFrame = Extract<PageMessage, { session: string }>;

/** How a session ends that came to nothing, and what the log calls its end. */
const FAILURES = { pay: 'failed', balance: 'notRead', token: 'notMade' } as const;
const END_EVENTS = { pay: 'paymentEnded', balance: 'balanceEnded', token: 'tokenEnded' } as const;

/** What is done in a session. */
export type SessionWork = {
  readonly intent: WindowPayment['intent'];
  /** What a card is to sign for a token. */
  readonly wish?: WindowPayment['wish'];
  /** Null: no order is paid. */
  readonly orderId: string | null;
  /**
   * Does it, and tells the page what came of it. What it throws the page is told as `failed`, what
   * it asks for is refused once the session was ended.
   */
  readonly run: (session: DeskSession) => Promise<SessionEnd>;
  readonly onFrame: (frame: SessionFrame, session: DeskSession) => void;
  /** Nothing more may leave towards the gateway. */
  readonly cut: () => void;
};

export type SessionPorts = {
  readonly clock: Clock;
  readonly log: AgentLog;
  readonly isReaderOccupied: () => boolean;
  /** Why no card can be taken now, by code; null: nobody presents one. */
  readonly cardTrouble: () => string | null;
  readonly onChange: () => void;
};

/** A card at a reader, offered to a session. */
export type OfferedCard = {
  readonly interface: CardInterface;
  readonly channel: CardChannel;
  /** Name of the real reader; null: the virtual one. */
  readonly reader: string | null;
  /** As the wallet shows it; a real card tells its number only in a payment: null. */
  readonly panMasked: string | null;
  /** Nothing more is asked of it; called again it does nothing. */
  readonly release: () => void;
};

/** A card that the session has taken. */
export type TakenCard = PresentedCard & Pick<OfferedCard, 'panMasked'>;

type Pending<T> = {
  readonly resolve: (value: T) => void;
  readonly reject: (fault: TapError) => void;
};

const MESSAGES: Readonly<Partial<Record<ServiceErrorCode, string>>> = {
  ERR_USER_CANCELLED: 'it was cancelled',
  ERR_USER_TIMEOUT: 'nobody confirmed it in time',
  ERR_CARD_TIMEOUT: 'no card was presented in time',
  ERR_CARD_REMOVED: 'the card was removed',
  ERR_PIN_TIMEOUT: 'no PIN was entered in time',
};

/** One session, from a page's intent to its result. */
export class DeskSession {
  readonly session: string;
  readonly page: PageLink;
  /** Unix time in milliseconds. */
  readonly sinceMs: number;
  readonly #work: SessionWork;
  readonly #ports: SessionPorts;
  readonly #timers: Map<SessionTimer, () => void> = new Map();
  readonly #events: SessionEvent[] = [];
  #state: SessionState;
  #isStepping = false;
  #isPageLost = false;
  #card: Pending<TakenCard> | null = null;
  #pin: Pending<string> | null = null;
  #isCardBroken = false;
  #offered: OfferedCard | null = null;
  /** The card that the session has taken. */
  #taken: OfferedCard | null = null;

  constructor(facts: {
    readonly session: string;
    readonly page: PageLink;
    readonly work: SessionWork;
    readonly ports: SessionPorts;
  }) {
    this.session = facts.session;
    this.page = facts.page;
    this.sinceMs = facts.ports.clock.nowMs();
    this.#work = facts.work;
    this.#ports = facts.ports;
    this.#state = newSession({ isReaderOccupied: facts.ports.isReaderOccupied() });
  }

  /** Null: no order is paid. */
  get orderId(): string | null {
    return this.#work.orderId;
  }

  /** For the checks of the desk and the work. */
  get state(): SessionState {
    return this.#state;
  }

  /** For the agent's window. */
  view(): WindowPayment {
    const { shown: state, request: asked, pinKeySpki } = this.#state;
    const request = asked === null || isLook(asked) ? null : asked;
    const { session, page } = this;
    const { intent, wish = null } = this.#work;
    const order = request && orderOf(request);
    const asks = { intent, wish, order, request };
    return { session, ...asks, gatewayOrigin: page.origin, state, pinKeySpki };
  }

  /** Runs to the end and tells the page; never rejects. */
  async run(): Promise<SessionEnd> {
    const { session } = this;
    this.tell({ type: 'state', session, state: this.#state.shown });
    let end: SessionEnd;
    try {
      end = await this.#work.run(this);
    } catch (fault) {
      const error = this.#failure(fault);
      this.tell({ type: 'failed', session, error, sent: this.#state.sealed });
      end = { outcome: FAILURES[this.#work.intent], reason: error.code };
    }
    for (const stop of this.#timers.values()) stop();
    this.#timers.clear();
    this.#isCardBroken = true;
    this.#taken?.release();
    const { intent, orderId } = this.#work;
    const references = orderId === null ? [] : [orderId];
    const event = END_EVENTS[intent];
    this.#ports.log({ event, ...end, sent: this.#state.sealed, references });
    return end;
  }

  /** A frame of this session's page. */
  onFrame(frame: SessionFrame): void {
    if (frame.type === 'cancel') this.apply({ type: 'cancel' });
    else this.#work.onFrame(frame, this);
  }

  /** The page is gone: no record can pass any more; before the seal the session ends. */
  onPageLost(): void {
    this.#isPageLost = true;
    this.apply({ type: 'pageLost' });
    this.#work.cut();
  }

  /** A card has come; it is this session's when the machine says so. */
  onPresented(card: OfferedCard): void {
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

  /** To the page, unless it is gone. */
  tell(message: AgentMessage): void {
    if (!this.#isPageLost) this.page.send(message);
  }

  /** For the work: a person's yes, if it was not given, and a fresh card. @throws ServiceError. */
  presentCard(request: SessionRequest): Promise<TakenCard> {
    return new Promise((resolve, reject) => {
      this.#card = { resolve, reject };
      this.apply({ type: 'cardAsked', request });
    });
  }

  /** For the work: a PIN sealed to this key. @throws ServiceError. */
  enterPin(publicKeySpki: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#pin = { resolve, reject };
      this.apply({ type: 'pinAsked', publicKeySpki });
    });
  }

  #step(event: SessionEvent): void {
    const before = this.#state;
    const { state, effects } = stepSession(before, event, this.#ports.clock.nowMs());
    this.#state = state;
    const { session } = this;
    // Told before its effects: what comes of them is told after it.
    if (state.shown !== before.shown) this.tell({ type: 'state', session, state: state.shown });
    for (const effect of effects) this.#perform(effect);
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
        this.#work.cut();
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
    const { panMasked } = card;
    this.#card?.resolve({ interface: card.interface, card: guarded, panMasked });
    this.#card = null;
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

  /** Why the agent ended it; null: it did not. A card that was there and could not pay is told. */
  get endedBy(): string | null {
    const { abortedBy } = this.#state;
    if (abortedBy !== 'ERR_CARD_TIMEOUT') return abortedBy;
    return this.#ports.cardTrouble() ?? abortedBy;
  }

  #failure(fault: unknown): ErrorBody {
    const { abortedBy, sealed } = this.#state;
    if (abortedBy !== null && !sealed) return errorBody(refusal(abortedBy));
    return errorBody(fault);
  }
}

function orderOf({ kind, amountMinor, currency, merchantName, origin }: ShownOrder): ShownOrder {
  return { kind, amountMinor, currency, merchantName, origin };
}

function refusal(code: ServiceErrorCode): ServiceError {
  return new ServiceError(code, MESSAGES[code] ?? 'it was ended');
}
