/**
 * The switch without sockets, files or timers of its own: requests, reversals and forwarding over
 * ports, so that a seeded simulator can run it beside the other parties.
 */
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import { identityOf } from './checks.ts';
import { Forwarder } from './forwarding.ts';
import { macIsValid, ownAnswer, withMac } from './messages.ts';
import type { SwitchPorts } from './ports.ts';
import { switchReversal } from './reversal.ts';
import { abandon, ResponseCode, switchRequest, traceOf } from './transaction.ts';

/** Transactions a sweep or a start-up takes at once. */
const SWEEP_BATCH = 64;
/** Slack after the issuer's time-out before the sweep takes a `sent` transaction for lost. */
const SENT_GRACE_MS = 10_000;

/** What became of due work in one `tick`. */
export type SwitchTickReport = { readonly overdue: number; readonly advices: number };

/** The party. Every method may be called concurrently; the store decides races. */
export class SwitchCore {
  readonly ports: SwitchPorts;
  readonly #forwarder: Forwarder;

  constructor(ports: SwitchPorts) {
    this.ports = ports;
    this.#forwarder = new Forwarder(ports);
  }

  /** The answer to a member's message, or null when it must hear nothing. Never throws. */
  async handle(memberId: string, message: Iso8583Message): Promise<Iso8583Message | null> {
    switch (message.mti) {
      case '0200':
        return switchRequest(this.ports, memberId, message);
      case '0420':
      case '0421':
        return switchReversal(this.ports, memberId, message);
      default:
        return this.#refuseType(memberId, message);
    }
  }

  /** An answer nobody waits for any more: noted, never acted on, for the reversal has begun. */
  async lateReply(memberId: string, message: Iso8583Message): Promise<void> {
    const { store, lines, hsm, log } = this.ports;
    const responseCode = textField(message, 39) ?? '';
    const facts = { mti: message.mti, responseCode, ...traceOf(message) };
    const macKeys = [lines.keys(memberId)?.mac, lines.previousKeys(memberId)?.mac];
    const isGenuine = message.mti === '0210' && (await macIsValid(hsm, macKeys, message));
    const identity = identityOf(textField(message, 33) ?? '', message);
    if (!isGenuine || !('key' in identity) || !/^[0-9A-Z]{2}$/.test(responseCode)) {
      log({ event: 'lateAnswerIgnored', ...facts });
      return;
    }
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

  /** Does all work that is due now; called by a timer and after `wake`, also while one runs. */
  async tick(): Promise<SwitchTickReport> {
    const { clock, profile } = this.ports;
    const beforeMs = clock.nowMs() - profile.issuerTimeoutMs - SENT_GRACE_MS;
    const overdue = await this.#abandonSent(beforeMs, 'overdue');
    return { overdue, advices: await this.#forwarder.run() };
  }

  async #abandonSent(beforeMs: number, why: 'restart' | 'overdue'): Promise<number> {
    for (let count = 0; ; ) {
      const left = await this.ports.store.listSent({ beforeMs, limit: SWEEP_BATCH });
      for (const transaction of left) await abandon(this.ports, transaction, why);
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
      const isGenuine = await macIsValid(hsm, [keys.mac], message);
      const responseCode = isGenuine ? ResponseCode.invalid : ResponseCode.mac;
      return await withMac(hsm, keys.mac, ownAnswer(message, responseCode, 'messageType'));
    } catch {
      // The HSM logs its own faults; the member hears nothing.
      return null;
    }
  }
}
