/**
 * A payment as a page sees it, as a pure step function: `reduce(machine, event)` gives the next
 * machine and what the driver must do. The agent moves the page along; only the gateway says how
 * a payment ended, and nothing is "not charged" once the sealed payment may have left.
 */
import type {
  AgentMessage,
  AgentState,
  ElementPayResult,
  PageMessage,
} from '@tapnpay/protocol/wire';
import { type Charged, type PaymentError, paymentCodeOf, paymentError } from './errors.ts';
import {
  CLOSE_CHANNEL,
  type Effect,
  type Ending,
  INITIAL,
  type Machine,
  type PaymentEvent,
  type Step,
  type TimerName,
  timer,
} from './model.ts';
import { pollAgain, settle, stayUnknown, stop } from './settle.ts';
import {
  AGENT_END_MS,
  AGENT_STATES,
  AUTHORISING_SLOW_MS,
  CHANNEL_MS,
  DEADLINE_SLACK_MS,
  STATES,
} from './states.ts';
import type { TransportEvent } from './transport.ts';

type Handler<Type extends PaymentEvent['type']> = (
  machine: Machine,
  event: Extract<PaymentEvent, { type: Type }>,
) => Step;

const PROBE_AGAIN_MS = 1_000;
const LOAD: Effect = { do: 'load' };

const HANDLERS: { readonly [Type in PaymentEvent['type']]: Handler<Type> } = {
  begin,
  orderLoaded,
  orderFailed,
  cancelFailed: (machine) => step(machine, LOAD),
  start,
  cancel,
  refresh: (machine) =>
    machine.session === null && machine.name !== 'UNKNOWN' ? step(machine, LOAD) : step(machine),
  probed,
  transport: (machine, { event, atMs }) =>
    machine.session === null ? step(machine) : onTransport(machine, event, atMs),
  channelOpened: (machine) => tell(machine, (session) => ({ type: 'channelOpened', session })),
  channelData: (machine, { base64 }) =>
    tell(machine, (session) => ({ type: 'channelData', session, base64 })),
  channelClosed,
  timer: (machine, { name }) => TIMERS[name](machine),
};

/** The step function. */
export function reduce(machine: Machine, event: PaymentEvent): Step {
  const handler = HANDLERS[event.type] as Handler<typeof event.type>;
  return handler(machine, event as never);
}

/** A payment may be started now. */
export function canStart({ name, session, order }: Machine): boolean {
  return session === null && order?.status === 'open' && STATES[name].start;
}

/** The running payment, or the order while none runs, may be cancelled now. */
export function canCancel(machine: Machine): boolean {
  const { name, session, order, sealed, ending, isCancelling } = machine;
  if (!STATES[name].cancel || isCancelling) return false;
  return session === null ? order?.status === 'open' : !sealed && ending === null;
}

/** Whether money moved, as far as anybody may say now. */
export function chargedOf({ name, order, error, sealed }: Machine): Charged {
  if (order === null) return error?.charged ?? 'unknown';
  if (name === 'APPROVED') return 'yes';
  return name === 'UNKNOWN' || sealed ? 'unknown' : 'no';
}

function step(machine: Machine, ...effects: readonly Effect[]): Step {
  return { machine, effects };
}

function tell(machine: Machine, message: (session: string) => PageMessage): Step {
  const { session } = machine;
  if (session === null) return step(machine);
  return step(machine, { do: 'tellAgent', message: message(session) });
}

function begin(machine: Machine, event: Parameters<Handler<'begin'>>[1]): Step {
  const { fault, sealedBefore } = event;
  if (fault !== null) {
    const code = fault === 'frame' ? 'TP_FRAME_NOT_ALLOWED' : 'TP_CONTEXT_INSECURE';
    return step({ ...machine, name: 'INTERRUPTED', error: paymentError(code, 'unknown', fault) });
  }
  const { before = null } = sealedBefore ?? {};
  return step({ ...machine, sealed: sealedBefore !== null, before }, LOAD);
}

