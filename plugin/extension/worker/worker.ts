/**
 * The extension's worker: takes the ports of pages and windows, ties each page to a host of its
 * own, and gives open pages their content script when the extension arrives. It has no state but
 * the ports: when the browser stops it, each page is told at once by its port.
 */
import { gatewayOriginsOf, gatewayPatternsOf, PLUGIN_FILES } from '@tapnpay/protocol/wire';
import type { After, Browser, Port, Sender } from '../api.ts';
import {
  PAGE_PORT,
  type PagePortAnswer,
  UPDATE_MESSAGE,
  WINDOW_PORT,
  type WindowPortAnswer,
} from '../ports.ts';
import { isOwnPage, judgeFrame } from './frames.ts';
import { Relay } from './relay.ts';

/** By then the page that woke a worker has connected. */
const GIVE_LATE_MS = 1_000;

export type WorkerPorts = {
  readonly browser: Browser;
  readonly after: After;
  /** Another one for each page's port. */
  readonly newId: () => string;
};

/** Listens to the browser; call it once, while the worker starts. */
export function startWorker(ports: WorkerPorts): void {
  new Worker(ports).listen();
}

class Worker {
  readonly #ports: WorkerPorts;
  readonly #gatewayOrigins: readonly string[];
  readonly #relays = new Map<string, Relay>();
  #isUpdateWaiting = false;
  #hasGiven = false;

  constructor(ports: WorkerPorts) {
    this.#ports = ports;
    this.#gatewayOrigins = gatewayOriginsOf(ports.browser.runtime.getManifest());
  }

  listen(): void {
    const { runtime, windows, action } = this.#ports.browser;
    runtime.onConnect.addListener((port) => this.#onConnect(port));
    runtime.onMessage.addListener((message, sender) => this.#onMessage(message, sender));
    runtime.onUpdateAvailable.addListener(() => {
      this.#isUpdateWaiting = true;
      this.#updateIfIdle();
    });
    // Installed, updated, or started with the browser: no open page needs a reload.
    runtime.onInstalled.addListener(() => this.#giveToOpenPages());
    runtime.onStartup.addListener(() => this.#giveToOpenPages());
    windows.onRemoved.addListener((windowId) => {
      for (const relay of this.#relays.values()) relay.window.removed(windowId);
    });
    action.onClicked.addListener(() => void runtime.openOptionsPage());
    // No event tells of an extension that was enabled again. A page that woke us has its script.
    this.#ports.after(GIVE_LATE_MS, () => {
      if (this.#relays.size === 0) this.#giveToOpenPages();
    });
  }

  #onConnect(port: Port): void {
    if (port.name === PAGE_PORT) this.#onPage(port);
    else if (port.name.startsWith(WINDOW_PORT)) this.#onWindow(port);
    else port.disconnect();
  }

  #onPage(port: Port): void {
    const judged = judgeFrame(port.sender, this.#gatewayOrigins);
    if ('code' in judged) {
      const answer: PagePortAnswer = { kind: 'lost', ...judged };
      port.postMessage(answer);
      port.disconnect();
      return;
    }
    const { browser, after, newId } = this.#ports;
    const id = newId();
    const onEnd = (): void => {
      this.#relays.delete(id);
      this.#updateIfIdle();
    };
    const relay = new Relay({ browser, after, id, port, page: judged.page, onEnd });
    this.#relays.set(id, relay);
    relay.open();
  }

  #onWindow(port: Port): void {
    const url = this.#ports.browser.runtime.getURL(PLUGIN_FILES.window);
    const relay = this.#relays.get(port.name.slice(WINDOW_PORT.length));
    if (relay !== undefined && isOwnPage(port.sender, { url })) {
      relay.window.attach(port);
      return;
    }
    // A window that outlived its page, or its worker.
    const answer: WindowPortAnswer = { kind: 'ended', code: null, last: null };
    port.postMessage(answer);
    port.disconnect();
  }

  /** A page that is told to want another version need not wait for the browser's own hours. */
  #onMessage(message: unknown, sender: Sender): void {
    const { kind } = (message ?? {}) as { kind?: unknown };
    if (kind !== UPDATE_MESSAGE.kind || !('page' in judgeFrame(sender, this.#gatewayOrigins))) {
      return;
    }
    // Where the browser takes no wish, or too many came, it looks for updates in its own time.
    this.#ports.browser.runtime.requestUpdateCheck?.().catch(() => {});
  }

  /**
   * An update ends every port, so it waits until nobody uses one. A page that only looks whether it
   * could pay may stand open for days; it looks again by itself.
   */
  #updateIfIdle(): void {
    const isUsed = [...this.#relays.values()].some((relay) => relay.isUsed);
    if (!this.#isUpdateWaiting || isUsed) return;
    this.#isUpdateWaiting = false;
    this.#ports.browser.runtime.reload();
  }

  /** Once in the life of a worker; a page that has its script already only hears `here` again. */
  #giveToOpenPages(): void {
    if (this.#hasGiven) return;
    this.#hasGiven = true;
    void this.#give();
  }

  async #give(): Promise<void> {
    const { tabs, scripting, runtime } = this.#ports.browser;
    const found = await tabs.query({ url: [...gatewayPatternsOf(runtime.getManifest())] });
    const given = found.flatMap(({ id }) =>
      id === undefined
        ? []
        : scripting.executeScript({
            target: { tabId: id, allFrames: true },
            files: [PLUGIN_FILES.content],
          }),
    );
    // A tab that closed or shows an error page takes none.
    await Promise.allSettled(given);
  }
}
