/**
 * Store and forward: every reversal the switch took over goes to its issuer, 0420 and then 0421
 * with growing pauses, until an 0430 acknowledges it. A time-out counts as a try. A late approval
 * changes nothing. @see Q/CUP 006, reversal advice
 */
import { errorBody } from '@tapnpay/protocol/bytes';
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import { runInTrace } from '../runtime/index.ts';
import { buildAdvice, macIsValid, unpackMessage, withMac } from './messages.ts';
import type { Advice, Transaction } from './model.ts';
import type { SwitchPorts } from './ports.ts';
import { issuersOf } from './routing.ts';

/** Slack of the lease over the issuer's time-out. */
const LEASE_GRACE_MS = 5_000;
/** 00: reversed. 25: the original never arrived there and is barred now. */
const ACKNOWLEDGED_CODES: ReadonlySet<string> = new Set(['00', '25']);
/** Tries after which the log warns at each further one: a person should look. */
const ATTEMPTS_BEFORE_WARNING = 10;
const LAST_PAUSE_MS = 60_000;

/** Sends due advices; at most a fixed number to one issuer is under way at any time. */
export class Forwarder {
  readonly #ports: SwitchPorts;
  readonly #inFlight: Map<string, number> = new Map();

  constructor(ports: SwitchPorts) {
    this.#ports = ports;
  }

  /** Starts what is due and waits for it; how many were tried. May be called while one runs. */
  async run(): Promise<number> {
    const issuers = issuersOf(this.#ports.profile.routes);
    const counts = await Promise.all(issuers.map((issuer) => this.#runIssuer(issuer)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #runIssuer(destination: string): Promise<number> {
    const { store, clock, profile, lines } = this.#ports;
    const limit = profile.advicesInFlightMax - (this.#inFlight.get(destination) ?? 0);
    // A line that is down costs no tries.
    if (limit <= 0 || !lines.keys(destination)) return 0;
    this.#count(destination, limit);
    let due: readonly (Advice & { readonly of: Transaction })[] = [];
    try {
      const leaseMs = profile.issuerTimeoutMs + LEASE_GRACE_MS;
      due = await store.claimAdvices({ destination, nowMs: clock.nowMs(), leaseMs, limit });
    } finally {
      this.#count(destination, due.length - limit);
    }
    await Promise.all(due.map((advice) => this.#try(advice)));
    return due.length;
  }

  #count(destination: string, change: number): void {
    this.#inFlight.set(destination, (this.#inFlight.get(destination) ?? 0) + change);
  }

  async #try(advice: Advice & { readonly of: Transaction }): Promise<void> {
    const { store, clock, profile, log, tracer } = this.#ports;
    const { transactionId, attempts, destination, stan } = advice;
    try {
      const references = [advice.of.retrievalReference];
      const code = await runInTrace(tracer, { references, hop: 'confirm' }, () =>
        this.#exchange(advice),
      ).catch((fault: unknown) => {
        log({ event: 'adviceFailed', stan, code: errorBody(fault).code });
        return null;
      });
      const originalStan = advice.of.stan;
      log({ event: 'adviceTried', stan, originalStan, destination, attempts, responseCode: code });
      if (code !== null && ACKNOWLEDGED_CODES.has(code)) {
        await store.settleAdvice(transactionId, code, clock.nowMs());
        return;
      }
      if (attempts >= ATTEMPTS_BEFORE_WARNING) log({ event: 'adviceStuck', stan, attempts });
      const pauses = profile.advicePausesMs;
      const pauseMs = pauses[Math.min(attempts, pauses.length) - 1] ?? LAST_PAUSE_MS;
      await store.postponeAdvice(transactionId, clock.nowMs() + pauseMs);
    } catch (fault) {
      // The lease runs out and it is tried again.
      log({ event: 'adviceFailed', stan, code: errorBody(fault).code });
    } finally {
      this.#count(destination, -1);
    }
  }

  /** Field 39 of a genuine 0430, or null. */
  async #exchange(advice: Advice & { readonly of: Transaction }): Promise<string | null> {
    const { hsm, lines, vault, profile } = this.#ports;
    const { destination } = advice;
    const keys = lines.keys(destination);
    if (!keys || advice.of.sealedOriginal === null) return null;
    const original = unpackMessage(vault.open(advice.of.sealedOriginal));
    const message = await withMac(hsm, keys.mac, buildAdvice(advice, advice.of, original));
    const answer = await lines.send(destination, message, profile.issuerTimeoutMs);
    if (answer === 'timeout' || answer === 'down' || answer.mti !== '0430') return null;
    if (!answersTo(answer, message)) return null;
    const isGenuine = await macIsValid(hsm, [lines.keys(destination)?.mac, keys.mac], answer);
    return isGenuine ? (textField(answer, 39) ?? null) : null;
  }
}

function answersTo(answer: Iso8583Message, message: Iso8583Message): boolean {
  return [7, 11].every((number) => textField(answer, number) === textField(message, number));
}
