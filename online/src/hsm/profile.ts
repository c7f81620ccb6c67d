/** Who may talk to which HSM, and what each key usage means. */
import type { HsmCaller, KeyUsage } from '@tapnpay/protocol/wire';
import type { HsmParty } from '../runtime/party-keys.ts';

/** Made by a program at first start: fit for a laboratory only. */
export const LAB_LABEL = 'LAB';

/** Callers that each party's HSM knows; nobody else gets a token. */
export const CALLERS_OF_PARTY: Readonly<Record<HsmParty, readonly HsmCaller[]>> = {
  gateway: ['gateway', 'ceremony'],
  switch: ['switch', 'ceremony'],
  issuer: ['issuer', 'bureau', 'ceremony'],
};

/** What the header of a key block must say for a usage, beside the usage itself. */
export type KeyRule = {
  /** `T` 3DES with two keys, `A` AES-128. */
  readonly algorithm: 'T' | 'A';
  readonly modeOfUse: string;
  /** Whether a key with equal halves, that is single DES, may be taken from a peer. */
  readonly mayBeSingleLength: boolean;
};

/** Key usages of this system. @see X9.143 tables 2 and 4 */
export const KEY_RULES: Readonly<Record<KeyUsage, KeyRule>> = {
  K0: { algorithm: 'T', modeOfUse: 'B', mayBeSingleLength: false },
  P0: { algorithm: 'T', modeOfUse: 'B', mayBeSingleLength: false },
  M1: { algorithm: 'T', modeOfUse: 'C', mayBeSingleLength: true },
  M3: { algorithm: 'T', modeOfUse: 'C', mayBeSingleLength: true },
  E0: { algorithm: 'T', modeOfUse: 'X', mayBeSingleLength: false },
  E1: { algorithm: 'T', modeOfUse: 'X', mayBeSingleLength: false },
  E2: { algorithm: 'T', modeOfUse: 'X', mayBeSingleLength: false },
  V2: { algorithm: 'T', modeOfUse: 'C', mayBeSingleLength: false },
  B0: { algorithm: 'A', modeOfUse: 'X', mayBeSingleLength: false },
};
/** Every key of this system has 16 bytes: two DES keys, or AES-128. */
export const KEY_BYTES = 16;

/** Usages of the working keys that lines exchange; no other kind is made or imported there. */
export const LINE_KEY_USAGES: readonly KeyUsage[] = ['P0', 'M1'];
