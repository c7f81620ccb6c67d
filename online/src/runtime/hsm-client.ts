/**
 * A party's connection to its HSM: calls of one turn leave as one frame, a lost connection is made
 * again for the next call, and calls that were in flight fail with a coded error. No command
 * changes an account, so that a caller may always ask again.
 */
import { connect, type Socket } from 'node:net';
import {
  type Clock,
  type ErrorBody,
  errorFromBody,
  type RandomSource,
  TapError,
  toHex,
} from '@tapnpay/protocol/bytes';
import type { Hsm, HsmAnswers, HsmCaller, HsmRequest } from '@tapnpay/protocol/wire';
import {
  callerProof,
  encodeHsmFrame,
  HSM_BATCH_MAX,
  HSM_FRAME_BYTES_MAX,
  HSM_HELLO_TIMEOUT_MS,
  HSM_NONCE_BYTES,
  HsmFrameDecoder,
  hsmProof,
  isSameProof,
} from './hsm-wire.ts';
import { systemClock, systemRandom } from './system.ts';

/** How long a frame of calls may take. */
export const HSM_CALL_TIMEOUT_MS = 10_000;
/** How long calls wait for a connection before they fail. */
export const HSM_CONNECT_TIMEOUT_MS = 5_000;
/** Most calls that wait or are in flight. */
export const HSM_CALLS_MAX = 16_384;
const CONNECT_PAUSE_MS = 20;
const CONNECT_PAUSE_MS_MAX = 500;
/** Room for a frame's own characters around its batch. */
const FRAME_OVERHEAD_BYTES = 64;

/** What can go wrong between a party and its HSM; refusals of commands have the HSM's own codes. */
export type HsmClientErrorCode =
  | 'ERR_HSM_UNAVAILABLE'
  | 'ERR_HSM_LOST'
  | 'ERR_HSM_TIMEOUT'
  | 'ERR_HSM_BUSY'
  | 'ERR_HSM_REFUSED'
  | 'ERR_HSM_ANSWER'
  | 'ERR_HSM_REQUEST'
  | 'ERR_HSM_CLOSED';

/** The HSM cannot be reached, or what answers is not it. */
export class HsmClientError extends TapError<HsmClientErrorCode> {}

/** An `Hsm` over the wire. */
export type HsmClient = Hsm & { readonly close: () => Promise<void> };

/** Where the HSM is and who calls. */
export type HsmClientOptions = {
  readonly port: number;
  readonly tokenHex: string;
  readonly caller: HsmCaller;
  readonly callTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
  readonly clock?: Clock;
  readonly random?: RandomSource;
};

/**
 * Connects on 127.0.0.1 and resolves once both sides have proven to hold the token.
 * @throws HsmClientError `ERR_HSM_UNAVAILABLE`, `ERR_HSM_REFUSED`.
 */
export async function connectHsm(options: HsmClientOptions): Promise<HsmClient> {
  const client = new HsmConnector(options);
  try {
    await client.open();
  } catch (thrown) {
    await client.close();
    throw thrown;
  }
  return client;
}

type Call = {
  readonly json: string;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
};
type Flight = { readonly calls: readonly Call[]; readonly cancelTimer: () => void };

