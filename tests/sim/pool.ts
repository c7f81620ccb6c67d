/** Runs many seeds on several threads; each seed is one thread's alone and stays repeatable. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { SeedResult } from './simulate.ts';

const THREADS_MAX = 8;

/** Seeds from `first` on. */
export type SeedRange = { readonly first: number; readonly count: number; readonly bug: string };

/** Threads that wait for seeds. */
export class SeedPool {
  readonly #workers: readonly Worker[];

  private constructor(workers: readonly Worker[]) {
    this.#workers = workers;
  }

  /** Starts the threads. */
  static async open(): Promise<SeedPool> {
    const count = Math.min(THREADS_MAX, availableParallelism());
    const file = new URL('./worker.ts', import.meta.url);
    const workers = Array.from({ length: count }, () => new Worker(file));
    await Promise.all(workers.map((worker) => nextMessage(worker)));
    return new SeedPool(workers);
  }

  get threads(): number {
    return this.#workers.length;
  }

  /**
   * Runs the range in order of seeds. With `stopAtFinding` no seed after the smallest one with a
   * finding is begun once that is known; all smaller ones are finished.
   */
  async run(
    range: SeedRange,
    options: {
      readonly stopAtFinding: boolean;
      readonly onResult?: (result: SeedResult) => void;
    },
  ): Promise<readonly SeedResult[]> {
    const results: SeedResult[] = [];
    let next = range.first;
    const end = range.first + range.count;
    const isDone = (): boolean =>
      next >= end || (options.stopAtFinding && results.some(({ findings }) => findings.length > 0));
    const serve = async (worker: Worker): Promise<void> => {
      while (!isDone()) {
        const seed = next++;
        worker.postMessage({ seed, bug: range.bug });
        const result = (await nextMessage(worker)) as SeedResult;
        results.push(result);
        options.onResult?.(result);
      }
    };
    await Promise.all(this.#workers.map(serve));
    return results.sort((left, right) => left.seed - right.seed);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** The next message of a thread. @throws what ended the thread instead. */
function nextMessage(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: unknown): void => {
      worker.off('error', onError);
      resolve(message);
    };
    const onError = (fault: unknown): void => {
      worker.off('message', onMessage);
      reject(fault);
    };
    worker.once('message', onMessage);
    worker.once('error', onError);
  });
}
