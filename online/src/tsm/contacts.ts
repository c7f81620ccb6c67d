/**
 * Contacts of elements. Who calls proves to be the element by a signature over a challenge; what is
 * sent is proved again by the session. One contact at a time for an element: a new one that the
 * element has signed ends the one before it. Contacts live in this process only: after a restart an
 * agent begins a new one, and the jobs go on from what the element says.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { equalBytes, fromHex, TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  TSM_BATCHES_MAX,
  TSM_CONTACT_IDLE_MS,
  TSM_NONCE_BYTES,
  type TsmContactAnswer,
  type TsmContactRequest,
  type TsmJobOutcome,
  type TsmProgress,
  type TsmStep,
  type TsmWish,
  tsmContactInput,
} from '@tapnpay/protocol/wire';
import { uuidv7 } from '../runtime/index.ts';
import type { Actor } from './actor.ts';
import { TsmError } from './errors.ts';
import { createJob } from './jobs/create.ts';
import { runJobs } from './jobs/run.ts';
import { lockRevoked } from './lifecycle/revocation.ts';
import type { Element } from './model.ts';
import type { TsmPorts } from './ports.ts';
import { needRow } from './rows.ts';

/** Contacts that are open at one time, and challenges that wait. */
export const CONTACTS_MAX = 1024;
/** Challenges of one element: whoever asks for more takes its own oldest one away. */
export const CHALLENGES_MAX = 4;
/** What a cardholder asks for is known by this name in jobs and audit log. */
const CARDHOLDER: Actor = { id: 'cardholder', role: 'issuer', providerId: '' };

type Work = AsyncGenerator<readonly TsmStep[], readonly TsmJobOutcome[], readonly string[]>;
type Challenge = {
  readonly id: string;
  readonly serial: string;
  readonly nonce: string;
  readonly madeMs: number;
};
type Contact = {
  readonly id: string;
  readonly serial: string;
  readonly work: Work;
  lastMs: number;
  batch: number;
  commandCount: number;
  progress: TsmProgress | null;
  /** The signature or the answers that came last, and what was said to them. */
  last: { readonly digest: Uint8Array; readonly reply: TsmContactAnswer } | null;
};

/** The door for elements. */
export class Contacts {
  readonly #ports: TsmPorts;
  readonly #challenges = new Map<string, Challenge>();
  /** By serial; only the element itself begins one, and so ends the one before. */
  readonly #contacts = new Map<string, Contact>();
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(ports: TsmPorts) {
    this.#ports = ports;
  }

