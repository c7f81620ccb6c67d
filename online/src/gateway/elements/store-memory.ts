/** `ElementStore` in memory; the gateway's store in memory is built on it. */
import { MemoryNotices } from '../load/store-memory.ts';
import type { PairingCode } from '../model.ts';
import type {
  ElementLock,
  ElementRecord,
  KeptAttestation,
  LoadFile,
  NewElement,
  PublishedParameters,
  StoredAttestation,
} from './model.ts';
import type { AttestationRefusal, ElementStore } from './store.ts';

/** Elements, load files, parameter sets and attestations as maps. */
export class MemoryElements extends MemoryNotices implements ElementStore {
  protected readonly codes: Map<string, PairingCode> = new Map();
  protected readonly elements: Map<string, ElementRecord> = new Map();
  readonly #loadFiles = new Map<string, LoadFile>();
  readonly #sets: PublishedParameters[] = [];
  readonly #attestations = new Map<string, StoredAttestation>();
  /** Statement by element and counter. */
  readonly #statements = new Map<string, string>();

  async enrolElement(
    codeId: string,
    element: NewElement,
    nowMs: number,
  ): Promise<'enrolled' | 'codeUsed' | 'exists'> {
    const code = this.codes.get(codeId);
    if (!code || code.expiresAtMs <= nowMs) return 'codeUsed';
    if (this.elements.has(element.elementId)) return 'exists';
    this.codes.delete(codeId);
    const fresh = { state: 'operable', lastPinCounter: 0, lastPaymentCounter: 0 } as const;
    this.elements.set(element.elementId, { ...element, ...fresh, lock: null });
    return 'enrolled';
  }

  async findElement(elementId: string): Promise<ElementRecord | null> {
    return this.elements.get(elementId) ?? null;
  }

  async listElements(query: {
    readonly state?: ElementRecord['state'];
    readonly limit: number;
  }): Promise<readonly ElementRecord[]> {
    const { state, limit } = query;
    return [...this.elements.values()]
      .filter((element) => state === undefined || element.state === state)
      .toSorted((one, other) => other.enrolledAtMs - one.enrolledAtMs)
      .slice(0, limit);
  }

  async lockElement(elementId: string, lock: ElementLock): Promise<ElementRecord | null> {
    const element = this.elements.get(elementId);
    if (element?.state !== 'operable') return element ?? null;
    return this.#put({ ...element, state: 'locked', lock });
  }

  async unlockElement(elementId: string): Promise<ElementRecord | null> {
    const element = this.elements.get(elementId);
    return element ? this.#put({ ...element, state: 'operable', lock: null }) : null;
  }

  async acceptLoadFile(file: Pick<LoadFile, 'hash' | 'name' | 'acceptedAtMs'>): Promise<LoadFile> {
    const known = this.#loadFiles.get(file.hash);
    if (known) return known;
    const added: LoadFile = { ...file, state: 'accepted', revokedAtMs: null, note: null };
    this.#loadFiles.set(file.hash, added);
    return added;
  }

  async revokeLoadFile(
    hash: string,
    { atMs, note }: { readonly atMs: number; readonly note: string },
  ): Promise<LoadFile | null> {
    const file = this.#loadFiles.get(hash);
    if (file?.state !== 'accepted') return file ?? null;
    const revoked: LoadFile = { ...file, state: 'revoked', revokedAtMs: atMs, note };
    this.#loadFiles.set(hash, revoked);
    return revoked;
  }

  async listLoadFiles(): Promise<readonly LoadFile[]> {
    return [...this.#loadFiles.values()];
  }

  async publishParameters(set: PublishedParameters): Promise<'published' | 'exists'> {
    if (set.version <= (this.#sets.at(-1)?.version ?? 0)) return 'exists';
    this.#sets.push(set);
    return 'published';
  }

  async newestParameters(): Promise<PublishedParameters | null> {
    return this.#sets.at(-1) ?? null;
  }

  async findAttestation(paymentId: string): Promise<StoredAttestation | null> {
    return this.#attestations.get(paymentId) ?? null;
  }

  /** What stands against an attestation at the commit point. */
  protected refusalOf(element: ElementRecord, kept: KeptAttestation): AttestationRefusal | null {
    if (kept.counter <= element.lastPaymentCounter) {
      const recorded = this.#statements.get(statementKey(element.elementId, kept.counter)) ?? null;
      return { refused: 'counter', recorded };
    }
    const state = this.#loadFiles.get(kept.loadFileHash)?.state ?? 'unknown';
    if (state !== 'accepted') return { refused: 'loadFile', state };
    const minimumVersion = Math.max(0, ...this.#sets.map((set) => set.minimumVersion));
    if (kept.parameterVersion < minimumVersion) return { refused: 'parameters', minimumVersion };
    return null;
  }

  /** The payment passes the commit point: its counters are used. */
  protected count(
    paymentId: string,
    used: {
      readonly element: ElementRecord;
      readonly kept: KeptAttestation;
      readonly pinCounter: number | null;
    },
  ): void {
    const { element, kept, pinCounter } = used;
    const { elementId, certificatePem } = element;
    const lastPinCounter = pinCounter ?? element.lastPinCounter;
    this.#put({ ...element, lastPinCounter, lastPaymentCounter: kept.counter });
    const { statement, signature } = kept;
    this.#attestations.set(paymentId, { statement, signature, elementId, certificatePem });
    this.#statements.set(statementKey(elementId, kept.counter), statement);
  }

  #put(element: ElementRecord): ElementRecord {
    this.elements.set(element.elementId, element);
    return element;
  }
}

function statementKey(elementId: string, counter: number): string {
  return `${elementId}/${counter}`;
}
