/** Who may talk to which HSM, and what each key usage means. */
import type { HsmCaller, KeyAlgorithm, KeyUsage } from '@tapnpay/protocol/wire';
import type { HsmParty } from '../runtime/party-keys.ts';

/** Made by a program at first start: fit for a laboratory only. */
export const LAB_LABEL = 'LAB';

/** Callers that each party's HSM knows; nobody else gets a token. */
export const CALLERS_OF_PARTY: Readonly<Record<HsmParty, readonly HsmCaller[]>> = {
  gateway: ['gateway', 'ceremony'],
  switch: ['switch', 'ceremony'],
  issuer: ['issuer', 'bureau', 'ceremony'],
  tsm: ['tsm', 'ceremony'],
};

/** What the header of a key block must say for a usage, beside the usage itself. */
export type KeyRule = {
  /** 3DES with two keys, AES-128, SM4; the first one is meant when nothing is said. */
  readonly algorithms: readonly [KeyAlgorithm, ...KeyAlgorithm[]];
  readonly modeOfUse: string;
  /** Whether a key with equal halves, that is single DES, may be taken from a peer. */
  readonly mayBeSingleLength: boolean;
  /** Lengths of AES keys; 16 bytes when nothing is said. */
  readonly aesBytes?: readonly number[];
};

/**
 * Key usages of this system. Nothing is exportable: a working key leaves under a zone key when it
 * is made, and never again. @see X9.143 tables 2, 4 and 5
 */
export const KEY_RULES: Readonly<Record<KeyUsage, KeyRule>> = {
  K0: { algorithms: ['T', 'A', '4'], modeOfUse: 'B', mayBeSingleLength: false },
  P0: { algorithms: ['T', 'A'], modeOfUse: 'B', mayBeSingleLength: false },
  M1: { algorithms: ['T', '4'], modeOfUse: 'C', mayBeSingleLength: true },
  M3: { algorithms: ['T'], modeOfUse: 'C', mayBeSingleLength: true },
  '10': { algorithms: ['T'], modeOfUse: 'C', mayBeSingleLength: true },
  E0: { algorithms: ['T', '4'], modeOfUse: 'X', mayBeSingleLength: false },
  E1: { algorithms: ['T', '4'], modeOfUse: 'X', mayBeSingleLength: false },
  E2: { algorithms: ['T', '4'], modeOfUse: 'X', mayBeSingleLength: false },
  V2: { algorithms: ['T'], modeOfUse: 'C', mayBeSingleLength: false },
  B0: { algorithms: ['A'], modeOfUse: 'X', mayBeSingleLength: false },
  E5: {
    ...{ algorithms: ['A', 'T'], modeOfUse: 'X', mayBeSingleLength: false },
    aesBytes: [16, 24, 32],
  },
};
/** The only exportability of a block here: none. @see X9.143 table 5 */
export const EXPORTABILITY = 'N';
/** Every key of payments has 16 bytes: two DES keys, AES-128 or SM4. */
export const KEY_BYTES = 16;
/** Longest key of any usage: a master of secure elements for AES-256. */
export const KEY_BYTES_MAX = 32;

/** Lengths that a key of a usage and algorithm may have. */
export function keyLengths(usage: KeyUsage, algorithm: KeyAlgorithm): readonly number[] {
  return (algorithm === 'A' && KEY_RULES[usage].aesBytes) || [KEY_BYTES];
}

/** Usages of the working keys that lines exchange; no other kind is made or imported there. */
export const LINE_KEY_USAGES: readonly KeyUsage[] = ['P0', 'M1', 'M3', '10'];
