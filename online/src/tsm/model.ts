/** What the manager keeps. Rows are plain values; each has a version that counts its changes. */
import type { KeySetWay, LoadFileSignatureKind } from '@tapnpay/protocol/wire';
import type { BothTexts } from './errors.ts';

/** What every row has. `parent` is what it belongs to, `state` what lists ask for. */
export type Row = {
  readonly id: string;
  readonly parent: string;
  readonly state: string;
  /** 1 when it is made, one more with each change. */
  readonly version: number;
};

/** Life of an element in the manager's books. */
export type ElementState = 'manufactured' | 'issued' | 'active' | 'suspended' | 'retired';

/** A key set of an element or of a domain on it. */
export type ElementKeySet = {
  readonly domainAid: string;
  readonly keyVersionNumber: number;
  /** Name of its master. */
  readonly master: string;
  readonly way: KeySetWay;
  /** Counter that the next session will show, where the element says it; for offline scripts. */
  readonly counter: number | null;
  /** Parameter i of SCP03 as the element said it last; null in SCP02 and before a session. */
  readonly parameterI: number | null;
};

/** What the registry of an element said when it was last read. */
export type ElementReading = {
  readonly readAtMs: number;
  /** State of the card. */
  readonly lifeCycle: number;
  readonly entries: readonly ReadEntry[];
  readonly loadFiles: readonly ReadEntry[];
  /** Versions of the keys of domains, of which they are known. */
  readonly keyVersions: Readonly<Record<string, readonly number[]>>;
  /** 9F7F in hex; null where the element has none. */
  readonly cplc: string | null;
  /** The listing was cut: what is missing in it may be there. */
  readonly isTruncated: boolean;
};
/** An entry of the registry. An AID may be empty: a failed installation of others leaves such. */
export type ReadEntry = {
  readonly aid: string;
  readonly lifeCycle: number | null;
  readonly domainAid: string | null;
};

/** A secure element; `id` is its serial, `parent` its owner or empty. */
export type Element = Row & {
  readonly state: ElementState;
  /** 10 bytes in hex. */
  readonly keyDiversificationData: string;
  /** P-256, SPKI in hex. */
  readonly attestationKeySpki: string;
  /** Kind of its keys. */
  readonly keyType: 'aes' | 'des';
  /** Masters that its factory keys may come of. */
  readonly factory: readonly { readonly master: string; readonly way: KeySetWay }[];
  /** Master that its keys shall come of. */
  readonly master: string;
  /**
   * Parameter i of SCP03, told at registration or by the first session with keys of ours; null
   * before. No proof covers it, so that it may not change: a relay could take away the MACs of
   * answers.
   */
  readonly parameterI: number | null;
  /** Most bytes of a command; null: what the element says. */
  readonly commandBytesMax: number | null;
  /** Sets that the element is known to have. */
  readonly keySets: readonly ElementKeySet[];
  /** Sets that were sent; whether they arrived is seen in the next session. */
  readonly sentKeySets: readonly ElementKeySet[];
  readonly reading: ElementReading | null;
  readonly lastContactMs: number | null;
  readonly createdAtMs: number;
};

/** A service provider; its applications live in a security domain of its own. */
export type Provider = Row & {
  readonly state: 'active' | 'closed';
  readonly name: BothTexts;
  readonly domainAid: string;
  /** Names of applications begin with one of these. */
  readonly aidPrefixes: readonly string[];
};

/** A cardholder; an element belongs to one. */
export type User = Row & { readonly state: 'active'; readonly name: string };

/** An application; `parent` is its provider. */
export type Application = Row & {
  readonly state: 'active' | 'withdrawn';
  readonly name: BothTexts;
  readonly summary: BothTexts;
  readonly loadFileAid: string;
  readonly moduleAid: string;
  readonly instanceAid: string;
  /** Value of C9 for INSTALL, in hex. */
  readonly installParameters: string;
  /** Memory of the instance; null: as much as its domain has. */
  readonly persistentBytes: number | null;
  readonly needsPersonalisation: boolean;
  /** Whether cardholders see it in the store. */
  readonly isOffered: boolean;
};

/** Certification of a version. */
export type VersionState =
  | 'rejected'
  | 'uploaded'
  | 'checked'
  | 'reviewed'
  | 'released'
  | 'revoked';
