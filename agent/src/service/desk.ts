/**
 * The desk where pages, windows, the reader and the element meet: one session at a time, a payment
 * or a look at a balance, and what every window is shown.
 */
import { type Clock, errorBody } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import type {
  AgentHealth,
  AgentMessage,
  AgentReport,
  CardInterface,
  PageMessage,
  ReaderCommand,
  ReaderView,
  WalletCard,
  WindowError,
  WindowMessage,
  WindowView,
} from '@tapnpay/protocol/wire';
import { AGENT_VERSION } from '@tapnpay/protocol/wire';
import type { PresentedChannel, VirtualCards } from '../virtual-cards.ts';
import { BalanceWork } from './balance-work.ts';
import {
  DeskSession,
  type OfferedCard,
  type PageLink,
  type SessionFrame,
  type SessionWork,
} from './desk-session.ts';
import type { PayingElement } from './element-keeper.ts';
import { ServiceError } from './errors.ts';
import type { AgentLog } from './events.ts';
import type { ReaderAnswer } from './local-agent.ts';
import { PaymentWork } from './payment-work.ts';
import type { InsertedCard, RealReaders } from './real-readers.ts';
import { interfacesTaken } from './session-machine.ts';
import { TokenWork } from './token-work.ts';

/** Sessions remembered, so that none is used twice; the oldest are forgotten. */
const USED_SESSIONS_MAX = 512;
const READER: ReaderView = { name: 'Virtual reader', kind: 'virtual' };
/** What pages are told of each real reader: their own names can hold a serial number. */
const ANY_REAL_READER: ReaderView = { name: 'Card reader', kind: 'pcsc' };
/** A reader service may see a card this late: one that was seen sooner was in before the yes. */
export const READER_LAG_MS = 500;

/** A connected window. */
export type WindowLink = {
  readonly send: (message: WindowView | WindowError) => void;
  /** The page whose sessions it shows, and no others; null: a window of ours, which shows all. */
  readonly page: PageLink | null;
};

export type DeskPorts = {
  readonly element: PayingElement;
  readonly cards: VirtualCards;
  readonly realReaders: RealReaders;
  readonly serverName: string;
  /** For what is read of cards here; payments have the element's own. */
  readonly ciphers: CipherProvider;
  readonly clock: Clock;
  readonly log: AgentLog;
};

/** Messages of a page that begin a session. */
export const SESSION_INTENTS: readonly SessionIntent['type'][] = ['pay', 'balance', 'token'];

/** Whether a message begins a session. */
export function isIntent(message: PageMessage): message is SessionIntent {
  return SESSION_INTENTS.some((type) => type === message.type);
}

/** What of a page begins a session. */
export type SessionIntent = Extract<PageMessage, { type: 'pay' | 'balance' | 'token' }>;

export class PaymentDesk {
  readonly #ports: DeskPorts;
  readonly #windows: Set<WindowLink> = new Set();
  readonly #usedSessions: Set<string> = new Set();
  #current: DeskSession | null = null;
  #running: Promise<void> = Promise.resolve();
  #last: { readonly page: PageLink; readonly end: NonNullable<WindowView['last']> } | null = null;
  #isPushing = false;
  #isClosing = false;

  constructor(ports: DeskPorts) {
    this.#ports = ports;
    ports.realReaders.start({
      onInserted: (card) => void this.#onInserted(card),
      onRemoved: (reader) => this.#onRemoved(reader),
      onChange: () => this.push(),
    });
  }

  /** For pages. */
  health(): AgentHealth {
    const { element, realReaders } = this.#ports;
    const readers = [READER, ...realReaders.views().map(() => ANY_REAL_READER)];
    return { version: AGENT_VERSION, element: element.status(), readers };
  }

  /** For programs of this machine. */
  report(): AgentReport {
    const { realReaders } = this.#ports;
    const readers = [READER, ...realReaders.views()];
    return { ...this.health(), readers, readerService: realReaders.service };
  }

  /** A page's intent to pay, to see a balance, or to have a token. */
  begin(page: PageLink, intent: SessionIntent): void {
    const { session } = intent;
    const refused = this.#refusal(page, session);
    if (refused !== null) {
      const error = refused.toJSON();
      const failed: AgentMessage = { type: 'failed', session, error, sent: false };
      page.send(failed);
      return;
    }
    this.#remember(session);
    const { clock, log } = this.#ports;
    const current = new DeskSession({
      session,
      page,
      work: this.#workOf(intent),
      ports: {
        clock,
        log,
        isReaderOccupied: () => this.#cardCount() > 0,
        cardTrouble: () => this.#cardTrouble(),
        onChange: () => this.push(),
      },
    });
    this.#current = current;
    this.#last = null;
    this.push();
    this.#running = this.#run(current);
  }

  /** A frame that names a session; one of no session of this page is dropped. */
  onFrame(page: PageLink, frame: SessionFrame): void {
    const current = this.#current;
    if (current?.session === frame.session && current.page === page) current.onFrame(frame);
  }

