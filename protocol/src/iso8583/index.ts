/** ISO 8583 messages and the interbank dialect of CUPS. */
export * from './codec.ts';
export { CUPS_DIALECT } from './cups.ts';
export * from './describe.ts';
export type { Dialect, FieldSpec, Visibility } from './dialect.ts';
export { Iso8583Error, type Iso8583ErrorCode } from './errors.ts';
export * from './fields.ts';
export { CUPS_HEADER_BYTES, type CupsHeader } from './header.ts';
export * from './issuer-facts.ts';
export * from './mac-block.ts';
export * from './message.ts';
export * from './names.ts';
export * from './network.ts';
export * from './original.ts';
export * from './reply.ts';
export * from './transactions.ts';