/** One static check. */
export type IntakeCheck = {
  readonly name: string;
  readonly isPassed: boolean;
  readonly detail: string;
};
/** One version of an application; `id` is application and version, `parent` the application. */
export type ApplicationVersion = Row & {
  readonly state: VersionState;
  readonly number: string;
  /** SHA-256 of the package in hex: the load-file hash. */
  readonly hash: string;
  readonly sizeBytes: number;
  readonly checks: readonly IntakeCheck[];
  readonly uploadedBy: string;
  readonly reviewedBy: string | null;
  /** By the certifier, over the hash; null before the release. */
  readonly signature: { readonly kind: LoadFileSignatureKind; readonly value: string } | null;
  readonly releasedAtMs: number | null;
  readonly createdAtMs: number;
};

/** What is wanted of an application on an element, beside what is known to be there. */
export type WantedState = 'operable' | 'locked' | 'absent';
/** `id` is serial and application, `parent` the serial, `state` what is wanted. */
export type Placement = Row & {
  readonly state: WantedState;
  readonly applicationId: string;
  /** Version that shall be there. */
  readonly wantedVersionId: string | null;
  /** Version whose load file is there when the registry has the file; it is never ambiguous. */
  readonly knownVersionId: string | null;
  /** Version and digest of the data that the instance took; null: none, or not known. */
  readonly personalisedAs: string | null;
};

/** Kinds of jobs. */
export type JobKind =
  | ('enrol' | 'update' | 'lock' | 'unlock' | 'delete' | 'rotateKeys' | 'personalise')
  | ('suspend' | 'resume' | 'repair');
/** All of them. */
export const JOB_KINDS: readonly JobKind[] = [
  ...(['enrol', 'update', 'lock', 'unlock', 'delete', 'rotateKeys', 'personalise'] as const),
  ...(['suspend', 'resume', 'repair'] as const),
];
/** Life of a job: `waiting` for a contact, `running` in one, and its three ends. */
export type JobState = 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
/** One step that a job took. */
export type JobStep = { readonly name: string; readonly subject: string; readonly atMs: number };
/** A job on an element; `parent` is its serial. */
export type Job = Row & {
  readonly state: JobState;
  readonly kind: JobKind;
  /** Applications that it is about; none for the element itself. */
  readonly applicationIds: readonly string[];
  readonly actor: string;
  /** What was wanted before, for a job that is called off; null: nothing was. */
  readonly wantedBefore: readonly {
    readonly applicationId: string;
    readonly wanted: Pick<Placement, 'state' | 'wantedVersionId'> | null;
  }[];
  readonly steps: readonly JobStep[];
  readonly attempts: number;
  readonly fault: { readonly code: string; readonly message: string } | null;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
};

/** A master of key sets; `id` is its name. */
export type Master = Row & {
  readonly state: 'factory' | 'inUse';
  readonly keyType: 'aes' | 'des';
  readonly lengthBytes: number;
  readonly keyBlock: string;
  readonly kcv: string;
  readonly createdAtMs: number;
};

/** A script that was computed for an element that is away; `parent` is its serial. */
export type Script = Row & {
  readonly state: 'open' | 'done' | 'failed';
  readonly kind: 'lock' | 'unlock';
  readonly applicationId: string;
  readonly session: string;
  readonly commandCount: number;
  readonly stoppedAt: number | null;
  readonly reason: string | null;
  readonly actor: string;
  readonly createdAtMs: number;
};

/** Who may do what: the issuer of elements, a provider, an auditor. */
export type TsmRole = 'issuer' | 'provider' | 'auditor';
/** An API key; `id` is the SHA-256 of its text, `parent` the provider or empty. */
export type ApiKey = Row & {
  readonly state: 'active' | 'revoked';
  readonly role: TsmRole;
  readonly name: string;
};

/** Rows of each table. */
export type Tables = {
  readonly elements: Element;
  readonly providers: Provider;
  readonly users: User;
  readonly applications: Application;
  readonly versions: ApplicationVersion;
  readonly placements: Placement;
  readonly jobs: Job;
  readonly masters: Master;
  readonly scripts: Script;
  readonly apiKeys: ApiKey;
};
/** Name of a table. */
export type TableName = keyof Tables;
/** All of them. */
export const TABLE_NAMES: readonly TableName[] = [
  ...(['elements', 'providers', 'users', 'applications', 'versions'] as const),
  ...(['placements', 'jobs', 'masters', 'scripts', 'apiKeys'] as const),
];

/** Id of a placement. */
export function placementId(serial: string, applicationId: string): string {
  return `${serial}/${applicationId}`;
}

/** Id of a version. */
export function versionId(applicationId: string, number: string): string {
  return `${applicationId}/${number}`;
}
