/** Bytes, BCD, errors, secrets, branded values and ports: what every other folder stands on. */
export * from './bcd.ts';
export * from './bytes.ts';
export * from './errors.ts';
export * from './ports.ts';
export * from './secret.ts';
export * from './utf8.ts';
export * from './values.ts';
