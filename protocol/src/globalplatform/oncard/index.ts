/** The secure element as a pure state machine over ports. */
export { instanceOf } from './applets.ts';
export { type Card, createCard } from './card.ts';
export { remainingDelayMs } from './delay.ts';
export * from './ports.ts';
export * from './profile.ts';
export {
  type Application,
  type CardEntry,
  type CardKey,
  type CardKeySet,
  type CardState,
  DOMAIN_LOAD_FILE_AID,
  DOMAIN_MODULE_AID,
  type LoadFile,
  type SecurityDomain,
} from './state.ts';
