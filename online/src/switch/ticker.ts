/** Runs due work at a steady pace and at once when woken; runs may overlap. */

import type { Clock } from '@tapnpay/protocol/bytes';
import { outsideTrace } from '../runtime/index.ts';

/** How long due work waits at most. */
const TICK_MS = 250;
/** Runs that may be under way at once; each bounds its own work. */
const RUNS_MAX = 64;

/** What a ticker stands on. */
export type TickerPorts = {
  readonly clock: Clock;
  readonly work: () => Promise<unknown>;
  readonly onFault: (fault: unknown) => void;
};

/** A timer around `work`. */
export class Ticker {
  readonly #ports: TickerPorts;
  readonly #running: Set<Promise<void>> = new Set();
  #isOn = false;
  #cancel: () => void = () => undefined;

  constructor(ports: TickerPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#isOn = true;
    this.#plan(TICK_MS);
  }

  /** Runs in the next turn; nothing before the start or after the stop. */
  wake(): void {
    if (this.#isOn) this.#plan(0);
  }

  /** Begins no more work and waits for what is under way. */
  async stop(): Promise<void> {
    this.#isOn = false;
    this.#cancel();
    await Promise.all(this.#running);
  }

  #plan(delayMs: number): void {
    this.#cancel();
    this.#cancel = this.#ports.clock.startTimer(delayMs, () => {
      this.#plan(TICK_MS);
      this.#run();
    });
  }

  #run(): void {
    if (this.#running.size >= RUNS_MAX) return;
    // What was woken by one payment works for many.
    const run: Promise<void> = outsideTrace(this.#ports.work)
      .then(() => undefined, this.#ports.onFault)
      .finally(() => this.#running.delete(run));
    this.#running.add(run);
  }
}
