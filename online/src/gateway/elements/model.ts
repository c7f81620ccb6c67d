/** What the gateway keeps of payment applications: elements, load files, sets, evidence. */

/** A payment application the gateway has certified. */
export type ElementRecord = {
  readonly elementId: string;
  readonly publicKeySpki: string;
  readonly certificateSha256: string;
  /** Null of an element that was enrolled before certificates were kept. */
  readonly certificatePem: string | null;
  readonly initialKeyId: string;
  readonly state: 'operable' | 'locked';
  /** DUKPT transaction counter last accepted; a lower or equal one is a replay or a fork. */
  readonly lastPinCounter: number;
  /** Counter of the attestation last accepted; the same rule, for every payment. */
  readonly lastPaymentCounter: number;
  readonly enrolledAtMs: number;
  /** Why and since when it is locked; null while it is operable. */
  readonly lock: ElementLock | null;
};

/** `clone`: two states of one element were seen. `operator`: a person locked it. */
export type ElementLock = {
  readonly reason: 'clone' | 'operator';
  readonly note: string;
  readonly atMs: number;
};

/** An element as its enrolment makes it. */
export type NewElement = Omit<
  ElementRecord,
  'state' | 'lastPinCounter' | 'lastPaymentCounter' | 'lock'
>;

/** Code that payments may come from, by the hash of its load file. */
export type LoadFile = {
  /** SHA-256, hex. */
  readonly hash: string;
  readonly name: string;
  readonly state: 'accepted' | 'revoked';
  readonly acceptedAtMs: number;
  readonly revokedAtMs: number | null;
  readonly note: string | null;
};

/** What the commit point checks and keeps of an element's attestation. */
export type KeptAttestation = {
  readonly counter: number;
  readonly loadFileHash: string;
  readonly parameterVersion: number;
  /** The very text that was signed. */
  readonly statement: string;
  readonly signature: string;
};

/** The attestation of a past payment with what proves whose it is. */
export type StoredAttestation = Pick<KeptAttestation, 'statement' | 'signature'> &
  Pick<ElementRecord, 'elementId' | 'certificatePem'>;

/** A published parameter set; `body` is the very text that was signed. */
export type PublishedParameters = {
  readonly version: number;
  /** Payments under a lower version are refused from now on. */
  readonly minimumVersion: number;
  readonly body: string;
  readonly signature: string;
  readonly publishedAtMs: number;
  /** Key id of the operator, or `installation`. */
  readonly publishedBy: string;
};
