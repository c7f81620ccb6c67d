/** What the element remembers: identity, a pending enrolment, PIN key counters, session tickets. */
import { createHash } from 'node:crypto';
import { Secret, toHex } from '@tapnpay/protocol/bytes';
import type { SignedParameterSet } from '@tapnpay/protocol/wire';
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
  /** Key of the parameter sets, SPKI hex. */
  readonly parameterPublicKeySpki: string;
  /** The newest set that was taken. */
  readonly parameters: SignedParameterSet;
};

/** Keys made for an enrolment that is not granted yet. */
export type PendingEnrolment = {
  readonly elementId: string;
  readonly publicKeySpki: string;
  readonly clientKeyPkcs8: Secret<string>;
  readonly transportKeyPkcs8: Secret<string>;
};

/** A ticket of the secure channel: a secret of this element, its certificate and one gateway. */
export type SessionTicket = {
  readonly serverName: string;
  /** `channelBinding` of the identity whose full handshake brought it. */
  readonly boundTo: string;
  /** Milliseconds of the epoch; after it a full handshake is due. */
  readonly endsAtMs: number;
  /** The TLS session as OpenSSL writes it, hex. */
  readonly session: Secret<string>;
};

/** The whole state; each change replaces it durably. */
export type ElementRecord = {
  readonly locked: boolean;
  readonly identity: ElementIdentity | null;
  readonly pending: PendingEnrolment | null;
  /** Initial key id -> last counter used. Never shrinks: a key granted again goes on counting. */
  readonly pinCounters: Readonly<Record<string, number>>;
  /** Last counter of an attestation. Never goes back: a copy of an older store is found by it. */
  readonly paymentCounter: number;
  /** Newest first. None outlives a lock or its certificate. */
  readonly tickets: readonly SessionTicket[];
  /** Of the card that was born here; null before its birth. */
  readonly cardSerialNumber: string | null;
};

const RECORD_VERSION = 1;
const EMPTY: ElementRecord = {
  locked: false,
  identity: null,
  pending: null,
  pinCounters: {},
  paymentCounter: 0,
  tickets: [],
  cardSerialNumber: null,
};
/** Fields that are `Secret` in memory and clear inside the sealed slot. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  'clientKeyPkcs8',
  'transportKeyPkcs8',
  'initialKey',
  'session',
]);

/** What a ticket is bound to on this side: the own certificate and the gateway's authority. */
export function channelBinding(identity: ElementIdentity): string {
  const { certificatePem, caPem } = identity;
  return toHex(createHash('sha256').update(certificatePem).update(caPem).digest());
}

/** The state in memory, always equal to the last durable one but for staged tickets. */
export class ElementState {
  readonly #store: ElementStore;
  #record: ElementRecord;
  #durableTickets: readonly SessionTicket[];

  constructor(store: ElementStore) {
    this.#store = store;
    this.#record = decodeRecord(store.read());
    this.#durableTickets = this.#record.tickets;
  }

  get record(): ElementRecord {
    return this.#record;
  }

  /** Makes the change durable, then visible. @throws ElementError of the store. */
  update(change: Partial<ElementRecord>): void {
    const next = withLivingTickets({ ...this.#record, ...change });
    this.#store.write(encodeRecord(next));
    this.#record = next;
    this.#durableTickets = next.tickets;
  }

  /**
   * Changes the tickets in memory: losing them costs a full handshake and nothing else, so that no
   * payment waits for the disk. Any `update` takes them along.
   */
  stageTickets(tickets: readonly SessionTicket[]): void {
    this.#record = withLivingTickets({ ...this.#record, tickets });
  }

  /** Makes staged tickets durable, if they differ. @throws ElementError of the store. */
  flushTickets(): void {
    const { tickets } = this.#record;
    const durable = this.#durableTickets;
    const isSame = tickets.length === durable.length;
    if (!isSame || tickets.some((ticket, index) => ticket !== durable[index])) this.update({});
  }
}

/** A lock, another certificate or another authority ends the tickets in the same write. */
function withLivingTickets(record: ElementRecord): ElementRecord {
  const { identity, locked, tickets } = record;
  if (tickets.length === 0) return record;
  const boundTo = identity === null || locked ? null : channelBinding(identity);
  return { ...record, tickets: tickets.filter((ticket) => ticket.boundTo === boundTo) };
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
  const { locked, pending, pinCounters } = parsed;
  const identity = isWhole(parsed.identity) ? parsed.identity : null;
  const tickets = decodeTickets(parsed.tickets);
  // A store of before has attested nothing.
  const paymentCounter = parsed.paymentCounter ?? 0;
  const counted = { pinCounters, paymentCounter, tickets };
  const cardSerialNumber = parsed.cardSerialNumber ?? null;
  return withLivingTickets({ locked, identity, pending, ...counted, cardSerialNumber });
}

/** An identity without the key of its parameters is of before: the element enrols anew. */
function isWhole(identity: Partial<ElementIdentity> | null): boolean {
  return typeof identity?.parameterPublicKeySpki === 'string';
}

/** A store of before has none, and one that another program wrote may have others: no fault. */
function decodeTickets(value: unknown): readonly SessionTicket[] {
  return Array.isArray(value) ? value.filter(isTicket) : [];
}

function isTicket(value: unknown): value is SessionTicket {
  const { serverName, boundTo, endsAtMs, session } = Object(value) as Partial<SessionTicket>;
  return (
    typeof serverName === 'string' &&
    typeof boundTo === 'string' &&
    Number.isSafeInteger(endsAtMs) &&
    session instanceof Secret &&
    /^(?:[0-9A-F]{2})+$/.test(String(session.expose()))
  );
}
