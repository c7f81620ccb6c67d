/**
 * One page's port, its host's and its window's, tied together: what comes in at one goes out at
 * the other, unread but for two things: a state that asks for a person opens the window, and the
 * end of a payment is kept for a window that outlives its host. Nothing survives the page's port.
 */
import type {
  AgentMessage,
  NativeFaultCode,
  NativeHostHello,
  NativePage,
  WindowMessage,
} from '@tapnpay/protocol/wire';
import type { After, Browser, Port } from '../api.ts';
import {
  isWindowLanguage,
  type LastPayment,
  lastPaymentOf,
  type PagePortAnswer,
  type PagePortMessage,
  type WindowPortMessage,
} from '../ports.ts';
import { isTooLarge } from '../size.ts';
import { type HostFrame, NativeLink } from './native-link.ts';
import { PaymentWindow } from './payment-window.ts';

export type RelayPorts = {
  readonly browser: Pick<Browser, 'windows' | 'runtime'>;
  readonly after: After;
  readonly id: string;
  readonly port: Port;
  readonly page: NativePage;
  /** The page's port is closed and the host told; the relay does nothing more. */
  onEnd(): void;
};

export class Relay {
  readonly #ports: RelayPorts;
  readonly #native: NativeLink;
  readonly window: PaymentWindow;
  #isOver = false;
  #isUsed = false;
  /** What a person is asked for now, taken back when they close the window. */
  #refusal: WindowMessage | null = null;
  #last: LastPayment | null = null;

  constructor(ports: RelayPorts) {
    this.#ports = ports;
    const { browser, after, page, id, port } = ports;
    this.#native = new NativeLink({
      runtime: browser.runtime,
      after,
      page,
      onHello: (hello) => this.#onHello(hello),
      onFrame: (frame) => this.#onFrame(frame),
      onLost: (code, detail) => this.#lose(code, detail),
    });
    this.window = new PaymentWindow({
      browser,
      id,
      onOpened: () => this.#native.send({ type: 'windowOpened' }),
      onMessage: (message) => this.#onWindowMessage(message),
      onLeft: () => this.#native.send({ type: 'windowClosed' }),
      onClosed: () => this.#refuse(),
    });
    port.onMessage.addListener((message) => this.#onPageMessage(message as PagePortMessage));
    port.onDisconnect.addListener(() => this.#end(null));
  }

  /** Starts the host. */
  open(): void {
    this.#native.open();
  }

  /** The page has said something: what is under way may be a payment. A mere look says nothing. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  #onPageMessage(message: PagePortMessage): void {
    if (this.#isOver) return;
    this.#isUsed = true;
    if (message.kind === 'show') this.window.show();
    else if (message.kind === 'doctor') this.#native.send({ type: 'doctor' });
    else if (message.kind === 'message') this.#onPagePayload(message);
  }

  #onPagePayload({ message, language }: Extract<PagePortMessage, { kind: 'message' }>): void {
    // A page's renderer may say anything.
    this.window.language = isWindowLanguage(language) ? language : null;
    if (isTooLarge(message)) this.#lose('ERR_MESSAGE_TOO_LARGE', 'over the limit of one message');
    else this.#native.send({ type: 'page', message });
  }

  #onWindowMessage({ kind, message }: WindowPortMessage): void {
    if (kind === 'message') this.#native.send({ type: 'window', message });
  }

  /** Closing the window is a "no" to what it asked; the host need not wait for its return. */
  #refuse(): void {
    const refusal = this.#refusal;
    this.#refusal = null;
    if (refusal !== null) this.#native.send({ type: 'window', message: refusal });
  }

  #onHello({ version, protocol, element, readers }: NativeHostHello): void {
    this.#tellPage({ kind: 'hello', version, protocol, element, readers });
  }

  #onFrame(frame: HostFrame): void {
    if (frame.type === 'page') {
      this.#watch(frame.message);
      this.#tellPage({ kind: 'message', message: frame.message });
    } else if (frame.type === 'window') {
      this.window.tell({ kind: 'message', message: frame.message });
    } else this.#tellPage({ kind: 'report', report: frame.report });
  }

  #watch(message: AgentMessage): void {
    const last = lastPaymentOf(message);
    if (last !== null) {
      this.#last = last;
      this.#refusal = null;
    }
    if (message.type !== 'state') return;
    const { session, state } = message;
    this.#refusal = refusalOf(session, state.name);
    if (this.#refusal !== null) this.window.show();
  }

  #tellPage(answer: PagePortAnswer): void {
    if (!this.#isOver) this.#ports.port.postMessage(answer);
  }

  #lose(code: NativeFaultCode, detail: string): void {
    this.#tellPage({ kind: 'lost', code, detail });
    this.#end(code);
  }

  /** Both ends at once: a host without its page holds reader and element for nobody. */
  #end(code: NativeFaultCode | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#native.close();
    this.window.end({ kind: 'ended', code, last: this.#last });
    this.#ports.port.disconnect();
    this.#ports.onEnd();
  }
}

/** The answer of a person who closes the window; null while nothing is asked. */
function refusalOf(session: string, state: string): WindowMessage | null {
  if (state === 'consent') return { type: 'consent', session, given: false };
  return state === 'waitPin' ? { type: 'pin', session, sealedPin: null } : null;
}
