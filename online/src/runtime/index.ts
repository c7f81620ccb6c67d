/** What every party stands on: database, log, configuration, process life, line and HSM client. */
export * from './config.ts';
export * from './database.ts';
export * from './embedded-postgres.ts';
export * from './errors.ts';
export * from './hsm-client.ts';
export * from './hsm-wire.ts';
export * from './ids.ts';
export * from './line/index.ts';
export * from './logging.ts';
export * from './party-keys.ts';
export * from './ready.ts';
export * from './redaction.ts';
export * from './system.ts';
export * from './trace.ts';
export * from './trace-hsm.ts';
export * from './trace-message.ts';
