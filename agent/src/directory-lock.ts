/** One owner for a thing on the disk: a listening name, freed by the system when its owner dies. */
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { AgentError } from './errors.ts';

/** A lock that is held until `release` or death. */
export type HeldLock = { readonly release: () => Promise<void> };

/**
 * Takes the directory; two elements on one store would use a key twice.
 * On systems without abstract names (neither Linux nor Windows) nothing is locked, and the
 * store's own sequence check is the only guard.
 * @throws AgentError `ERR_ELEMENT_IN_USE`.
 */
export function lockDirectory(directory: string): Promise<HeldLock> {
  return lockPath(
    directory,
    'tapnpay-store',
    (cause) => new AgentError('ERR_ELEMENT_IN_USE', 'another program uses this element', {}, cause),
  );
}

/**
 * Takes the virtual card of an image file: a card is in one reader at a time, and two that ran it
 * would use one transaction counter twice.
 * @throws AgentError `ERR_CARD_IN_USE`.
 */
export function lockCard(imagePath: string, name: string): Promise<HeldLock> {
  return lockPath(imagePath, 'tapnpay-card', (cause) => {
    const message = `card ${name} is in another reader; take it away there first`;
    return new AgentError('ERR_CARD_IN_USE', message, { card: name }, cause);
  });
}

async function lockPath(
  path: string,
  kind: string,
  refusal: (cause: unknown) => AgentError,
): Promise<HeldLock> {
  const hash = createHash('sha256').update(realpathSync(path)).digest('hex').slice(0, 40);
  const name = lockName(`${kind}-${hash}`);
  if (name === null) return { release: async () => {} };
  const server = createServer((socket) => socket.destroy());
  await listen(server, name, refusal);
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function lockName(name: string): string | null {
  if (process.platform === 'linux') return `\0${name}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : null;
}

function listen(
  server: Server,
  name: string,
  refusal: (cause: unknown) => AgentError,
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(refusal(cause)));
    server.listen(name, resolve);
  });
}
