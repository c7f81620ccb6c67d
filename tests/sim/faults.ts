/** Which faults a world has, and how often: each seed draws its own weather. */
import type { SeededRandom } from './seeded.ts';

/** Probabilities and rates of one world. */
export type Weather = {
  /** A message between institutions vanishes. */
  readonly loss: number;
  /** It arrives twice. */
  readonly duplicate: number;
  /** It takes up to seconds, so that others overtake it. */
  readonly slow: number;
  /** It comes after its sender's patience has ended. */
  readonly late: number;
  /** It is changed on its way; a duplicate of it is not. */
  readonly bent: number;
  /** The process dies right after a durable step. */
  readonly crashPoint: number;
  /** A store's answer is an error: half of them before, half after the step was written. */
  readonly storeFault: number;
  /** An HSM refuses a command that is right. */
  readonly hsmFault: number;
  /** Mean virtual seconds between kills of one party; 0 is never. */
  readonly killEverySeconds: number;
  /** Mean virtual seconds between cuts of one line; 0 is never. */
  readonly cutEverySeconds: number;
  /** A channel between a payment application and the gateway breaks at one of its messages. */
  readonly channelLoss: number;
};

export const CALM: Weather = {
  loss: 0,
  duplicate: 0,
  slow: 0,
  late: 0,
  bent: 0,
  crashPoint: 0,
  storeFault: 0,
  hsmFault: 0,
  killEverySeconds: 0,
  cutEverySeconds: 0,
  channelLoss: 0,
};

/** Most seeds mix a few faults; some have one alone, some all at once. */
export function drawWeather(random: SeededRandom): Weather {
  const one = (...choices: readonly number[]): number =>
    choices[random.between(0, choices.length - 1)] ?? 0;
  return {
    loss: one(0, 0, 0.02, 0.1, 0.2),
    duplicate: one(0, 0.05, 0.15, 0.4),
    slow: one(0, 0.05, 0.2),
    late: one(0, 0.03, 0.08, 0.15),
    bent: one(0, 0, 0.05, 0.15),
    crashPoint: one(0, 0, 0.01, 0.04),
    storeFault: one(0, 0, 0.002, 0.01),
    hsmFault: one(0, 0, 0, 0.01),
    killEverySeconds: one(0, 0, 0, 60, 25),
    cutEverySeconds: one(0, 0, 0, 60, 25),
    channelLoss: one(0, 0.02, 0.06),
  };
}

/** How often each fault struck. */
export class FaultCounts {
  readonly counts: Map<string, number> = new Map();

  add(fault: string): void {
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
  }
}
