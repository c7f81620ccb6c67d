/** ISO 8583: codec, the CUPS dialect, MAC block, field names. */
export * from './codec.ts';
export * from './cups.ts';
export * from './describe.ts';
export * from './dialect.ts';
export * from './errors.ts';
export * from './fields.ts';
export * from './mac-block.ts';
