/** Which faults a world has, and how often: each seed draws its own weather. */
import { PARTIES } from './life.ts';
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
  /** Mean virtual seconds between outages of one party's database; 0 is never. */
  readonly outageEverySeconds: number;
  /** Mean virtual seconds between changes of one line's working keys; 0 is never. */
  readonly keyChangeEverySeconds: number;
  /** A channel between a payment application and the gateway breaks at one of its messages. */
  readonly channelLoss: number;
  /** A notification, or the merchant's answer to it, is lost. */
  readonly notifyLoss: number;
  /** It arrives twice. */
  readonly notifyTwice: number;
  /** It arrives after others that were sent later. */
  readonly notifyLate: number;
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
  outageEverySeconds: 0,
  keyChangeEverySeconds: 0,
  channelLoss: 0,
  notifyLoss: 0,
  notifyTwice: 0,
  notifyLate: 0,
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
    outageEverySeconds: one(0, 0, 0, 60),
    keyChangeEverySeconds: one(0, 0, 40, 15),
    channelLoss: one(0, 0.02, 0.06),
    notifyLoss: one(0, 0.05, 0.2),
    notifyTwice: one(0, 0.1, 0.3),
    notifyLate: one(0, 0.1, 0.3),
  };
}

/** Largest skews of a world's clocks, milliseconds either way. */
const SKEWS_MS = [0, 0, 2_000, 60_000, 240_000] as const;
/** How long before the cut-off a world may start; its orders then meet it. */
const BEFORE_CUT_OFF_MS = [10_000, 80_000] as const;

/** When a world starts, and how far the parties' clocks are off. */
export type Calendar = {
  /** Null: at noon. */
  readonly beforeCutOffMs: number | null;
  readonly skewMs: Readonly<Record<(typeof PARTIES)[number], number>>;
};

/** A third of the worlds meet the cut-off. */
export function drawCalendar(random: SeededRandom): Calendar {
  const beforeCutOffMs = random.chance(1 / 3) ? random.between(...BEFORE_CUT_OFF_MS) : null;
  const most = SKEWS_MS[random.between(0, SKEWS_MS.length - 1)] ?? 0;
  const skew = (): number => random.between(0, 2 * most) - most;
  return { beforeCutOffMs, skewMs: { gateway: skew(), switch: skew(), issuer: skew() } };
}

/** Every kind of fault; a run of many seeds in which one did not occur proves nothing about it. */
export const FAULT_KINDS: readonly string[] = [
  ...['loss', 'duplicate', 'slow', 'late', 'bent MAC', 'bent body', 'cut', 'key change'],
  ...PARTIES.flatMap((party) => [`kill ${party}`, `crash point ${party}`]),
  ...PARTIES.flatMap((party) => [`database outage ${party}`, `skewed clock ${party}`]),
  ...['store fault', 'unknown commit', 'HSM fault', 'cut-off', 'channel lost'],
  ...['notification lost', 'notification answer lost', 'notification twice', 'notification late'],
  ...['misused key', 'cancel', 'two payers', 'pays again', 'torn tap', 'inserted after a tap'],
  ...['wrongPin', 'bentArqc', 'bentArpc', 'pulled', 'completionLost', 'sentTwice', 'replayed'],
  ...['parallel operations', 'repeated operation', 'misused operation key'],
];

/** How often each fault struck. */
export class FaultCounts {
  readonly counts: Map<string, number> = new Map();

  add(fault: string): void {
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
  }
}
