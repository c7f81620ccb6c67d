/** The manager's side of a secure element: sessions, scripts and commands. */
export * from './card-objects.ts';
export * from './commands.ts';
export * from './install.ts';
export * from './keys.ts';
export * from './load.ts';
export * from './open.ts';
export * from './put-key.ts';
export * from './registry.ts';
export { scp02Messages } from './scp02-session.ts';
export { PENDING_ANSWERS_MAX, scp03Messages } from './scp03-session.ts';
export * from './script.ts';
export * from './session.ts';
export * from './store-data.ts';
export * from './transport.ts';
