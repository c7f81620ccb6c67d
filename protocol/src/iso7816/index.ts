/** APDU, status words, BER-TLV, DOL and the card channel. */
export * from './apdu.ts';
export * from './card-channel.ts';
export * from './dol.ts';
export * from './errors.ts';
export * from './status-word.ts';
export * from './tlv.ts';
