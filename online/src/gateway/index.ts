/** The online payment system (在线支付系统). */

export type { AuditHead, AuditRecord } from './audit/chain.ts';
export * from './audit/log.ts';
export * from './ledger/projection.ts';
export { openPublisherKey, type PublisherKey } from './plugin/publisher-key.ts';
export { DIFFERENCE_CLASSES, type Difference } from './reconciliation/model.ts';
export * from './reconciliation/run.ts';
export { ReconciliationStore } from './reconciliation/store.ts';
export { settlementFolder } from './settlement/back-office.ts';
export type { SettlementBatch } from './settlement/batch.ts';
export * from './settlement/close.ts';
export { DEFAULT_FEE_PLAN, type FeePlan } from './settlement/fees.ts';
export { SettlementStore } from './settlement/store.ts';
export { isSettlementDay } from './settlement-date.ts';
export * from './start.ts';
export { openGatewayDatabase, PostgresGatewayStore } from './store-postgres.ts';