function orderLoaded(machine: Machine, event: Parameters<Handler<'orderLoaded'>>[1]): Step {
  const { view, atMs } = event;
  const isRunning = machine.session !== null && machine.ending === null;
  const next = { ...machine, order: view, isCancelling: isRunning && machine.isCancelling };
  if (isRunning && machine.name !== 'UNKNOWN') return step(next);
  // A look after an end that nobody changed keeps the page as it is.
  const isSame = machine.order?.payment?.paymentId === view.payment?.paymentId;
  const isAtEnd = machine.session === null && !machine.sealed && machine.order !== null;
  if (isAtEnd && isSame && view.status === 'open' && machine.name !== 'UNKNOWN') return step(next);
  return settle(next, atMs);
}

function orderFailed(machine: Machine, event: Parameters<Handler<'orderFailed'>>[1]): Step {
  const { code, detail } = event;
  const { ending, sealed, name } = machine;
  if (machine.order === null) {
    const ours = paymentCodeOf(code);
    // What was sealed in this tab is not undone by a gateway that does not find it now.
    if (ours === 'TP_BAD_ARGUMENT' && !sealed) {
      return step({ ...machine, name: 'INTERRUPTED', error: paymentError(ours, 'no', detail) });
    }
    return pollAgain({ ...machine, error: paymentError('TP_NETWORK', 'unknown', detail) });
  }
  if (ending !== null && !sealed) return stop(machine, ending);
  return sealed || name === 'UNKNOWN' ? stayUnknown(machine) : pollAgain(machine);
}

function start(machine: Machine, { session }: { readonly session: string }): Step {
  const { order } = machine;
  if (!canStart(machine) || order === null) return step(machine);
  const { agentUrl, payment } = order;
  const next: Machine = {
    ...INITIAL,
    name: 'CONNECTING',
    order,
    session,
    before: payment?.paymentId ?? null,
  };
  return step(next, timer('probe'), timer('poll'), { do: 'openAgent', agentUrl });
}

function cancel(machine: Machine): Step {
  if (!canCancel(machine)) return step(machine);
  const { session, asked } = machine;
  const next = { ...machine, isCancelling: true };
  if (session === null) return step(next, { do: 'cancelOrder' });
  if (!asked) return end(next, endingOf('ERR_USER_CANCELLED', { isCertain: true }));
  const message: PageMessage = { type: 'cancel', session };
  return step(next, { do: 'tellAgent', message }, timer('budget', AGENT_END_MS));
}

function probed(machine: Machine, { found }: { readonly found: boolean }): Step {
  const { name, session, order } = machine;
  const isIdle = name === 'READY' || name === 'NEED_HOST';
  if (session !== null || order === null || !isIdle) return step(machine);
  if (found) return step({ ...machine, name: 'READY', error: null });
  const error = paymentError('TP_HOST_MISSING', 'no', order.agentUrl);
  return step({ ...machine, name: 'NEED_HOST', error }, timer('probe', PROBE_AGAIN_MS));
}

function onTransport(machine: Machine, event: TransportEvent, atMs: number): Step {
  const isAboutWay = event.kind !== 'message' && event.kind !== 'lost';
  if (isAboutWay && machine.ending !== null) return step(machine);
  switch (event.kind) {
    case 'message':
      return onAgent(machine, event.message, atMs);
    case 'blocked':
      return step({ ...machine, isBlocked: true });
    case 'missing': {
      const error = paymentError('TP_HOST_MISSING', 'no', machine.order?.agentUrl ?? '');
      return step({ ...machine, name: 'NEED_HOST', error }, timer('budget'));
    }
    case 'pairing':
      return step({ ...machine, name: 'NEED_PAIRING', error: null }, timer('budget'));
    case 'ready':
      return onReady(machine, event.health.readers.length, event.health.element.state);
    case 'refused':
    case 'lost':
      return onLost(machine, event.code, event.detail);
  }
}

