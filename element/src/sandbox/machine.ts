/**
 * An applet's code in an interpreter, with its budget: it runs one operation at a time and speaks
 * to the outside by one function. What it does wrong ends in a coded fault, and in nothing else.
 */
import { type Clock, type ErrorBody, errorFromBody, TapError } from '@tapnpay/protocol/bytes';
import { checkShape, errorBodyShape } from '@tapnpay/protocol/wire';
import { SandboxError, type SandboxErrorCode, wrongCall } from './errors.ts';
import { guestRuntime, hardenGuest } from './guest.ts';
import { FUEL_MAX, type Interpreter, type QuickJSHandle, startInterpreter } from './quickjs.ts';
import {
  CROSSING_BUFFERS_MAX,
  CROSSING_BYTES_MAX,
  CROSSING_CHARACTERS_MAX,
  type Crossing,
  packValue,
  unpackValue,
} from './values.ts';

/** Longest time of one operation, host calls and a slow machine included. */
export const OPERATION_TIMEOUT_MS = 5_000;
/** Host calls of one operation. */
export const HOST_CALLS_MAX = 20_000;

/** Answers a service of the host by its name; what it throws with a code goes to the applet. */
export type Services = (service: string, values: readonly unknown[]) => unknown;

/** What a machine runs. */
export type MachineFacts = {
  readonly bundle: string;
  readonly memoryBytes: number;
  readonly moduleAid: string;
  readonly instanceAid: string;
  readonly clock: Pick<Clock, 'nowMs'>;
};

/** Messages of the interpreter's own errors, and what they mean. */
const INTERPRETER_FAULTS: readonly (readonly [RegExp, SandboxErrorCode])[] = [
  [/out of memory|string too long|invalid array length/i, 'ERR_APPLET_MEMORY'],
  [/stack/i, 'ERR_APPLET_STACK'],
];
const MESSAGE_CHARACTERS_MAX = 300;
/** Where a time is spent, for whoever measures. */
export type MachineTimes = { operations: number; totalMs: number; servicesMs: number };

/** One applet in its interpreter. After a fault it is not to be used again. */
export class Machine {
  readonly #interpreter: Interpreter;
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #times: MachineTimes;
  #dispatch: QuickJSHandle;
  #services: Services | null = null;
  #reply: { readonly value?: unknown; readonly fault?: unknown } | null = null;
  #isLoaded = false;
  #calls = 0;
  #endsAtMs = 0;
  #stoppedBy: SandboxErrorCode | null = null;

  /** @throws SandboxError; then there is no applet. */
  constructor(facts: MachineFacts, times: MachineTimes) {
    this.#clock = facts.clock;
    this.#times = times;
    const isToStop = (): boolean => this.#isToStop();
    this.#interpreter = startInterpreter({ memoryBytes: facts.memoryBytes, isToStop });
    this.#dispatch = this.#interpreter.context.undefined;
    this.#guarded(() => this.#load(facts.bundle));
    this.#isLoaded = true;
    this.run('make', [facts.moduleAid, facts.instanceAid], () => {
      throw wrongCall('the host can be asked in a call only');
    });
  }

  /**
   * Runs one operation of the applet.
   * @throws TapError the applet's own coded fault; SandboxError for everything else.
   */
  run(operation: string, values: readonly unknown[], services: Services): unknown {
    this.#services = services;
    this.#reply = null;
    const startedMs = performance.now();
    try {
      this.#guarded(() => this.#send(packValue([operation, values])));
    } finally {
      this.#services = null;
      this.#times.operations += 1;
      this.#times.totalMs += performance.now() - startedMs;
    }
    const reply = this.#reply as { readonly value?: unknown; readonly fault?: unknown } | null;
    if (reply === null) throw new SandboxError('ERR_APPLET_FAULT', 'it ended without an answer');
    if (reply.fault !== undefined && reply.fault !== null) throw faultOf(reply.fault);
    return reply.value;
  }

