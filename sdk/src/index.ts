/** The merchant API v1 for TypeScript and JavaScript; it needs `fetch` and Web Crypto only. */
export * from './calls.ts';
export * from './client.ts';
export * from './errors.ts';
export * from './types.ts';
export * from './webhooks.ts';
