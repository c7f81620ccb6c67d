/**
 * One session as the agent sees it, a payment, a balance or a token, as a pure machine: a state
 * and an event make a state and effects. Up to hop 7 (seal) every state can be cancelled and
 * nothing was sent; after it nothing can. The driver in `desk-session.ts` carries out the effects.
 */
import type {
  AgentState,
  CardInterface,
  CardRequest,
  HopName,
  ShownOrder,
} from '@tapnpay/protocol/wire';
import type { ServiceErrorCode } from './errors.ts';

/** Longest wait for a person's yes. */
export const CONSENT_TIMEOUT_MS = 120_000;
/** Longest wait for a card. */
export const CARD_TIMEOUT_MS = 60_000;
/** Longest wait for a PIN. */
export const PIN_TIMEOUT_MS = 120_000;
/** A window that was closed while it was needed may come back this long. */
export const WINDOW_GRACE_MS = 5_000;

/** What runs out. */
export type SessionTimer = 'consent' | 'card' | 'pin' | 'window';

/** What a person and a card are asked for: to pay an order, to show a balance, to make a token. */
export type SessionRequest = CardRequest | LookRequest;
export type LookRequest = Omit<CardRequest, keyof ShownOrder> & {
  readonly kind: 'balance' | 'token';
};

/** Whether nothing is paid with the card. */
export function isLook(request: SessionRequest): request is LookRequest {
  return request.kind === 'balance' || request.kind === 'token';
}

export type SessionState = {
  /** What pages and windows are shown. */
  readonly shown: AgentState;
  readonly request: SessionRequest | null;
  /** What the person said yes to. */
  readonly consentedTo: SessionRequest | null;
  /** When the person said it, Unix time in milliseconds. */
  readonly consentedAtMs: number | null;
  readonly pinKeySpki: string | null;
  /** How this payment's card was presented last. */
  readonly interface: CardInterface | null;
  /** A card, of this payment or not, is at the reader. */
  readonly isReaderOccupied: boolean;
  /** Hop 7 was passed: the cryptogram may have left. */
  readonly sealed: boolean;
  /** Why the agent ended the payment. */
  readonly abortedBy: ServiceErrorCode | null;
};

export type SessionEvent =
  | { readonly type: 'cardAsked'; readonly request: SessionRequest }
  | { readonly type: 'consent'; readonly given: boolean }
  /** A card has come; whether it works is not known yet. */
  | { readonly type: 'arrived' }
  | { readonly type: 'presented'; readonly interface: CardInterface }
  /** A card has come that cannot be this payment's: it must go first. */
  | { readonly type: 'unusable' }
  /** This payment's card has left. */
  | { readonly type: 'cardLost' }
  /** The last card has left: no reader holds one. */
  | { readonly type: 'takenAway' }
  | { readonly type: 'cardDone' }
  | { readonly type: 'pinAsked'; readonly publicKeySpki: string }
  | { readonly type: 'pin'; readonly sealedPin: string | null }
  | { readonly type: 'hop'; readonly name: HopName }
  | { readonly type: 'cancel' }
  | { readonly type: 'pageLost' }
  | { readonly type: 'windowsGone' }
  | { readonly type: 'windowBack' }
  | { readonly type: 'timeout'; readonly timer: SessionTimer };

export type SessionEffect =
  | { readonly type: 'startTimer'; readonly timer: SessionTimer; readonly delayMs: number }
  | { readonly type: 'stopTimer'; readonly timer: SessionTimer }
  /** The card that was just presented is the payment's. */
  | { readonly type: 'giveCard'; readonly interface: CardInterface }
  | { readonly type: 'refuseCard'; readonly code: ServiceErrorCode }
  | { readonly type: 'givePin'; readonly sealedPin: string }
  | { readonly type: 'refusePin'; readonly code: ServiceErrorCode }
  /** No APDU reaches the card any more. */
  | { readonly type: 'breakCard' }
  /** No record leaves any more. */
  | { readonly type: 'cutChannel' }
  /** Nothing more is asked of the card: a virtual tap is over, a real card is let go. */
  | { readonly type: 'releaseCard' };

export type SessionStep = {
  readonly state: SessionState;
  readonly effects: readonly SessionEffect[];
};

/** A session that was just asked for. */
export function newSession(facts: { readonly isReaderOccupied: boolean }): SessionState {
  return {
    shown: { name: 'connecting' },
    request: null,
    consentedTo: null,
    consentedAtMs: null,
    pinKeySpki: null,
    interface: null,
    isReaderOccupied: facts.isReaderOccupied,
    sealed: false,
    abortedBy: null,
  };
}

