/**
 * The card readers that the system's PC/SC service knows. The library is called in a short-lived
 * process of its own: what hangs or breaks in it, or in a driver, takes nobody along. This file is
 * the only one that calls native code.
 */
import { spawn } from 'node:child_process';
import type { ArgumentType, ReturnType as FfiReturnType } from 'node:ffi';

const LIST_TIMEOUT_MS = 3_000;
const OUTPUT_CHARACTERS_MAX = 65_536;
const NAMES_BYTES_MAX = 16_384;
/** Readers shown at most; a reader's name has at most 128 bytes. */
const READERS_MAX = 32;

const SCARD_S_SUCCESS = 0;
const SCARD_E_SERVICE_STOPPED = 0x8010001e;
const SCARD_E_NO_SERVICE = 0x8010001d;
const SCARD_E_NO_READERS_AVAILABLE = 0x8010002e;
const SCARD_SCOPE_SYSTEM = 2;

/** What the service said; a code is PC/SC's own, in hex. */
export type ReaderList =
  | { readonly status: 'ok'; readonly readers: readonly string[] }
  | { readonly status: 'noLibrary' }
  | { readonly status: 'noService' }
  /** The child ended without an answer, or not in time: `ERR_PCSC_TIMEOUT`, `ERR_PCSC_CRASH`. */
  | { readonly status: 'failed'; readonly code: string };

/** Asks the service; never throws and never takes longer than its time-out. */
export async function listReaders(
  options: {
    readonly nodePath?: string;
    readonly timeoutMs?: number;
    readonly entry?: string;
  } = {},
): Promise<ReaderList> {
  const { nodePath = process.execPath, timeoutMs = LIST_TIMEOUT_MS } = options;
  const { entry = import.meta.filename } = options;
  const args = ['--disable-warning=ExperimentalWarning', entry];
  const child = spawn(nodePath, args, { stdio: ['ignore', 'pipe', 'ignore'], timeout: timeoutMs });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    if (output.length < OUTPUT_CHARACTERS_MAX) output += chunk.toString('utf8');
  });
  const signal = await new Promise<NodeJS.Signals | 'error' | null>((resolve) => {
    child.once('error', () => resolve('error'));
    child.once('close', (_code, by) => resolve(by));
  });
  if (signal === 'SIGTERM') return { status: 'failed', code: 'ERR_PCSC_TIMEOUT' };
  return parseAnswer(output) ?? { status: 'failed', code: 'ERR_PCSC_CRASH' };
}

/** The child's answer; null when it is none. Names are foreign text: they are cut and cleaned. */
function parseAnswer(output: string): ReaderList | null {
  let value: { readonly status?: unknown; readonly readers?: unknown; readonly code?: unknown };
  try {
    value = JSON.parse(output) as typeof value;
  } catch {
    return null;
  }
  switch (value.status) {
    case 'ok': {
      const names = Array.isArray(value.readers) ? value.readers : [];
      return { status: 'ok', readers: names.slice(0, READERS_MAX).map(cleanName) };
    }
    case 'noLibrary':
    case 'noService':
      return { status: value.status };
    case 'failed':
      return { status: 'failed', code: String(value.code) };
    default:
      return null;
  }
}

function cleanName(name: unknown): string {
  return String(name)
    .replace(/\p{Cc}/gu, ' ')
    .slice(0, 128);
}

/** How one system's library is called: its name and the widths of its integers. */
type Convention = {
  readonly library: string;
  readonly listReaders: string;
  readonly word: ArgumentType;
  readonly context: ArgumentType;
  readonly result: FfiReturnType;
};
/** pcsclite's DWORD is a machine word on Linux, 32 bits elsewhere. */
const CONVENTIONS: Readonly<Partial<Record<NodeJS.Platform, Convention>>> = {
  linux: {
    library: 'libpcsclite.so.1',
    listReaders: 'SCardListReaders',
    word: 'uint64',
    context: 'uint64',
    result: 'int64',
  },
  darwin: {
    library: '/System/Library/Frameworks/PCSC.framework/PCSC',
    listReaders: 'SCardListReaders',
    word: 'uint32',
    context: 'int32',
    result: 'int32',
  },
  win32: {
    library: 'winscard.dll',
    listReaders: 'SCardListReadersA',
    word: 'uint32',
    context: 'uint64',
    result: 'int32',
  },
};

type NativeFunction = (...args: readonly (number | bigint)[]) => number | bigint;

/** In the child: one call of the library. */
async function askLibrary(): Promise<ReaderList> {
  const convention = CONVENTIONS[process.platform];
  if (!convention) return { status: 'noLibrary' };
  const { library, listReaders: listName, word, context, result } = convention;
  const ffi = await import('node:ffi');
  let functions: Readonly<Record<string, NativeFunction>>;
  try {
    const opened = ffi.dlopen(library, {
      SCardEstablishContext: { arguments: [word, 'pointer', 'pointer', 'pointer'], return: result },
      SCardReleaseContext: { arguments: [context], return: result },
      [listName]: { arguments: [context, 'pointer', 'pointer', 'pointer'], return: result },
    });
    functions = opened.functions as unknown as Readonly<Record<string, NativeFunction>>;
  } catch {
    return { status: 'noLibrary' };
  }
  const integer = (type: ArgumentType, value: bigint): number | bigint =>
    type === 'uint64' ? value : Number(BigInt.asIntN(32, value));
  const call = (name: string, ...args: (number | bigint)[]): number => {
    const code = functions[name]?.(...args) ?? -1;
    return Number(BigInt.asUintN(32, BigInt(code)));
  };
  const handle = new BigUint64Array(1);
  const scope = integer(word, BigInt(SCARD_SCOPE_SYSTEM));
  const opened = call('SCardEstablishContext', scope, 0n, 0n, ffi.getRawPointer(handle));
  if (opened !== SCARD_S_SUCCESS) return faultOf(opened);
  const names = new Uint8Array(NAMES_BYTES_MAX);
  // Little-endian everywhere: 32-bit lengths stand in the low half.
  const length = new BigUint64Array([BigInt(NAMES_BYTES_MAX)]);
  const held = integer(context, handle[0] ?? 0n);
  const [buffer, size] = [ffi.getRawPointer(names), ffi.getRawPointer(length)];
  const listed = call(listName, held, 0n, buffer, size);
  call('SCardReleaseContext', held);
  if (listed !== SCARD_S_SUCCESS) return faultOf(listed);
  const text = new TextDecoder().decode(names.subarray(0, Number(length[0] ?? 0n)));
  return { status: 'ok', readers: text.split('\0').filter((name) => name !== '') };
}

function faultOf(code: number): ReaderList {
  if (code === SCARD_E_NO_READERS_AVAILABLE) return { status: 'ok', readers: [] };
  if (code === SCARD_E_NO_SERVICE || code === SCARD_E_SERVICE_STOPPED) {
    return { status: 'noService' };
  }
  return { status: 'failed', code: `0x${code.toString(16).toUpperCase()}` };
}

if (import.meta.main) process.stdout.write(JSON.stringify(await askLibrary()));