  #load(bundle: string): void {
    const { context } = this.#interpreter;
    const made = (source: string): QuickJSHandle =>
      this.#taken(context.evalCode(source, 'element.js', { type: 'global' }));
    this.#taken(context.callFunction(made(`(${String(hardenGuest)})`), context.undefined));
    const call = context.newFunction('call', (...handles) => this.#onCall(handles));
    const runtime = made(`(${String(guestRuntime)})`);
    const connect = this.#taken(context.callFunction(runtime, context.undefined, call));
    const module = this.#taken(context.evalCode(bundle, 'applet.js', { type: 'module' }));
    const create = context.getProp(module, 'createApplet');
    if (context.typeof(create) !== 'function') {
      throw new SandboxError('ERR_APPLET_CODE', 'the load file exports no createApplet');
    }
    this.#dispatch = this.#taken(context.callFunction(connect, context.undefined, create));
  }

  #send(crossing: Crossing): void {
    const { context } = this.#interpreter;
    const handles = this.#handlesOf(crossing);
    this.#taken(context.callFunction(this.#dispatch, context.undefined, ...handles)).dispose();
    for (const handle of handles) handle.dispose();
  }

  #handlesOf({ text, buffers }: Crossing): readonly QuickJSHandle[] {
    const { context } = this.#interpreter;
    const bytes = buffers.map((buffer) => context.newArrayBuffer(ownBuffer(buffer)));
    return [context.newString(text), ...bytes];
  }

  /** One call of the applet. It answers always: an exception here would have nowhere to go. */
  #onCall(handles: readonly QuickJSHandle[]): QuickJSHandle {
    const { context } = this.#interpreter;
    const startedMs = performance.now();
    const answer = this.#answerOf(handles);
    this.#times.servicesMs += performance.now() - startedMs;
    const list = context.newArray();
    for (const [index, handle] of this.#handlesOf(answer).entries()) {
      context.setProp(list, index, handle);
      handle.dispose();
    }
    return list;
  }

  #answerOf(handles: readonly QuickJSHandle[]): Crossing {
    try {
      this.#calls += 1;
      if (this.#calls > HOST_CALLS_MAX) {
        this.#stoppedBy ??= 'ERR_APPLET_HOST_CALLS';
        throw new SandboxError('ERR_APPLET_HOST_CALLS', `more than ${HOST_CALLS_MAX} host calls`);
      }
      const request = unpackValue(this.#crossingOf(handles));
      const [service, values] = Array.isArray(request) ? (request as unknown[]) : [];
      if (typeof service !== 'string') throw wrongCall('a call without a service');
      if (service === 'reply') {
        this.#reply = Object(values) as { readonly value?: unknown };
        return packValue({ value: null });
      }
      if (!Array.isArray(values)) throw wrongCall('a call without its values');
      return packValue({ value: this.#services?.(service, values) });
    } catch (thrown) {
      return packValue({ fault: bodyOf(thrown) });
    }
  }

  /** What the applet gave, copied out of its memory. @throws SandboxError. */
  #crossingOf([first, ...others]: readonly QuickJSHandle[]): Crossing {
    const { context } = this.#interpreter;
    if (first === undefined || context.typeof(first) !== 'string') throw wrongCall('no text came');
    const length = context.getProp(first, 'length').consume((handle) => context.getNumber(handle));
    if (length > CROSSING_CHARACTERS_MAX) throw wrongCall(`a text of ${length} characters`);
    if (others.length > CROSSING_BUFFERS_MAX) throw wrongCall(`${others.length} byte arrays`);
    let rest = CROSSING_BYTES_MAX;
    const buffers = others.map((handle) => {
      const bytes = this.#bytesOf(handle, rest);
      rest -= bytes.length;
      return bytes;
    });
    return { text: context.getString(first), buffers };
  }

  #bytesOf(handle: QuickJSHandle, mostBytes: number): Uint8Array {
    const { context } = this.#interpreter;
    if (context.typeof(handle) !== 'object') throw wrongCall('something else than bytes came');
    let lifetime: ReturnType<typeof context.getArrayBuffer>;
    try {
      lifetime = context.getArrayBuffer(handle);
    } catch {
      throw wrongCall('something else than bytes came');
    }
    try {
      if (lifetime.value.length > mostBytes) throw wrongCall('too many bytes came');
      return lifetime.value.slice();
    } finally {
      lifetime.dispose();
    }
  }

  #isToStop(): boolean {
    if (this.#clock.nowMs() > this.#endsAtMs) this.#stoppedBy ??= 'ERR_APPLET_TIME';
    return this.#stoppedBy !== null;
  }

  /** Runs with a fresh budget; whatever the interpreter or the engine throws gets its code. */
  #guarded(action: () => void): void {
    const { fuel } = this.#interpreter;
    fuel.value = FUEL_MAX;
    this.#calls = 0;
    this.#endsAtMs = this.#clock.nowMs() + OPERATION_TIMEOUT_MS;
    try {
      action();
    } catch (thrown) {
      if (fuel.value === 0) this.#stoppedBy ??= 'ERR_APPLET_TIME';
      if (this.#stoppedBy !== null) throw stopped(this.#stoppedBy);
      if (thrown instanceof TapError) throw thrown;
      // The engine's own stack, or memory that the interpreter did not expect to miss.
      const isStack = thrown instanceof RangeError && /call stack/.test(thrown.message);
      throw stopped(isStack ? 'ERR_APPLET_STACK' : 'ERR_APPLET_MEMORY');
    }
    if (fuel.value === 0) this.#stoppedBy ??= 'ERR_APPLET_TIME';
    if (this.#stoppedBy !== null) throw stopped(this.#stoppedBy);
  }

  /** The value of a result. @throws SandboxError for an exception that left the applet. */
  #taken(
    result:
      | { readonly value: QuickJSHandle; readonly error?: undefined }
      | { readonly error: QuickJSHandle },
  ): QuickJSHandle {
    if (result.error === undefined) return result.value;
    if (this.#stoppedBy !== null) throw stopped(this.#stoppedBy);
    const message = this.#messageOf(result.error);
    const known = INTERPRETER_FAULTS.find(([pattern]) => pattern.test(message));
    if (known) throw stopped(known[1]);
    throw new SandboxError(this.#isLoaded ? 'ERR_APPLET_FAULT' : 'ERR_APPLET_CODE', message);
  }

  #messageOf(error: QuickJSHandle): string {
    const { context } = this.#interpreter;
    const read = (name: string): string => {
      if (context.typeof(error) !== 'object') return '';
      const handle = context.getProp(error, name);
      return context.typeof(handle) === 'string' ? context.getString(handle) : '';
    };
    return `${read('name')}: ${read('message')}`.slice(0, MESSAGE_CHARACTERS_MAX);
  }
}

