/** The audit log's chain, as every party has it. */
export * from '../../runtime/audit/chain.ts';
