/**
 * Store and forward: everything that the switch owes a member (reversals, advices, notices,
 * cut-offs) goes out until it is acknowledged, first as it is and then as a repeat (0421, 0221,
 * 0621), with growing pauses. A time-out counts as a try. Order is kept inside one order key only,
 * so that a message that never ends holds up nothing else. What is refused again and again, or has
 * outlived its settlement days, waits for a person. @see Q/CUP 006, advices
 */
import { errorBody } from '@tapnpay/protocol/bytes';
import { type Iso8583Message, responseMti, textField } from '@tapnpay/protocol/iso8583';
import { runInTrace } from '../runtime/index.ts';
import { adviceMessage, cutOffMessage, macIsValid, unpackMessage, withMac } from './messages.ts';
import type { Advice, AdviceKind } from './model.ts';
import type { SwitchScene } from './ports.ts';
import { keySetsOf, today } from './responses.ts';
import { daysBefore } from './settlement.ts';
import type { ClaimedAdvice } from './store.ts';

/** Slack of the lease over the member's time-out. */
const LEASE_GRACE_MS = 5_000;
/** 25: the original never arrived there and is barred now, which is all a reversal wants. */
const ACKNOWLEDGED_CODES: Readonly<Record<AdviceKind, ReadonlySet<string>>> = {
  reversal: new Set(['00', '25']),
  advice: new Set(['00']),
  notice: new Set(['00']),
  // A member that has no use for cut-offs has heard it: each answer tells it the date (F15).
  cutOff: new Set(['00', '12']),
};
/** Answers that speak of the moment or of the copy; any other refusal is counted. */
const PASSING_CODES: ReadonlySet<string> = new Set(['68', '91', '96', '98', 'A0']);
const LAST_PAUSE_MS = 60_000;

/** The oldest settlement date whose advices are still sent. */
export function oldestAdviceDate(scene: Pick<SwitchScene, 'clock' | 'profile'>): string {
  return daysBefore(today(scene), scene.profile.adviceDaysMax);
}

/** Sends due advices; at most a fixed number to one member is under way at any time. */
export class Forwarder {
  readonly #scene: SwitchScene;
  readonly #inFlight: Map<string, number> = new Map();

  constructor(scene: SwitchScene) {
    this.#scene = scene;
  }

  /** Starts what is due and waits for it; how many were tried. May be called while one runs. */
  async run(): Promise<number> {
    const { store, clock } = this.#scene;
    const members = await store.dueDestinations(clock.nowMs());
    const counts = await Promise.all(members.map((member) => this.#runMember(member)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #runMember(destination: string): Promise<number> {
    const { store, clock, profile, lines, breakers } = this.#scene;
    // No storm on a member that does not answer: one message at a time until it does.
    const cap = breakers.isOpen(destination) ? 1 : profile.advicesInFlightMax;
    const limit = cap - (this.#inFlight.get(destination) ?? 0);
    // A line that is down costs no tries.
    if (limit <= 0 || !lines.keys(destination)) return 0;
    this.#count(destination, limit);
    let due: readonly ClaimedAdvice[] = [];
    try {
      const leaseMs = profile.issuerTimeoutMs + LEASE_GRACE_MS;
      const oldestDate = oldestAdviceDate(this.#scene);
      const nowMs = clock.nowMs();
      due = await store.claimAdvices({ destination, nowMs, leaseMs, limit, oldestDate });
    } finally {
      this.#count(destination, due.length - limit);
    }
    await Promise.all(due.map((advice) => this.#try(advice)));
    // A long queue does not wait for the clock, nor the next message of an original.
    if (due.length > 0) this.#scene.wake();
    return due.length;
  }

  #count(destination: string, change: number): void {
    this.#inFlight.set(destination, (this.#inFlight.get(destination) ?? 0) + change);
  }

  async #try(advice: ClaimedAdvice): Promise<void> {
    const { store, clock, log, tracer } = this.#scene;
    const { adviceId, kind, attempts, destination, stan } = advice;
    try {
      const references = [advice.of?.retrievalReference ?? null];
      const code = await runInTrace(tracer, { references, hop: 'confirm' }, () =>
        this.#exchange(advice),
      ).catch((fault: unknown) => {
        log({ event: 'adviceFailed', stan, code: errorBody(fault).code });
        return null;
      });
      const originalStan = advice.of?.stan ?? null;
      const facts = { kind, stan, originalStan, destination, attempts, responseCode: code };
      log({ event: 'adviceTried', ...facts });
      if (code !== null && ACKNOWLEDGED_CODES[kind].has(code)) {
        await store.settleAdvice(adviceId, code, clock.nowMs());
      } else {
        await this.#noteTry(advice, code);
      }
    } catch (fault) {
      // The lease runs out and it is tried again.
      log({ event: 'adviceFailed', stan, code: errorBody(fault).code });
    } finally {
      this.#count(destination, -1);
    }
  }

  async #noteTry(advice: Advice, responseCode: string | null): Promise<void> {
    const { store, clock, profile, log } = this.#scene;
    const { adviceId, attempts, refusals, kind, stan } = advice;
    const refused = responseCode !== null && !PASSING_CODES.has(responseCode);
    const stuck = refused && refusals + 1 >= profile.adviceRefusalsMax;
    if (stuck) log({ event: 'adviceStuck', adviceId, kind, stan, attempts, responseCode });
    const pauses = profile.advicePausesMs;
    const pauseMs = pauses[Math.min(attempts, pauses.length) - 1] ?? LAST_PAUSE_MS;
    const nextAtMs = clock.nowMs() + pauseMs;
    await store.noteTry({ adviceId, nextAtMs, responseCode, refused, stuck });
  }

  /** Field 39 of a genuine answer, or null. */
  async #exchange(advice: ClaimedAdvice): Promise<string | null> {
    const { hsm, lines, profile, breakers } = this.#scene;
    const { destination } = advice;
    const keys = lines.keys(destination);
    const unsigned = this.#messageOf(advice);
    if (!keys || !unsigned) return null;
    const message = await withMac(hsm, keys.mac, unsigned);
    const answer = await lines.send(destination, message, profile.issuerTimeoutMs);
    if (answer === 'timeout') breakers.timedOut(destination);
    if (answer === 'timeout' || answer === 'down') return null;
    breakers.answered(destination);
    if (answer.mti !== responseMti(message.mti) || !answersTo(answer, message)) return null;
    const macKeys = [...keySetsOf(lines, destination), keys].map(({ mac }) => mac);
    // Answers of network management carry no MAC.
    const isGenuine = advice.kind === 'cutOff' || (await macIsValid(hsm, macKeys, answer));
    return isGenuine ? (textField(answer, 39) ?? null) : null;
  }

  #messageOf(advice: ClaimedAdvice): Iso8583Message | null {
    const { vault, profile } = this.#scene;
    const { of } = advice;
    if (of === null) return cutOffMessage(advice, profile.institutionId);
    if (of.sealedOriginal === null) return null;
    return adviceMessage(advice, of, unpackMessage(vault.open(of.sealedOriginal)));
  }
}

function answersTo(answer: Iso8583Message, message: Iso8583Message): boolean {
  return [7, 11].every((number) => textField(answer, number) === textField(message, number));
}
