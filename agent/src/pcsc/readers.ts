/** The card readers that the system's PC/SC service knows, asked for by a short-lived process. */
import { ReaderError } from '../readers/errors.ts';
import { READER_NAME_BYTES_MAX, READERS_MAX } from './messages.ts';
import { NativeProcess, type NativeProcessOptions } from './native-process.ts';
import { judgedServiceFault } from './service-socket.ts';

const LIST_TIMEOUT_MS = 3_000;

/** What the service said; a code is PC/SC's own, in hex. */
export type ReaderList =
  | { readonly status: 'ok'; readonly readers: readonly string[] }
  | { readonly status: 'noLibrary' }
  | { readonly status: 'noService' }
  /** It runs and refuses this user: `EACCES`, or `closed` where polkit says no. */
  | { readonly status: 'denied'; readonly code: string }
  /** The process ended without an answer, or not in time: `ERR_PCSC_TIMEOUT`, `ERR_PCSC_CRASH`. */
  | { readonly status: 'failed'; readonly code: string };

/** Asks the service; never throws and never takes longer than its time-out. */
export async function listReaders(
  options: NativeProcessOptions & { readonly timeoutMs?: number } = {},
): Promise<ReaderList> {
  const { timeoutMs = LIST_TIMEOUT_MS } = options;
  const native = new NativeProcess(options);
  try {
    const { readers } = await native.request({ op: 'list' }, { timeoutMs });
    const names: readonly unknown[] = Array.isArray(readers) ? readers : [];
    return { status: 'ok', readers: names.slice(0, READERS_MAX).map(cleanName) };
  } catch (fault) {
    const judged = await judgedServiceFault(fault);
    if (!(judged instanceof ReaderError)) throw judged;
    return listFault(judged);
  } finally {
    native.kill();
  }
}

function listFault(fault: ReaderError): ReaderList {
  switch (fault.code) {
    case 'ERR_READER_LIBRARY':
      return { status: 'noLibrary' };
    case 'ERR_READER_SERVICE':
      return { status: 'noService' };
    case 'ERR_READER_DENIED':
      return { status: 'denied', code: String(fault.data['reason']) };
    case 'ERR_READER_TIMEOUT':
      return { status: 'failed', code: 'ERR_PCSC_TIMEOUT' };
    case 'ERR_READER_CRASH':
      return { status: 'failed', code: 'ERR_PCSC_CRASH' };
    default:
      return { status: 'failed', code: String(fault.data['pcscCode'] ?? fault.code) };
  }
}

/** Foreign text for a person: no control characters, not too long. */
export function cleanName(name: unknown): string {
  return String(name)
    .replace(/\p{Cc}/gu, ' ')
    .slice(0, READER_NAME_BYTES_MAX);
}
