/** The conversation with the agent: commands in, events out, one payment at a time. */
import { type Clock, errorBody, fromHex, type RandomSource } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import type {
  ApplicationLifeCycle,
  ElementCommand,
  ElementEvent,
  ElementPayResult,
  ElementTokenResult,
  ElementState as LifeState,
  PayIntent,
  PaymentApplication,
  TokenWish,
} from '@tapnpay/protocol/wire';
import type { LoadedApplication } from './application.ts';
import { assertOperable } from './attestation.ts';
import type { CardSeat } from './card/index.ts';
import { beginEnrolment, finishEnrolment } from './enrolment.ts';
import { ElementError } from './errors.ts';
import { Host } from './host.ts';
import { lifeCycleOf } from './life-cycle.ts';
import { outOfSequence } from './question.ts';
import type { ElementState } from './state.ts';

/** What the session stands on. */
export type SessionPorts = {
  readonly state: ElementState;
  readonly ciphers: CipherProvider;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** The payment application as it is now. */
  readonly paymentApplication: () => LoadedApplication;
  /** The GlobalPlatform card; managers reach it while no payment runs. */
  readonly seat: CardSeat;
  readonly emit: (event: ElementEvent) => void;
};

/** Takes checked commands in order. A command out of sequence throws and ends the process. */
export class ElementSession {
  readonly #ports: SessionPorts;
  #host: Host | null = null;
  /** Of the payment before: an answer to what it gave up may still be on its way. */
  #lastHost: Host | null = null;
  #busy = false;

  constructor(ports: SessionPorts) {
    this.#ports = ports;
  }

  /** The first event of the process. */
  announce(): void {
    this.#ports.emit({ type: 'ready', ...this.#status() });
  }

  /** @throws ElementError `ERR_ELEMENT_SEQUENCE`. */
  handle(command: ElementCommand): void {
    switch (command.type) {
      case 'status':
        this.#reply(command.id, { result: this.#status() });
        break;
      case 'beginEnrolment': {
        const { state, random } = this.#ports;
        const { id, pairingCode } = command;
        this.#perform(id, () => beginEnrolment({ state, random, pairingCode }));
        break;
      }
      case 'finishEnrolment': {
        const { state, clock, ciphers } = this.#ports;
        const { id, grant } = command;
        this.#perform(id, async () => finishEnrolment({ state, clock, ciphers, grant }));
        break;
      }
      case 'pay':
        this.#perform(command.id, () => this.#pay(command));
        break;
      case 'token':
        this.#perform(command.id, () => this.#token(command.wish));
        break;
      case 'birth':
      case 'card':
      case 'manage':
      case 'manageReset':
      case 'signContact':
        this.#perform(command.id, async () => this.#ports.seat.answer(command));
        break;
      case 'channelOpened':
        this.#host?.channel.onOpened();
        break;
      case 'channelData':
        this.#host?.channel.onRecords(Buffer.from(command.base64, 'base64'));
        break;
      case 'channelClosed':
        this.#host?.channel.onClosed();
        break;
      case 'cardAnswer':
        this.#needHost().presentation.answer({ value: command.interface });
        break;
      case 'cardFault':
        this.#needHost().presentation.answer({ error: command.error });
        break;
      case 'apduAnswer':
        this.#needHost().apdu.answer({ value: fromHex(command.response) });
        break;
      case 'apduFault':
        this.#needHost().apdu.answer({ error: command.error });
        break;
      case 'pinAnswer': {
        const { sealedPin } = command;
        this.#needHost().pin.answer({ value: sealedPin === null ? null : fromHex(sealedPin) });
        break;
      }
      case 'pinFault':
        this.#needHost().pin.answer({ error: command.error });
        break;
    }
  }

  #status(): { readonly elementId: string | null; readonly state: LifeState } {
    const { identity, locked } = this.#ports.state.record;
    if (identity === null) return { elementId: null, state: 'notEnrolled' };
    return { elementId: identity.elementId, state: locked ? 'locked' : 'operable' };
  }

  /** @throws ElementError why the application cannot be used now. */
  #open(): { readonly host: Host; readonly payments: PaymentApplication } {
    const { state, ciphers, clock, random, emit } = this.#ports;
    const { identity, locked } = state.record;
    if (identity === null) {
      throw new ElementError('ERR_ELEMENT_NOT_ENROLLED', 'enrol this element first');
    }
    if (locked) throw new ElementError('ERR_ELEMENT_LOCKED', 'this element is locked');
    const { paymentApplication, seat } = this.#ports;
    const lifeCycle = (): ApplicationLifeCycle => lifeCycleOf(seat.card);
    // No channel of before outlives a lock.
    if (lifeCycle() !== 'operable' && state.record.tickets.length > 0)
      state.update({ tickets: [] });
    assertOperable(lifeCycle());
    const { application, loadFileHash } = paymentApplication();
    const ports = { state, identity, ciphers, clock, random, emit };
    const host = new Host({ ...ports, loadFileHash, lifeCycle });
    const { elementId, parameters } = identity;
    const payments = application.createPaymentApplication({ elementId, parameters, ciphers });
    this.#host = host;
    return { host, payments };
  }

  async #token(wish: TokenWish): Promise<ElementTokenResult> {
    const { host, payments } = this.#open();
    try {
      return await host.run(payments.token({ wish }));
    } finally {
      await host.close();
      this.#host = null;
      this.#lastHost = host;
    }
  }

  async #pay({ orderId, serverName }: PayIntent): Promise<ElementPayResult> {
    const { host, payments } = this.#open();
    host.preparePin();
    let welcomed = false;
    try {
      const result = await host.run(payments.pay({ orderId, serverName }));
      // The application tells of a channel only after the gateway's welcome.
      welcomed = result.channel !== null;
      return result;
    } finally {
      host.tickets.settle({ welcomed });
      await host.close();
      this.#host = null;
      this.#lastHost = host;
    }
  }

  #perform(id: number, action: () => Promise<unknown>): void {
    if (this.#busy) {
      const error = errorBody(new ElementError('ERR_ELEMENT_BUSY', 'one command at a time'));
      this.#reply(id, { error });
      return;
    }
    this.#busy = true;
    action()
      .then(
        (result) => ({ result }),
        (fault: unknown) => ({ error: errorBody(fault) }),
      )
      .then((answer) => {
        this.#busy = false;
        this.#reply(id, answer);
        // In the same turn: nobody waits for this write, and no end of the input comes before it.
        this.#ports.state.flushTickets();
      });
  }

  #reply(id: number, answer: Omit<Extract<ElementEvent, { type: 'answer' }>, 'type' | 'id'>): void {
    this.#ports.emit({ type: 'answer', id, ...answer });
  }

  #needHost(): Host {
    const host = this.#host ?? this.#lastHost;
    if (host !== null) return host;
    throw outOfSequence('an answer outside a payment');
  }
}
