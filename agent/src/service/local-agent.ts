/**
 * The way of other programs of the same user to the running agent: a key in a file that only this
 * user can read.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { errorFromBody, type RandomSource, TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  checkShape,
  countShape,
  errorBodyShape,
  objectShape,
  type ReaderCommand,
  type Shape,
  textShape,
  type WindowView,
} from '@tapnpay/protocol/wire';
import { replaceFile } from '../durable-file.ts';

/** POST `ReaderCommand`, or GET; both answer `ReaderAnswer`. */
export const LOCAL_READER_PATH = '/v1/reader';
const KEY_FILE = 'local-key';
const KEY_BYTES = 32;
const TIMEOUT_MS = 10_000;

/** Where the agent is and what it wants to hear. */
export type LocalAgent = { readonly port: number; readonly key: string };
/** The reader and the cards, as the wallet shows them. */
export type ReaderAnswer = Pick<WindowView, 'reader' | 'cards'>;

const localAgentShape: Shape<LocalAgent> = objectShape<LocalAgent>({
  port: countShape(65_535),
  key: textShape(64, /^[0-9A-F]{64}$/),
});

/** A new key for each start. */
export function newLocalKey(random: RandomSource): string {
  return toHex(random.bytes(KEY_BYTES));
}

/** Lets programs of this user find the agent. `directory` is `<dataDir>/agent`. */
export function writeLocalAgent(directory: string, agent: LocalAgent): void {
  replaceFile(join(directory, KEY_FILE), `${JSON.stringify(agent)}\n`);
}

export function removeLocalAgent(directory: string): void {
  rmSync(join(directory, KEY_FILE), { force: true });
}

/** Whether an Authorization header holds the key; takes the same time for any. */
export function holdsLocalKey(header: string | undefined, key: string): boolean {
  const given = /^Bearer ([0-9A-F]{64})$/.exec(header ?? '')?.[1] ?? '';
  return timingSafeEqual(digest(given), digest(key));
}

function digest(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}

/** The running agent of a system, or null when none has said that it runs. */
export function localAgent(dataDir: string): LocalAgent | null {
  const path = join(dataDir, 'agent', KEY_FILE);
  if (!existsSync(path)) return null;
  return checkShape(localAgentShape, JSON.parse(readFileSync(path, 'utf8')), KEY_FILE);
}

/**
 * Does something at the virtual reader of the running agent; null only looks.
 * @throws TapError `ERR_AGENT_DOWN`, or the agent's own code.
 */
export async function askLocalReader(
  dataDir: string,
  command: ReaderCommand | null,
): Promise<ReaderAnswer> {
  const agent = localAgent(dataDir);
  if (agent === null) throw agentDown(dataDir);
  let response: Response;
  try {
    response = await fetch(`http://127.0.0.1:${agent.port}${LOCAL_READER_PATH}`, {
      method: command === null ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${agent.key}`, 'content-type': 'application/json' },
      ...(command === null ? {} : { body: JSON.stringify(command) }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (cause) {
    throw agentDown(dataDir, cause);
  }
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) return body as ReaderAnswer;
  throw errorFromBody(checkShape(errorBodyShape, body, 'error'));
}

function agentDown(dataDir: string, cause?: unknown): TapError {
  const text = `no agent runs for ${dataDir}; start the system with: npm start`;
  return new TapError('ERR_AGENT_DOWN', text, { dataDir }, cause);
}
