/**
 * One owner for a thing on the disk: a listening name, freed by the system when its owner dies.
 * Who wants it connects to the name and waits: an owner that can let go does so, another one says
 * no. Nothing else is said there, as every user of the machine can connect.
 */
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { AgentError } from './errors.ts';

/** Askers heard at one time. */
const ASKERS_MAX = 16;
/** Rounds of asking and trying: as many others can be faster. */
const ROUNDS_MAX = 16;
/** The owner's no. */
const NO = '!';

/** A lock that is held until `release` or death. */
export type HeldLock = {
  readonly release: () => Promise<void>;
  /**
   * Number of an open file to hand down to a child: the lock is then held until both have ended.
   * Null where there is none.
   */
  readonly fd: number | null;
};

/** How a lock is taken, and whether it can be had from its owner. */
export type LockOptions = {
  /** Asks the owner to let go and waits this long; 0: takes what is free only. */
  readonly waitMs?: number;
  /** Another one wants it. True: it will be let go at once; false, as without it: not now. */
  readonly onWanted?: () => boolean;
};

/**
 * Takes the directory; two elements on one store would use a key twice.
 * On systems without abstract names (neither Linux nor Windows) nothing is locked, and the
 * store's own sequence check is the only guard.
 * @throws AgentError `ERR_ELEMENT_IN_USE`.
 */
export function lockDirectory(directory: string, options: LockOptions = {}): Promise<HeldLock> {
  return lockPath({
    path: directory,
    kind: 'tapnpay-store',
    options,
    refusal: (cause) => {
      const message = 'another program uses this element';
      return new AgentError('ERR_ELEMENT_IN_USE', message, {}, cause);
    },
  });
}

/**
 * Takes the virtual card of an image file: a card is in one reader at a time, and two that ran it
 * would use one transaction counter twice.
 * @throws AgentError `ERR_CARD_IN_USE`.
 */
export function lockCard(imagePath: string, name: string): Promise<HeldLock> {
  return lockPath({
    path: imagePath,
    kind: 'tapnpay-card',
    options: {},
    refusal: (cause) => {
      const message = `card ${name} is in another reader; take it away there first`;
      return new AgentError('ERR_CARD_IN_USE', message, { card: name }, cause);
    },
  });
}

type LockFacts = {
  readonly path: string;
  readonly kind: string;
  readonly options: LockOptions;
  readonly refusal: (cause: unknown) => AgentError;
};

async function lockPath({ path, kind, options, refusal }: LockFacts): Promise<HeldLock> {
  const hash = createHash('sha256').update(realpathSync(path)).digest('hex').slice(0, 40);
  const name = lockName(`${kind}-${hash}`);
  if (name === null) return { release: async () => {}, fd: null };
  const deadlineMs = performance.now() + (options.waitMs ?? 0);
  for (let round = 1; ; round++) {
    const cause = await new Owner(options.onWanted ?? (() => false)).listen(name);
    if (!(cause instanceof Error)) return cause;
    const leftMs = deadlineMs - performance.now();
    const isOver = leftMs <= 0 || round === ROUNDS_MAX || !isInUse(cause);
    if (isOver || !(await isLetGo(name, leftMs))) throw refusal(cause);
  }
}

function lockName(name: string): string | null {
  if (process.platform === 'linux') return `\0${name}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : null;
}

function isInUse(cause: Error): boolean {
  return 'code' in cause && cause.code === 'EADDRINUSE';
}

/** One try to own a name. */
class Owner {
  readonly #onWanted: () => boolean;
  readonly #server: Server;
  readonly #askers: Set<Socket> = new Set();

  constructor(onWanted: () => boolean) {
    this.#onWanted = onWanted;
    this.#server = createServer((asker) => this.#hear(asker));
    this.#server.maxConnections = ASKERS_MAX;
  }

  /** The lock, or why it cannot be had. */
  listen(name: string): Promise<HeldLock | Error> {
    return new Promise((resolve) => {
      this.#server.once('error', resolve);
      this.#server.listen(name, () => {
        this.#server.unref();
        resolve({ release: () => this.#release(), fd: descriptorOf(this.#server) });
      });
    });
  }

  #hear(asker: Socket): void {
    asker.unref();
    asker.on('error', () => {});
    asker.on('close', () => this.#askers.delete(asker));
    if (this.#onWanted()) this.#askers.add(asker);
    else asker.end(NO, () => asker.destroy());
  }

  /** The name is free before the askers hear of it. */
  #release(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const asker of this.#askers) asker.destroy();
    });
  }
}

/** A listening socket can be handed down where the system numbers it as a file. */
function descriptorOf(server: Server): number | null {
  if (process.platform === 'win32') return null;
  const { _handle: handle } = server as unknown as { readonly _handle?: { readonly fd?: number } };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : null;
}

/** Asks the owner. False: it says no, or nothing in time. True: it is gone, or has let go. */
function isLetGo(name: string, waitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(name);
    let isRefused = false;
    socket.setTimeout(waitMs, () => {
      isRefused = true;
      socket.destroy();
    });
    socket.on('data', () => {
      isRefused = true;
      socket.destroy();
    });
    // An owner that has just gone is as good as one that lets go.
    socket.on('error', () => {});
    socket.on('close', () => resolve(!isRefused));
  });
}
