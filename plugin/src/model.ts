/** A payment on a page: what it shows, what can be done with it, and what it stands on. */
import type { AgentState, CardInterface, PayOrderView } from '@tapnpay/protocol/wire';
import { afterMs, keptTexts } from './browser.ts';
import type { Charged, PaymentError } from './errors.ts';
import { type GatewayClient, gatewayClient } from './gateway.ts';
import type { StateName } from './states.ts';
import type { PluginFacts } from './transport.ts';

/** A payment as a page shows it. */
export type PaymentState = View & {
  readonly charged: Charged;
  /** A payment of this page is under way. */
  readonly isRunning: boolean;
  readonly canStart: boolean;
  readonly canCancel: boolean;
  /** What is known of extension and host; null before they were looked for. */
  readonly plugin: PluginFacts | null;
};
/** What a payment itself knows of its state. */
export type View = {
  readonly name: StateName;
  readonly order: PayOrderView | null;
  readonly error: PaymentError | null;
  /** Which interfaces are asked for, until when, and why again. */
  readonly card: Extract<AgentState, { name: 'waitCard' }> | null;
  readonly pinDeadlineMs: number | null;
  readonly interface: CardInterface | null;
  /** It takes longer than usual. */
  readonly isSlow: boolean;
  /** The browser did not open the agent's window: `show` in a click does. */
  readonly isBlocked: boolean;
  readonly isCancelling: boolean;
};

/** One order's payment on a page. */
export type Payment = {
  readonly state: PaymentState;
  /** Starts a payment, or another where nothing was charged; call it inside the click. */
  start(): void;
  /** Cancels the running payment, or the order while none runs. */
  cancel(): void;
  /** Brings the agent's window to the front; call it inside the click. */
  show(): void;
  /** Asks the gateway again, e.g. when the page was away. */
  refresh(): void;
  /** The page goes away: nothing more is told. */
  stop(): void;
};

/** What the driver takes of its surroundings; tests give their own. */
export type PaymentPorts = {
  readonly gateway: GatewayClient;
  nowMs(): number;
  after(ms: number, call: () => void): () => void;
  newSession(): string;
  /** Why no payment may run here: `ERR_FRAME_NOT_ALLOWED`, `ERR_CONTEXT_INSECURE`; or null. */
  readonly fault: string | null;
  readSealed(orderId: string): { readonly before: string | null } | null;
  keepSealed(orderId: string, sealed: { readonly before: string | null } | null): void;
};

/** Of an order of which nothing was tried yet. */
export const BLANK: Omit<View, 'name' | 'order'> = {
  error: null,
  card: null,
  pinDeadlineMs: null,
  interface: null,
  isSlow: false,
  isBlocked: false,
  isCancelling: false,
};

const SEALED_KEY = 'tapnpay-sealed:';

/** The browser that this page runs in. */
export function browserPorts(gatewayUrl: string): PaymentPorts {
  const sealed = keptTexts('sessionStorage', SEALED_KEY);
  const fault = window.top === window ? null : 'ERR_FRAME_NOT_ALLOWED';
  return {
    gateway: gatewayClient(gatewayUrl),
    nowMs: () => Date.now(),
    after: afterMs,
    newSession: () => crypto.randomUUID(),
    fault: isSecureContext ? fault : 'ERR_CONTEXT_INSECURE',
    readSealed: (orderId) => JSON.parse(sealed.read(orderId) ?? 'null'),
    keepSealed: (orderId, value) => sealed.keep(orderId, value && JSON.stringify(value)),
  };
}