  onPageLost(page: PageLink): void {
    if (this.#current?.page === page) this.#current.onPageLost();
  }

  addWindow(window: WindowLink): void {
    this.#windows.add(window);
    const current = this.#current;
    if (current !== null && isWindowOf(window, current.page)) current.apply({ type: 'windowBack' });
    window.send(this.view(window.page));
  }

  removeWindow(window: WindowLink): void {
    const current = this.#current;
    if (!this.#windows.delete(window) || current === null) return;
    const isThere = [...this.#windows].some((other) => isWindowOf(other, current.page));
    if (isWindowOf(window, current.page) && !isThere) current.apply({ type: 'windowsGone' });
  }

  /**
   * What a person does in a window; `page` as the window's.
   * @throws TapError what the command was refused for.
   */
  async command(message: WindowMessage, page: PageLink | null = null): Promise<void> {
    switch (message.type) {
      case 'consent':
        this.#stateOf(this.#session(message.session, page), 'consent').apply(message);
        break;
      case 'pin':
        this.#stateOf(this.#session(message.session, page), 'waitPin').apply(message);
        break;
      case 'cancel':
        this.#cancel(this.#session(message.session, page));
        break;
      case 'present':
      case 'takeAway':
        await this.reader(message);
        break;
    }
  }

  /** A person's hand at the reader. @throws TapError. */
  async reader(command: ReaderCommand): Promise<ReaderAnswer> {
    if (command.type === 'takeAway') this.#ports.cards.takeAway();
    else await this.#present(command);
    return this.readerAnswer();
  }

  readerAnswer(): ReaderAnswer {
    const slot = this.#ports.cards.presented();
    const reader = { ...READER, card: slot?.name ?? null, interface: slot?.interface ?? null };
    return { reader, cards: this.#cards() };
  }

  /** What a window of this page is shown; null: one of ours. */
  view(page: PageLink | null = null): WindowView {
    const current = this.#current;
    const last = this.#last;
    const { realReaders } = this.#ports;
    return {
      type: 'view',
      payment: current !== null && isShown(current.page, page) ? current.view() : null,
      last: last !== null && isShown(last.page, page) ? last.end : null,
      readerService: realReaders.service,
      realReaders: realReaders.views(),
      ...this.readerAnswer(),
    };
  }

  /** A card came to the virtual reader or left it. */
  onReaderChanged(): void {
    if (this.#ports.cards.presented() === null) this.#onRemoved(null);
    else this.#current?.apply({ type: 'arrived' });
    this.push();
  }

  /** Shows every window the whole view, once for all changes of this turn. */
  push(): void {
    if (this.#isPushing) return;
    this.#isPushing = true;
    setImmediate(() => {
      this.#isPushing = false;
      if (this.#windows.size === 0) return;
      const views: Map<PageLink | null, WindowView> = new Map();
      for (const { page, send } of this.#windows) {
        const view = views.get(page) ?? this.view(page);
        views.set(page, view);
        send(view);
      }
    });
  }

  /** Ends the session under way, if nothing was sent, and takes no other. */
  stop(): void {
    this.#isClosing = true;
    this.#current?.apply({ type: 'cancel' });
  }

  /** Whether a session is under way. */
  get isBusy(): boolean {
    return this.#current !== null;
  }

  /** Resolves when no session is under way. */
  idle(): Promise<void> {
    return this.#running;
  }

  #refusal(page: PageLink, session: string): ServiceError | null {
    if (this.#isClosing) return new ServiceError('ERR_CLOSING', 'the agent is being stopped');
    const current = this.#current;
    if (current !== null) {
      const gatewayOrigin = current.page.origin;
      // An order id is a right of its gateway's pages.
      const orderId = gatewayOrigin === page.origin ? current.orderId : null;
      const message = 'another payment or reading is under way';
      const { sinceMs } = current;
      return new ServiceError('ERR_BUSY', message, { orderId, gatewayOrigin, sinceMs });
    }
    if (!this.#usedSessions.has(session)) return null;
    return new ServiceError('ERR_SEQUENCE', 'this session was used before');
  }

  #remember(session: string): void {
    this.#usedSessions.add(session);
    const [oldest] = this.#usedSessions;
    if (this.#usedSessions.size > USED_SESSIONS_MAX && oldest !== undefined) {
      this.#usedSessions.delete(oldest);
    }
  }

  #workOf(intent: SessionIntent): SessionWork {
    const { element, serverName, ciphers, clock, log } = this.#ports;
    if (intent.type === 'balance') return new BalanceWork({ element, ciphers });
    if (intent.type === 'token') return new TokenWork(intent.wish, element);
    return new PaymentWork(intent.orderId, { element, serverName, clock, log });
  }

  async #run(current: DeskSession): Promise<void> {
    const end = await current.run();
    this.#current = null;
    this.#ports.realReaders.forgetFaults();
    this.#last = { page: current.page, end: { session: current.session, ...end } };
    this.push();
  }

  #session(session: string, page: PageLink | null): DeskSession {
    const current = this.#current;
    if (current?.session === session && isShown(current.page, page)) return current;
    throw new ServiceError('ERR_SESSION', 'this session is not under way');
  }

  #stateOf(current: DeskSession, name: 'consent' | 'waitPin'): DeskSession {
    const { shown, abortedBy } = current.state;
    if (shown.name === name && abortedBy === null) return current;
    throw new ServiceError('ERR_SEQUENCE', `the session is not at ${name}`);
  }

  #cancel(current: DeskSession): void {
    if (current.state.sealed) {
      throw new ServiceError('ERR_TOO_LATE', 'the payment is with the bank already');
    }
    current.apply({ type: 'cancel' });
  }

  async #present(command: Extract<ReaderCommand, { type: 'present' }>): Promise<void> {
    const { cards, realReaders } = this.#ports;
    const occupant = cards.presented();
    if (occupant !== null) {
      const message = `card ${occupant.name} is at the reader; take it away first`;
      throw new ServiceError('ERR_READER_OCCUPIED', message, { card: occupant.name });
    }
    const shown = this.#current?.state.shown;
    if (shown?.name === 'waitCard' && realReaders.cardCount > 0) {
      const message = 'a card is in a real reader; take it out first';
      throw new ServiceError('ERR_READER_OCCUPIED', message);
    }
    if (shown?.name === 'waitCard' && !shown.interfaces.includes(command.interface)) {
      const message = `this session takes a card by ${shown.interfaces.join(' or ')} only`;
      throw new ServiceError('ERR_CARD_INTERFACE', message);
    }
    const channel = cards.present(command.card, command.interface, {
      liftAfter: command.liftAfter,
    });
    await channel.ready;
    if (channel.isThere()) this.#current?.onPresented(this.#virtual(command.card, channel));
  }

  /** A tap is a gesture: the card leaves the field by itself. An inserted one stays. */
  #virtual(name: string, channel: PresentedChannel): OfferedCard {
    const release = (): void => {
      if (channel.interface === 'contactless' && channel.isThere()) this.#ports.cards.takeAway();
    };
    const card = this.#cards().find((one) => one.name === name);
    const panMasked = card?.panMasked ?? null;
    return { interface: channel.interface, channel, reader: null, panMasked, release };
  }

