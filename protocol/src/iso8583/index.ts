/** ISO 8583 messages: the dialects of UnionPay, generic ones, and what is inside their fields. */
export * from './codec.ts';
export { CUPS_DIALECT } from './cups.ts';
export * from './decline-texts.ts';
export * from './describe.ts';
export {
  type Dialect,
  defineDialect,
  type FieldRow,
  fieldTable,
  type Style,
} from './dialect.ts';
export { Iso8583Error, type Iso8583ErrorCode } from './errors.ts';
export type { FieldSpec, Visibility } from './field-spec.ts';
export * from './fields.ts';
export * from './frame-view.ts';
export * from './generic.ts';
export { CUPS_HEADER_BYTES, type CupsHeader, NO_HEADER } from './header.ts';
export * from './issuer-facts.ts';
export { type ImportedDialect, importJposPackager } from './jpos.ts';
export * from './mac-block.ts';
export * from './message.ts';
export * from './names.ts';
export * from './network.ts';
export * from './original.ts';
export { POS_DIALECT } from './pos.ts';
export { type PosHeader, replyHeader, swapTpdu } from './pos-header.ts';
export * from './reply.ts';
export * from './sign-in-keys.ts';
export * from './subfields.ts';
export * from './tlv.ts';
export * from './transactions.ts';
