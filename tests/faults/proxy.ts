/**
 * A faulty way between two parties on loopback. On the lines between institutions it strikes at
 * whole ISO 8583 messages. Elsewhere it knows bytes alone: there a connection falls silent, is slow,
 * is replayed on a second one, overtakes others, or is closed on one side. Inside a connection it
 * repeats and reorders nothing, for TCP does not either.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { encodeFrame, FrameDecoder } from '../../online/src/runtime/index.ts';

/** What a way can do wrong. */
export const WAY_FAULTS = ['drop', 'delay', 'duplicate', 'reorder', 'halfClose'] as const;
export type WayFault = (typeof WAY_FAULTS)[number];
/** `frames`: ISO 8583 messages with four length digits. */
export type WayKind = 'frames' | 'bytes';

/** Every so many messages or connections one is struck. */
const STRIKE_EVERY = 3;
/** Beyond the patience of switch and gateway in a laboratory, and within it. */
const DELAYS_MS = [4_000, 400, 6_000] as const;
const CHUNK_DELAY_MS = 150;
const OVERTAKEN_MS = [0, 700, 250] as const;
/** A message that waits to be overtaken goes on after this time at the latest. */
const HELD_MS = 1_500;
/** Start of the message type behind the header. @see Q/CUP 006, message header */
const MTI_AT = 46;

/** One way. */
export class FaultProxy {
  readonly #server: Server;
  readonly #target: number;
  readonly #kind: WayKind;
  readonly #sockets = new Set<Socket>();
  /** Connections that were harmed and must not outlive the fault. */
  readonly #harmed = new Set<Socket>();
  #fault: WayFault | null = null;
  #passed = 0;
  #struck = 0;
  /** Number of the fault: each connection is judged once in each. */
  #strikes = 0;

  private constructor(server: Server, target: number, kind: WayKind) {
    this.#server = server;
    this.#target = target;
    this.#kind = kind;
    server.on('connection', (near) => this.#carry(near));
  }

  /** Listens on a free port in front of `target`. */
  static async open(target: number, kind: WayKind): Promise<FaultProxy> {
    const server = createServer({ noDelay: true, allowHalfOpen: true });
    await new Promise<void>((done, fail) => {
      server.once('error', fail);
      server.listen(0, '127.0.0.1', done);
    });
    return new FaultProxy(server, target, kind);
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  /** From now on strikes so. */
  strike(fault: WayFault): void {
    this.#fault = fault;
    this.#strikes += 1;
    this.#struck = 0;
    // Some ways have one connection only: it is the first that is struck.
    this.#passed = this.#kind === 'bytes' ? STRIKE_EVERY - 1 : 0;
  }

  /** Is a straight way again; how often it struck. What a fault has harmed is closed. */
  heal(): number {
    this.#fault = null;
    for (const socket of this.#harmed) socket.destroy();
    this.#harmed.clear();
    const struck = this.#struck;
    this.#struck = 0;
    return struck;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((done) => this.#server.close(done));
  }

  /** Whether this one is struck; counts. */
  #isStruck(): boolean {
    this.#passed += 1;
    if (this.#passed % STRIKE_EVERY !== 0) return false;
    this.#struck += 1;
    return true;
  }

  #open(): Socket {
    const far = connect({
      port: this.#target,
      host: '127.0.0.1',
      noDelay: true,
      allowHalfOpen: true,
    });
    this.#keep(far);
    return far;
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #carry(near: Socket): void {
    const far = this.#open();
    this.#keep(near);
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.on('error', end).on('close', end);
    if (this.#kind === 'frames') {
      this.#pipeFrames(near, far);
      this.#pipeFrames(far, near);
    } else {
      this.#pipeBytes(near, far);
    }
  }

  #pipeFrames(from: Socket, to: Socket): void {
    const decoder = new FrameDecoder();
    let held: Uint8Array | null = null;
    const send = (body: Uint8Array): void => {
      if (!to.destroyed && to.writable) to.write(encodeFrame(body));
    };
    const release = (): void => {
      if (held) send(held);
      held = null;
    };
    from.on('data', (chunk: Buffer) => {
      for (const view of decoder.push(Uint8Array.from(chunk))) {
        const body = view.slice();
        const fault = isFinancial(body) && this.#fault && this.#isStruck() ? this.#fault : null;
        if (fault === 'delay') setTimeout(() => send(body), this.#delayMs());
        else if (fault === 'reorder' && !held) {
          held = body;
          setTimeout(release, HELD_MS);
        } else if (fault !== 'drop') {
          send(body);
          if (fault === 'duplicate') send(body);
          if (fault === 'halfClose') this.#closeHalf(from, to);
          if (fault !== 'reorder') release();
        }
      }
    });
    from.on('end', () => to.end());
  }

  #delayMs(): number {
    return DELAYS_MS[this.#struck % DELAYS_MS.length] ?? 0;
  }

  /** `to` hears an end, `from` does not. */
  #closeHalf(from: Socket, to: Socket): void {
    to.end();
    this.#harmed.add(from).add(to);
  }

  #pipeBytes(near: Socket, far: Socket): void {
    let isSilent = false;
    let judgedAt = 0;
    let mirror: Socket | null = null;
    let lateMs = 0;
    const judge = (): void => {
      // An old connection is as good as a new one, once a fault is wanted.
      if (judgedAt === this.#strikes || this.#fault === null) return;
      judgedAt = this.#strikes;
      lateMs = 0;
      if (this.#fault !== 'delay' && !this.#isStruck()) return;
      if (this.#fault === 'delay') this.#struck += 1;
      if (this.#fault === 'drop') {
        isSilent = true;
        this.#harmed.add(near).add(far);
      }
      if (this.#fault === 'reorder') lateMs = OVERTAKEN_MS[this.#struck % 3] ?? 0;
      if (this.#fault === 'halfClose') this.#closeHalf(near, far);
      if (this.#fault === 'duplicate') {
        mirror = this.#open();
        mirror.on('error', () => undefined).resume();
        this.#harmed.add(mirror);
      }
    };
    const pipe = (from: Socket, to: Socket, isRequest: boolean): void => {
      from.on('data', (chunk: Buffer) => {
        judge();
        if (isSilent) return;
        if (isRequest && mirror?.writable) mirror.write(chunk);
        const overtakenMs = this.#fault === 'reorder' ? lateMs : 0;
        const delayMs = this.#fault === 'delay' ? CHUNK_DELAY_MS : overtakenMs;
        // Timers of one length keep their order.
        if (delayMs > 0) setTimeout(() => to.writable && to.write(chunk), delayMs);
        else if (to.writable) to.write(chunk);
      });
      from.on('end', () => to.end());
    };
    pipe(near, far, true);
    pipe(far, near, false);
  }
}

/** Sign-on and keys belong to one connection, which repeats and reorders nothing. */
function isFinancial(body: Uint8Array): boolean {
  return String.fromCharCode(...body.slice(MTI_AT, MTI_AT + 2)) !== '08';
}