/** The next state. An event that means nothing in a state changes nothing. */
export function stepSession(state: SessionState, event: SessionEvent, nowMs: number): SessionStep {
  switch (event.type) {
    case 'cardAsked':
      return onCardAsked(state, event.request, nowMs);
    case 'consent':
      if (state.shown.name !== 'consent' || state.abortedBy !== null) return same(state);
      return event.given
        ? waitCard(consented(state, nowMs), nowMs)
        : abort(state, 'ERR_USER_CANCELLED');
    case 'arrived':
      return same({ ...state, isReaderOccupied: true });
    case 'presented':
      return onPresented(state, event.interface);
    case 'unusable':
      return onUnusable(state);
    case 'cardLost':
      return onCardLost(state);
    case 'takenAway':
      return onTakenAway(state);
    case 'cardDone':
      return onCardDone(state);
    case 'pinAsked':
      return onPinAsked(state, event.publicKeySpki, nowMs);
    case 'pin':
      return onPin(state, event.sealedPin);
    case 'hop':
      return event.name === 'seal' ? onSeal(state) : same(state);
    case 'cancel':
    case 'pageLost':
      return abort(state, 'ERR_USER_CANCELLED');
    case 'windowsGone':
      if (!needsWindow(state)) return same(state);
      return { state, effects: [startTimer('window', WINDOW_GRACE_MS)] };
    case 'windowBack':
      return { state, effects: [stopTimer('window')] };
    case 'timeout':
      return onTimeout(state, event.timer);
  }
}

/** Whether a person must act in the agent's window now. */
function needsWindow({ shown, abortedBy }: SessionState): boolean {
  return abortedBy === null && (shown.name === 'consent' || shown.name === 'waitPin');
}

function onCardAsked(state: SessionState, request: SessionRequest, nowMs: number): SessionStep {
  // The presentation before is over, whatever came of it.
  const released = release(state);
  const asked: SessionState = { ...state, request, interface: null };
  const { abortedBy, consentedTo } = state;
  if (abortedBy !== null) {
    return { state: asked, effects: [...released, { type: 'refuseCard', code: abortedBy }] };
  }
  if (consentedTo !== null && isSameWish(consentedTo, request)) {
    return before(released, waitCard(asked, nowMs));
  }
  const shown: AgentState = { name: 'consent' };
  const effects = [...released, startTimer('consent', CONSENT_TIMEOUT_MS)];
  return { state: { ...asked, shown, consentedTo: null }, effects };
}

function isSameWish(one: SessionRequest, other: SessionRequest): boolean {
  if (isLook(one) || isLook(other)) return one.kind === other.kind;
  const names = ['kind', 'amountMinor', 'currency', 'merchantName', 'origin'] as const;
  return names.every((name) => one[name] === other[name]);
}

function consented(state: SessionState, nowMs: number): SessionState {
  return { ...state, consentedTo: state.request, consentedAtMs: nowMs };
}

/** How the payment takes the next card that comes; not at all before it is asked for. */
export function interfacesTaken({ shown, abortedBy }: SessionState): readonly CardInterface[] {
  const takes = shown.name === 'waitCard' && abortedBy === null && !shown.takeOutFirst;
  return takes ? shown.interfaces : [];
}

function waitCard(state: SessionState, nowMs: number): SessionStep {
  const { request, isReaderOccupied } = state;
  if (request === null) return same(state);
  const shown: AgentState = {
    name: 'waitCard',
    interfaces: request.interfaces,
    attempt: request.attempt,
    reason: request.reason,
    deadlineMs: nowMs + CARD_TIMEOUT_MS,
    takeOutFirst: isReaderOccupied,
  };
  const effects = [stopTimer('consent'), stopTimer('window'), startTimer('card', CARD_TIMEOUT_MS)];
  return { state: { ...state, shown }, effects };
}

function onPresented(state: SessionState, presented: CardInterface): SessionStep {
  const occupied: SessionState = { ...state, isReaderOccupied: true };
  if (!interfacesTaken(state).includes(presented)) return same(occupied);
  return {
    state: {
      ...occupied,
      interface: presented,
      shown: { name: 'reading', interface: presented },
    },
    effects: [stopTimer('card'), { type: 'giveCard', interface: presented }],
  };
}

function onUnusable(state: SessionState): SessionStep {
  const { shown } = state;
  const occupied: SessionState = { ...state, isReaderOccupied: true };
  if (shown.name !== 'waitCard') return same(occupied);
  return same({ ...occupied, shown: { ...shown, takeOutFirst: true } });
}

function onTakenAway(state: SessionState): SessionStep {
  const { shown } = state;
  const empty: SessionState = { ...state, isReaderOccupied: false };
  if (shown.name !== 'waitCard' || !shown.takeOutFirst) return same(empty);
  return same({ ...empty, shown: { ...shown, takeOutFirst: false } });
}

