/** A native port's seat at the desk of this process: its page and that page's own window. */
import { errorBody } from '@tapnpay/protocol/bytes';
import {
  AGENT_VERSION,
  type NativeChunk,
  type NativeHostFrame,
  type PageMessage,
  type WindowMessage,
} from '@tapnpay/protocol/wire';
import { isIntent, type PaymentDesk, type WindowLink } from './desk.ts';
import type { PageLink } from './desk-session.ts';
import { ServiceError } from './errors.ts';
import type { NativeSeat, SeatFrame } from './native-port.ts';

export type DeskSeatFacts = {
  readonly desk: PaymentDesk;
  /** Of the page, from the browser; it was checked. */
  readonly origin: string;
  readonly send: (frame: Exclude<NativeHostFrame, NativeChunk>) => void;
};

/** One page and, while it is open, its window. */
export class DeskSeat implements NativeSeat {
  readonly #desk: PaymentDesk;
  readonly #page: PageLink;
  readonly #window: WindowLink;
  #isKnown = false;
  #isGone = false;

  constructor({ desk, origin, send }: DeskSeatFacts) {
    const tell = (frame: Exclude<NativeHostFrame, NativeChunk>): void => {
      if (!this.#isGone) send(frame);
    };
    this.#desk = desk;
    this.#page = {
      origin,
      hasOwnWindow: true,
      send: (message) => tell({ type: 'page', message }),
    };
    this.#window = { page: this.#page, send: (message) => tell({ type: 'window', message }) };
  }

  take(frame: SeatFrame): void {
    switch (frame.type) {
      case 'page':
        this.#onPage(frame.message);
        break;
      case 'window':
        this.#onWindow(frame.message);
        break;
      case 'windowOpened':
        this.#desk.addWindow(this.#window);
        break;
      case 'windowClosed':
        this.#desk.removeWindow(this.#window);
        break;
    }
  }

  leave(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#desk.onPageLost(this.#page);
    this.#desk.removeWindow(this.#window);
  }

  /**
   * A page needs no pairing here: the browser lets only our extension to this port (its id stands
   * in the host's manifest), and the extension said from the browser whose page it is.
   */
  #onPage(message: PageMessage): void {
    if (message.type === 'hello') {
      if (this.#isKnown) throw new ServiceError('ERR_SEQUENCE', 'hello is said once');
      if (message.version !== AGENT_VERSION) {
        const text = `this host speaks version ${AGENT_VERSION}`;
        throw new ServiceError('ERR_VERSION', text, { version: AGENT_VERSION });
      }
      this.#isKnown = true;
      this.#page.send({ type: 'welcome', ...this.#desk.health() });
      return;
    }
    if (!this.#isKnown) throw new ServiceError('ERR_SEQUENCE', 'hello comes first');
    if (isIntent(message)) {
      this.#desk.begin(this.#page, message);
    } else this.#desk.onFrame(this.#page, message);
  }

  #onWindow(message: WindowMessage): void {
    this.#desk.command(message, this.#page).catch((fault: unknown) => {
      this.#window.send({ type: 'error', error: errorBody(fault) });
    });
  }
}
