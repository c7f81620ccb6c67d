/** The states of a payment's page, and what each allows and how long it may last. */
import type { AgentState } from '@tapnpay/protocol/wire';
import type { PaymentCode } from './errors.ts';

/** How long the parts of a payment may take, in milliseconds. */
export const AGENT_ACK_MS = 1_000;
export const AGENT_HELLO_MS = 5_000;
export const CHANNEL_MS = 5_000;
/** For a person who reads and decides in the agent's window; its own limit is shorter. */
export const CONSENT_MS = 180_000;
/** The agent names its deadline for card and PIN; only its silence beyond it ends the wait. */
export const DEADLINE_SLACK_MS = 5_000;
export const READING_MS = 30_000;
/** After this the page says that it still works. */
export const AUTHORISING_SLOW_MS = 10_000;
/** After this nobody knows, and the gateway is asked. */
export const AUTHORISING_MS = 60_000;
/** What the agent has to end a cancelled payment, or one whose channel broke. */
export const AGENT_END_MS = 2_000;
/** The card's deadline is counted down aloud in its last part. */
export const COUNTDOWN_MS = 15_000;
/** Pauses between questions to the gateway. */
export const POLL_MS: readonly number[] = [1_000, 2_000, 4_000, 8_000];
/**
 * A sealed payment may be on its way into the gateway while its order still reads open: two calls
 * of its HSM of 10 s each lie before its commit point. Only after this is "open" believed.
 */
export const OPEN_GRACE_MS = 25_000;

/** What a state allows. */
type StateFacts = {
  /** A payment may be started: the first or, where nothing was charged, another. */
  readonly start: boolean;
  /** A running payment may be cancelled, unless it was sealed. */
  readonly cancel: boolean;
  /** From here on bytes of the application may hold the sealed payment. */
  readonly afterCard: boolean;
  readonly budgetMs: number | null;
  /** What it means that the budget is used up. */
  readonly budgetCode: PaymentCode;
};

const IDLE: StateFacts = {
  start: true,
  cancel: true,
  afterCard: false,
  budgetMs: null,
  budgetCode: 'TP_HOST_TIMEOUT',
};
const AT_REST: StateFacts = { ...IDLE, start: false, cancel: false };
const RUNNING: StateFacts = { ...IDLE, start: false };
const CARD_READ: StateFacts = { ...RUNNING, afterCard: true };

/** Every state of the page. */
export type StateName =
  | 'CHECKING'
  | 'READY'
  | 'NEED_HOST'
  | 'NEED_PAIRING'
  | 'NEED_UPDATE'
  | 'APP_NOT_READY'
  | 'NO_READER'
  | 'CONNECTING'
  | 'CONSENT'
  | 'WAIT_CARD'
  | 'READING'
  | 'WAIT_PIN'
  | 'AUTHORISING'
  | 'REMOVE_CARD'
  | 'APPROVED'
  | 'DECLINED'
  | 'CANCELLED'
  | 'INTERRUPTED'
  | 'UNKNOWN';

/** What each allows. @see protocol/src/wire/agent.ts for the agent's own view */
export const STATES: Readonly<Record<StateName, StateFacts>> = {
  CHECKING: AT_REST,
  READY: IDLE,
  NEED_HOST: RUNNING,
  NEED_PAIRING: RUNNING,
  NEED_UPDATE: IDLE,
  APP_NOT_READY: IDLE,
  NO_READER: IDLE,
  CONNECTING: { ...RUNNING, budgetMs: CHANNEL_MS, budgetCode: 'TP_CHANNEL_TIMEOUT' },
  CONSENT: { ...RUNNING, budgetMs: CONSENT_MS, budgetCode: 'TP_USER_TIMEOUT' },
  WAIT_CARD: { ...RUNNING, budgetCode: 'TP_CARD_TIMEOUT' },
  READING: { ...CARD_READ, budgetMs: READING_MS },
  WAIT_PIN: { ...CARD_READ, budgetCode: 'TP_PIN_TIMEOUT' },
  AUTHORISING: { ...CARD_READ, cancel: false, budgetMs: AUTHORISING_MS },
  REMOVE_CARD: { ...CARD_READ, budgetMs: AUTHORISING_MS },
  APPROVED: AT_REST,
  DECLINED: IDLE,
  CANCELLED: IDLE,
  INTERRUPTED: IDLE,
  UNKNOWN: AT_REST,
};

/** The agent's states as the page's. */
export const AGENT_STATES: Readonly<Record<AgentState['name'], StateName>> = {
  connecting: 'CONNECTING',
  consent: 'CONSENT',
  waitCard: 'WAIT_CARD',
  reading: 'READING',
  waitPin: 'WAIT_PIN',
  authorising: 'AUTHORISING',
  removeCard: 'REMOVE_CARD',
};

/** Where a payment that ended without a charge leaves the page; INTERRUPTED unless listed. */
const END_STATES: readonly (readonly [state: StateName, codes: readonly PaymentCode[]])[] = [
  ['NEED_UPDATE', ['TP_HOST_OUTDATED']],
  [
    'APP_NOT_READY',
    ['TP_APP_NOT_INSTALLED', 'TP_APP_LOCKED', 'TP_APP_TAMPERED', 'TP_KEYS_EXPIRED'],
  ],
  ['NO_READER', ['TP_NO_READER']],
  [
    'DECLINED',
    ['TP_DECLINED_OFFLINE', 'TP_DECLINED_ONLINE', 'TP_CARD_BLOCKED', 'TP_CARD_UNSUPPORTED'],
  ],
  [
    'CANCELLED',
    ['TP_PIN_CANCELLED', 'TP_USER_CANCELLED', 'TP_ORDER_CANCELLED', 'TP_ORDER_EXPIRED'],
  ],
];

/** The state that a code ends in. */
export function endStateOf(code: PaymentCode): StateName {
  return END_STATES.find(([, codes]) => codes.includes(code))?.[0] ?? 'INTERRUPTED';
}