/** A contactless card may leave before its PIN is typed; a contact card is in the middle of it. */
function onCardLost(state: SessionState): SessionStep {
  const { shown, interface: cardInterface, abortedBy } = state;
  const isNeeded = shown.name === 'waitPin' && cardInterface === 'contact' && abortedBy === null;
  if (!isNeeded) return same(state);
  return {
    state: { ...state, shown: { name: 'reading', interface: 'contact' }, pinKeySpki: null },
    effects: [
      stopTimer('pin'),
      stopTimer('window'),
      { type: 'refusePin', code: 'ERR_CARD_REMOVED' },
    ],
  };
}

function onCardDone(state: SessionState): SessionStep {
  return { state: { ...state, shown: { name: 'removeCard' } }, effects: release(state) };
}

function release(state: SessionState): readonly SessionEffect[] {
  return state.interface === null ? [] : [{ type: 'releaseCard' }];
}

function onPinAsked(state: SessionState, pinKeySpki: string, nowMs: number): SessionStep {
  const { abortedBy } = state;
  if (abortedBy !== null) return { state, effects: [{ type: 'refusePin', code: abortedBy }] };
  const shown: AgentState = { name: 'waitPin', deadlineMs: nowMs + PIN_TIMEOUT_MS };
  return {
    state: { ...state, shown, pinKeySpki },
    effects: [startTimer('pin', PIN_TIMEOUT_MS)],
  };
}

function onPin(state: SessionState, sealedPin: string | null): SessionStep {
  const { interface: cardInterface, shown, abortedBy } = state;
  if (shown.name !== 'waitPin' || abortedBy !== null) return same(state);
  if (sealedPin === null) return abort(state, 'ERR_USER_CANCELLED');
  return {
    state: {
      ...state,
      shown: { name: 'reading', interface: cardInterface ?? 'contact' },
      pinKeySpki: null,
    },
    effects: [stopTimer('pin'), stopTimer('window'), { type: 'givePin', sealedPin }],
  };
}

function onSeal(state: SessionState): SessionStep {
  const shown: AgentState = { name: 'authorising', interface: state.interface ?? 'contact' };
  return same({ ...state, shown, sealed: true, pinKeySpki: null });
}

const TIMEOUT_CODES: Readonly<Record<SessionTimer, ServiceErrorCode>> = {
  consent: 'ERR_USER_TIMEOUT',
  card: 'ERR_CARD_TIMEOUT',
  pin: 'ERR_PIN_TIMEOUT',
  window: 'ERR_USER_CANCELLED',
};
/** States in which a timer means something; a late one is dropped. */
const TIMER_STATES: Readonly<Record<SessionTimer, readonly AgentState['name'][]>> = {
  consent: ['consent'],
  card: ['waitCard'],
  pin: ['waitPin'],
  window: ['consent', 'waitPin'],
};

function onTimeout(state: SessionState, timer: SessionTimer): SessionStep {
  if (!TIMER_STATES[timer].includes(state.shown.name)) return same(state);
  return abort(state, TIMEOUT_CODES[timer]);
}

/**
 * Ends the payment if nothing was sent. Where the element waits for a person its question is
 * refused, and it can tell the gateway that it gives up; elsewhere the channel is cut, so that a
 * cryptogram that is being sealed at this moment goes nowhere.
 */
function abort(state: SessionState, code: ServiceErrorCode): SessionStep {
  if (state.sealed || state.abortedBy !== null) return same(state);
  const stops = (['consent', 'card', 'pin', 'window'] as const).map(stopTimer);
  const aborted: SessionState = { ...state, abortedBy: code, pinKeySpki: null };
  return { state: aborted, effects: [...stops, { type: 'breakCard' }, refusal(state, code)] };
}

function refusal({ shown }: SessionState, code: ServiceErrorCode): SessionEffect {
  if (shown.name === 'consent' || shown.name === 'waitCard') return { type: 'refuseCard', code };
  return shown.name === 'waitPin' ? { type: 'refusePin', code } : { type: 'cutChannel' };
}

function same(state: SessionState): SessionStep {
  return { state, effects: [] };
}

function before(effects: readonly SessionEffect[], step: SessionStep): SessionStep {
  return { state: step.state, effects: [...effects, ...step.effects] };
}

function startTimer(timer: SessionTimer, delayMs: number): SessionEffect {
  return { type: 'startTimer', timer, delayMs };
}

function stopTimer(timer: SessionTimer): SessionEffect {
  return { type: 'stopTimer', timer };
}
