/** What a card is made with, and its first state. @see GPCS 2.3.1 §5.1 */
import {
  APPLICATION_07_SELECTABLE,
  CARD_01_OP_READY,
  KEY_TYPE_88_AES,
  KEY_VERSION_FF_FACTORY,
  privilegesOf,
} from '../data/index.ts';
import { type CardState, DOMAIN_LOAD_FILE_AID, DOMAIN_MODULE_AID } from './state.ts';

/** How failed authentications are slowed down. */
export type DelayRules = {
  /** Failures in a row that cost nothing. */
  readonly freeCount: number;
  readonly firstMs: number;
  readonly mostMs: number;
};

/** What never changes in a card. */
export type CardProfile = {
  /** 42 bytes. */
  readonly cplc: Uint8Array;
  readonly issuerIdentificationNumber: Uint8Array;
  readonly cardImageNumber: Uint8Array;
  /** 10 bytes that INITIALIZE UPDATE shows. */
  readonly keyDiversificationData: Uint8Array;
  readonly scp03ParameterI: number;
  /** Null, as by default: the card speaks no SCP02. */
  readonly scp02ParameterI: number | null;
  /** Most data bytes of one command. */
  readonly commandBytesMax: number;
  /** Memory of the whole card, which is that of the issuer's domain. */
  readonly cardMemoryBytes: number;
  /** Memory of a domain whose installation says nothing. */
  readonly domainMemoryBytes: number;
  readonly delay: DelayRules;
};

/** Name of the issuer's domain unless another is given. */
export const ISSUER_DOMAIN_AID = 'A000000151000000';
/** Entries of the registry, load files among them. */
export const REGISTRY_ENTRIES_MAX = 256;
/** Largest load file. */
export const LOAD_FILE_BYTES_MAX: number = 4 * 1024 * 1024;
/** All blocks of one STORE DATA. */
export const STORE_DATA_BYTES_MAX: number = 64 * 1024;
/** Objects that a domain keeps for GET DATA. */
export const DOMAIN_OBJECTS_MAX = 64;
/** Key sets of a domain. */
export const KEY_SETS_MAX = 16;
/** Key data of one PUT KEY. */
export const PUT_KEY_BYTES_MAX = 2048;
/** Bytes of one page of GET STATUS: with padding and MAC it still fits a short answer. */
export const STATUS_PAGE_BYTES_MAX = 223;

/** A profile with what is usual; SCP02 is off. */
export function cardProfile(
  own: Pick<CardProfile, 'cplc' | 'keyDiversificationData'> & Partial<CardProfile>,
): CardProfile {
  return {
    issuerIdentificationNumber: Uint8Array.of(0),
    cardImageNumber: own.keyDiversificationData,
    scp03ParameterI: 0x70,
    scp02ParameterI: null,
    commandBytesMax: 0x7fff,
    cardMemoryBytes: 8 * 1024 * 1024,
    domainMemoryBytes: 1024 * 1024,
    delay: { freeCount: 3, firstMs: 1_000, mostMs: 3_600_000 },
    ...own,
  };
}

/** The state that a card leaves the factory with: the issuer's domain and its factory keys. */
export function factoryState(
  profile: CardProfile,
  factoryKeys: {
    readonly encryption: Uint8Array;
    readonly mac: Uint8Array;
    readonly dataEncryption: Uint8Array;
    readonly type?: number;
    readonly version?: number;
  },
  issuerDomainAid: string = ISSUER_DOMAIN_AID,
): CardState {
  const type = factoryKeys.type ?? KEY_TYPE_88_AES;
  const keys = [factoryKeys.encryption, factoryKeys.mac, factoryKeys.dataEncryption].map(
    (bytes, index) => ({ identifier: index + 1, components: [{ type, bytes: bytes.slice() }] }),
  );
  const version = factoryKeys.version ?? KEY_VERSION_FF_FACTORY;
  return {
    ...{ format: 1, lifeCycle: CARD_01_OP_READY, issuerDomainAid },
    entries: [
      {
        ...{ kind: 'domain', aid: issuerDomainAid, domainAid: issuerDomainAid },
        ...{ lifeCycle: APPLICATION_07_SELECTABLE, isLockedGlobally: false },
        privileges: privilegesOf(
          ...(['securityDomain', 'authorizedManagement', 'cardLock', 'cardTerminate'] as const),
          ...(['cardReset', 'globalDelete', 'globalLock', 'globalRegistry'] as const),
        ),
        ...{ loadFileAid: DOMAIN_LOAD_FILE_AID, moduleAid: DOMAIN_MODULE_AID },
        memoryBytesMax: profile.cardMemoryBytes,
        keySets: [{ version, keys, sequenceCounter: 0 }],
        ...{ objects: [], failures: { count: 0, lastMs: 0 } },
        ...{ isExtraditionToAllowed: true, isExtraditionFromAllowed: true },
      },
    ],
    loadFiles: [
      {
        ...{ aid: DOMAIN_LOAD_FILE_AID, domainAid: issuerDomainAid, isBuiltIn: true },
        ...{ code: new Uint8Array(), hash: new Uint8Array(), moduleAids: [DOMAIN_MODULE_AID] },
      },
    ],
  };
}