  /** One message of an agent; those of one element wait for each other. */
  take(serial: string, request: TsmContactRequest): Promise<TsmContactAnswer> {
    const before = this.#turns.get(serial) ?? Promise.resolve();
    const turn = before.then(() => this.#take(serial, request));
    const settled = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(serial, settled);
    void settled.then(() => {
      if (this.#turns.get(serial) === settled) this.#turns.delete(serial);
    });
    return turn;
  }

  async #take(serial: string, request: TsmContactRequest): Promise<TsmContactAnswer> {
    const element = await needRow(
      ...([this.#ports.store, 'elements', serial, 'ERR_TSM_ELEMENT_UNKNOWN'] as const),
    );
    assertMayCall(element);
    this.#forgetIdle();
    if (request.type === 'hello') return this.#challenge(serial);
    if (request.type === 'begin') return this.#begin(element, request);
    return this.#answers(this.#contactOf(serial, request.contactId), request);
  }

  #challenge(serial: string): TsmContactAnswer {
    const { clock, random } = this.#ports;
    const own = [...this.#challenges.values()].filter((one) => one.serial === serial);
    const oldest = own[0];
    if (oldest && own.length >= CHALLENGES_MAX) this.#challenges.delete(oldest.id);
    if (this.#challenges.size >= CONTACTS_MAX || this.#contacts.size >= CONTACTS_MAX) {
      throw new TsmError('ERR_LIMIT', 'too many elements are here at once');
    }
    const nonce = toHex(random.bytes(TSM_NONCE_BYTES));
    const challenge = { id: uuidv7(clock, random), serial, nonce, madeMs: clock.nowMs() };
    this.#challenges.set(challenge.id, challenge);
    return { type: 'challenge', contactId: challenge.id, nonce };
  }

  /** @throws TsmError `ERR_TSM_CONTACT` for one that was ended, replaced, or is too old. */
  #contactOf(serial: string, contactId: string): Contact {
    const contact = this.#contacts.get(serial);
    if (contact?.id !== contactId) {
      throw new TsmError('ERR_TSM_CONTACT', 'this contact is over; begin a new one');
    }
    contact.lastMs = this.#ports.clock.nowMs();
    return contact;
  }

  async #begin(
    element: Element,
    request: Extract<TsmContactRequest, { type: 'begin' }>,
  ): Promise<TsmContactAnswer> {
    const { contactId, signature, wishes = [] } = request;
    const serial = element.id;
    const digest = digestOf([signature]);
    const begun = this.#contacts.get(serial);
    if (begun?.id === contactId) return repeated(begun, digest);
    const challenge = this.#challenges.get(contactId);
    // A challenge is good for one begin, right or wrong.
    this.#challenges.delete(contactId);
    if (challenge?.serial !== serial) {
      throw new TsmError('ERR_TSM_CONTACT', 'this challenge is over; ask for another one');
    }
    const input = tsmContactInput({ serial, contactId, nonce: challenge.nonce });
    if (!isSignature(element.attestationKeySpki, input, signature)) {
      this.#ports.log({ event: 'tsmContactRefused', serial });
      throw new TsmError('ERR_TSM_ATTESTATION', 'the signature is not by this element');
    }
    if (begun) await this.#end(begun);
    await lockRevoked(this.#ports, element);
    for (const wish of wishes) await this.#wish(serial, wish);
    const contact: Contact = {
      ...{ id: contactId, serial, lastMs: this.#ports.clock.nowMs(), batch: 0, commandCount: 0 },
      ...{ progress: null, last: null },
      work: runJobs(this.#ports, serial, (progress) => {
        contact.progress = progress;
      }),
    };
    this.#contacts.set(serial, contact);
    const reply = await this.#go(contact, () => contact.work.next());
    contact.last = { digest, reply };
    return reply;
  }

  /** A cardholder has what the store offers, and nothing else. @throws TsmError `ERR_ROLE`. */
  async #wish(serial: string, { wish, applicationId }: TsmWish): Promise<void> {
    const { isOffered } = await needRow(this.#ports.store, 'applications', applicationId);
    if (!isOffered) throw new TsmError('ERR_ROLE', 'the store does not offer that application');
    const kind = wish === 'install' ? 'update' : 'delete';
    await createJob(this.#ports, CARDHOLDER, { serial, kind, applicationIds: [applicationId] });
  }

  async #answers(
    contact: Contact,
    request: Extract<TsmContactRequest, { type: 'answers' }>,
  ): Promise<TsmContactAnswer> {
    const { batch, answers } = request;
    const digest = digestOf(answers);
    const { last } = contact;
    if (last && batch > 0 && batch === contact.batch - 1) {
      // The reply was lost on its way: the same answers get it again, others are none.
      if (equalBytes(last.digest, digest)) return last.reply;
      throw new TsmError('ERR_TSM_CONTACT_REPLAY', 'that batch was answered otherwise');
    }
    if (batch !== contact.batch) {
      throw new TsmError('ERR_TSM_CONTACT_REPLAY', 'these answers are to no batch of now');
    }
    if (answers.length === 0 || answers.length > contact.commandCount) {
      throw new TsmError('ERR_REQUEST', 'another number of answers than the batch can have');
    }
    const reply = await this.#go(contact, () => contact.work.next(answers));
    contact.last = { digest, reply };
    return reply;
  }

  async #go(contact: Contact, next: () => ReturnType<Work['next']>): Promise<TsmContactAnswer> {
    const contactId = contact.id;
    try {
      const state = await next();
      contact.batch++;
      if (state.done) return { type: 'end', contactId, jobs: state.value };
      if (contact.batch > TSM_BATCHES_MAX) {
        throw new TsmError('ERR_LIMIT', 'too many batches in one contact');
      }
      contact.commandCount = state.value.length;
      const { batch, progress } = contact;
      return { type: 'batch', contactId, batch, steps: state.value, progress };
    } catch (thrown) {
      await this.#end(contact);
      throw thrown;
    }
  }

  /** Its jobs wait for the next contact. */
  async #end(contact: Contact): Promise<void> {
    if (this.#contacts.get(contact.serial) === contact) this.#contacts.delete(contact.serial);
    // What a generator that is given up says has no reader.
    await contact.work.return([]).catch(() => undefined);
  }

  #forgetIdle(): void {
    const oldestMs = this.#ports.clock.nowMs() - TSM_CONTACT_IDLE_MS;
    for (const [id, { madeMs }] of this.#challenges) {
      if (madeMs < oldestMs) this.#challenges.delete(id);
    }
    for (const [serial, { lastMs }] of this.#contacts) {
      if (lastMs < oldestMs) this.#contacts.delete(serial);
    }
  }
}

/** The same message again lost its reply; another one is none. */
function repeated({ last, batch }: Contact, digest: Uint8Array): TsmContactAnswer {
  if (last && batch === 1 && equalBytes(last.digest, digest)) return last.reply;
  throw new TsmError('ERR_TSM_CONTACT_REPLAY', 'the contact has begun');
}

/** Only what was issued and is not retired is managed. @throws TsmError `ERR_TSM_ELEMENT_STATE`. */
function assertMayCall({ state }: Element): void {
  if (state === 'issued' || state === 'active' || state === 'suspended') return;
  throw new TsmError('ERR_TSM_ELEMENT_STATE', `an element that is ${state} is not managed`);
}

function isSignature(spki: string, input: string, signature: string): boolean {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(spki, 'hex'), format: 'der', type: 'spki' });
  } catch {
    return false;
  }
  const options = { key, dsaEncoding: 'ieee-p1363' } as const;
  try {
    return verify('sha256', Buffer.from(input, 'utf8'), options, fromHex(signature));
  } catch (thrown) {
    if (thrown instanceof TapError) return false;
    throw thrown;
  }
}

function digestOf(answers: readonly string[]): Uint8Array {
  return new Uint8Array(createHash('sha256').update(answers.join(' ')).digest());
}
