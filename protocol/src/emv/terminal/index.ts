/** The EMV and PBOC contact kernel: a generator that asks its driver for all input and output. */
export { type ActionDecision, tvrNames } from './action-analysis.ts';
export { type CaPublicKey, type CaPublicKeyTable, loadCaPublicKeys } from './ca-keys.ts';
export { contactTransaction } from './contact-transaction.ts';
export { COMMANDS_MAX } from './context.ts';
export type { DataValues } from './data-objects.ts';
export { driveKernel, type KernelDriver } from './driver.ts';
export { KernelError, type KernelErrorCode } from './errors.ts';
export { FIELD_55_TAGS } from './online.ts';
export {
  assertTerminalProfile,
  NO_RANDOM_SELECTION,
  type ProfileOptions,
  type RandomSelection,
  type TerminalAid,
  type TerminalParameters,
  type TerminalProfile,
  terminalProfileOf,
} from './profile.ts';
export type {
  Candidate,
  ContactOutcome,
  ContactTransaction,
  Cryptogram,
  DataAuthentication,
  Kernel,
  KernelAnswer,
  KernelRequest,
  MerchantData,
  OnlineAnswer,
  OnlineRequest,
  Phase,
  PhaseFacts,
  PinEntry,
} from './types.ts';