  /**
   * A card has come to a real reader. It is the session's when the person said yes before it came,
   * and it is the only one; any other one must go first.
   */
  async #onInserted(card: InsertedCard): Promise<void> {
    const current = this.#current;
    current?.apply({ type: 'arrived' });
    if (current === null || interfacesTaken(current.state).length === 0) return;
    if (!this.#isAfterConsent(card, current) || this.#cardCount() > 1) {
      current.apply({ type: 'unusable' });
      return;
    }
    const { realReaders } = this.#ports;
    const taken = (): readonly CardInterface[] =>
      this.#current === current && realReaders.isThere(card) ? interfacesTaken(current.state) : [];
    let refusal: string;
    try {
      const offered = await realReaders.connect(card);
      if (taken().includes(offered.interface)) {
        current.onPresented(offered);
        return;
      }
      offered.release();
      refusal = 'ERR_CARD_INTERFACE';
    } catch (fault) {
      refusal = errorBody(fault).code;
    }
    // Whoever has gone meanwhile is refused nothing.
    if (taken().length === 0) return;
    realReaders.refuse(card, refusal);
    current.apply({ type: 'unusable' });
  }

  #isAfterConsent(card: InsertedCard, { state }: DeskSession): boolean {
    const { consentedAtMs } = state;
    if (!card.isFresh || consentedAtMs === null) return false;
    return this.#ports.clock.nowMs() >= consentedAtMs + READER_LAG_MS;
  }

  /** A card has left a real reader, or the virtual one: null. */
  #onRemoved(reader: string | null): void {
    this.#current?.onCardGone(reader);
    if (this.#cardCount() === 0) this.#current?.apply({ type: 'takenAway' });
  }

  /** Cards in all readers. */
  #cardCount(): number {
    const { cards, realReaders } = this.#ports;
    return realReaders.cardCount + (cards.presented() === null ? 0 : 1);
  }

  /** What keeps a card from paying; without virtual cards a missing reader or service does, too. */
  #cardTrouble(): string | null {
    const { realReaders } = this.#ports;
    const views = realReaders.views();
    const fault = views.find((view) => view.fault !== null)?.fault ?? null;
    if (fault !== null || this.#cards().length > 0) return fault;
    const { state, code } = realReaders.service;
    return state === 'on' && views.length === 0 ? 'ERR_READER_GONE' : code;
  }

  /** A spoilt image hides the cards, not the session. */
  #cards(): readonly WalletCard[] {
    try {
      return this.#ports.cards.list();
    } catch (fault) {
      this.#ports.log({ event: 'cardsUnreadable', code: errorBody(fault).code });
      return [];
    }
  }
}

/** Whether a window of `page` shows a session of `paying`. */
function isShown(paying: PageLink, page: PageLink | null): boolean {
  return page === null || page === paying;
}

/** Whether a person would look for a session of this page in that window. */
function isWindowOf(window: WindowLink, paying: PageLink): boolean {
  return paying.hasOwnWindow ? window.page === paying : window.page === null;
}
