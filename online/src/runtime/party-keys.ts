/** A party's file of key blocks, `<dataDir>/keys/<party>.json`, made by the key ceremony. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TapError } from '@tapnpay/protocol/bytes';
import type { KeyBlock } from '@tapnpay/protocol/wire';

/** Names of the long-lived keys of each party. */
type KeyNames = {
  readonly gateway: 'zmk' | 'bdk';
  readonly switch: 'zmkGateway' | 'zmkIssuer';
  readonly issuer:
    | 'zmk'
    | ('imkAc' | 'imkMac' | 'imkEnc')
    | ('imkAcSm4' | 'imkMacSm4' | 'imkEncSm4')
    | 'pvk';
  /** Masters of key sets of secure elements: those in use, and those of the factory. */
  readonly tsm: 'elementAes' | 'elementDes' | 'factoryAes' | 'factoryDes' | 'factoryOpen';
};
/** The parties that have an HSM of their own. */
export type HsmParty = keyof KeyNames;
/** Name of a key of party `P`. */
export type PartyKeyName<P extends HsmParty> = KeyNames[P];

/** Those that a payment passes. The manager of secure elements is none of them. */
export type PaymentParty = Exclude<HsmParty, 'tsm'>;
/** All that a payment passes. */
export const HSM_PARTIES: readonly PaymentParty[] = ['gateway', 'switch', 'issuer'];
/** The keys of each party. */
export const PARTY_KEY_NAMES: { readonly [P in HsmParty]: readonly KeyNames[P][] } = {
  gateway: ['zmk', 'bdk'],
  switch: ['zmkGateway', 'zmkIssuer'],
  issuer: [
    ...(['zmk', 'imkAc', 'imkMac', 'imkEnc'] as const),
    ...(['imkAcSm4', 'imkMacSm4', 'imkEncSm4', 'pvk'] as const),
  ],
  tsm: ['elementAes', 'elementDes', 'factoryAes', 'factoryDes', 'factoryOpen'],
};

/** A key under the local master key of the party's HSM, and what people compare. */
export type PartyKey = { readonly keyBlock: KeyBlock; readonly kcv: string };

/** The whole file. */
export type PartyKeys<P extends HsmParty = HsmParty> = {
  readonly party: P;
  /** `LAB`: made by a program at first start, not by people. */
  readonly label: string;
  /** Check value of the local master key that the blocks are under. */
  readonly masterKeyKcv: string;
  readonly keys: Readonly<Record<PartyKeyName<P>, PartyKey>>;
};

/** The key file is missing, broken, or not of this party. */
export class PartyKeysError extends TapError<'ERR_PARTY_KEYS'> {}

/** Path of the key file of `party`. */
export function partyKeysPath(dataDir: string, party: HsmParty): string {
  return join(dataDir, 'keys', `${party}.json`);
}

/** The key blocks of `party`. @throws PartyKeysError `ERR_PARTY_KEYS` with what to do. */
export function readPartyKeys<P extends HsmParty>(dataDir: string, party: P): PartyKeys<P> {
  let text: string;
  try {
    text = readFileSync(partyKeysPath(dataDir, party), 'utf8');
  } catch (cause) {
    throw partyKeysError(party, 'cannot be read; start the whole system once to make it', cause);
  }
  return parsePartyKeys(text, party);
}

/** The key blocks of a file's text. @throws PartyKeysError `ERR_PARTY_KEYS`. */
export function parsePartyKeys<P extends HsmParty>(text: string, party: P): PartyKeys<P> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw partyKeysError(party, 'is no JSON');
  }
  if (!isPartyKeys(value, party)) throw partyKeysError(party, 'is not a key file of this party');
  return value;
}

function isPartyKeys<P extends HsmParty>(value: unknown, party: P): value is PartyKeys<P> {
  if (!isRecord(value) || value['party'] !== party) return false;
  const { label, masterKeyKcv, keys } = value;
  if (typeof label !== 'string' || typeof masterKeyKcv !== 'string') return false;
  return isRecord(keys) && PARTY_KEY_NAMES[party].every((name) => isPartyKey(keys[name]));
}

function isPartyKey(value: unknown): value is PartyKey {
  if (!isRecord(value)) return false;
  return typeof value['keyBlock'] === 'string' && typeof value['kcv'] === 'string';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function partyKeysError(party: string, why: string, cause?: unknown): PartyKeysError {
  return new PartyKeysError('ERR_PARTY_KEYS', `key file of ${party} ${why}`, { party }, cause);
}
