/**
 * The switch without sockets, files or timers of its own: requests, advices, reversals, forwarding
 * and settlement days over ports, so that a seeded simulator can run it beside the other parties.
 */
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import { eachInTurn } from '../runtime/index.ts';
import { switchAdvice } from './advice.ts';
import { Breakers } from './breaker.ts';
import { identityOf } from './checks.ts';
import { Calendar } from './days.ts';
import { Forwarder, oldestAdviceDate } from './forwarding.ts';
import { abandon } from './journal.ts';
import { macIsValid, ownAnswer, withMac } from './messages.ts';
import type { SwitchPorts, SwitchScene } from './ports.ts';
import { keySetsOf, ResponseCode, today, traceOf } from './responses.ts';
import { switchReversal } from './reversal.ts';
import { switchRequest } from './transaction.ts';

/** Transactions a sweep or a start-up takes at once. */
const SWEEP_BATCH = 64;
/** Slack after the issuer's time-out before the sweep takes a `sent` transaction for lost. */
const SENT_GRACE_MS = 10_000;

/** What became of due work in one `tick`. */
export type SwitchTickReport = {
  readonly overdue: number;
  readonly advices: number;
  /** Settlement dates that were closed. */
  readonly closed: readonly string[];
};

/** The party. Every method may be called concurrently; the store decides races. */
export class SwitchCore {
  readonly ports: SwitchScene;
  readonly #forwarder: Forwarder;
  readonly #calendar: Calendar;

  constructor(ports: SwitchPorts) {
    this.ports = { ...ports, breakers: new Breakers(ports.clock, ports.profile.breaker) };
    this.#forwarder = new Forwarder(this.ports);
    this.#calendar = new Calendar(this.ports);
  }

  /** The answer to a member's message, or null when it must hear nothing. Never throws. */
  async handle(memberId: string, message: Iso8583Message): Promise<Iso8583Message | null> {
    switch (message.mti) {
      case '0100':
      case '0200':
        return switchRequest(this.ports, memberId, message);
      case '0220':
      case '0221':
      case '0620':
      case '0621':
        return switchAdvice(this.ports, memberId, message);
      case '0420':
      case '0421':
        return switchReversal(this.ports, memberId, message);
      default:
        return this.#refuseType(memberId, message);
    }
  }

  /** An answer nobody waits for any more: noted, never acted on, for the reversal has begun. */
  async lateReply(memberId: string, message: Iso8583Message): Promise<void> {
    const { store, lines, hsm, log, breakers } = this.ports;
    const responseCode = textField(message, 39) ?? '';
    const facts = { mti: message.mti, responseCode, ...traceOf(message) };
    const macKeys = keySetsOf(lines, memberId).map(({ mac }) => mac);
    // Late acknowledgements of advices need no note: the repeat brings another one.
    const isAnswer = message.mti === '0110' || message.mti === '0210';
    const isGenuine = isAnswer && (await macIsValid(hsm, macKeys, message));
    const identity = identityOf(textField(message, 33) ?? '', message);
    if (!isGenuine || !('key' in identity) || !/^[0-9A-Z]{2}$/.test(responseCode)) {
      log({ event: 'lateAnswerIgnored', ...facts });
      return;
    }
    breakers.answered(memberId);
    const transaction = await store.noteLate(identity.key, responseCode);
    log({ event: 'lateAnswerNoted', ...facts, state: transaction?.state ?? null });
  }

  /**
   * Before traffic: no process waits for these answers any more, so each transaction without one
   * gets its reversal. Returns how many.
   */
  async recover(): Promise<number> {
    const { store, clock } = this.ports;
    await store.releaseAdvices(clock.nowMs());
    return this.#abandonSent(Number.MAX_SAFE_INTEGER, 'restart');
  }

  /**
   * Does all work that is due now; called by a timer and after `wake`, also while one runs. What
   * fails keeps nothing else from its turn. @throws the first fault, at the end.
   */
  async tick(): Promise<SwitchTickReport> {
    const { clock, profile } = this.ports;
    const beforeMs = clock.nowMs() - profile.issuerTimeoutMs - SENT_GRACE_MS;
    const report = { overdue: 0, advices: 0, closed: [] as readonly string[] };
    const stages: readonly (() => Promise<void>)[] = [
      async () => {
        if (await this.#calendar.turn()) await this.#expire();
      },
      async () => {
        report.overdue = await this.#abandonSent(beforeMs, 'overdue');
      },
      async () => {
        report.closed = await this.#calendar.close();
      },
      async () => {
        report.advices = await this.#forwarder.run();
      },
    ];
    await eachInTurn(stages, (stage) => stage());
    return report;
  }

  /** What outlived its days is never sent across them, and never dropped. */
  async #expire(): Promise<void> {
    const { store, log } = this.ports;
    const oldestDate = oldestAdviceDate(this.ports);
    const count = await store.expireAdvices(oldestDate);
    if (count > 0) log({ event: 'advicesExpired', count, oldestDate });
  }

  async #abandonSent(beforeMs: number, why: 'restart' | 'overdue'): Promise<number> {
    for (let count = 0; ; ) {
      const left = await this.ports.store.listSent({ beforeMs, limit: SWEEP_BATCH });
      await eachInTurn(left, (transaction) => abandon(this.ports, transaction, why));
      count += left.length;
      if (left.length < SWEEP_BATCH) return count;
    }
  }

  /** A type that is not switched: refused if its MAC says that a member sent it. */
  async #refuseType(memberId: string, message: Iso8583Message): Promise<Iso8583Message | null> {
    const { lines, hsm, log } = this.ports;
    log({ event: 'typeRefused', memberId, mti: message.mti, ...traceOf(message) });
    const keys = lines.keys(memberId);
    if (!keys) return null;
    try {
      const macKeys = keySetsOf(lines, memberId).map(({ mac }) => mac);
      const isGenuine = await macIsValid(hsm, macKeys, message);
      const responseCode = isGenuine ? ResponseCode.invalid : ResponseCode.mac;
      const facts = { responseCode, reason: 'messageType', settlementDate: today(this.ports) };
      return await withMac(hsm, keys.mac, ownAnswer(message, facts));
    } catch {
      // The HSM logs its own faults; the member hears nothing.
      return null;
    }
  }
}
