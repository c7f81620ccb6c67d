/**
 * Why pcscd does not serve us: it does not run, or it runs and refuses this user. The library gives
 * the same codes for both, so its socket is asked.
 */
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { ReaderError } from '../readers/errors.ts';
import { systemClock } from '../system.ts';

const PLACES = ['/run/pcscd/pcscd.comm', '/var/run/pcscd/pcscd.comm'] as const;
/** A service that lets nobody in closes in this time; one that serves waits for the first word. */
const CLOSE_TIMEOUT_MS = 300;

/** `denied` says how: the socket's permissions (`EACCES`), or the service itself (`closed`). */
export type SocketVerdict =
  | { readonly state: 'absent' | 'open' }
  | { readonly state: 'denied'; readonly how: string };

/** Where the library looks for its service on this system. */
export function serviceSocket(env: NodeJS.ProcessEnv = process.env): string | null {
  if (process.platform !== 'linux') return null;
  const named = env['PCSCLITE_CSOCK_NAME'];
  if (named !== undefined && named !== '') return named;
  return PLACES.find((path) => existsSync(path)) ?? null;
}

/**
 * The fault of a service that is there and lets nobody in is not that of one that does not run;
 * every other fault stays what it is. `data.reason` says how it refused.
 */
export async function judgedServiceFault(fault: unknown): Promise<unknown> {
  if (!(fault instanceof ReaderError) || fault.code !== 'ERR_READER_SERVICE') return fault;
  const verdict = await askServiceSocket(serviceSocket());
  if (verdict.state !== 'denied') return fault;
  const data = { ...fault.data, reason: verdict.how };
  return new ReaderError('ERR_READER_DENIED', 'the PC/SC service refuses this user', data, fault);
}

/** Connects and listens; nothing is said. */
export function askServiceSocket(path: string | null): Promise<SocketVerdict> {
  if (path === null) return Promise.resolve({ state: 'absent' });
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (verdict: SocketVerdict): void => {
      cancel();
      socket.destroy();
      resolve(verdict);
    };
    const cancel = systemClock.startTimer(CLOSE_TIMEOUT_MS, () => end({ state: 'open' }));
    let isConnected = false;
    socket.on('connect', () => {
      isConnected = true;
      socket.resume();
    });
    socket.on('error', (fault: NodeJS.ErrnoException) => {
      const how = fault.code ?? '';
      if (how === 'EACCES' || how === 'EPERM') end({ state: 'denied', how });
      else end(isConnected ? { state: 'denied', how: 'closed' } : { state: 'absent' });
    });
    socket.on('end', () => end({ state: 'denied', how: 'closed' }));
  });
}
