/** The issuer (发卡行): cards, accounts, cryptogram checks, authorisation and reversal. */
export * from './admin.ts';
export { PAYMENT_STEPS } from './authorisation.ts';
export { parseCardFile } from './cards.ts';
export { IssuerCore } from './core.ts';
export { IssuerError, type IssuerErrorCode } from './errors.ts';
export { dropReplyPath, type IssuerFaults } from './lab-faults.ts';
export { openKeyedDigest } from './lookup-key.ts';
export * from './model.ts';
export * from './ports.ts';
export * from './scripts/model.ts';
export { PUT_DATA_TAGS, queuedScript, type ScriptWish } from './scripts/queue.ts';
export * from './settlement.ts';
export * from './start.ts';
export * from './store.ts';
export { MemoryIssuerStore } from './store-memory.ts';
export { openIssuerStore, PostgresIssuerStore } from './store-postgres.ts';
