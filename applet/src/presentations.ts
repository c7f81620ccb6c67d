/**
 * The cards of one payment: asks for one, and again as long as nothing was sent, when it was torn
 * away or wants to be inserted.
 */
import { type TapError, toHex } from '@tapnpay/protocol/bytes';
import type { KernelOutcome, TerminalProfile } from '@tapnpay/protocol/emv/terminal';
import type {
  CardInterface,
  CardRequest,
  HostConversation,
  SignedOrder,
} from '@tapnpay/protocol/wire';
import { Acceptance, type AcceptanceFacts, NO_PROGRESS, type Progress } from './debit-credit.ts';
import { interfacesFor, shownOrder } from './ecash.ts';
import { AppletError, codeOf } from './errors.ts';
import { ask } from './host.ts';

/** Cards asked for in one payment, the first included. */
export const PRESENTATIONS_MAX = 4;
/** Faults of a card that was not read to its end; another try can succeed. */
const TORN_CODES: ReadonlySet<string> = new Set<TapError['code']>([
  'ERR_CARD_REMOVED',
  'ERR_CARD_TRANSPORT',
]);

/** A tap that another tap can mend: two cards in the field, a phone that wants its owner first. */
const REPEAT_REASONS: ReadonlySet<string> = new Set(['terminal:presentOneCard', 'card:seeDevice']);

/** Why a card is asked for once more when the gateway wants newer parameters. */
const PARAMETERS_OUTDATED = 'PARAMS_OUTDATED';

/** Whether a card was not read to its end: another try can succeed. */
export function isTorn(reason: string): boolean {
  return TORN_CODES.has(reason);
}

/** How the last card of a payment ended. */
export type CardEnd = {
  /** Null when the kernel did not get to an end. */
  readonly outcome: KernelOutcome | null;
  readonly reason: string;
  /** How the card was read; null when there was none. */
  readonly interface: CardInterface | null;
  readonly progress: Progress;
};

type Facts = Omit<AcceptanceFacts, 'terminal' | 'interface'>;
type Wish = Pick<CardRequest, 'interfaces' | 'attempt' | 'reason'>;

/**
 * Asks for cards until one came to its end. What is thrown at the request for a card ends the
 * payment: nobody presents one (`ERR_CARD_TIMEOUT`, `ERR_USER_CANCELLED`, `ERR_CARD_REMOVED`).
 */
export function* acceptCard(facts: Facts): HostConversation<CardEnd> {
  let end: CardEnd = { outcome: null, reason: '', interface: null, progress: NO_PROGRESS };
  try {
    const { order, parameters } = facts;
    let terminal = parameters.terminalProfile(order);
    let attempt = 1;
    let wish: Wish | null = { interfaces: taken(order, terminal), attempt, reason: null };
    while (wish !== null) {
      const presented: CardInterface = yield* present(facts, wish);
      end = yield* runOnce({ ...facts, terminal, interface: presented });
      const isOutdated = isOutdatedAt(end) && wish.reason !== PARAMETERS_OUTDATED;
      if (isOutdated) {
        // A set that was published in the course of this payment: its rules go for the next card.
        yield* parameters.update();
        terminal = parameters.terminalProfile(order);
        attempt += 1;
        wish = { interfaces: taken(order, terminal), attempt, reason: PARAMETERS_OUTDATED };
        continue;
      }
      wish = wishAfter(wish, end);
      attempt = wish?.attempt ?? attempt;
    }
    return end;
  } catch (fault) {
    return { ...end, reason: codeOf(fault) };
  }
}

/** The gateway refused the payment before it was sent anywhere, for its parameters alone. */
function isOutdatedAt({ progress }: CardEnd): boolean {
  return !progress.sent && progress.fault?.code === PARAMETERS_OUTDATED;
}

/** How a card may be presented for the order under these rules. */
function taken(order: SignedOrder, terminal: TerminalProfile): readonly CardInterface[] {
  return interfacesFor(order, interfacesOf(terminal, BigInt(order.amountMinor)));
}

/** Both ways while the amount is in the limit of one application's contactless reader. */
function interfacesOf(terminal: TerminalProfile, amountMinor: bigint): readonly CardInterface[] {
  const takesTap = terminal.aids.some(
    ({ contactless }) => contactless !== null && amountMinor <= contactless.transactionLimitMinor,
  );
  return takesTap ? ['contact', 'contactless'] : ['contact'];
}

function* present({ order }: Facts, wish: Wish): HostConversation<CardInterface> {
  const presented = yield* ask({ call: 'presentCard', ...shownOrder(order), ...wish });
  if (wish.interfaces.includes(presented)) return presented;
  throw new AppletError('ERR_CARD_INTERFACE', `a ${presented} card was not asked for`);
}

function* runOnce(facts: AcceptanceFacts): HostConversation<CardEnd> {
  const acceptance = new Acceptance(facts);
  const read = { interface: facts.interface };
  try {
    const outcome = yield* acceptance.run();
    return { ...read, outcome, reason: outcome.reason, progress: acceptance.progress };
  } catch (fault) {
    return { ...read, outcome: null, reason: codeOf(fault), progress: acceptance.progress };
  }
}

/** What to ask for next; null when the payment has its end. */
function wishAfter({ interfaces, attempt }: Wish, end: CardEnd): Wish | null {
  const { outcome, reason, progress } = end;
  if (progress.sent || progress.fault !== null || attempt >= PRESENTATIONS_MAX) return null;
  const next = { attempt: attempt + 1, reason };
  if (outcome?.outcome === 'tryAnotherInterface') return { ...next, interfaces: ['contact'] };
  const isToRepeat = outcome === null ? isTorn(reason) : REPEAT_REASONS.has(reason);
  return isToRepeat ? { ...next, interfaces } : null;
}

/** The final cryptogram of a contact card. */
export function secondOf(
  outcome: KernelOutcome | null,
): { readonly type: 'TC' | 'AAC'; readonly value: string } | null {
  const second = outcome?.second ?? null;
  if (second === null || (second.type !== 'TC' && second.type !== 'AAC')) return null;
  return { type: second.type, value: toHex(second.value) };
}
