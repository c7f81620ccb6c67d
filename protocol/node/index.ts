/** What Node gives to `protocol`: ciphers, clock and randomness. */
export * from './ciphers.ts';
export * from './system.ts';