function ownBuffer(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}

function stopped(code: SandboxErrorCode): SandboxError {
  return new SandboxError(code, `the applet was stopped: ${code}`);
}

/** What goes into an applet of a fault: of a defect of ours nothing but that it is one. */
function bodyOf(thrown: unknown): ErrorBody {
  if (thrown instanceof TapError) return thrown.toJSON();
  return { code: 'ERR_INTERNAL', message: 'the host failed', data: {} };
}

/** The fault that an applet threw: its own code, or what the interpreter means. */
function faultOf(body: unknown): TapError {
  const { name, code, message } = Object(body) as Readonly<Record<string, unknown>>;
  const text = typeof message === 'string' ? message.slice(0, MESSAGE_CHARACTERS_MAX) : '';
  if (code === undefined || code === null) {
    const isOwn = name === 'InternalError' || name === 'RangeError';
    const known = INTERPRETER_FAULTS.find(([pattern]) => isOwn && pattern.test(text));
    if (known) return stopped(known[1]);
    return new SandboxError('ERR_APPLET_FAULT', `${String(name ?? 'a value')}: ${text}`);
  }
  try {
    return errorFromBody(checkShape(errorBodyShape, { ...Object(body), message: text }, 'fault'));
  } catch {
    return new SandboxError('ERR_APPLET_FAULT', 'it threw a fault of no known form');
  }
}
