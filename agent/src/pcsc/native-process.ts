/** The agent's end of the process that calls the PC/SC library: one request at a time, bounded. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { ownProgram } from '../own-programs.ts';
import { ReaderError } from '../readers/errors.ts';
import { SerialQueue } from '../readers/serial-queue.ts';
import { pcscFault } from './faults.ts';
import {
  asciiLine,
  PCSC_BUFFER_BYTES_MAX,
  type PcscAnswer,
  type PcscRequest,
  type PcscResults,
} from './messages.ts';

const ANSWER_CHARACTERS_MAX = 4 * PCSC_BUFFER_BYTES_MAX;
const ENTRY = ownProgram('reader', 'agent/src/pcsc/native.ts');

/** How the process is started; tests give another entry. */
export type NativeProcessOptions = { readonly nodePath?: string; readonly entry?: string };

type Child = ChildProcessByStdio<Writable, Readable, null>;
type Waiter = {
  readonly resolve: (answer: PcscAnswer) => void;
  readonly reject: (fault: ReaderError) => void;
};

/**
 * One process with one PC/SC context. It starts with the first request; a time-out or a crash ends
 * it for good, so that what it held (a card, a transaction) is free again.
 */
export class NativeProcess {
  readonly #options: NativeProcessOptions;
  #child: Child | null = null;
  #waiter: Waiter | null = null;
  #text = '';
  readonly #queue: SerialQueue = new SerialQueue();
  #end: ReaderError | null = null;

  constructor(options: NativeProcessOptions = {}) {
    this.#options = options;
  }

  /** True when it can answer nothing any more. */
  get isEnded(): boolean {
    return this.#end !== null;
  }

  /**
   * Asks the library.
   * @throws ReaderError the fault of the library's code, `ERR_READER_LIBRARY`,
   * `ERR_READER_TIMEOUT`, `ERR_READER_CRASH`, `ERR_READER_CLOSED`.
   */
  request<Request extends PcscRequest>(
    request: Request,
    options: { readonly timeoutMs: number; readonly reader?: string },
  ): Promise<PcscResults[Request['op']]> {
    return this.#queue.run(async () => {
      const answer = await this.#exchange(request, options.timeoutMs);
      if ('noLibrary' in answer) {
        throw new ReaderError('ERR_READER_LIBRARY', 'this machine has no PC/SC library');
      }
      if ('pcscCode' in answer) throw pcscFault(answer.pcscCode, options.reader);
      return answer.result as PcscResults[Request['op']];
    });
  }

  /** Ends the process, whatever it hangs in. */
  kill(fault: ReaderError = new ReaderError('ERR_READER_CLOSED', 'the reader was closed')): void {
    this.#fail(fault);
  }

  #exchange(request: PcscRequest, timeoutMs: number): Promise<PcscAnswer> {
    if (this.#end) return Promise.reject(this.#end);
    const child = this.#child ?? this.#start();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#fail(
          new ReaderError('ERR_READER_TIMEOUT', `no answer to ${request.op} in ${timeoutMs} ms`, {
            op: request.op,
          }),
        );
      }, timeoutMs);
      const settled = () => clearTimeout(timer);
      this.#waiter = {
        resolve: (answer) => [settled(), resolve(answer)],
        reject: (fault) => [settled(), reject(fault)],
      };
      child.stdin.write(asciiLine(request));
    });
  }

  #start(): Child {
    const { nodePath = process.execPath, entry = ENTRY } = this.#options;
    const args = ['--disable-warning=ExperimentalWarning', entry];
    const child = spawn(nodePath, args, { stdio: ['pipe', 'pipe', 'ignore'], windowsHide: true });
    this.#child = child;
    child.stdout.setEncoding('latin1').on('data', (text: string) => this.#onText(text));
    // Its death is told by its exit; a write that came too late says nothing more.
    child.stdin.on('error', () => {});
    child.once('error', () => this.#fail(crash('the PC/SC process does not start')));
    child.once('close', () => this.#fail(crash('the PC/SC process has ended')));
    return child;
  }

  #onText(text: string): void {
    this.#text += text;
    const end = this.#text.indexOf('\n');
    if (end < 0) {
      if (this.#text.length <= ANSWER_CHARACTERS_MAX) return;
      this.#fail(crash('the PC/SC process talks without an end'));
      return;
    }
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    const waiter = this.#waiter;
    this.#waiter = null;
    const answer = parseAnswer(line);
    if (answer !== null && waiter !== null) waiter.resolve(answer);
    else {
      this.#waiter = waiter;
      this.#fail(crash('the PC/SC process talks nonsense'));
    }
  }

  #fail(fault: ReaderError): void {
    this.#end ??= fault;
    const waiter = this.#waiter;
    this.#waiter = null;
    waiter?.reject(this.#end);
    // It blocks in the library: no signal that it could catch would reach it.
    this.#child?.kill('SIGKILL');
  }
}

function crash(message: string): ReaderError {
  return new ReaderError('ERR_READER_CRASH', message);
}

function parseAnswer(line: string): PcscAnswer | null {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return null;
    if ('noLibrary' in value) return { noLibrary: true };
    if ('pcscCode' in value) return { pcscCode: Number(value.pcscCode) };
    return 'result' in value ? (value as PcscAnswer) : null;
  } catch {
    return null;
  }
}
