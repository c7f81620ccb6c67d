/** The virtual PBOC card, contact and contactless. */
export { ISSUER_AUTHENTICATION_DATA_BYTES } from './issuer-authentication.ts';
export type { IccInterface } from './session.ts';
export { createVirtualIcc, type VirtualIcc } from './virtual-icc.ts';
