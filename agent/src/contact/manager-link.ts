/** The manager over HTTP: one POST for each message of a contact. */
import { errorFromBody } from '@tapnpay/protocol/bytes';
import {
  type CardFacts,
  checkShape,
  errorBodyShape,
  type TsmContactAnswer,
  tsmContactAnswerShape,
} from '@tapnpay/protocol/wire';
import type { ManagerLink } from './contact.ts';
import { ContactError } from './errors.ts';

const HTTP_TIMEOUT_MS = 30_000;
/** For the first word of a contact: a payment waits behind it, and is not held up for long. */
const FIRST_TIMEOUT_MS = 2_000;
/** Longest answer read: a batch in hex with what surrounds it. */
const ANSWER_CHARACTERS_MAX = 1_048_576;
const HTTP_OK = 200;
const HTTP_SERVER_FAULT = 500;

/** The link to the manager at this address. */
export function httpManagerLink(managerUrl: string): ManagerLink {
  return {
    async post(serialNumber, message): Promise<TsmContactAnswer> {
      const path = `/v1/elements/${encodeURIComponent(serialNumber)}/contact`;
      const timeoutMs = message.type === 'hello' ? FIRST_TIMEOUT_MS : HTTP_TIMEOUT_MS;
      const { status, body } = await post(new URL(path, managerUrl), message, timeoutMs);
      assertAnswered(status, body);
      return checkShape(tsmContactAnswerShape, body, 'answer');
    },
  };
}

/**
 * Tells a laboratory's manager that a new element is there.
 * @throws ContactError `ERR_MANAGER_HTTP`; TapError the manager's own code.
 */
export async function announceElement(managerUrl: string, card: CardFacts): Promise<void> {
  const { serialNumber, keyDiversificationData, attestationPublicKeySpki } = card;
  const announcement = {
    serial: serialNumber,
    keyDiversificationData,
    attestationKeySpki: attestationPublicKeySpki,
  };
  const url = new URL('/v1/announcements', managerUrl);
  const { status, body } = await post(url, announcement, FIRST_TIMEOUT_MS);
  assertAnswered(status, body);
}

function assertAnswered(status: number, body: unknown): void {
  if (status === HTTP_OK) return;
  // A manager in trouble has not decided anything: the message may be sent again.
  if (status >= HTTP_SERVER_FAULT) throw lost(`it answered status ${status}`);
  throw errorFromBody(checkShape(errorBodyShape, body, 'error'));
}

async function post(
  url: URL,
  message: unknown,
  timeoutMs: number,
): Promise<{ readonly status: number; readonly body: unknown }> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(message),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    if (text.length > ANSWER_CHARACTERS_MAX) throw lost('its answer is too long');
    return { status: response.status, body: JSON.parse(text) };
  } catch (cause) {
    if (cause instanceof ContactError) throw cause;
    throw lost('no answer that can be read', cause);
  }
}

function lost(why: string, cause?: unknown): ContactError {
  return new ContactError('ERR_MANAGER_HTTP', `the element's manager: ${why}`, {}, cause);
}
