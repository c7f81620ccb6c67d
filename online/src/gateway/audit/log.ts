/** The audit log of what merchants and operators do. */
export * from '../../runtime/audit/log.ts';
