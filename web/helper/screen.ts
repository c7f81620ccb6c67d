/** Which screen a person sees: a pure function of what the agent said and what was chosen here. */
import type {
  AgentState,
  CardInterface,
  OrderKind,
  WalletCard,
  WindowMessage,
  WindowPayment,
  WindowView,
} from '@tapnpay/protocol/wire';
import type { LinkStatus } from './link.ts';
import type { HelperKey } from './texts.ts';

/** What this page knows. */
export type Model = {
  readonly status: LinkStatus;
  readonly view: WindowView | null;
  /** The payment that this page showed: the end of another one is none of its business. */
  readonly seenSession: string | null;
};

/** What a person is asked for. */
export type Purpose = OrderKind | 'balance' | 'token';
export function purposeOf({ intent, order }: WindowPayment): Purpose {
  return intent === 'pay' ? (order?.kind ?? 'purchase') : intent;
}

/** Whether nothing is paid. */
export function isLook(purpose: Purpose): boolean {
  return purpose === 'balance' || purpose === 'token';
}

/** What a yes means, in words: without real readers, and where a real card may answer to it. */
export const CONSENT_TEXTS: Readonly<
  Record<Purpose, Readonly<Record<'title' | 'hint' | 'realHint' | 'confirm', HelperKey>>>
> = {
  purchase: {
    title: 'consentTitle',
    hint: 'consentHint',
    realHint: 'consentRealHint',
    confirm: 'confirm',
  },
  ecashLoad: {
    title: 'consentLoadTitle',
    hint: 'consentLoadHint',
    realHint: 'consentLoadRealHint',
    confirm: 'confirmLoad',
  },
  balance: {
    title: 'consentBalanceTitle',
    hint: 'consentBalanceHint',
    realHint: 'consentBalanceHint',
    confirm: 'confirmBalance',
  },
  token: {
    title: 'consentTokenTitle',
    hint: 'consentTokenHint',
    realHint: 'consentTokenHint',
    confirm: 'confirmToken',
  },
};

/** How a payment ended. */
export type End = NonNullable<WindowView['last']>;
export type ScreenName = Screen['name'];
export type Screen =
  /** Nothing is known yet; not paired; the agent is away; no payment. */
  | { readonly name: 'loading' | 'pairing' | 'offline' | 'idle' }
  /** For good: the page that wanted this window, or the agent behind it. */
  | { readonly name: 'gone' | 'broken' }
  | { readonly name: AgentState['name']; readonly payment: WindowPayment }
  | { readonly name: 'end'; readonly end: End };

export function screenOf(model: Model): Screen {
  const { status, view, seenSession } = model;
  if (status === 'notPaired') return { name: 'pairing' };
  if (status === 'lost') return { name: 'offline' };
  const last = view?.last ?? null;
  const end = last !== null && last.session === seenSession ? last : null;
  if (status === 'ended' || status === 'broken') {
    if (end !== null) return { name: 'end', end };
    return { name: status === 'ended' ? 'gone' : 'broken' };
  }
  if (view === null || status === 'connecting') return { name: 'loading' };
  if (view.payment) return { name: view.payment.state.name, payment: view.payment };
  return end === null ? { name: 'idle' } : { name: 'end', end };
}

/** Changes when a person has to look anew: then focus moves and the line is announced. */
export function screenKey(screen: Screen): string {
  if (screen.name === 'end') return `end ${screen.end.session}`;
  if (!('payment' in screen)) return screen.name;
  const { session, state } = screen.payment;
  const turn = state.name === 'waitCard' ? ` ${state.attempt} ${state.takeOutFirst}` : '';
  return `${state.name} ${session}${turn}`;
}

/** The message of Esc and of the cancel button; null without a payment or when it is too late. */
export function cancelMessage(screen: Screen): WindowMessage | null {
  if (!('payment' in screen)) return null;
  const { session, state } = screen.payment;
  if (state.name === 'consent') return { type: 'consent', session, given: false };
  if (state.name === 'waitPin') return { type: 'pin', session, sealedPin: null };
  if (state.name === 'authorising' || state.name === 'removeCard') return null;
  return { type: 'cancel', session };
}

/** Until when the person may take their time, Unix time in milliseconds; null: no limit here. */
export function deadlineOf(screen: Screen): number | null {
  if (!('payment' in screen)) return null;
  const { state } = screen.payment;
  return state.name === 'waitCard' || state.name === 'waitPin' ? state.deadlineMs : null;
}

/** The sentence of a screen, for the eye and for the screen reader. */
export function promptOf(screen: Screen): HelperKey {
  if (screen.name === 'end') return END_TEXTS[screen.end.outcome].title;
  if (!('payment' in screen)) return PROMPTS[screen.name];
  const { state } = screen.payment;
  const purpose = purposeOf(screen.payment);
  if (state.name === 'consent') return CONSENT_TEXTS[purpose].title;
  if (state.name === 'connecting') return isLook(purpose) ? 'preparing' : 'connecting';
  if (state.name === 'waitCard') return waitCardPrompt(state);
  if (state.name === 'reading') {
    return state.interface === 'contact' ? 'readingContact' : 'readingContactless';
  }
  if (state.name === 'authorising') {
    return state.interface === 'contact' ? 'authorisingContact' : 'authorisingContactless';
  }
  return PROMPTS[state.name];
}

