/**
 * Session tickets of one payment's channel: which one is offered, and which one is kept.
 *
 * A ticket is bound to the gateway's name (a resumed handshake checks no certificate, so nothing
 * else would), to the own certificate and its authority, and to the hour after its full handshake.
 * It is kept only when the gateway welcomed the application, and gone when it did not.
 *
 * DEVIATION: RFC 8446 §C.4 wants a ticket used once, against observers who would link connections.
 * The gateway's TLS sends tickets at full handshakes only, so that each third payment would be a
 * full one; who sees a ticket here (page, plug-in, gateway) knows the payer's payments anyway. A
 * newer ticket replaces an older one: with a gateway that renews them each is used once.
 * @see RFC 8446 §2.2, §4.6.1
 */
import { X509Certificate } from 'node:crypto';
import { type Clock, fromHex, Secret, toHex } from '@tapnpay/protocol/bytes';
import type { ChannelFacts } from '@tapnpay/protocol/wire';
import {
  channelBinding,
  type ElementIdentity,
  type ElementState,
  type SessionTicket,
} from './state.ts';

/** Most tickets kept: one for each gateway name. */
export const TICKETS_MAX = 2;
/** Longest ticket kept; the gateway's are about 1,000 bytes. */
export const TICKET_BYTES_MAX = 4_096;
/** How long after its full handshake a channel may be resumed; the gateway's own limit. */
export const TICKET_AGE_MAX_MS = 3_600_000;

/** What the TLS engine tells of a ticket that came. */
export type ReceivedTicket = {
  readonly session: Uint8Array;
  /** End of the gateway's certificate; null on a resumed channel, which shows none. */
  readonly gatewayEndsAtMs: number | null;
};

/** The tickets as one payment uses them. */
export class PaymentTickets {
  readonly #state: ElementState;
  readonly #identity: ElementIdentity;
  readonly #clock: Clock;
  #serverName: string | null = null;
  #channel: ChannelFacts | null = null;
  #offered: SessionTicket | null = null;
  #received: SessionTicket | null = null;

  constructor(ports: {
    readonly state: ElementState;
    readonly identity: ElementIdentity;
    readonly clock: Clock;
  }) {
    this.#state = ports.state;
    this.#identity = ports.identity;
    this.#clock = ports.clock;
  }

  /** The ticket to offer to the gateway of this name; null asks for a full handshake. */
  take(serverName: string): Uint8Array | null {
    this.#serverName = serverName;
    this.#offered = this.#usable().find((ticket) => ticket.serverName === serverName) ?? null;
    return this.#offered === null ? null : fromHex(this.#offered.session.expose());
  }

  /** What the handshake came to. */
  opened(channel: ChannelFacts): void {
    this.#channel = channel;
  }

  /** A ticket of the channel that `take` was asked for; the last one counts. */
  add({ session, gatewayEndsAtMs }: ReceivedTicket): void {
    if (this.#serverName === null || session.length > TICKET_BYTES_MAX) return;
    const endsAtMs =
      gatewayEndsAtMs === null ? this.#offered?.endsAtMs : this.#endOfFull(gatewayEndsAtMs);
    if (endsAtMs === undefined) return;
    this.#received = {
      serverName: this.#serverName,
      boundTo: channelBinding(this.#identity),
      endsAtMs,
      session: new Secret(toHex(session)),
    };
  }

  /**
   * The payment has ended; `welcomed`: the gateway knew this element. The choice is in memory,
   * `ElementState.flushTickets` makes it durable.
   */
  settle({ welcomed }: { readonly welcomed: boolean }): void {
    const serverName = this.#serverName;
    if (serverName === null) return;
    const kept = this.#received ?? (this.#channel?.resumed ? this.#offered : null);
    const isKept = welcomed && this.#channel?.mutual === true && kept !== null;
    const others = this.#usable().filter((ticket) => ticket.serverName !== serverName);
    const tickets = isKept ? [kept, ...others] : others;
    this.#state.stageTickets(tickets.slice(0, TICKETS_MAX));
  }

  #endOfFull(gatewayEndsAtMs: number): number {
    const own = new X509Certificate(this.#identity.certificatePem).validToDate.getTime();
    return Math.min(this.#clock.nowMs() + TICKET_AGE_MAX_MS, own, gatewayEndsAtMs);
  }

  #usable(): readonly SessionTicket[] {
    const nowMs = this.#clock.nowMs();
    const boundTo = channelBinding(this.#identity);
    // A clock that was set back makes no ticket older than its hour.
    return this.#state.record.tickets.filter(
      (ticket) =>
        ticket.boundTo === boundTo &&
        ticket.endsAtMs > nowMs &&
        ticket.endsAtMs <= nowMs + TICKET_AGE_MAX_MS,
    );
  }
}
