/** Due work of a party: soon after a wake, else now and then; one run at a time. */
import { errorBody } from '@tapnpay/protocol/bytes';
import type { PartyLog } from './logging.ts';
import { outsideTrace } from './observability/spans.ts';
import { systemClock } from './system.ts';

/** Least time from the begin of a run to the next one: what falls due meanwhile shares it. */
const RUN_PAUSE_MS = 20;

/** What has work that falls due. */
export type Ticking = { readonly tick: () => Promise<unknown> };

/** Runs `tick`; a fault is logged by its code and does not stop the next run. */
export class Worker {
  readonly #log: PartyLog;
  readonly #tickMs: number;
  #core: Ticking | null = null;
  #cancel: () => void = () => {};
  #running: Promise<void> | null = null;
  #isWanted = false;
  #begunMs = Number.NEGATIVE_INFINITY;

  constructor(log: PartyLog, tickMs: number) {
    this.#log = log;
    this.#tickMs = tickMs;
  }

  start(core: Ticking): void {
    this.#core = core;
    this.wake();
  }

  wake(): void {
    this.#isWanted = true;
    if (!this.#core || this.#running) return;
    this.#cancel();
    const restMs = this.#begunMs + RUN_PAUSE_MS - systemClock.nowMs();
    if (restMs <= 0) this.#running = this.#run(this.#core);
    else this.#cancel = systemClock.startTimer(restMs, () => this.wake());
  }

  /** Resolves when the run under way has ended. */
  async stop(): Promise<void> {
    this.#core = null;
    this.#cancel();
    await this.#running;
  }

  async #run(core: Ticking): Promise<void> {
    this.#isWanted = false;
    this.#begunMs = systemClock.nowMs();
    try {
      // What was woken by one payment works for many.
      await outsideTrace(() => core.tick());
    } catch (fault) {
      this.#log.error({ event: 'tickFailed', code: errorBody(fault).code });
    }
    this.#running = null;
    if (!this.#core) return;
    if (this.#isWanted) this.wake();
    else this.#cancel = systemClock.startTimer(this.#tickMs, () => this.wake());
  }
}

/** One after another; a fault keeps none of the others from its turn, and is thrown at the end. */
export async function eachInTurn<Item>(
  items: Iterable<Item>,
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  const faults: unknown[] = [];
  for (const item of items) {
    try {
      await work(item);
    } catch (fault) {
      faults.push(fault);
    }
  }
  if (faults.length > 0) throw faults[0];
}

/** What was opened last is closed first. */
export async function closeAll(closers: readonly (() => Promise<void>)[]): Promise<void> {
  for (const close of [...closers].reverse()) await close();
}
