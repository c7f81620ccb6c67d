/** How a page reaches the agent on the payer's machine: by loopback now, by an extension later. */
import type { AgentHealth, AgentMessage, PageMessage } from '@tapnpay/protocol/wire';

/** What a transport tells. */
export type TransportEvent =
  /** The agent knows this page and waits for its intent. */
  | { readonly kind: 'ready'; readonly health: AgentHealth }
  /** A person must pair this browser in the agent's window; it goes on by itself then. */
  | { readonly kind: 'pairing' }
  /** Nobody answers; it tries again once a second and goes on by itself. */
  | { readonly kind: 'missing' }
  /** The browser did not open the agent's window. */
  | { readonly kind: 'blocked' }
  | { readonly kind: 'message'; readonly message: AgentMessage }
  /** The agent will not talk to this page: `ERR_VERSION`, `ERR_ORIGIN`, `ERR_AGENT_TIMEOUT`. */
  | { readonly kind: 'refused'; readonly code: string; readonly detail: string }
  /** The way to the agent broke: `ERR_AGENT_GONE`, `ERR_AGENT_PROTOCOL`. */
  | { readonly kind: 'lost'; readonly code: string; readonly detail: string };

/** A way to the agent. It does nothing before `probe` or `open`, and nothing after `close`. */
export interface Transport {
  /** Whether anybody answers, within a second; says nothing and asks for nothing. */
  probe(agentUrl: string): Promise<boolean>;
  /** Call it inside the person's click: it may open a window. */
  open(agentUrl: string): void;
  /** Dropped when the way is not open; the loss itself is told as an event. */
  send(message: PageMessage): void;
  /** The one listener; a later one replaces it. */
  onMessage(listener: (event: TransportEvent) => void): void;
  /** Brings the agent's window to the front; call it inside the person's click. */
  show(): void;
  close(): void;
}
