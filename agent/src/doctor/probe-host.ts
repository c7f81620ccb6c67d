/**
 * A live round trip: the host is started as the browser starts it, speaks first, is asked for its
 * own report, and must end when the browser lets go. A file that is in its place proves nothing.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { dirname } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { errorBody } from '@tapnpay/protocol/bytes';
import {
  type DoctorReport,
  type Found,
  foundFault,
  foundOk,
  NATIVE_HELLO_TIMEOUT_MS,
  NATIVE_PROTOCOL,
  type NativeHostHello,
  nativeProtocolsMeet,
  type OfferedVersion,
} from '@tapnpay/protocol/wire';
import { HOST_VERSION } from '../native/version.ts';
import { systemClock } from '../system.ts';
import { judgeHostVersion, rangeText } from './gateway-checks.ts';
import { HostFrames, hostInput, type WholeHostFrame } from './host-frames.ts';

/** Longest wait for the host's report: it asks readers and gateway. */
const REPORT_TIMEOUT_MS = 15_000;
/** A browser kills a host that stays longer than this after it let go. */
const END_TIMEOUT_MS = 2_000;
/** How long the pipes of a host that has ended are read. */
const LAST_WORDS_TIMEOUT_MS = 200;
/** Of a host's standard error, from its end. */
const STDERR_CHARACTERS_MAX = 1_000;
/** What a browser from a desktop's menu has; a terminal's search path hides missing programs. */
const DESKTOP_PATH = '/usr/local/bin:/usr/bin:/bin';
const DESKTOP_NAMES = [
  ...['HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'LANGUAGE', 'TMPDIR', 'DISPLAY'],
  ...['WAYLAND_DISPLAY', 'DBUS_SESSION_BUS_ADDRESS', 'XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME'],
  ...['XDG_DATA_HOME', 'PCSCLITE_CSOCK_NAME'],
] as const;

/** Which host, and as which page it is asked. */
export type HostProbe = {
  /** Absolute path, from a manifest. */
  readonly program: string;
  /** As the browser gives them: the extension's origin, or the manifest's path and the add-on. */
  readonly args: readonly string[];
  readonly origin: string;
  /** What the gateway requires; null when it could not be asked. */
  readonly offered: OfferedVersion | null;
  /** Shorter in tests. */
  readonly helloTimeoutMs?: number;
};

/** What came of it; `report` is the host's own. */
export type ProbedHost = {
  readonly found: Found<'host'>;
  readonly hello: NativeHostHello | null;
  readonly report: DoctorReport | null;
};

/** Starts the host, asks it, and ends it. Never throws, leaves no process behind. */
export async function probeHost(probe: HostProbe): Promise<ProbedHost> {
  const startMs = performance.now();
  const host = new RunningHost(probe);
  let hello: NativeHostHello | null = null;
  let report: DoctorReport | null = null;
  try {
    hello = await host.hello(probe.helloTimeoutMs ?? NATIVE_HELLO_TIMEOUT_MS);
    const mismatch = versionFault(hello, probe.offered);
    if (mismatch?.state === 'broken') return { found: mismatch, hello, report };
    report = await host.report(probe.origin);
    const lingering = await host.letGo();
    const ms = String(Math.round(performance.now() - startMs));
    const found = lingering ?? mismatch ?? foundOk({ version: hello.version, ms });
    return { found, hello, report };
  } catch (fault) {
    if (fault instanceof ProbeFault) return { found: fault.found, hello, report };
    throw fault;
  } finally {
    host.kill();
  }
}

function versionFault(
  hello: NativeHostHello,
  offered: OfferedVersion | null,
): Found<'host'> | null {
  if (!nativeProtocolsMeet(hello.protocol, NATIVE_PROTOCOL)) {
    const facts = { ours: rangeText(hello.protocol), theirs: rangeText(NATIVE_PROTOCOL) };
    return foundFault('broken', 'ERR_VERSION', facts);
  }
  if (offered === null) return null;
  try {
    return judgeHostVersion(hello.version, offered);
  } catch (fault) {
    const reason = errorBody(fault).message;
    return foundFault('broken', 'ERR_HOST_PROTOCOL', { reason });
  }
}

/** Ends a probe with what is wrong. */
class ProbeFault extends Error {
  readonly found: Found<'host'>;

  constructor(found: Found<'host'>) {
    super(String(found.code));
    this.found = found;
  }
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;
type Waiter = {
  readonly take: (frame: WholeHostFrame) => boolean;
  readonly fail: (fault: ProbeFault) => void;
};

class RunningHost {
  readonly #child: Child;
  readonly #frames: HostFrames = new HostFrames();
  #waiter: Waiter | null = null;
  #early: WholeHostFrame[] = [];
  #fault: ProbeFault | null = null;
  #words = '';
  readonly #ended: Promise<void>;

  constructor(probe: HostProbe) {
    this.#child = started(probe);
    this.#child.stdin.on('error', () => {});
    this.#child.stdout.on('data', (chunk: Buffer) => this.#onOutput(chunk));
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#words = (this.#words + chunk.toString('utf8')).slice(-STDERR_CHARACTERS_MAX);
    });
    const { program } = probe;
    this.#child.once('error', (fault: NodeJS.ErrnoException) => {
      this.#fail('ERR_HOST_START', { program, reason: fault.code ?? fault.message });
    });
    this.#ended = this.#end().then((reason) => this.#fail('ERR_HOST_EXITED', { program, reason }));
  }

  /** Resolves with how it ended, when its last words are read. */
  #end(): Promise<string> {
    return new Promise((resolve) => {
      const child = this.#child;
      child.once('exit', (code, signal) => {
        const end = () => {
          cancel();
          resolve(signal ?? `exit ${code}`);
        };
        // A child of its own may hold the pipe for longer.
        const cancel = systemClock.startTimer(LAST_WORDS_TIMEOUT_MS, end);
        child.once('close', end);
      });
    });
  }

  hello(timeoutMs: number): Promise<NativeHostHello> {
    return this.#expect(timeoutMs, (frame) => {
      if (frame.type === 'hello') return frame;
      this.#assertServed(frame);
      throw this.#faultOf('ERR_HOST_PROTOCOL', { reason: `${frame.type} before hello` });
    });
  }

  report(origin: string): Promise<DoctorReport> {
    const page = { origin, tabId: -1, frameId: 0 };
    const protocol = NATIVE_PROTOCOL;
    this.#child.stdin.write(hostInput({ type: 'hello', version: HOST_VERSION, protocol, page }));
    this.#child.stdin.write(hostInput({ type: 'doctor' }));
    return this.#expect(REPORT_TIMEOUT_MS, (frame) => {
      if (frame.type === 'report') return frame.report;
      this.#assertServed(frame);
      return null;
    });
  }

  /** A host says why it serves nobody, even before its hello. */
  #assertServed(frame: WholeHostFrame): void {
    if (frame.type !== 'page' || frame.message.type !== 'refused') return;
    const { code, message } = frame.message.error;
    throw this.#faultOf('ERR_HOST_REFUSED', { reason: `${code}: ${message}` });
  }

  /** Ends its input. Null when it ends in time. */
  async letGo(): Promise<Found<'host'> | null> {
    this.#child.stdin.end();
    let cancel: () => void = () => {};
    const late = new Promise<'late'>((resolve) => {
      cancel = systemClock.startTimer(END_TIMEOUT_MS, () => resolve('late'));
    });
    const outcome = await Promise.race([this.#ended, late]);
    cancel();
    const told = this.#fault?.found ?? null;
    if (told?.code === 'ERR_HOST_PROTOCOL') return told;
    if (outcome !== 'late') return null;
    return foundFault('warn', 'ERR_HOST_LINGERS', { ms: String(END_TIMEOUT_MS) });
  }

  kill(): void {
    const { pid } = this.#child;
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
    if (pid === undefined) return;
    try {
      // Its children too: the group is its own.
      if (process.platform === 'win32') this.#child.kill('SIGKILL');
      else process.kill(-pid, 'SIGKILL');
    } catch (fault) {
      if ((fault as NodeJS.ErrnoException).code !== 'ESRCH') throw fault;
    }
  }

  #onOutput(chunk: Buffer): void {
    try {
      for (const frame of this.#frames.push(chunk)) this.#onFrame(frame);
    } catch (fault) {
      this.#fail('ERR_HOST_PROTOCOL', { reason: errorBody(fault).message });
    }
  }

  #onFrame(frame: WholeHostFrame): void {
    const waiter = this.#waiter;
    if (waiter === null) {
      this.#early.push(frame);
      return;
    }
    try {
      if (waiter.take(frame)) this.#waiter = null;
    } catch (fault) {
      if (!(fault instanceof ProbeFault)) throw fault;
      this.#lose(fault);
    }
  }

  #expect<T>(timeoutMs: number, pick: (frame: WholeHostFrame) => T | null): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const ms = String(timeoutMs);
      const cancel = systemClock.startTimer(timeoutMs, () =>
        this.#fail('ERR_HOST_TIMEOUT', { ms }),
      );
      this.#waiter = {
        take: (frame) => {
          const picked = pick(frame);
          if (picked === null) return false;
          cancel();
          resolve(picked);
          return true;
        },
        fail: (fault) => {
          cancel();
          reject(fault);
        },
      };
      if (this.#fault !== null) this.#lose(this.#fault);
      const early = this.#early;
      this.#early = [];
      for (const frame of early) this.#onFrame(frame);
    });
  }

  #faultOf(code: HostFaultCode, facts: Readonly<Record<string, string>>): ProbeFault {
    const output = this.#words.trim();
    const told = output === '' ? facts : { ...facts, output };
    return new ProbeFault(foundFault<'host'>('broken', code, told));
  }

  #fail(code: HostFaultCode, facts: Readonly<Record<string, string>>): void {
    this.#lose(this.#faultOf(code, facts));
  }

  #lose(fault: ProbeFault): void {
    this.#fault ??= fault;
    const waiter = this.#waiter;
    this.#waiter = null;
    waiter?.fail(this.#fault);
  }
}

type HostFaultCode =
  | 'ERR_HOST_START'
  | 'ERR_HOST_EXITED'
  | 'ERR_HOST_TIMEOUT'
  | 'ERR_HOST_PROTOCOL'
  | 'ERR_HOST_REFUSED';

function started({ program, args }: HostProbe): Child {
  const stdio: ['pipe', 'pipe', 'pipe'] = ['pipe', 'pipe', 'pipe'];
  const cwd = dirname(program);
  if (process.platform === 'win32') {
    // A browser starts a batch file through the command interpreter, as this does.
    const line = `"${[program, ...args].map((part) => `"${part}"`).join(' ')}"`;
    return spawn('cmd.exe', ['/d', '/s', '/c', line], {
      ...{ stdio, cwd, windowsHide: true, windowsVerbatimArguments: true },
    });
  }
  return spawn(program, [...args], { stdio, cwd, env: desktopEnvironment(), detached: true });
}

function desktopEnvironment(): NodeJS.ProcessEnv {
  const kept = DESKTOP_NAMES.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { PATH: DESKTOP_PATH, ...Object.fromEntries(kept) };
}
