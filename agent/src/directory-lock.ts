/** One owner for a directory: a listening name that the system frees when its owner dies. */
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { AgentError } from './errors.ts';

/**
 * Takes the directory until `release` or death; two elements on one store would use a key twice.
 * On systems without abstract names (neither Linux nor Windows) nothing is locked, and the
 * store's own sequence check is the only guard.
 * @throws AgentError `ERR_ELEMENT_IN_USE`.
 */
export async function lockDirectory(directory: string): Promise<{ release(): Promise<void> }> {
  const hash = createHash('sha256').update(realpathSync(directory)).digest('hex').slice(0, 40);
  const name = lockName(`tapnpay-store-${hash}`);
  if (name === null) return { release: async () => {} };
  const server = createServer((socket) => socket.destroy());
  await listen(server, name);
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function lockName(name: string): string | null {
  if (process.platform === 'linux') return `\0${name}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : null;
}

function listen(server: Server, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const message = 'another program uses this element';
      reject(new AgentError('ERR_ELEMENT_IN_USE', message, {}, cause));
    });
    server.listen(name, resolve);
  });
}