class HsmConnector implements Hsm {
  readonly #options: HsmClientOptions;
  readonly #clock: Clock;
  readonly #flights = new Map<number, Flight>();
  #waiting: Call[] = [];
  #callsInFlight = 0;
  #isFlushPlanned = false;
  #lastId = 0;
  #socket: Socket | undefined;
  #opening: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: HsmClientOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  call<R extends HsmRequest>(request: R): Promise<HsmAnswers[R['command']]> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(clientError('ERR_HSM_CLOSED', 'the client was closed'));
      if (this.#waiting.length + this.#callsInFlight >= HSM_CALLS_MAX) {
        return reject(clientError('ERR_HSM_BUSY', 'too many calls wait for the HSM'));
      }
      const json = JSON.stringify(request);
      if (Buffer.byteLength(json) > HSM_FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES) {
        return reject(clientError('ERR_HSM_REQUEST', 'the request is too long for a frame'));
      }
      // Answers are proven to come from the HSM; their form is its promise.
      const take = (answer: unknown): void => resolve(answer as HsmAnswers[R['command']]);
      this.#waiting.push({ json, resolve: take, reject });
      this.#planFlush();
    });
  }

  /** Resolves with a connection that is good for frames. */
  async open(): Promise<void> {
    if (this.#socket) return;
    this.#opening ??= this.#openWithin().finally(() => {
      this.#opening = undefined;
    });
    await this.#opening;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const socket = this.#socket;
    this.#fail(clientError('ERR_HSM_CLOSED', 'the client was closed'));
    socket?.destroy();
  }

  #planFlush(): void {
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    // After the turn: all calls that this poll of the event loop brings share a frame.
    setImmediate(() => {
      this.#isFlushPlanned = false;
      this.open().then(
        () => this.#flush(),
        (error: Error) => this.#rejectWaiting(error),
      );
    });
  }

  #flush(): void {
    const socket = this.#socket;
    if (!socket) {
      // Lost between opening and this turn.
      if (this.#waiting.length > 0) this.#planFlush();
      return;
    }
    while (this.#waiting.length > 0) {
      const calls = this.#waiting.splice(0, batchLength(this.#waiting));
      const id = ++this.#lastId;
      const timeoutMs = this.#options.callTimeoutMs ?? HSM_CALL_TIMEOUT_MS;
      const cancelTimer = this.#clock.startTimer(timeoutMs, () => this.#timeOut(id));
      this.#flights.set(id, { calls, cancelTimer });
      this.#callsInFlight += calls.length;
      const batch = calls.map((call) => call.json).join(',');
      socket.write(encodeHsmFrame(`{"id":${id},"batch":[${batch}]}`));
    }
  }

  async #openWithin(): Promise<void> {
    const { port, connectTimeoutMs = HSM_CONNECT_TIMEOUT_MS } = this.#options;
    const endMs = this.#clock.nowMs() + connectTimeoutMs;
    for (let pauseMs = CONNECT_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, CONNECT_PAUSE_MS_MAX)) {
      try {
        const socket = await openSocket(this.#options, this.#clock);
        if (this.#isClosed) {
          socket.destroy();
          throw clientError('ERR_HSM_CLOSED', 'the client was closed');
        }
        this.#use(socket);
        return;
      } catch (thrown) {
        if (thrown instanceof TapError) throw thrown;
        if (this.#isClosed || this.#clock.nowMs() + pauseMs > endMs) {
          const text = `no HSM answers on port ${port}`;
          throw new HsmClientError('ERR_HSM_UNAVAILABLE', text, { port }, thrown);
        }
      }
      await new Promise<void>((done) => this.#clock.startTimer(pauseMs, done));
    }
  }

  #use(socket: Socket): void {
    const decoder = new HsmFrameDecoder();
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const value of decoder.push(chunk)) this.#take(value);
      } catch (thrown) {
        this.#lose(socket, asError(thrown));
      }
    });
    socket.on('close', () => {
      this.#lose(socket, clientError('ERR_HSM_LOST', 'the connection to the HSM was lost'));
    });
    socket.resume();
  }

  #take(value: unknown): void {
    const frame = recordOf(value);
    const error = frame?.['error'];
    if (isErrorBody(error)) throw errorFromBody(error);
    const id = frame?.['id'];
    const replies = frame?.['replies'];
    const flight = typeof id === 'number' ? this.#flights.get(id) : undefined;
    if (typeof id !== 'number' || !Array.isArray(replies) || !flight) throw badAnswer();
    if (replies.length !== flight.calls.length) throw badAnswer();
    this.#land(id, flight);
    for (const [index, call] of flight.calls.entries()) settle(call, replies[index]);
  }

  #land(id: number, flight: Flight): void {
    this.#flights.delete(id);
    this.#callsInFlight -= flight.calls.length;
    flight.cancelTimer();
  }

  #timeOut(id: number): void {
    const socket = this.#socket;
    const flight = this.#flights.get(id);
    if (!flight) return;
    this.#land(id, flight);
    const error = clientError('ERR_HSM_TIMEOUT', 'the HSM did not answer in time');
    for (const call of flight.calls) call.reject(error);
    // Answers come in order: whatever was sent after this frame would wait as well.
    if (socket) this.#lose(socket, error);
  }

  #lose(socket: Socket, error: Error): void {
    socket.destroy();
    if (this.#socket === socket) this.#fail(error, { isWaitingKept: true });
  }

  #fail(error: Error, options: { readonly isWaitingKept?: boolean } = {}): void {
    this.#socket = undefined;
    for (const [id, flight] of [...this.#flights]) {
      this.#land(id, flight);
      for (const call of flight.calls) call.reject(error);
    }
    if (!options.isWaitingKept) this.#rejectWaiting(error);
  }

  #rejectWaiting(error: Error): void {
    const calls = this.#waiting;
    this.#waiting = [];
    for (const call of calls) call.reject(error);
  }
}