function onReady(machine: Machine, readers: number, element: string): Step {
  const { session, order } = machine;
  if (session === null || order === null || machine.asked) return step(machine);
  const certain = { isCertain: true };
  if (element === 'locked') return end(machine, endingOf('ERR_ELEMENT_LOCKED', certain));
  if (element !== 'operable') return end(machine, endingOf('ERR_ELEMENT_NOT_ENROLLED', certain));
  if (readers === 0) {
    return end(machine, { ...endingOf('', certain), code: 'TP_NO_READER', state: 'NO_READER' });
  }
  const { orderId } = order;
  const message: PageMessage = { type: 'pay', session, orderId };
  const next = { ...machine, name: 'CONNECTING', error: null, asked: true } as const;
  return step(next, { do: 'tellAgent', message }, timer('budget', CHANNEL_MS));
}

/** Without the agent nothing more can leave this page, and nothing more will be heard. */
function onLost(machine: Machine, code: string, detail: string): Step {
  if (machine.ending !== null) return step(machine, CLOSE_CHANNEL);
  return end(machine, { ...endingOf(code, { isCertain: false }), detail: `${code} ${detail}` });
}

const ON_AGENT: {
  readonly [Type in AgentMessage['type']]?: (
    machine: Machine,
    message: Extract<AgentMessage, { type: Type }>,
    atMs: number,
  ) => Step;
} = {
  state: (machine, { state }, atMs) => onAgentState(machine, state, atMs),
  openChannel: (machine) =>
    machine.ending === null
      ? step(machine, { do: 'openChannel' }, timer('budget', CHANNEL_MS))
      : step(machine),
  channelData: onRecords,
  channelEnd: (machine) => step(machine, CLOSE_CHANNEL),
  result: (machine, { result }) => endTold(machine, resultEnding(result)),
  failed: (machine, { error, sent }) => {
    const ending = endingOf(error.code, { isCertain: !sent });
    return endTold(machine, {
      ...ending,
      detail: String(error.data['gatewayOrigin'] ?? error.code),
    });
  },
};

/** A message of another payment is none of ours. */
function onAgent(machine: Machine, message: AgentMessage, atMs: number): Step {
  const isOurs = 'session' in message && message.session === machine.session;
  const handler = Object.hasOwn(ON_AGENT, message.type) ? ON_AGENT[message.type] : undefined;
  if (!isOurs || !handler) return step(machine);
  return handler(machine, message as never, atMs);
}

/**
 * Between handshake and seal the application says nothing: what it sends after a card was read
 * may be the sealed payment, also if the agent dies before it says so.
 */
function onRecords(machine: Machine, { base64 }: { readonly base64: string }): Step {
  // An attempt that ended before its seal has no channel any more.
  if (machine.ending !== null && !machine.sealed) return step(machine);
  const send: Effect = { do: 'sendChannel', base64 };
  if (!STATES[machine.name].afterCard) return step(machine, send);
  const sealed = seal(machine);
  return step(sealed.machine, ...sealed.effects, send);
}

function seal(machine: Machine): Step {
  if (machine.sealed) return step(machine);
  const { before } = machine;
  return step({ ...machine, sealed: true }, { do: 'remember', sealed: { before } });
}

function onAgentState(machine: Machine, state: AgentState, atMs: number): Step {
  if (machine.ending !== null || machine.name === 'UNKNOWN') return step(machine);
  if (!Object.hasOwn(AGENT_STATES, state.name)) return step(machine);
  const name = AGENT_STATES[state.name];
  const sealed = state.name === 'authorising' ? seal(machine) : step(machine);
  const next: Machine = {
    ...sealed.machine,
    name,
    card: state.name === 'waitCard' ? state : null,
    pinDeadlineMs: state.name === 'waitPin' ? state.deadlineMs : null,
    interface: 'interface' in state ? state.interface : machine.interface,
    error: waitError(state),
    isCancelling: machine.isCancelling && !sealed.machine.sealed,
  };
  return step(next, ...sealed.effects, ...budgetsOf(next, state, atMs));
}

/** Why a card is asked for again; nothing was charged. */
function waitError(state: AgentState): PaymentError | null {
  if (state.name !== 'waitCard' || state.reason === null) return null;
  return paymentError(paymentCodeOf(state.reason), 'no', state.reason);
}