const PROMPTS = {
  loading: 'loading',
  pairing: 'pairingTitle',
  offline: 'offline',
  gone: 'gone',
  broken: 'broken',
  idle: 'idle',
  waitPin: 'pinTitle',
  removeCard: 'removeCard',
} as const satisfies Partial<Record<ScreenName, HelperKey>>;

type WaitCard = Extract<AgentState, { name: 'waitCard' }>;

function waitCardPrompt(state: WaitCard): HelperKey {
  if (state.takeOutFirst) return 'takeOutFirst';
  const [first, second] = state.interfaces;
  if (first && second) return 'presentEither';
  return first === 'contactless' ? 'presentContactless' : 'presentContact';
}

/** Why a card is asked for again, or cannot be tapped at all; null when there is nothing to say. */
export function againText(state: WaitCard, purpose: Purpose): HelperKey | null {
  if (state.reason === 'ERR_CARD_REMOVED') return 'againRemoved';
  if (state.reason === 'card:useContact') return 'againContact';
  if (state.attempt > 1) return 'againOther';
  if (state.interfaces.includes('contactless')) return null;
  if (purpose === 'token') return null;
  return purpose === 'ecashLoad' ? 'loadContactOnly' : 'contactOnlyAmount';
}

/** Title and hint of each end. */
export const END_TEXTS: Readonly<
  Record<End['outcome'], { readonly title: HelperKey; readonly hint: HelperKey }>
> = {
  approved: { title: 'endApproved', hint: 'endApprovedHint' },
  declined: { title: 'endDeclined', hint: 'endDeclinedHint' },
  unknown: { title: 'endUnknown', hint: 'endUnknownHint' },
  cancelled: { title: 'endCancelled', hint: 'endCancelledHint' },
  failed: { title: 'endFailed', hint: 'endFailedHint' },
  read: { title: 'endRead', hint: 'endReadHint' },
  notRead: { title: 'endNotRead', hint: 'endCancelledHint' },
  made: { title: 'endMade', hint: 'endReadHint' },
  notMade: { title: 'endNotMade', hint: 'endCancelledHint' },
};

/** What the person wanted has come. */
export function isGoodEnd({ outcome }: End): boolean {
  return outcome === 'approved' || outcome === 'read' || outcome === 'made';
}

/**
 * A popup closes itself after a good or a wanted end, once all readers are empty; bad news stays
 * until it was read.
 */
export function closesItself(end: End, cardsThere: number): boolean {
  if (cardsThere > 0) return false;
  return isGoodEnd(end) || end.reason === 'ERR_USER_CANCELLED';
}

/** What a person can do with the chosen card now; a text says why not, null: they can. */
export type Gestures = {
  readonly contactless: HelperKey | null;
  readonly contact: HelperKey | null;
  readonly canTakeAway: boolean;
};

/** @param asked Interfaces that a waiting payment takes; null when none waits for a card. */
export function gesturesOf(facts: {
  readonly card: WalletCard | null;
  readonly asked: readonly CardInterface[] | null;
  readonly reader: WindowView['reader'];
  readonly takeOutFirst: boolean;
}): Gestures {
  const { card, asked, reader, takeOutFirst } = facts;
  const isThere = reader.card !== null || takeOutFirst;
  const why = (wanted: CardInterface): HelperKey | null => {
    if (isThere) return 'gestureTakeOut';
    if (card === null) return 'gestureChoose';
    if (!card.interfaces.includes(wanted)) {
      return wanted === 'contactless' ? 'gestureNoAntenna' : 'gestureNoContacts';
    }
    if (asked === null || asked.includes(wanted)) return null;
    return wanted === 'contactless' ? 'gestureInsertAsked' : 'gestureTapAsked';
  };
  return {
    contactless: why('contactless'),
    contact: why('contact'),
    canTakeAway: reader.card !== null,
  };
}

/** The chosen card while it exists; else the first that the reader could take. */
export function chosenCard(cards: readonly WalletCard[], chosen: string | null): WalletCard | null {
  const named = (name: string | null) => cards.find((card) => card.name === name);
  return named(chosen) ?? named(FIRST_CHOICE) ?? cards[0] ?? null;
}
const FIRST_CHOICE = 'debit';

/** Numbers of `present.liftAfter`: the card is gone before this command; 1 is the first. */
export const LIFT_NUMBER_MAX = 255;

/** What was typed as a command number: null for nothing, `wrong` for what is none. */
export function liftNumber(typed: string): number | null | 'wrong' {
  const text = typed.trim();
  if (text === '') return null;
  const isNumber = /^[0-9]{1,3}$/.test(text);
  const value = Number(text);
  return isNumber && value >= 1 && value <= LIFT_NUMBER_MAX ? value : 'wrong';
}

/** The commands of a tap in their usual order; the card is lifted before the numbered one. */
const TAP_COMMANDS = ['SELECT 2PAY.SYS.DDF01', 'SELECT AID', 'GET PROCESSING OPTIONS'] as const;

/** Name of the command before which a tapped card is lifted. */
export function tapCommandName(number: number): string {
  return TAP_COMMANDS[number - 1] ?? 'READ RECORD';
}