/** How many of the first calls fit one frame; at least one. */
function batchLength(calls: readonly Call[]): number {
  let bytes = FRAME_OVERHEAD_BYTES;
  let count = 0;
  for (const { json } of calls) {
    bytes += Buffer.byteLength(json) + 1;
    if (count > 0 && (bytes > HSM_FRAME_BYTES_MAX || count >= HSM_BATCH_MAX)) break;
    count++;
  }
  return count;
}

function settle(call: Call, reply: unknown): void {
  const record = recordOf(reply);
  if (record && 'ok' in record) call.resolve(record['ok']);
  else if (isErrorBody(record?.['error'])) call.reject(errorFromBody(record['error']));
  else call.reject(badAnswer());
}

/** A connected socket, paused, after the hello of both sides. */
async function openSocket(options: HsmClientOptions, clock: Clock): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: options.port, noDelay: true });
  const cancelTimer = clock.startTimer(HSM_HELLO_TIMEOUT_MS, () => {
    socket.destroy(new Error('the HSM said nothing'));
  });
  try {
    await hello(socket, options);
    return socket;
  } catch (thrown) {
    socket.destroy();
    throw thrown;
  } finally {
    cancelTimer();
  }
}

/** Foreign errors are worth another try, coded ones are final. */
function hello(socket: Socket, options: HsmClientOptions): Promise<void> {
  const { tokenHex, caller, random = systemRandom } = options;
  const decoder = new HsmFrameDecoder();
  const nonce = toHex(random.bytes(HSM_NONCE_BYTES));
  let hsmNonce: string | undefined;
  return new Promise((resolve, reject) => {
    const step = (value: unknown): void => {
      const frame = recordOf(value);
      const error = frame?.['error'];
      if (isErrorBody(error)) throw refused(error.message, error.code);
      if (hsmNonce === undefined) {
        hsmNonce = textOf(frame?.['nonce']);
        const proof = callerProof(tokenHex, hsmNonce, caller);
        socket.write(encodeHsmFrame(JSON.stringify({ caller, nonce, proof })));
        return;
      }
      const expected = hsmProof(tokenHex, { caller: nonce, hsm: hsmNonce });
      if (!isSameProof(textOf(frame?.['proof']), expected)) {
        throw refused('what answers does not hold the token', 'ERR_HSM_HELLO');
      }
      socket.pause();
      socket.removeAllListeners('data').removeAllListeners('close');
      resolve();
    };
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const value of decoder.push(chunk)) step(value);
      } catch (thrown) {
        reject(thrown);
      }
    });
    // Stays for the life of the socket: `close` follows and tells the rest.
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed before the hello was over')));
  });
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return value as Readonly<Record<string, unknown>>;
}

function isErrorBody(value: unknown): value is ErrorBody {
  const record = recordOf(value);
  return typeof record?.['code'] === 'string' && typeof record['message'] === 'string';
}

function textOf(value: unknown): string {
  if (typeof value === 'string' && value.length > 0) return value;
  throw badAnswer();
}

function refused(why: string, code: string): HsmClientError {
  return clientError('ERR_HSM_REFUSED', `the HSM refused the connection: ${why} (${code})`);
}

function badAnswer(): HsmClientError {
  return clientError('ERR_HSM_ANSWER', 'the HSM sent a frame that answers nothing');
}

function clientError(code: HsmClientErrorCode, message: string): HsmClientError {
  return new HsmClientError(code, message);
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
