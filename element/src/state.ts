/** What the element remembers: its identity, a pending enrolment, and the PIN key counters. */
import { Secret } from '@tapnpay/protocol/bytes';
import type { TerminalParametersJson } from '@tapnpay/protocol/wire';
import { ElementError } from './errors.ts';
import type { ElementStore } from './store.ts';

/** An enrolled identity as it stands in the sealed store; keys in hex. */
export type ElementIdentity = {
  readonly elementId: string;
  readonly clientKeyPkcs8: Secret<string>;
  readonly certificatePem: string;
  readonly caPem: string;
  readonly orderPublicKeySpki: string;
  readonly initialKeyId: string;
  readonly initialKey: Secret<string>;
  readonly parameters: TerminalParametersJson;
};

/** Keys made for an enrolment that is not granted yet. */
export type PendingEnrolment = {
  readonly elementId: string;
  readonly publicKeySpki: string;
  readonly clientKeyPkcs8: Secret<string>;
  readonly transportKeyPkcs8: Secret<string>;
};

/** The whole state; each change replaces it durably. */
export type ElementRecord = {
  readonly locked: boolean;
  readonly identity: ElementIdentity | null;
  readonly pending: PendingEnrolment | null;
  /** Initial key id -> last counter used. Never shrinks: a key granted again goes on counting. */
  readonly pinCounters: Readonly<Record<string, number>>;
};

const RECORD_VERSION = 1;
const EMPTY: ElementRecord = { locked: false, identity: null, pending: null, pinCounters: {} };
/** Fields that are `Secret` in memory and clear inside the sealed slot. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  'clientKeyPkcs8',
  'transportKeyPkcs8',
  'initialKey',
]);

/** The state in memory, always equal to the last durable one. */
export class ElementState {
  readonly #store: ElementStore;
  #record: ElementRecord;

  constructor(store: ElementStore) {
    this.#store = store;
    this.#record = decodeRecord(store.read());
  }

  get record(): ElementRecord {
    return this.#record;
  }

  /** Makes the change durable, then visible. @throws ElementError of the store. */
  update(change: Partial<ElementRecord>): void {
    const next = { ...this.#record, ...change };
    this.#store.write(encodeRecord(next));
    this.#record = next;
  }
}

function encodeRecord(record: ElementRecord): string {
  // `Secret.toJSON` masks before a replacer sees the value, so the holder is asked instead.
  return JSON.stringify({ version: RECORD_VERSION, ...record }, function (this: unknown, name) {
    const value = (this as Readonly<Record<string, unknown>>)[name];
    return value instanceof Secret ? value.expose() : value;
  });
}

function decodeRecord(text: string): ElementRecord {
  if (text === '') return EMPTY;
  const parsed = JSON.parse(text, (name, value: unknown) =>
    SECRET_FIELDS.has(name) ? new Secret(value) : value,
  ) as ElementRecord & { readonly version: number };
  if (parsed.version !== RECORD_VERSION) {
    throw new ElementError('ERR_STORE_CORRUPT', `state of version ${parsed.version}`);
  }
  const { locked, identity, pending, pinCounters } = parsed;
  return { locked, identity, pending, pinCounters };
}
