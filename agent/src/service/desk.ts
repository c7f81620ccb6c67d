/**
 * The desk where pages, windows, the reader and the element meet: one payment at a time, and what
 * every window is shown.
 */
import { type Clock, errorBody } from '@tapnpay/protocol/bytes';
import type {
  AgentHealth,
  AgentMessage,
  AgentReport,
  CardInterface,
  ReaderCommand,
  ReaderView,
  WalletCard,
  WindowError,
  WindowMessage,
  WindowView,
} from '@tapnpay/protocol/wire';
import { AGENT_VERSION } from '@tapnpay/protocol/wire';
import type { PresentedChannel, VirtualCards } from '../virtual-cards.ts';
import type { PayingElement } from './element-keeper.ts';
import { ServiceError } from './errors.ts';
import type { AgentLog } from './events.ts';
import type { ReaderAnswer } from './local-agent.ts';
import {
  type OfferedToPayment,
  type PageLink,
  PaymentSession,
  type SessionFrame,
} from './payment-session.ts';
import type { InsertedCard, RealReaders } from './real-readers.ts';
import { interfacesTaken } from './session-machine.ts';

/** Sessions remembered, so that none is used twice; the oldest are forgotten. */
const USED_SESSIONS_MAX = 512;
const READER: ReaderView = { name: 'Virtual reader', kind: 'virtual' };
/** What pages are told of each real reader: their own names can hold a serial number. */
const ANY_REAL_READER: ReaderView = { name: 'Card reader', kind: 'pcsc' };
/** A reader service may see a card this late: one that was seen sooner was in before the yes. */
export const READER_LAG_MS = 500;

/** A connected window of the agent. */
export type WindowLink = { readonly send: (message: WindowView | WindowError) => void };

export type DeskPorts = {
  readonly element: PayingElement;
  readonly cards: VirtualCards;
  readonly realReaders: RealReaders;
  readonly serverName: string;
  readonly clock: Clock;
  readonly log: AgentLog;
};

export class PaymentDesk {
  readonly #ports: DeskPorts;
  readonly #windows: Set<WindowLink> = new Set();
  readonly #usedSessions: Set<string> = new Set();
  #current: PaymentSession | null = null;
  #running: Promise<void> = Promise.resolve();
  #last: WindowView['last'] = null;
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

  /** A page's intent to pay. */
  pay(page: PageLink, intent: { readonly session: string; readonly orderId: string }): void {
    const { session } = intent;
    const refused = this.#refusal(page, session);
    if (refused !== null) {
      const error = refused.toJSON();
      const failed: AgentMessage = { type: 'failed', session, error, sent: false };
      page.send(failed);
      return;
    }
    this.#remember(session);
    const { element, serverName, clock, log } = this.#ports;
    const payment = new PaymentSession({
      ...intent,
      page,
      ports: {
        element,
        serverName,
        clock,
        log,
        isReaderOccupied: () => this.#cardCount() > 0,
        onChange: () => this.push(),
      },
    });
    this.#current = payment;
    this.#last = null;
    this.push();
    this.#running = this.#run(payment);
  }

  /** A frame that names a session; one of no payment of this page is dropped. */
  onFrame(page: PageLink, frame: SessionFrame): void {
    const current = this.#current;
    if (current?.session === frame.session && current.page === page) current.onFrame(frame);
  }

