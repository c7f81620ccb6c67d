/** The issuer's side of EMV: cryptogram input, checks of field 55, ATC rules, card making. */
export * from './ac-input.ts';
export * from './atc.ts';
export * from './card-keys.ts';
export * from './certificates.ts';
export * from './certificates-sm.ts';
export * from './data-preparation.ts';
export * from './envelope.ts';
export * from './errors.ts';
export * from './personalisation.ts';
export * from './prepared-card.ts';
export * from './store-data-scripts.ts';
