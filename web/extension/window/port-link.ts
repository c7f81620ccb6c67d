/**
 * The window's link over the extension's own port: the worker passes everything to and from the
 * host of the page that this window serves. It is not tried again: a new payment gets a new window.
 */
import type { Port, WindowPortAnswer, WindowPortMessage } from '@tapnpay/plugin/extension';
import type { WindowMessage, WindowView } from '@tapnpay/protocol/wire';
import type { Link, LinkListener } from '../../helper/link.ts';

export type PortLinkPorts = LinkListener & { readonly connect: () => Port };

/** How a session that paid nothing ended when it failed; null: a payment. */
const LOOK_FAILURES = { pay: null, balance: 'notRead', token: 'notMade' } as const;

export class PortLink implements Link {
  readonly #ports: PortLinkPorts;
  #port: Port | null = null;
  #view: WindowView | null = null;

  constructor(ports: PortLinkPorts) {
    this.#ports = ports;
  }

  start(): void {
    if (this.#port !== null) return;
    try {
      const port = this.#ports.connect();
      this.#port = port;
      port.onMessage.addListener((answer) => this.#take(answer as WindowPortAnswer));
      port.onDisconnect.addListener(() => this.#end('broken', 'ERR_WORKER_STOPPED'));
    } catch {
      // Another version of the extension has come, and this window is of the old one.
      this.#end('broken', 'ERR_EXTENSION_RELOADED');
    }
  }

  send(message: WindowMessage): boolean {
    if (this.#port === null || this.#view === null) return false;
    try {
      const passed: WindowPortMessage = { kind: 'message', message };
      this.#port.postMessage(passed);
      return true;
    } catch {
      return false;
    }
  }

  #take(answer: WindowPortAnswer): void {
    if (answer.kind === 'ended') this.#takeEnd(answer);
    else if (answer.message.type === 'error') this.#ports.onError(answer.message.error);
    else {
      const isFirst = this.#view === null;
      this.#view = answer.message;
      if (isFirst) this.#ports.onStatus('open');
      this.#ports.onView(answer.message);
    }
  }

  /** The page may have its result before the host's last view came here. */
  #takeEnd({ code, last }: Extract<WindowPortAnswer, { kind: 'ended' }>): void {
    const view = this.#view;
    if (view !== null && last !== null && view.last?.session !== last.session) {
      // The worker does not know what a session was for.
      const failure = LOOK_FAILURES[view.payment?.intent ?? 'pay'];
      const isLook = failure !== null && last.outcome === 'failed';
      const told = isLook ? { ...last, outcome: failure } : last;
      this.#view = { ...view, payment: null, last: told };
      this.#ports.onView(this.#view);
    }
    this.#end(code === null ? 'ended' : 'broken', code);
  }

  #end(status: 'ended' | 'broken', code: string | null): void {
    if (this.#port === null && code !== 'ERR_EXTENSION_RELOADED') return;
    this.#port = null;
    this.#ports.onStatus(status);
    if (code !== null) this.#ports.onError({ code, message: '', data: {} });
  }
}
