/**
 * The extension's window of one page: consent, card and PIN. It is opened once and brought to the
 * front afterwards. Its page may leave and come back, as in a reload; closed it is when the browser
 * says so.
 */
import { PLUGIN_FILES } from '@tapnpay/protocol/wire';
import type { Browser, Port } from '../api.ts';
import type { WindowLanguage, WindowPortAnswer, WindowPortMessage } from '../ports.ts';

const WIDTH_PIXELS = 460;
const HEIGHT_PIXELS = 760;

export type PaymentWindowPorts = {
  readonly browser: Pick<Browser, 'windows' | 'runtime'>;
  /** Number of the page's port, by which the window finds it. */
  readonly id: string;
  onOpened(): void;
  onMessage(message: WindowPortMessage): void;
  /** Its page is not there any more. */
  onLeft(): void;
  /** The person closed it. */
  onClosed(): void;
};

export class PaymentWindow {
  readonly #ports: PaymentWindowPorts;
  #state: 'closed' | 'opening' | 'open' | 'ended' = 'closed';
  #windowId: number | null = null;
  #port: Port | null = null;
  /** The page's; null leaves the choice to the window. It counts when the window opens. */
  language: WindowLanguage | null = null;

  constructor(ports: PaymentWindowPorts) {
    this.#ports = ports;
  }

  /** Opens the window, or brings it to the front. */
  show(): void {
    if (this.#state === 'closed') void this.#open();
    else if (this.#state === 'open') void this.#focus();
  }

  /** The window's page has connected, for the first time or after a reload. */
  attach(port: Port): void {
    const old = this.#port;
    this.#port = port;
    old?.disconnect();
    if (this.#state === 'closed') this.#state = 'open';
    port.onMessage.addListener((message) => {
      if (this.#port === port) this.#ports.onMessage(message as WindowPortMessage);
    });
    port.onDisconnect.addListener(() => {
      if (this.#port === port) this.#leave();
    });
    this.#ports.onOpened();
  }

  tell(answer: WindowPortAnswer): void {
    this.#port?.postMessage(answer);
  }

  /** The browser closed one of its windows. */
  removed(windowId: number): void {
    if (windowId === this.#windowId) this.#closed();
  }

  /** The last word to the window, which then closes by itself. */
  end(answer: Extract<WindowPortAnswer, { kind: 'ended' }>): void {
    this.tell(answer);
    this.#state = 'ended';
    const port = this.#port;
    this.#port = null;
    port?.disconnect();
  }

  async #open(): Promise<void> {
    const { browser, id } = this.#ports;
    const query = this.language === null ? '' : `?lang=${this.language}`;
    this.#state = 'opening';
    try {
      const made = await browser.windows.create({
        type: 'popup',
        url: browser.runtime.getURL(`${PLUGIN_FILES.window}${query}#${id}`),
        width: WIDTH_PIXELS,
        height: HEIGHT_PIXELS,
        focused: true,
      });
      this.#windowId = made.id ?? null;
    } catch {
      // The browser is closing, or shows no windows. Nobody said "no": who waits has a time-out.
      if (this.#state === 'opening') this.#state = 'closed';
      return;
    }
    if (this.#state === 'opening') this.#state = 'open';
    else if (this.#state === 'ended' && this.#windowId !== null) {
      await browser.windows.remove(this.#windowId).catch(() => {});
    }
  }

  async #focus(): Promise<void> {
    if (this.#windowId === null) return;
    const { windows } = this.#ports.browser;
    try {
      await windows.update(this.#windowId, { focused: true, drawAttention: true });
    } catch {
      // It was closed a moment ago.
      this.#closed();
      this.show();
    }
  }

  #leave(): void {
    const port = this.#port;
    this.#port = null;
    port?.disconnect();
    if (port !== null) this.#ports.onLeft();
  }

  #closed(): void {
    if (this.#state === 'closed' || this.#state === 'ended') return;
    this.#state = 'closed';
    this.#windowId = null;
    this.#leave();
    this.#ports.onClosed();
  }
}
