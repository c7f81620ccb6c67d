/** What a payment on a page is made of: its facts, what happens to it, and what is to be done. */
import type { AgentState, CardInterface, PageMessage, PayOrderView } from '@tapnpay/protocol/wire';
import type { PaymentCode, PaymentError } from './errors.ts';
import type { StateName } from './states.ts';
import type { TransportEvent } from './transport.ts';

/** How an attempt ended, from the agent or our own clock. */
export type Ending = {
  readonly code: PaymentCode;
  /** Null: the code's own state. */
  readonly state: StateName | null;
  readonly detail: string;
  /** The agent said itself that nothing was sent, or nothing can have been. */
  readonly isCertain: boolean;
};

/** Everything that decides what happens next. */
export type Machine = {
  readonly name: StateName;
  readonly order: PayOrderView | null;
  readonly error: PaymentError | null;
  /** The running attempt, or null. */
  readonly session: string | null;
  /** The agent was given the intent. */
  readonly asked: boolean;
  /** The sealed payment may have left this page. */
  readonly sealed: boolean;
  /** The order's last payment before this attempt. */
  readonly before: string | null;
  /** How the attempt ended as far as we know; waits for the gateway's word. */
  readonly ending: Ending | null;
  readonly card: Extract<AgentState, { name: 'waitCard' }> | null;
  readonly pinDeadlineMs: number | null;
  readonly interface: CardInterface | null;
  readonly isSlow: boolean;
  readonly isBlocked: boolean;
  readonly isCancelling: boolean;
  readonly channelLost: boolean;
  readonly polls: number;
  /** Since when the gateway says "open" of an order whose sealed payment left us. */
  readonly openSinceMs: number | null;
};

export type TimerName = 'budget' | 'slow' | 'poll' | 'expiry' | 'probe';

/** What happens to a payment. */
export type PaymentEvent =
  /** `sealedBefore`: this tab was reloaded under a sealed payment; its last payment before it. */
  | {
      readonly type: 'begin';
      readonly fault: string | null;
      readonly sealedBefore: { readonly before: string | null } | null;
    }
  | { readonly type: 'orderLoaded'; readonly view: PayOrderView; readonly atMs: number }
  | { readonly type: 'orderFailed'; readonly code: string; readonly detail: string }
  | { readonly type: 'cancelFailed' }
  | { readonly type: 'start'; readonly session: string }
  | { readonly type: 'cancel' }
  | { readonly type: 'refresh' }
  | { readonly type: 'probed'; readonly found: boolean }
  | { readonly type: 'transport'; readonly event: TransportEvent; readonly atMs: number }
  | { readonly type: 'channelOpened' }
  | { readonly type: 'channelData'; readonly base64: string }
  | { readonly type: 'channelClosed' }
  | { readonly type: 'timer'; readonly name: TimerName };

/** What the driver does, in order. */
export type Effect =
  | { readonly do: 'load' | 'cancelOrder' | 'closeAgent' | 'openChannel' | 'closeChannel' }
  | { readonly do: 'probe' | 'openAgent'; readonly agentUrl: string }
  | { readonly do: 'tellAgent'; readonly message: PageMessage }
  | { readonly do: 'sendChannel'; readonly base64: string }
  /** Keeps for a reload that a payment was sealed; null forgets it. */
  | { readonly do: 'remember'; readonly sealed: { readonly before: string | null } | null }
  /** Null stops it. */
  | { readonly do: 'timer'; readonly name: TimerName; readonly ms: number | null };

export type Step = { readonly machine: Machine; readonly effects: readonly Effect[] };

/** Before anything is known. */
export const INITIAL: Machine = {
  name: 'CHECKING',
  order: null,
  error: null,
  session: null,
  asked: false,
  sealed: false,
  before: null,
  ending: null,
  card: null,
  pinDeadlineMs: null,
  interface: null,
  isSlow: false,
  isBlocked: false,
  isCancelling: false,
  channelLost: false,
  polls: 0,
  openSinceMs: null,
};

/** Starts a timer anew, or stops it. */
export function timer(name: TimerName, ms: number | null = null): Effect {
  return { do: 'timer', name, ms };
}

/** Nothing more passes between application and gateway. */
export const CLOSE_CHANNEL: Effect = { do: 'closeChannel' };
