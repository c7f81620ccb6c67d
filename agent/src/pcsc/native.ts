/**
 * The process that calls the system's PC/SC library, and the only file that calls native code. It
 * answers one request a line from its standard input and ends with it: what hangs or breaks in the
 * library or a driver takes nobody along, and can be killed.
 */

import type { ArgumentType, ReturnType as FfiReturnType } from 'node:ffi';
import { readSync, writeSync } from 'node:fs';
import {
  asciiLine,
  type Disposition,
  PCSC,
  PCSC_BUFFER_BYTES_MAX,
  type PcscAnswer,
  type PcscRequest,
  type PcscResults,
  READERS_MAX,
  type ReaderStateAnswer,
  type ReaderStateQuery,
  WAIT_SLICE_MS,
} from './messages.ts';

const NAMES_BYTES_MAX = 16_384;
const REQUEST_CHARACTERS_MAX = 4 * PCSC_BUFFER_BYTES_MAX;
const SCARD_SCOPE_SYSTEM = 2n;
const SHARE = { exclusive: 1n, shared: 2n } as const;
const PROTOCOL_T0_OR_T1 = 3n;
const DISPOSITIONS: Readonly<Record<Disposition, bigint>> = { leave: 0n, reset: 1n, unpower: 2n };
const ATR_BYTES = 36;
const GET_FEATURE_REQUEST = 3400;

/** How one system's library is called: its name, its functions' names, widths and layouts. */
type Convention = {
  readonly library: string;
  /** Functions that take text have a narrow form on Windows. */
  readonly textSuffix: string;
  readonly control: string;
  readonly word: ArgumentType;
  readonly handle: ArgumentType;
  readonly result: FfiReturnType;
  readonly wordBytes: 4 | 8;
  readonly stateAtrBytes: 33 | 36;
  /** Size of SCARD_READERSTATE, padding included. */
  readonly stateBytes: number;
  readonly controlCode: (code: number) => number;
};
const unixControl = (code: number): number => 0x42000000 + code;
/** pcsclite's DWORD is a machine word on Linux, 32 bits elsewhere. */
const CONVENTIONS: Readonly<Partial<Record<NodeJS.Platform, Convention>>> = {
  linux: {
    library: 'libpcsclite.so.1',
    textSuffix: '',
    control: 'SCardControl',
    word: 'uint64',
    handle: 'uint64',
    result: 'int64',
    wordBytes: 8,
    stateAtrBytes: 33,
    stateBytes: 80,
    controlCode: unixControl,
  },
  darwin: {
    library: '/System/Library/Frameworks/PCSC.framework/PCSC',
    textSuffix: '',
    control: 'SCardControl132',
    word: 'uint32',
    handle: 'int32',
    result: 'int32',
    wordBytes: 4,
    stateAtrBytes: 33,
    // Packed: two pointers, three words, the ATR.
    stateBytes: 61,
    controlCode: unixControl,
  },
  win32: {
    library: 'winscard.dll',
    textSuffix: 'A',
    control: 'SCardControl',
    word: 'uint32',
    handle: 'uint64',
    result: 'int32',
    wordBytes: 4,
    stateAtrBytes: 36,
    stateBytes: 64,
    // CTL_CODE(FILE_DEVICE_SMARTCARD, code, METHOD_BUFFERED, FILE_ANY_ACCESS).
    controlCode: (code) => (0x31 << 16) | (code << 2),
  },
};

type NativeFunction = (...args: readonly (number | bigint)[]) => number | bigint;
/** An integer, or a buffer whose address is passed. */
type NativeArgument = number | bigint | NodeJS.ArrayBufferView;

/** A code of the library that is not success. */
class PcscFault extends Error {
  readonly pcscCode: number;
  constructor(pcscCode: number) {
    super(`0x${pcscCode.toString(16)}`);
    this.pcscCode = pcscCode;
  }
}

/** The library with this system's widths: every integer goes in as a bigint. */
class Library {
  readonly convention: Convention;
  readonly #functions: Readonly<Record<string, NativeFunction>>;
  readonly #pointerOf: (view: NodeJS.ArrayBufferView) => bigint;
  /** Arguments of the last call: nothing of them is collected while the library uses it. */
  kept: readonly NativeArgument[] = [];

  private constructor(
    convention: Convention,
    functions: Readonly<Record<string, NativeFunction>>,
    pointerOf: (view: NodeJS.ArrayBufferView) => bigint,
  ) {
    this.convention = convention;
    this.#functions = functions;
    this.#pointerOf = pointerOf;
  }

