/** What the gateway keeps of payment applications; each method is one atomic durable step. */
import type {
  ElementLock,
  ElementRecord,
  LoadFile,
  NewElement,
  PublishedParameters,
  StoredAttestation,
} from './model.ts';

/** Why the commit point refused an attestation. Nothing was written. */
export type AttestationRefusal =
  /** Not above the last one; `recorded` is the statement that had this very counter, if any. */
  | { readonly refused: 'counter'; readonly recorded: string | null }
  | { readonly refused: 'loadFile'; readonly state: 'unknown' | 'revoked' }
  | { readonly refused: 'parameters'; readonly minimumVersion: number };

/** The part of the gateway's durable memory that is about elements. */
export interface ElementStore {
  /** Uses the code up and writes the element, or neither. */
  enrolElement(
    codeId: string,
    element: NewElement,
    nowMs: number,
  ): Promise<'enrolled' | 'codeUsed' | 'exists'>;
  findElement(elementId: string): Promise<ElementRecord | null>;
  /** Newest enrolment first. */
  listElements(query: {
    readonly state?: ElementRecord['state'];
    readonly limit: number;
  }): Promise<readonly ElementRecord[]>;
  /** The first lock stays. The element as it is afterwards; null: there is none. */
  lockElement(elementId: string, lock: ElementLock): Promise<ElementRecord | null>;
  /** Its counters stay. */
  unlockElement(elementId: string): Promise<ElementRecord | null>;

  /** A file that was revoked stays so. The file as it is afterwards. */
  acceptLoadFile(file: Pick<LoadFile, 'hash' | 'name' | 'acceptedAtMs'>): Promise<LoadFile>;
  /** For ever. Null: there is no such file. */
  revokeLoadFile(
    hash: string,
    revocation: { readonly atMs: number; readonly note: string },
  ): Promise<LoadFile | null>;
  /** Oldest first. */
  listLoadFiles(): Promise<readonly LoadFile[]>;

  /** `exists`: the version is taken, or the newest is higher. */
  publishParameters(set: PublishedParameters): Promise<'published' | 'exists'>;
  newestParameters(): Promise<PublishedParameters | null>;
  /** The attestation of a payment; null of one that was made before there were any. */
  findAttestation(paymentId: string): Promise<StoredAttestation | null>;
}
