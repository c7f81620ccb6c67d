/** Starts the secure element's process under the permission model and speaks its frames. */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { errorFromBody, TapError } from '@tapnpay/protocol/bytes';
import {
  type CardBirth,
  type CardFacts,
  checkShape,
  ELEMENT_FRAME_BYTES_MAX,
  type ElementCommand,
  type ElementEvent,
  type ElementState,
  elementEventShape,
  encodeJsonFrame,
  JsonFrameDecoder,
} from '@tapnpay/protocol/wire';
import { type HeldLock, lockDirectory } from './directory-lock.ts';
import { syncDirectory } from './durable-file.ts';
import { AgentError } from './errors.ts';
import { bornCard } from './management/element-card.ts';
import { systemClock } from './system.ts';

/** Longest wait for `ready`. */
export const ELEMENT_START_TIMEOUT_MS = 15_000;
/** Longest wait for the process to end by itself after its input ended. */
const ELEMENT_END_TIMEOUT_MS = 2_000;
/** Diagnostics kept of the process's standard error. */
const STDERR_CHARACTERS_MAX = 2_000;

/** Where the element and its application are. */
export type ElementConfig = {
  readonly nodePath: string;
  readonly elementEntry: string;
  /** The payment application's load file; its name with `.sha256` holds the hash of its bytes. */
  readonly loadFile: string;
  readonly storeDir: string;
  /** Directories and files that the process may read beside its store: its own code. */
  readonly allowRead: readonly string[];
  /** What a new element's card is born with; the laboratory's where nothing is said. */
  readonly birth?: CardBirth;
};

/** For those who share the element with other programs. */
export type ElementStartOptions = {
  /** Takes the store's lock; without it, when it is free. */
  readonly takeLock?: () => Promise<HeldLock>;
  /** Hears of the process before it is ready. */
  readonly onSpawned?: (element: ElementProcess) => void;
};

type CommandWithId = Extract<ElementCommand, { id: number }>;
/** A command without the number that the process object gives it. */
export type ElementRequest = CommandWithId extends infer C
  ? C extends { id: number }
    ? Omit<C, 'id'>
    : never
  : never;
/** What happens between a request and its answer. */
export type ElementActivity = Exclude<ElementEvent, { type: 'ready' | 'answer' }>;

type Pending = { readonly resolve: (result: unknown) => void; readonly reject: (e: Error) => void };

/** Arguments of the process: nothing but its store is writable, no network, no children. */
export function elementArguments(config: ElementConfig): readonly string[] {
  const store = realpathSync(config.storeDir);
  return [
    '--permission',
    '--disable-sigusr1',
    '--no-warnings',
    // Databases open files past the permission model.
    '--no-experimental-sqlite',
    '--no-experimental-webstorage',
    ...config.allowRead.map((path) => `--allow-fs-read=${path}`),
    `--allow-fs-read=${store}`,
    `--allow-fs-write=${store}`,
    config.elementEntry,
    store,
    config.loadFile,
    loadFileHash(config.loadFile),
  ];
}

/** What the element is told to accept. @throws AgentError `ERR_ELEMENT_START`. */
function loadFileHash(path: string): string {
  try {
    return readFileSync(`${path}.sha256`, 'utf8').trim();
  } catch (cause) {
    const text = 'the payment application is not built: node web/build.ts';
    throw new AgentError('ERR_ELEMENT_START', text, { path }, cause);
  }
}

/** A running element. */
export class ElementProcess {
  readonly #child: ChildProcess;
  readonly #input: Writable;
  readonly #pending: Map<number, Pending> = new Map();
  readonly #decoder: JsonFrameDecoder = new JsonFrameDecoder(ELEMENT_FRAME_BYTES_MAX);
  readonly #ended: Promise<void>;
  readonly #release: () => Promise<void>;
  #onReady: Pending | null = null;
  #onActivity: ((event: ElementActivity) => void) | null = null;
  #fault: TapError | null = null;
  #nextId = 1;
  #diagnostics = '';
  elementId: string | null = null;
  state: ElementState = 'notEnrolled';
  /** What its card said of itself at the start. */
  card: CardFacts | null = null;

