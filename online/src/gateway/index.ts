/** The online payment system (在线支付系统). */

export type { AuditHead, AuditRecord } from './audit/chain.ts';
export * from './audit/log.ts';
export * from './start.ts';
export { openGatewayDatabase } from './store-postgres.ts';
