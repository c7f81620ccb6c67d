/**
 * One contact of a secure element with its manager (TSM): the element calls out, the manager
 * computes every command, the agent carries commands in and answers out and understands neither.
 * It stops a batch at the first status word that the manager did not expect.
 */
import { TapError } from '@tapnpay/protocol/bytes';
import {
  TSM_BATCHES_MAX,
  type TsmContactAnswer,
  type TsmContactRequest,
  type TsmJobOutcome,
  type TsmProgress,
  type TsmStep,
} from '@tapnpay/protocol/wire';
import { ContactError } from './errors.ts';

/** Pauses before a message is sent again whose answer was lost, in milliseconds. */
export const CONTACT_PAUSES_MS: readonly number[] = [200, 1_000, 3_000];

/** The element's own card, as a manager reaches it. */
export interface ManagedCard {
  readonly serialNumber: string;
  /** The element's signature over `tsmContactInput`; the element itself composes the input. */
  signContact(contact: { readonly contactId: string; readonly nonce: string }): Promise<string>;
  /** One command and its answer, both in hex. */
  transmit(command: string): Promise<string>;
  /** Ends sessions and selections: the manager has left. */
  reset(): Promise<void>;
}

/** The way to the manager. */
export interface ManagerLink {
  /** @throws ContactError `ERR_MANAGER_HTTP` for a lost message; TapError the manager's code. */
  post(serialNumber: string, message: TsmContactRequest): Promise<TsmContactAnswer>;
}

export type ContactPorts = {
  readonly card: ManagedCard;
  readonly manager: ManagerLink;
  readonly pause: (ms: number) => Promise<void>;
  readonly onProgress?: (progress: TsmProgress) => void;
};

/**
 * Runs a contact to its end, and tells what became of the manager's jobs.
 * @throws ContactError `ERR_MANAGER_HTTP`, `ERR_MANAGER_ANSWER`; TapError of manager or element.
 */
export async function contactManager(ports: ContactPorts): Promise<readonly TsmJobOutcome[]> {
  const { card } = ports;
  // Nothing is begun yet: a manager that is away is not waited for.
  const challenge = await ports.manager.post(card.serialNumber, { type: 'hello' });
  if (challenge.type !== 'challenge') throw unexpected(challenge);
  const { contactId, nonce } = challenge;
  const signature = await card.signContact({ contactId, nonce });
  try {
    return await workOff(ports, contactId, signature);
  } finally {
    // What the manager opened must not be open for whoever comes next.
    await card.reset();
  }
}

async function workOff(
  ports: ContactPorts,
  contactId: string,
  signature: string,
): Promise<readonly TsmJobOutcome[]> {
  let answer = await say(ports, { type: 'begin', contactId, signature });
  for (let batches = 0; batches <= TSM_BATCHES_MAX; batches++) {
    if (answer.contactId !== contactId) throw unexpected(answer);
    if (answer.type === 'end') return answer.jobs;
    if (answer.type !== 'batch') throw unexpected(answer);
    if (answer.progress !== null) ports.onProgress?.(answer.progress);
    const answers = await transmitAll(ports.card, answer.steps);
    answer = await say(ports, { type: 'answers', contactId, batch: answer.batch, answers });
  }
  throw new ContactError('ERR_MANAGER_ANSWER', `more than ${TSM_BATCHES_MAX} batches`);
}

/** As many answers as commands were sent. */
async function transmitAll(
  card: ManagedCard,
  steps: readonly TsmStep[],
): Promise<readonly string[]> {
  const answers: string[] = [];
  for (const { command, allowed } of steps) {
    const response = await card.transmit(command);
    answers.push(response);
    if (!allowed.includes(response.slice(-4).toUpperCase())) break;
  }
  return answers;
}

/** The same message again gets the same answer, so that a lost one costs nothing. */
async function say(ports: ContactPorts, message: TsmContactRequest): Promise<TsmContactAnswer> {
  const { card, manager, pause } = ports;
  for (const pauseMs of CONTACT_PAUSES_MS) {
    try {
      return await manager.post(card.serialNumber, message);
    } catch (fault) {
      if (!(fault instanceof TapError && fault.code === 'ERR_MANAGER_HTTP')) throw fault;
      await pause(pauseMs);
    }
  }
  return await manager.post(card.serialNumber, message);
}

function unexpected({ type }: TsmContactAnswer): ContactError {
  return new ContactError('ERR_MANAGER_ANSWER', `the manager says ${type} out of turn`, { type });
}
