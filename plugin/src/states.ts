/** The states of a payment's page, and how long each may last. */
import type { AgentState } from '@tapnpay/protocol/wire';
import type { PaymentCode } from './errors.ts';

/** How long the parts of a payment may take, in milliseconds. */
export const AGENT_ACK_MS = 1_000;
export const AGENT_HELLO_MS = 5_000;
/** What is missing is looked for again after this. */
export const LOOK_AGAIN_MS = 1_000;
export const CHANNEL_MS = 5_000;
/** The agent names its deadline for card and PIN; only its silence beyond it ends the wait. */
export const DEADLINE_SLACK_MS = 5_000;
/** After this the page says that it still works. */
export const AUTHORISING_SLOW_MS = 10_000;
/** What the agent has to end a cancelled payment, or one whose channel broke. */
export const AGENT_END_MS = 2_000;
/** The card's deadline is counted down aloud in its last part. */
export const COUNTDOWN_MS = 15_000;
/** Pauses between questions to the gateway; the last one repeats. */
export const POLL_MS: readonly number[] = [1_000, 2_000, 4_000, 8_000];
/** An order is looked at this long after its expiry. */
export const EXPIRY_SLACK_MS = 500;
/**
 * A sealed payment may be on its way into the gateway while its order still reads open: two calls
 * of its HSM of 10 s each lie before its commit point. Only after this is "open" believed.
 */
export const OPEN_GRACE_MS = 25_000;

/** Every state of the page. */
export type StateName =
  | 'CHECKING'
  | 'READY'
  /** Of a shop's page: the payer is on the gateway's. */
  | 'AT_GATEWAY'
  | NeedName
  | 'NEED_PAIRING'
  | 'CONNECTING'
  | 'CONSENT'
  | 'WAIT_CARD'
  | 'READING'
  | 'WAIT_PIN'
  | 'AUTHORISING'
  | 'REMOVE_CARD'
  | 'APPROVED'
  /** Of a look at a balance. */
  | 'BALANCE_READ'
  /** Of a dynamic token. */
  | 'TOKEN_MADE'
  | 'DECLINED'
  | 'CANCELLED'
  | 'INTERRUPTED'
  | 'UNKNOWN';
/** Something is missing; while the page waits for it, it goes on by itself when it comes. */
export type NeedName =
  | 'NEED_EXTENSION'
  | 'NEED_HOST'
  | 'NEED_UPDATE'
  | 'BROWSER_UNSUPPORTED'
  | 'APP_NOT_READY'
  | 'NO_READER';

/** The state of a page that waits for what a code names. */
export function needStateOf(endState: StateName): StateName {
  return /^(N|B|APP_)/.test(endState) ? endState : 'NEED_HOST';
}

/** From here on bytes of the application may hold the sealed payment. */
export const AFTER_CARD: readonly StateName[] = [
  'READING',
  'WAIT_PIN',
  'AUTHORISING',
  'REMOVE_CARD',
];

/** How long a state may last without news, and what its end means. */
export const BUDGETS: Readonly<
  Partial<Record<StateName, readonly [ms: number, code: PaymentCode]>>
> = {
  // For a payment application that is installed by its first payment.
  APP_NOT_READY: [60_000, 'TP_APP_NOT_INSTALLED'],
  CONNECTING: [CHANNEL_MS, 'TP_CHANNEL_TIMEOUT'],
  // For a person who reads and decides in the agent's window; its own limit is shorter.
  CONSENT: [180_000, 'TP_USER_TIMEOUT'],
  // The agent tells when these two end.
  WAIT_CARD: [0, 'TP_CARD_TIMEOUT'],
  WAIT_PIN: [0, 'TP_PIN_TIMEOUT'],
  READING: [30_000, 'TP_HOST_TIMEOUT'],
  // After these two nobody knows, and the gateway is asked.
  AUTHORISING: [60_000, 'TP_HOST_TIMEOUT'],
  REMOVE_CARD: [60_000, 'TP_HOST_TIMEOUT'],
};

/** The agent's state as the page's: `waitCard` is WAIT_CARD; null for one that is not known. */
export function stateOfAgent({ name }: Pick<AgentState, 'name'>): StateName | null {
  const state = String(name).replace(/[A-Z]/g, '_$&').toUpperCase();
  return Object.hasOwn(BUDGETS, state) ? (state as StateName) : null;
}
