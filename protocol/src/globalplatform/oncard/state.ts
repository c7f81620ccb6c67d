/**
 * What the card remembers: one plain, immutable value. A command makes the next value or none;
 * what it did not touch is the same object, so that a store can write differences.
 * @see GPCS 2.3.1 §6.4
 */

/** A component of a key in clear; only the secure element holds this value. */
export type CardKeyComponent = { readonly type: number; readonly bytes: Uint8Array };
/** One key. */
export type CardKey = {
  readonly identifier: number;
  readonly components: readonly CardKeyComponent[];
};
/** Keys of one version with the counter of sessions opened with them. */
export type CardKeySet = {
  readonly version: number;
  readonly keys: readonly CardKey[];
  readonly sequenceCounter: number;
};
/** Failed authentications in a row, and when the last one was. */
export type Failures = { readonly count: number; readonly lastMs: number };

type RegistryEntry = {
  /** Hex, upper case. */
  readonly aid: string;
  readonly lifeCycle: number;
  /** A domain with Global Lock has set the lock; one without it cannot take it away. */
  readonly isLockedGlobally: boolean;
  readonly privileges: number;
  /** The domain that the entry belongs to; the issuer's belongs to itself. */
  readonly domainAid: string;
  readonly loadFileAid: string | null;
  readonly moduleAid: string | null;
  readonly memoryBytesMax: number;
};
/** A security domain. */
export type SecurityDomain = RegistryEntry & {
  readonly kind: 'domain';
  readonly keySets: readonly CardKeySet[];
  readonly objects: readonly { readonly tag: string; readonly value: Uint8Array }[];
  readonly isExtraditionToAllowed: boolean;
  readonly isExtraditionFromAllowed: boolean;
  readonly failures: Failures;
};
/** An application; `persistent` is its runner's, opaque here. */
export type Application = RegistryEntry & {
  readonly kind: 'application';
  readonly persistent: Uint8Array;
};
/** Either. */
export type CardEntry = SecurityDomain | Application;
/** A load file with its code exactly as it was loaded. */
export type LoadFile = {
  readonly aid: string;
  readonly domainAid: string;
  readonly code: Uint8Array;
  readonly hash: Uint8Array;
  readonly moduleAids: readonly string[];
  /** Part of the card: its modules are the security domains. */
  readonly isBuiltIn: boolean;
};
/** The whole. Entries are in the order of SELECT by partial name; the issuer's domain is first. */
export type CardState = {
  readonly format: 1;
  readonly lifeCycle: number;
  readonly issuerDomainAid: string;
  readonly entries: readonly CardEntry[];
  readonly loadFiles: readonly LoadFile[];
};

/** Load file and module of security domains that are part of the card. */
export const DOMAIN_LOAD_FILE_AID = 'A0000001515350';
export const DOMAIN_MODULE_AID = 'A000000151535041';

/** The entry of a name. */
export function entryOf(state: CardState, aid: string): CardEntry | undefined {
  return state.entries.find((entry) => entry.aid === aid);
}

/** The domain of a name. */
export function domainOf(state: CardState, aid: string): SecurityDomain | undefined {
  const entry = entryOf(state, aid);
  return entry?.kind === 'domain' ? entry : undefined;
}

/** The load file of a name. */
export function loadFileOf(state: CardState, aid: string): LoadFile | undefined {
  return state.loadFiles.find((file) => file.aid === aid);
}

/** The state with one entry in place of the one of its name, or behind all others. */
export function withEntry(state: CardState, entry: CardEntry): CardState {
  const isKnown = state.entries.some(({ aid }) => aid === entry.aid);
  const entries = isKnown
    ? state.entries.map((other) => (other.aid === entry.aid ? entry : other))
    : [...state.entries, entry];
  return { ...state, entries };
}

/** Bytes of code and data that belong to a domain and to those below it. */
export function usedBytes(state: CardState, domainAid: string): number {
  const isInside = (aid: string): boolean =>
    domainsAbove(state, aid).some((domain) => domain.aid === domainAid);
  const code = state.loadFiles
    .filter((file) => isInside(file.domainAid))
    .reduce((sum, file) => sum + file.code.length, 0);
  return state.entries
    .filter((entry) => isInside(entry.domainAid))
    .reduce((sum, entry) => sum + ownBytes(entry), code);
}

function ownBytes(entry: CardEntry): number {
  return entry.kind === 'application' ? entry.persistent.length : 0;
}

/** Bytes that a domain may still take: no domain above it is outgrown either. */
export function freeBytes(state: CardState, domainAid: string): number {
  const free = domainsAbove(state, domainAid).map(
    ({ aid, memoryBytesMax }) => memoryBytesMax - usedBytes(state, aid),
  );
  return free.length === 0 ? 0 : Math.max(0, Math.min(...free));
}

/** Domains above an object, nearest first; the issuer's is the last. */
export function domainsAbove(state: CardState, domainAid: string): readonly SecurityDomain[] {
  const found: SecurityDomain[] = [];
  let domain = domainOf(state, domainAid);
  while (domain && !found.includes(domain)) {
    found.push(domain);
    domain = domainOf(state, domain.domainAid);
  }
  return found;
}