  onPageLost(page: PageLink): void {
    if (this.#current?.page === page) this.#current.onPageLost();
  }

  addWindow(window: WindowLink): void {
    this.#windows.add(window);
    this.#current?.apply({ type: 'windowBack' });
    window.send(this.view());
  }

  removeWindow(window: WindowLink): void {
    this.#windows.delete(window);
    if (this.#windows.size === 0) this.#current?.apply({ type: 'windowsGone' });
  }

  /** @throws TapError what the command was refused for. */
  async command(message: WindowMessage): Promise<void> {
    switch (message.type) {
      case 'consent':
        this.#stateOf(message.session, 'consent').apply(message);
        break;
      case 'pin':
        this.#stateOf(message.session, 'waitPin').apply(message);
        break;
      case 'cancel':
        this.#cancel(message.session);
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

  view(): WindowView {
    const payment = this.#current?.view() ?? null;
    const { realReaders } = this.#ports;
    return {
      type: 'view',
      payment,
      last: this.#last,
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
      const view = this.view();
      for (const window of this.#windows) window.send(view);
    });
  }

  /** Ends the payment under way, if nothing was sent, and takes no other. */
  stop(): void {
    this.#isClosing = true;
    this.#current?.apply({ type: 'cancel' });
  }

  /** Resolves when no payment is under way. */
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
      const message = 'another payment is under way';
      return new ServiceError('ERR_BUSY', message, { orderId, gatewayOrigin });
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

  async #run(payment: PaymentSession): Promise<void> {
    const end = await payment.run();
    this.#current = null;
    this.#ports.realReaders.forgetFaults();
    this.#last = { session: payment.session, ...end };
    this.push();
  }

  #session(session: string): PaymentSession {
    if (this.#current?.session === session) return this.#current;
    throw new ServiceError('ERR_SESSION', 'this payment is not under way');
  }

  #stateOf(session: string, name: 'consent' | 'waitPin'): PaymentSession {
    const payment = this.#session(session);
    const { shown, abortedBy } = payment.state;
    if (shown.name === name && abortedBy === null) return payment;
    throw new ServiceError('ERR_SEQUENCE', `the payment is not at ${name}`);
  }

  #cancel(session: string): void {
    const payment = this.#session(session);
    if (payment.state.sealed) {
      throw new ServiceError('ERR_TOO_LATE', 'the payment is with the bank already');
    }
    payment.apply({ type: 'cancel' });
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
      const message = `this payment takes a card by ${shown.interfaces.join(' or ')} only`;
      throw new ServiceError('ERR_CARD_INTERFACE', message);
    }
    const channel = cards.present(command.card, command.interface, {
      liftAfter: command.liftAfter,
    });
    await channel.ready;
    if (channel.isThere()) this.#current?.onPresented(this.#virtual(channel));
  }

  /** A tap is a gesture: the card leaves the field by itself. An inserted one stays. */
  #virtual(channel: PresentedChannel): OfferedToPayment {
    const release = (): void => {
      if (channel.interface === 'contactless' && channel.isThere()) this.#ports.cards.takeAway();
    };
    return { interface: channel.interface, channel, reader: null, release };
  }

  /**
   * A card has come to a real reader. It is the payment's when the person said yes before it came,
   * and it is the only one; any other one must go first.
   */
  async #onInserted(card: InsertedCard): Promise<void> {
    const payment = this.#current;
    payment?.apply({ type: 'arrived' });
    if (payment === null || interfacesTaken(payment.state).length === 0) return;
    if (!this.#isAfterConsent(card, payment) || this.#cardCount() > 1) {
      payment.apply({ type: 'unusable' });
      return;
    }
    const { realReaders } = this.#ports;
    const taken = (): readonly CardInterface[] =>
      this.#current === payment && realReaders.isThere(card) ? interfacesTaken(payment.state) : [];
    let refusal: string;
    try {
      const offered = await realReaders.connect(card);
      if (taken().includes(offered.interface)) {
        payment.onPresented(offered);
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
    payment.apply({ type: 'unusable' });
  }

  #isAfterConsent(card: InsertedCard, { state }: PaymentSession): boolean {
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

  /** A spoilt image hides the cards, not the payment. */
  #cards(): readonly WalletCard[] {
    try {
      return this.#ports.cards.list();
    } catch (fault) {
      this.#ports.log({ event: 'cardsUnreadable', code: errorBody(fault).code });
      return [];
    }
  }
}