  /** Null when this machine has none. */
  static async open(): Promise<Library | null> {
    const convention = CONVENTIONS[process.platform];
    if (convention === undefined) return null;
    const { word: w, handle: h, result, textSuffix: suffix } = convention;
    const ffi = await import('node:ffi');
    const taking = (...args: ArgumentType[]) => ({ arguments: args, return: result });
    const p = 'pointer';
    try {
      const { functions } = ffi.dlopen(convention.library, {
        SCardEstablishContext: taking(w, p, p, p),
        SCardReleaseContext: taking(h),
        [`SCardListReaders${suffix}`]: taking(h, p, p, p),
        [`SCardGetStatusChange${suffix}`]: taking(h, w, p, w),
        [`SCardConnect${suffix}`]: taking(h, p, w, w, p, p),
        SCardReconnect: taking(h, w, w, w, p),
        [`SCardStatus${suffix}`]: taking(h, p, p, p, p, p, p),
        SCardBeginTransaction: taking(h),
        SCardEndTransaction: taking(h, w),
        SCardTransmit: taking(h, p, p, w, p, p, p),
        [convention.control]: taking(h, w, p, w, p, w, p),
        SCardDisconnect: taking(h, w),
      });
      const known = functions as unknown as Readonly<Record<string, NativeFunction>>;
      return new Library(convention, known, (view) => ffi.getRawPointer(view));
    } catch {
      return null;
    }
  }

  /** An integer argument in the width of a DWORD. */
  word(value: bigint): number | bigint {
    return narrow(this.convention.word, value);
  }

  /** A context or card in its width. */
  handle(value: bigint): number | bigint {
    return narrow(this.convention.handle, value);
  }

  /** Address of a buffer that the caller keeps alive. */
  address(view: NodeJS.ArrayBufferView): bigint {
    return this.#pointerOf(view);
  }