function budgetsOf(machine: Machine, state: AgentState, atMs: number): readonly Effect[] {
  // A cancelled payment has its own budget; taking the card out does not restart the issuer's.
  if (machine.isCancelling) return [];
  if (state.name === 'removeCard' && machine.sealed) return [];
  if ('deadlineMs' in state) {
    return [timer('budget', Math.max(0, state.deadlineMs - atMs) + DEADLINE_SLACK_MS)];
  }
  const all = [timer('budget', STATES[machine.name].budgetMs)];
  return state.name === 'authorising' ? [...all, timer('slow', AUTHORISING_SLOW_MS)] : all;
}

/** The gateway's connection broke; the agent has a moment to say how its payment ended. */
function channelClosed(machine: Machine): Step {
  const { session } = machine;
  if (session === null || machine.ending !== null) return step(machine);
  const message: PageMessage = { type: 'channelClosed', session };
  const next = { ...machine, channelLost: true };
  return step(next, { do: 'tellAgent', message }, timer('budget', AGENT_END_MS));
}

const TIMERS: Readonly<Record<TimerName, (machine: Machine) => Step>> = {
  budget: outOfBudget,
  slow: (machine) => step({ ...machine, isSlow: true }),
  poll: (machine) => step(machine, LOAD),
  expiry: (machine) => (machine.session === null ? step(machine, LOAD) : step(machine)),
  probe: (machine) => {
    const { order, session } = machine;
    if (order === null || session !== null) return step(machine);
    return step(machine, { do: 'probe', agentUrl: order.agentUrl });
  },
};

function outOfBudget(machine: Machine): Step {
  const { session, name, sealed, isCancelling, channelLost } = machine;
  if (session === null || machine.ending !== null) return step(machine);
  const uncertain = { isCertain: false };
  if (isCancelling) return end(machine, endingOf('ERR_USER_CANCELLED', uncertain));
  if (channelLost) return end(machine, endingOf('ERR_CHANNEL_CLOSED', uncertain));
  if (sealed) return end(machine, endingOf('timeout', uncertain));
  const { budgetCode } = STATES[name];
  const ended = end(machine, { ...endingOf('timeout', uncertain), code: budgetCode });
  const message: PageMessage = { type: 'cancel', session };
  return step(ended.machine, { do: 'tellAgent', message }, CLOSE_CHANNEL, LOAD);
}

/** An end in the agent's words; one that it is not sure of may have been sealed. */
function endTold(machine: Machine, ending: Ending): Step {
  const told = ending.isCertain ? step(machine) : seal(machine);
  // However the agent broke it off: the person wanted it so.
  const isWish = machine.isCancelling && ending.isCertain;
  const wish = endingOf('ERR_USER_CANCELLED', { isCertain: true });
  const ended = end(told.machine, isWish ? wish : ending);
  return step(ended.machine, ...told.effects, ...ended.effects);
}

/** The attempt is over as far as we know; the gateway is asked what it knows. */
function end(machine: Machine, ending: Ending): Step {
  // The first word counts: what follows it is an echo of our own cancel or close.
  const kept = machine.ending?.isCertain === false && ending.isCertain ? ending : machine.ending;
  const next: Machine = { ...machine, ending: kept ?? ending };
  const halt: readonly Effect[] = machine.sealed ? [] : [CLOSE_CHANNEL];
  return step(next, timer('budget'), timer('slow'), ...halt, LOAD);
}

function endingOf(raw: string, { isCertain }: { readonly isCertain: boolean }): Ending {
  const code = raw === 'timeout' ? 'TP_RESULT_UNKNOWN' : paymentCodeOf(raw);
  return { code, state: null, detail: raw, isCertain };
}

/** What the agent reports. Its approval is none: the gateway says so, or nobody. */
function resultEnding(result: ElementPayResult): Ending {
  const { outcome, reason, charged, responseCode } = result;
  const isCertain = charged === 'no' && (outcome === 'declined' || outcome === 'cancelled');
  if (!isCertain) return endingOf('timeout', { isCertain });
  const ending = endingOf(reason ?? '', { isCertain });
  const state = outcome === 'declined' ? 'DECLINED' : null;
  const isOnline = ending.code === 'TP_DECLINED_ONLINE' && responseCode !== null;
  return { ...ending, state, detail: isOnline ? responseCode : ending.detail };
}
