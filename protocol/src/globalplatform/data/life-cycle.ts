/** Life cycles of card, load file, application and security domain. @see GPCS 2.3.1 §5 */

/** @see GPCS 2.3.1 table 11-6 */
export const CARD_01_OP_READY = 0x01;
export const CARD_07_INITIALIZED = 0x07;
export const CARD_0F_SECURED = 0x0f;
export const CARD_7F_CARD_LOCKED = 0x7f;
export const CARD_FF_TERMINATED = 0xff;
/** @see GPCS 2.3.1 table 11-3 */
export const LOAD_FILE_01_LOADED = 0x01;
/** @see GPCS 2.3.1 table 11-4 */
export const APPLICATION_03_INSTALLED = 0x03;
export const APPLICATION_07_SELECTABLE = 0x07;
/** Selectable and personalised: the one that the payment system calls operable. */
export const APPLICATION_0F_PERSONALIZED = 0x0f;
/** Bit that locks, kept beside the state before it. */
export const APPLICATION_80_LOCKED = 0x80;
/** @see GPCS 2.3.1 table 11-5 */
export const DOMAIN_0F_PERSONALIZED = 0x0f;

/** Steps of the card: from -> to. Locking is reversible, nothing else is. @see GPCS 2.3.1 §5.1 */
const CARD_STEPS: Readonly<Record<number, readonly number[]>> = {
  [CARD_01_OP_READY]: [CARD_07_INITIALIZED, CARD_FF_TERMINATED],
  [CARD_07_INITIALIZED]: [CARD_0F_SECURED, CARD_FF_TERMINATED],
  [CARD_0F_SECURED]: [CARD_7F_CARD_LOCKED, CARD_FF_TERMINATED],
  [CARD_7F_CARD_LOCKED]: [CARD_0F_SECURED, CARD_FF_TERMINATED],
  [CARD_FF_TERMINATED]: [],
};

/** Whether the card may go from one state to another. @see GPCS 2.3.1 figure 5-1 */
export function isCardStep(from: number, to: number): boolean {
  return CARD_STEPS[from]?.includes(to) ?? false;
}

/** Whether the lock bit of an application or domain is set. */
export function isLocked(state: number): boolean {
  return (state & APPLICATION_80_LOCKED) !== 0;
}

/** SELECTABLE or a state of its own, and not locked. @see GPCS 2.3.1 §5.3 */
export function isSelectable(state: number): boolean {
  return !isLocked(state) && (state & APPLICATION_07_SELECTABLE) === APPLICATION_07_SELECTABLE;
}

/**
 * The state of an application or domain after SET STATUS with `wanted`; null when that is no
 * step. Locking keeps the state before; unlocking gives it back whatever `wanted` says of it.
 * @see GPCS 2.3.1 §5.3, §11.10.2.2
 */
export function applicationStep(
  from: number,
  wanted: number,
): { readonly state: number; readonly kind: 'lock' | 'unlock' | 'own' } | null {
  if (isLocked(wanted)) {
    return isLocked(from) ? null : { state: from | APPLICATION_80_LOCKED, kind: 'lock' };
  }
  if (isLocked(from)) return { state: from & ~APPLICATION_80_LOCKED, kind: 'unlock' };
  const isOwn = isSelectable(wanted) && isSelectable(from);
  return isOwn ? { state: wanted, kind: 'own' } : null;
}

const CARD_NAMES: Readonly<Record<number, string>> = {
  [CARD_01_OP_READY]: 'OP_READY',
  [CARD_07_INITIALIZED]: 'INITIALIZED',
  [CARD_0F_SECURED]: 'SECURED',
  [CARD_7F_CARD_LOCKED]: 'CARD_LOCKED',
  [CARD_FF_TERMINATED]: 'TERMINATED',
};

/** The card's state by name; null when it is none. */
export function cardStateName(state: number): string | null {
  return CARD_NAMES[state] ?? null;
}

/** An application's or domain's state by name. */
export function applicationStateName(state: number): string {
  if (isLocked(state)) return 'LOCKED';
  if (state === APPLICATION_03_INSTALLED) return 'INSTALLED';
  if (state === APPLICATION_07_SELECTABLE) return 'SELECTABLE';
  if (state === APPLICATION_0F_PERSONALIZED) return 'PERSONALIZED';
  return isSelectable(state) ? 'APPLICATION_SPECIFIC' : 'UNKNOWN';
}