  /** The library's own code. Buffers among the arguments live until it has returned. */
  code(name: string, ...args: readonly NativeArgument[]): number {
    const called = this.#functions[name] ?? this.#functions[`${name}${this.convention.textSuffix}`];
    if (called === undefined) return PCSC.F_INTERNAL_ERROR;
    const raw = args.map((value) => (typeof value === 'object' ? this.#pointerOf(value) : value));
    const code = Number(BigInt.asUintN(32, BigInt(called(...raw))));
    this.kept = args;
    return code;
  }

  /** @throws PcscFault on any code but success. */
  call(name: string, ...args: readonly NativeArgument[]): void {
    const code = this.code(name, ...args);
    if (code !== PCSC.SUCCESS) throw new PcscFault(code);
  }
}

function narrow(type: ArgumentType, value: bigint): number | bigint {
  if (type === 'uint64') return value;
  return Number(type === 'int32' ? BigInt.asIntN(32, value) : BigInt.asUintN(32, value));
}

/** Text as the library takes it. The caller keeps it alive during the call. */
function cString(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(`${text.replaceAll('\0', '')}\0`, 'utf8'));
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').toUpperCase();
const bytesOf = (hex: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(hex, 'hex'));

/** Codes after which a context is of no use any more. */
const LOST_CONTEXT: ReadonlySet<number> = new Set([
  PCSC.E_INVALID_HANDLE,
  PCSC.E_NO_SERVICE,
  PCSC.E_SERVICE_STOPPED,
  PCSC.F_COMM_ERROR,
  PCSC.F_INTERNAL_ERROR,
  PCSC.W_SECURITY_VIOLATION,
]);

/** One context and at most one card. */
class NativeHost {
  readonly #library: Library;
  #context: bigint | null = null;
  #card: bigint | null = null;
  #protocol = 0n;
  readonly #answer: Uint8Array<ArrayBuffer> = new Uint8Array(PCSC_BUFFER_BYTES_MAX);

  constructor(library: Library) {
    this.#library = library;
  }

  answer(request: PcscRequest): PcscAnswer {
    try {
      return { result: this.#run(request) };
    } catch (fault) {
      if (!(fault instanceof PcscFault)) throw fault;
      if (LOST_CONTEXT.has(fault.pcscCode)) this.#drop();
      return { pcscCode: fault.pcscCode };
    }
  }

  #run(request: PcscRequest): PcscResults[keyof PcscResults] {
    switch (request.op) {
      case 'list':
        return this.#list();
      case 'wait':
        return { states: this.#wait(request.states, request.timeoutMs) };
      case 'connect':
        return this.#connect(request.reader, request.exclusive);
      case 'reconnect':
        return this.#reconnect(request.exclusive, DISPOSITIONS[request.disposition]);
      case 'status':
        return this.#status();
      case 'begin':
        this.#library.call('SCardBeginTransaction', this.#heldCard());
        return {};
      case 'end':
        return this.#end(DISPOSITIONS[request.disposition]);
      case 'transmit':
        return { response: hexOf(this.#transmit(bytesOf(request.command))) };
      case 'features':
        return { data: hexOf(this.#control(GET_FEATURE_REQUEST, new Uint8Array(0))) };
      case 'control':
        return { data: hexOf(this.#rawControl(request.code, bytesOf(request.data))) };
      case 'disconnect':
        return this.#disconnect(DISPOSITIONS[request.disposition]);
    }
  }

  #heldContext(): number | bigint {
    const library = this.#library;
    if (this.#context === null) {
      const out = new BigUint64Array(1);
      const scope = library.word(SCARD_SCOPE_SYSTEM);
      library.call('SCardEstablishContext', scope, 0n, 0n, out);
      this.#context = out[0] ?? 0n;
    }
    return library.handle(this.#context);
  }

  #heldCard(): number | bigint {
    if (this.#card === null) throw new PcscFault(PCSC.E_INVALID_HANDLE);
    return this.#library.handle(this.#card);
  }

  #drop(): void {
    if (this.#context !== null) {
      this.#library.code('SCardReleaseContext', this.#library.handle(this.#context));
    }
    this.#context = null;
    this.#card = null;
  }

  #list(): PcscResults['list'] {
    const library = this.#library;
    const names = new Uint8Array(NAMES_BYTES_MAX);
    // Little-endian everywhere: 32-bit lengths stand in the low half.
    const length = new BigUint64Array([BigInt(names.length)]);
    const code = library.code('SCardListReaders', this.#heldContext(), 0n, names, length);
    if (code === PCSC.E_NO_READERS_AVAILABLE) return { readers: [] };
    if (code !== PCSC.SUCCESS) throw new PcscFault(code);
    const text = new TextDecoder().decode(names.subarray(0, lengthOf(length, names.length)));
    return { readers: text.split('\0').filter((name) => name !== '') };
  }

  #wait(queries: readonly ReaderStateQuery[], timeoutMs: number): ReaderStateAnswer[] {
    const library = this.#library;
    const layout = library.convention;
    const asked = queries.slice(0, READERS_MAX + 1);
    const names = asked.map(({ reader }) => cString(reader));
    const states = new Uint8Array(Math.max(1, asked.length) * layout.stateBytes);
    const view = new DataView(states.buffer);
    const field = (index: number, word: number): number =>
      index * layout.stateBytes + 16 + word * layout.wordBytes;
    asked.forEach(({ state }, index) => {
      const name = names[index];
      if (name) view.setBigUint64(index * layout.stateBytes, library.address(name), true);
      view.setUint32(field(index, 0), state >>> 0, true);
    });
    const context = this.#heldContext();
    const time = library.word(BigInt(Math.min(Math.max(0, timeoutMs), WAIT_SLICE_MS)));
    const count = library.word(BigInt(asked.length));
    const code = library.code('SCardGetStatusChange', context, time, states, count);
    // The structures hold the addresses of the names.
    library.kept = names;
    if (code !== PCSC.SUCCESS && code !== PCSC.E_TIMEOUT) throw new PcscFault(code);
    return asked.map(({ reader }, index) => {
      const state = view.getUint32(field(index, 1), true);
      const atrBytes = Math.min(view.getUint32(field(index, 2), true), layout.stateAtrBytes);
      const start = field(index, 3);
      return { reader, state, atr: hexOf(states.subarray(start, start + atrBytes)) };
    });
  }

  #connect(reader: string, exclusive: boolean): PcscResults['connect'] {
    const library = this.#library;
    if (this.#card !== null) this.#disconnect(DISPOSITIONS.unpower);
    const name = cString(reader);
    const card = new BigUint64Array(1);
    const protocol = new BigUint64Array(1);
    library.call(
      'SCardConnect',
      this.#heldContext(),
      name,
      library.word(exclusive ? SHARE.exclusive : SHARE.shared),
      library.word(PROTOCOL_T0_OR_T1),
      card,
      protocol,
    );
    this.#card = card[0] ?? 0n;
    this.#protocol = (protocol[0] ?? 0n) & 0xffffffffn;
    return this.#status();
  }

  #reconnect(exclusive: boolean, disposition: bigint): PcscResults['reconnect'] {
    const library = this.#library;
    const protocol = new BigUint64Array(1);
    library.call(
      'SCardReconnect',
      this.#heldCard(),
      library.word(exclusive ? SHARE.exclusive : SHARE.shared),
      library.word(PROTOCOL_T0_OR_T1),
      library.word(disposition),
      protocol,
    );
    this.#protocol = (protocol[0] ?? 0n) & 0xffffffffn;
    return this.#status();
  }

  #status(): PcscResults['status'] {
    const library = this.#library;
    const name = new Uint8Array(NAMES_BYTES_MAX);
    const nameLength = new BigUint64Array([BigInt(name.length)]);
    const state = new BigUint64Array(1);
    const protocol = new BigUint64Array(1);
    const atr = new Uint8Array(ATR_BYTES);
    const atrLength = new BigUint64Array([BigInt(library.convention.stateAtrBytes)]);
    library.call(
      'SCardStatus',
      this.#heldCard(),
      ...[name, nameLength, state, protocol, atr, atrLength],
    );
    const length = lengthOf(atrLength, ATR_BYTES);
    return { protocol: Number(this.#protocol), atr: hexOf(atr.subarray(0, length)) };
  }

  #transmit(command: Uint8Array<ArrayBuffer>): Uint8Array {
    const library = this.#library;
    const wide = library.convention.wordBytes === 8;
    const pci = wide
      ? new BigUint64Array([this.#protocol, 16n])
      : new Uint32Array([Number(this.#protocol), 8]);
    const length = new BigUint64Array([BigInt(this.#answer.length)]);
    library.call(
      'SCardTransmit',
      this.#heldCard(),
      pci,
      command,
      library.word(BigInt(command.length)),
      0n,
      this.#answer,
      length,
    );
    return this.#answer.subarray(0, lengthOf(length, this.#answer.length));
  }

  #control(code: number, data: Uint8Array<ArrayBuffer>): Uint8Array {
    return this.#rawControl(this.#library.convention.controlCode(code), data);
  }

  #rawControl(code: number, data: Uint8Array<ArrayBuffer>): Uint8Array {
    const library = this.#library;
    const length = new BigUint64Array(1);
    const sent = data.length === 0 ? new Uint8Array(1) : data;
    library.call(
      library.convention.control,
      this.#heldCard(),
      library.word(BigInt(code >>> 0)),
      sent,
      library.word(BigInt(data.length)),
      this.#answer,
      library.word(BigInt(this.#answer.length)),
      length,
    );
    return this.#answer.subarray(0, lengthOf(length, this.#answer.length));
  }

  #end(disposition: bigint): PcscResults['end'] {
    const library = this.#library;
    library.call('SCardEndTransaction', this.#heldCard(), library.word(disposition));
    return {};
  }

  #disconnect(disposition: bigint): PcscResults['disconnect'] {
    const library = this.#library;
    const card = this.#card;
    this.#card = null;
    if (card !== null) {
      library.code('SCardDisconnect', library.handle(card), library.word(disposition));
    }
    return {};
  }
}

/** What the library wrote as a length, never beyond the buffer. */
function lengthOf(length: BigUint64Array, max: number): number {
  return Math.min(Number((length[0] ?? 0n) & 0xffffffffn), max);
}

/** Requests from standard input, one a line, until it ends. */
function* requests(): Generator<PcscRequest> {
  const chunk = Buffer.alloc(65_536);
  let text = '';
  for (;;) {
    const end = text.indexOf('\n');
    if (end >= 0) {
      yield JSON.parse(text.slice(0, end)) as PcscRequest;
      text = text.slice(end + 1);
      continue;
    }
    const length = readInput(chunk);
    if (length === 0 || text.length > REQUEST_CHARACTERS_MAX) return;
    text += chunk.toString('latin1', 0, length);
  }
}

/** Bytes read; 0 at the end. Windows says the end as a fault, a slow pipe as another. */
function readInput(chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(0, chunk);
    } catch (fault) {
      const code = fault instanceof Error && 'code' in fault ? fault.code : '';
      if (code === 'EOF' || code === 'EPIPE') return 0;
      if (code !== 'EAGAIN') throw fault;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

function writeAnswer(answer: PcscAnswer): void {
  const bytes = Buffer.from(asciiLine(answer), 'latin1');
  for (let done = 0; done < bytes.length; ) done += writeSync(1, bytes, done);
}

if (import.meta.main) {
  const library = await Library.open();
  const host = library && new NativeHost(library);
  for (const request of requests()) writeAnswer(host?.answer(request) ?? { noLibrary: true });
}
