/** How a page reaches the agent on the payer's machine: by the extension, or by loopback. */
import type {
  AgentHealth,
  AgentMessage,
  PageMessage,
  PluginVersions,
  UpdateNeed,
} from '@tapnpay/protocol/wire';

/** What is known of the parts on the way; versions are semantic ones. */
export type PluginFacts = {
  /** Null until one was found. */
  readonly way: 'extension' | 'loopback' | null;
  /** Version of the extension; null: none answered. */
  readonly extension: string | null;
  readonly host: { readonly version: string; readonly protocol: VersionRange } | null;
  /** Of the last agent that said hello. */
  readonly element: AgentHealth['element'] | null;
  readonly readers: AgentHealth['readers'];
  /** What the gateway offers and requires; null: it has no update channel. */
  readonly versions: PluginVersions | null;
  /** The strongest need of extension and host; `optional` never stops a payment. */
  readonly update: UpdateNeed;
};
/** Before the first look. */
export const NO_FACTS: PluginFacts = {
  way: null,
  extension: null,
  host: null,
  element: null,
  readers: [],
  versions: null,
  update: 'ok',
};
type VersionRange = { readonly min: number; readonly max: number };

/** What a transport tells. */
export type TransportEvent =
  /**
   * Nothing is missing; after `open`: the agent waits for its intent. An agent whose payment
   * application is not installed yet installs it when it is asked to pay.
   */
  | { readonly kind: 'ready'; readonly isInstalling: boolean }
  /**
   * Something is missing, or not ready: `ERR_EXTENSION_MISSING`, `ERR_HOST_...`,
   * `ERR_ELEMENT_LOCKED`, `ERR_NO_READER`, ... It looks again once a second and goes on by itself.
   */
  | { readonly kind: 'missing'; readonly code: string; readonly detail: string }
  /** A person must pair this browser in the agent's window; it goes on by itself then. */
  | { readonly kind: 'pairing' }
  /** The browser did not open the agent's window. */
  | { readonly kind: 'blocked' }
  | { readonly kind: 'message'; readonly message: AgentMessage }
  /**
   * The way to the agent broke, or it will not talk to this page: `ERR_AGENT_GONE`,
   * `ERR_HOST_EXITED`, `ERR_EXTENSION_RELOADED`, `ERR_VERSION`, `ERR_ORIGIN`, ...
   */
  | { readonly kind: 'lost'; readonly code: string; readonly detail: string };

/** A way to the agent. It does nothing before `look` or `open`, and nothing after `close`. */
export interface Transport {
  /** What is known of the parts now; null before the first look. */
  readonly facts: PluginFacts | null;
  /** Looks whether a payment could go through; opens no window. */
  look(agentUrl: string): void;
  /** Call it inside the person's click: it may open a window. */
  open(agentUrl: string): void;
  /** Dropped when the way is not open; the loss itself is told as an event. */
  send(message: PageMessage): void;
  /** The one listener; a later one replaces it. */
  onMessage(listener: (event: TransportEvent) => void): void;
  /** Brings the agent's window to the front; call it inside the person's click. */
  show(): void;
  /** Has the browser look for a newer extension now. */
  update(): void;
  close(): void;
}

/** What keeps an agent that is there from paying; null: nothing. */
export function needOf(health: {
  readonly element: AgentHealth['element'] | null;
  readonly readers: AgentHealth['readers'];
}): { readonly code: string; readonly detail: string } | null {
  const { element, readers } = health;
  const detail = element?.id ?? '';
  if (element?.state === 'locked') return { code: 'ERR_ELEMENT_LOCKED', detail };
  return readers.length === 0 ? { code: 'ERR_NO_READER', detail } : null;
}

/** The `ready` of an agent that can pay. */
export function readyOf(element: AgentHealth['element'] | null): TransportEvent {
  return { kind: 'ready', isInstalling: element?.state === 'notEnrolled' };
}
