/** The other end of `bench mux` and `bench mux-soak`, in a thread of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import { encodeFrame, FrameDecoder, listenTcp, type Transport } from '@tapnpay/online/runtime';
import { answerInPlace, crossInPlace, withoutTerminal } from './mux-frames.ts';

/**
 * `answer`: every request is answered, all of one read in one write. `echo`: bytes come back as
 * they came. `storm`: answers are shuffled, some late, some twice, some without field 41.
 */
export type MuxServerMode = 'answer' | 'echo' | 'storm';

/** What a storm did, posted when its connection ends. */
export type StormCounts = {
  requests: number;
  answers: number;
  copies: number;
  late: number;
  withoutTerminal: number;
};

/** One in so many. */
const COPIED = 50;
const LATE = 100;
const BARE = 40;
const LATE_MS = 300;
const FLUSH_MS = 10;
/** In a control run: answers that carry the number of another request. */
const CROSSED = 1_000;

/** What the thread is started with. */
export type MuxServerFacts = { readonly mode: MuxServerMode; readonly isControl: boolean };

const facts = workerData as MuxServerFacts;

function answering(transport: Transport): void {
  const decoder = new FrameDecoder();
  transport.listen({
    onBytes: (chunk) => {
      for (const body of decoder.push(chunk)) {
        answerInPlace(body);
        transport.send(encodeFrame(body));
      }
    },
    onClose: () => undefined,
  });
}

function echoing(transport: Transport): void {
  transport.listen({ onBytes: (chunk) => transport.send(chunk), onClose: () => undefined });
}

/** Answers in an order, number and shape that only a match on all fields survives. */
class Storm {
  readonly #transport: Transport;
  readonly #counts: StormCounts = {
    requests: 0,
    answers: 0,
    copies: 0,
    late: 0,
    withoutTerminal: 0,
  };
  #pool: Uint8Array[] = [];
  readonly #late: { readonly atMs: number; readonly frame: Uint8Array }[] = [];
  #isFlushing = false;
  #seed = 1;

  constructor(transport: Transport) {
    this.#transport = transport;
    const decoder = new FrameDecoder();
    const timer = setInterval(() => this.#sendLate(), FLUSH_MS);
    transport.listen({
      onBytes: (chunk) => {
        for (const body of decoder.push(chunk)) this.#take(body);
        this.#release(this.#pool.length >> 2);
      },
      onClose: () => {
        clearInterval(timer);
        parentPort?.postMessage(this.#counts);
      },
    });
  }

  #take(body: Uint8Array): void {
    this.#counts.requests += 1;
    answerInPlace(body);
    if (facts.isControl && this.#oneIn(CROSSED)) crossInPlace(body);
    const isBare = this.#oneIn(BARE);
    if (isBare) this.#counts.withoutTerminal += 1;
    const frame = encodeFrame(isBare ? withoutTerminal(body) : body);
    this.#add(frame);
    if (!this.#oneIn(COPIED)) return;
    this.#counts.copies += 1;
    this.#add(frame);
  }

  #add(frame: Uint8Array): void {
    this.#counts.answers += 1;
    if (this.#oneIn(LATE)) {
      this.#counts.late += 1;
      this.#late.push({ atMs: performance.now() + LATE_MS, frame });
    } else {
      this.#pool.push(frame);
    }
  }

  /** Sends the pool, shuffled, but for `keep` answers that meet later ones. */
  #release(keep: number): void {
    const pool = this.#pool;
    for (let at = pool.length - 1; at > 0; at--) {
      const other = this.#next() % (at + 1);
      const [left, right] = [pool[at], pool[other]];
      if (left && right) [pool[at], pool[other]] = [right, left];
    }
    while (pool.length > keep) {
      const frame = pool.pop();
      if (frame) this.#transport.send(frame);
    }
    if (pool.length === 0 || this.#isFlushing) return;
    this.#isFlushing = true;
    setImmediate(() => {
      this.#isFlushing = false;
      this.#release(0);
    });
  }

  #sendLate(): void {
    const nowMs = performance.now();
    const due = this.#late.findIndex(({ atMs }) => atMs > nowMs);
    const count = due < 0 ? this.#late.length : due;
    for (const { frame } of this.#late.splice(0, count)) this.#transport.send(frame);
  }

  #oneIn(count: number): boolean {
    return this.#next() % count === 0;
  }

  #next(): number {
    this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) >>> 0;
    return this.#seed >>> 8;
  }
}

const SERVE: Readonly<Record<MuxServerMode, (transport: Transport) => void>> = {
  answer: answering,
  echo: echoing,
  storm: (transport) => void new Storm(transport),
};

const listener = await listenTcp({ port: 0, onTransport: SERVE[facts.mode] });
parentPort?.postMessage(listener.port);