  /** Use `startElement`. */
  constructor(
    child: ChildProcess & { readonly stdin: Writable; readonly stdout: Readable },
    release: () => Promise<void>,
  ) {
    this.#child = child;
    this.#input = child.stdin;
    this.#release = release;
    child.stdin.on('error', () => {});
    child.stdout.on('data', (chunk: Buffer) => this.#onData(chunk));
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#diagnostics = (this.#diagnostics + chunk).slice(-STDERR_CHARACTERS_MAX);
    });
    this.#ended = new Promise((resolve) => {
      child.once('close', () => {
        this.#lose(
          new AgentError('ERR_ELEMENT_GONE', 'the secure element ended', {
            exitCode: child.exitCode,
            diagnostics: this.#diagnostics,
          }),
        );
        resolve();
      });
      child.once('error', (cause) => {
        this.#lose(new AgentError('ERR_ELEMENT_START', 'cannot start the element', {}, cause));
        resolve();
      });
    });
  }

  /** Process number, for those who measure or kill it. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves at the process's first event. @throws its coded fault. */
  ready(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#fault !== null) reject(this.#fault);
      this.#onReady = { resolve, reject };
    });
  }

  /** Asks and waits; `onActivity` hears what the element wants meanwhile. */
  request(
    request: ElementRequest,
    onActivity?: (event: ElementActivity) => void,
  ): Promise<unknown> {
    if (this.#fault !== null) return Promise.reject(this.#fault);
    const id = this.#nextId++;
    if (onActivity !== undefined) this.#onActivity = onActivity;
    const answered = new Promise<unknown>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
    });
    this.send({ ...request, id } as CommandWithId);
    return answered;
  }

  /** Sends a command that has no answer of its own. */
  send(command: ElementCommand): void {
    if (this.#fault !== null) return;
    this.#input.write(encodeJsonFrame(command, ELEMENT_FRAME_BYTES_MAX));
  }

  /** Asks the element for its state and keeps it. */
  async refresh(): Promise<void> {
    const status = await this.request({ type: 'status' });
    const ready = checkShape(elementEventShape, { ...Object(status), type: 'ready' }, 'status');
    if (ready.type === 'ready') this.#keep(ready);
  }

  /** Ends the process at once, whatever it does; its store survives that. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Ends the process and frees its store. */
  async close(): Promise<void> {
    this.#input.end();
    const end = () => this.#child.kill('SIGKILL');
    const cancel = systemClock.startTimer(ELEMENT_END_TIMEOUT_MS, end);
    await this.#ended;
    cancel();
    await this.#release();
  }

  #onData(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) {
        this.#onEvent(checkShape(elementEventShape, frame, 'event'));
      }
    } catch (fault) {
      // An element that does not speak its language is no element.
      this.#lose(fault instanceof TapError ? fault : new TapError('ERR_INTERNAL', String(fault)));
      this.#child.kill('SIGKILL');
    }
  }

  #onEvent(event: ElementEvent): void {
    if (event.type === 'ready') {
      this.#keep(event);
      this.#onReady?.resolve(event);
    } else if (event.type === 'answer') {
      this.#onAnswer(event);
    } else {
      this.#onActivity?.(event);
    }
  }

  #onAnswer(answer: Extract<ElementEvent, { type: 'answer' }>): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    const fault = answer.error === undefined ? null : errorFromBody(answer.error);
    // Number 0 is the element's last word before it ends.
    if (pending === undefined) this.#lose(fault ?? new TapError('ERR_INTERNAL', 'stray answer'));
    else if (fault !== null) pending.reject(fault);
    else pending.resolve(answer.result);
  }

  #keep(status: { readonly elementId: string | null; readonly state: ElementState }): void {
    this.elementId = status.elementId;
    this.state = status.state;
  }

  #lose(fault: TapError): void {
    this.#fault ??= fault;
    this.#onReady?.reject(this.#fault);
    for (const pending of this.#pending.values()) pending.reject(this.#fault);
    this.#pending.clear();
  }
}

/**
 * Starts the element: empty environment, no inspector, no core dumps, own store only.
 * @throws AgentError `ERR_ELEMENT_IN_USE`, `ERR_ELEMENT_START`, or the element's own code.
 */
export async function startElement(
  config: ElementConfig,
  options: ElementStartOptions = {},
): Promise<ElementProcess> {
  const { takeLock = () => lockDirectory(config.storeDir), onSpawned } = options;
  mkdirSync(config.storeDir, { recursive: true, mode: 0o700 });
  const lock = await takeLock();
  const [command, ...before] = withoutCoreDumps(config.nodePath);
  const child = spawn(command, [...before, ...elementArguments(config)], {
    env: {},
    // The lock lives as long as the process: after our own death none starts beside it.
    stdio: ['pipe', 'pipe', 'pipe', ...(lock.fd === null ? [] : [lock.fd])],
    windowsHide: true,
  }) as ChildProcessByStdio<Writable, Readable, Readable>;
  const element = new ElementProcess(child, lock.release);
  onSpawned?.(element);
  try {
    await within(element.ready(), ELEMENT_START_TIMEOUT_MS);
    element.card = await within(bornCard(element, config.birth), ELEMENT_START_TIMEOUT_MS);
    // The element may not call fsync; the names of its files are made durable from here.
    syncDirectory(config.storeDir);
    return element;
  } catch (fault) {
    await element.close();
    throw fault;
  }
}

/** The program and its first arguments; a shell lowers the limit where there is one. */
function withoutCoreDumps(nodePath: string): readonly [string, ...string[]] {
  if (process.platform === 'win32') return [nodePath];
  return ['/bin/sh', '-c', 'ulimit -c 0; unset PWD OLDPWD; exec "$0" "$@"', nodePath];
}

async function within<T>(wanted: Promise<T>, timeoutMs: number): Promise<T> {
  let cancel: () => void = () => {};
  const late = new Promise<never>((_, reject) => {
    const fault = new AgentError('ERR_ELEMENT_START', `not ready in ${timeoutMs} ms`);
    cancel = systemClock.startTimer(timeoutMs, () => reject(fault));
  });
  try {
    return await Promise.race([wanted, late]);
  } finally {
    cancel();
  }
}
