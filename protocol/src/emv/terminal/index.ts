/** The EMV and PBOC kernels, contact and contactless: generators that ask a driver for all I/O. */
export { type ActionDecision, tvrNames } from './action-analysis.ts';
export {
  type CaPublicKey,
  type CaPublicKeyTable,
  caPublicKeysOf,
  loadCaPublicKeys,
  type SmCaPublicKey,
} from './ca-keys.ts';
export {
  type CardReading,
  type CardReadingResult,
  LOG_RECORDS_MAX,
  type LoadLogEntry,
  type LogEntryFacts,
  type LogReading,
  type PurseReading,
  readElectronicCashBalance,
  readLoadLog,
  readTransactionLog,
  type TransactionLogEntry,
} from './card-log.ts';
export { contactTransaction } from './contact-transaction.ts';
export { judgeTornTap, type TornTapEvidence } from './contactless-torn.ts';
export { contactlessTransaction } from './contactless-transaction.ts';
export { COMMANDS_MAX } from './context.ts';
export type { DataValues } from './data-objects.ts';
export { driveKernel, type KernelDriver } from './driver.ts';
export { type TokenReading, tokenTransaction } from './dynamic-token.ts';
export { KernelError, type KernelErrorCode } from './errors.ts';
export {
  CHALLENGE_BYTES,
  type EncipheredPin,
  encipheredPinData,
  plaintextPinBlock,
  verifyCommand,
} from './offline-pin.ts';
export { FIELD_55_TAGS } from './online.ts';
export {
  assertTerminalProfile,
  type CertificateRevocation,
  type ContactlessLimits,
  type ElectronicCashLimits,
  NO_RANDOM_SELECTION,
  type ProfileOptions,
  type RandomSelection,
  type TerminalAid,
  type TerminalParameters,
  type TerminalProfile,
  type TransactionAmountLog,
  terminalProfileOf,
} from './profile.ts';
export type {
  AdviceReason,
  Candidate,
  CardAdvice,
  ContactlessOutcome,
  ContactlessTransaction,
  ContactOutcome,
  ContactTransaction,
  Cryptogram,
  DataAuthentication,
  ElectronicCash,
  Kernel,
  KernelAnswer,
  KernelOutcome,
  KernelRequest,
  MerchantData,
  OfflineApproval,
  OnlineAnswer,
  OnlineRequest,
  Phase,
  PhaseFacts,
  PinEntry,
  PinVerification,
  ReferralAnswer,
  TerminalTransaction,
  TransactionOutcome,
} from './types.ts';
