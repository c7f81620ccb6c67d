/** What Node gives to `protocol`: ciphers, clock, randomness, and the vectors' verification. */
export * from './attestation.ts';
export * from './ciphers.ts';
export * from './rsa-key.ts';
export * from './system.ts';
export { type VectorMismatch, type VectorReport, verifyVectors } from './verify-vectors.ts';
