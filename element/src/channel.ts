/**
 * The TLS engine: the secure channel ends here, over records that the agent relays.
 * TLS 1.3 only, certificates on both sides, the authority of the enrolment pinned. A ticket of an
 * earlier channel may be offered: a gateway that does not take it goes on with a full handshake in
 * the same connection, and each channel has an exporter of its own. @see RFC 8446 §2.2
 */
import { Duplex } from 'node:stream';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import type { Clock } from '@tapnpay/protocol/bytes';
import type { ChannelFacts } from '@tapnpay/protocol/wire';
import { ElementError } from './errors.ts';
import type { ReceivedTicket } from './tickets.ts';

/** Most received bytes kept for the application; a gateway that sends more loses the channel. */
export const CHANNEL_HELD_BYTES_MAX = 262_144;
/** Time for the connection and the handshake. */
export const CHANNEL_OPEN_TIMEOUT_MS = 15_000;

/** The agent's side of the relay. */
export type RecordRelay = {
  readonly open: () => void;
  readonly send: (records: Uint8Array) => void;
  readonly end: () => void;
};

/** What the handshake needs. */
export type ChannelIdentity = {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly clientKeyPem: string;
  readonly serverName: string;
  /** Asked when the handshake begins: the TLS session to resume, or null for a full handshake. */
  readonly takeTicket?: () => Uint8Array | null;
  /** Tickets that come, at any time while the channel is open. */
  readonly onTicket?: (ticket: ReceivedTicket) => void;
};

type Waiter = { readonly resolve: (data: Uint8Array) => void; readonly reject: (e: Error) => void };

/** One channel of one payment. */
export class SecureChannel {
  readonly #relay: RecordRelay;
  readonly #clock: Clock;
  readonly #wire: Duplex;
  #socket: TLSSocket | null = null;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #fault: ElementError | null = null;
  #waiter: Waiter | null = null;
  #ended = false;
  #isRelaying = false;
  #connected: (() => void) | null = null;
  readonly #losers: Set<(fault: ElementError) => void> = new Set();

  constructor(relay: RecordRelay, clock: Clock) {
    this.#relay = relay;
    this.#clock = clock;
    this.#wire = new Duplex({
      read() {},
      write: (chunk: Buffer, _encoding, done) => {
        if (!this.#ended) relay.send(chunk);
        done();
      },
      final: (done) => {
        this.#endRelay();
        done();
      },
    });
    this.#wire.on('error', () => this.#fail('ERR_CHANNEL_CLOSED', 'the relay is gone'));
  }

  /** Connects and shakes hands. @throws ElementError `ERR_CHANNEL_...` of what went wrong. */
  async open(identity: ChannelIdentity): Promise<ChannelFacts> {
    const connected = new Promise<void>((resolve) => {
      this.#connected = resolve;
    });
    this.#isRelaying = true;
    this.#relay.open();
    // While the relay connects: the first context of a process takes as long as a handshake.
    const secureContext = contextOf(identity);
    await this.#unlessLost(connected, CHANNEL_OPEN_TIMEOUT_MS);
    const socket = this.#connect(identity, secureContext);
    this.#socket = socket;
    socket.on('data', (data: Buffer) => this.#keep(data));
    socket.on('end', () => this.#fail('ERR_CHANNEL_CLOSED', 'the gateway closed the channel'));
    socket.on('close', () => this.#fail('ERR_CHANNEL_CLOSED', 'the channel is closed'));
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      this.#fail(
        tlsFaultCode(cause.code ?? ''),
        `TLS failed: ${cause.code ?? cause.message}`,
        cause,
      );
    });
    socket.on('session', (session: Buffer) => {
      identity.onTicket?.({ session: new Uint8Array(session), gatewayEndsAtMs: endOf(socket) });
    });
    const secure = new Promise<void>((resolve) => socket.once('secureConnect', resolve));
    await this.#unlessLost(secure, CHANNEL_OPEN_TIMEOUT_MS);
    const resumed = socket.isSessionReused();
    return {
      protocol: socket.getProtocol() ?? 'none',
      // A CertificateRequest brings the server's signature algorithms; without one there are none.
      // A resumed channel is what the channel of its ticket was, and only mutual ones leave any.
      mutual: socket.authorized && (resumed || socket.getSharedSigalgs().length > 0),
      resumed,
    };
  }

  /** @see RFC 8446 §7.5 */
  exporter(label: string, lengthBytes: number): Uint8Array {
    const value = this.#open().exportKeyingMaterial(lengthBytes, label, Buffer.alloc(0));
    return new Uint8Array(value);
  }

  /** Resolves when TLS has taken the data. */
  async send(data: Uint8Array): Promise<void> {
    const socket = this.#open();
    const written = new Promise<void>((resolve) => {
      socket.write(data, () => resolve());
    });
    await this.#unlessLost(written, CHANNEL_OPEN_TIMEOUT_MS);
  }

  /** The next received bytes. Held bytes come before the fault that ended the channel. */
  async receive(timeoutMs: number): Promise<Uint8Array> {
    const first = this.#held.shift();
    if (first !== undefined) {
      this.#heldBytes -= first.length;
      return first;
    }
    this.#open();
    const received = new Promise<Uint8Array>((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
    try {
      return await this.#withTimeout(received, timeoutMs);
    } finally {
      this.#waiter = null;
    }
  }

  /** Rejects with the fault that ends the channel, however late that is. */
  untilLost(): Promise<never> {
    return new Promise((_, reject) => {
      if (this.#fault !== null) reject(this.#fault);
      else this.#losers.add(reject);
    });
  }

  /** Says goodbye and lets the relay go; never throws. */
  async close(): Promise<void> {
    this.#socket?.end();
    this.#fail('ERR_CHANNEL_CLOSED', 'the application closed the channel');
    // TLS writes its close_notify in this turn; the relay ends after it in any case.
    if (this.#socket !== null) await new Promise((resolve) => setImmediate(resolve));
    this.#endRelay();
  }

  /** The agent has a connection to the gateway. */
  onOpened(): void {
    this.#connected?.();
  }

  /** Records from the gateway. */
  onRecords(records: Uint8Array): void {
    if (!this.#ended) this.#wire.push(records);
  }

  /** The agent lost the gateway, or never reached it. */
  onClosed(): void {
    if (this.#ended) return;
    this.#wire.push(null);
    if (this.#socket === null) this.#fail('ERR_CHANNEL_CLOSED', 'the gateway is not reachable');
  }

  #connect(identity: ChannelIdentity, secureContext: SecureContext): TLSSocket {
    const session = identity.takeTicket?.() ?? null;
    return connect({
      ...(session === null ? {} : { session: Buffer.from(session) }),
      secureContext,
      socket: this.#wire,
      servername: identity.serverName,
    });
  }

  #open(): TLSSocket {
    if (this.#fault !== null) throw this.#fault;
    if (this.#socket === null) throw new ElementError('ERR_CHANNEL_CLOSED', 'no channel is open');
    return this.#socket;
  }

  #keep(data: Buffer): void {
    const bytes = new Uint8Array(data);
    if (this.#waiter !== null) {
      this.#waiter.resolve(bytes);
      this.#waiter = null;
      return;
    }
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > CHANNEL_HELD_BYTES_MAX) {
      this.#fail('ERR_CHANNEL_TLS', 'the gateway sends more than the application reads');
      this.#socket?.destroy();
    }
  }

  #fail(code: ElementError['code'], message: string, cause?: unknown): void {
    this.#fault ??= new ElementError(code, message, {}, cause);
    this.#waiter?.reject(this.#fault);
    this.#waiter = null;
    for (const lose of this.#losers) lose(this.#fault);
    this.#losers.clear();
  }

  async #unlessLost<T>(wanted: Promise<T>, timeoutMs: number): Promise<T> {
    if (this.#fault !== null) throw this.#fault;
    let lose: (fault: ElementError) => void = () => {};
    const lost = new Promise<never>((_, reject) => {
      lose = reject;
      this.#losers.add(lose);
    });
    try {
      return await this.#withTimeout(Promise.race([wanted, lost]), timeoutMs);
    } finally {
      this.#losers.delete(lose);
    }
  }

  async #withTimeout<T>(wanted: Promise<T>, timeoutMs: number): Promise<T> {
    let cancel: () => void = () => {};
    const late = new Promise<never>((_, reject) => {
      cancel = this.#clock.startTimer(timeoutMs, () =>
        reject(new ElementError('ERR_CHANNEL_TIMEOUT', `no answer in ${timeoutMs} ms`)),
      );
    });
    try {
      return await Promise.race([wanted, late]);
    } finally {
      cancel();
    }
  }

  #endRelay(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#isRelaying) this.#relay.end();
  }
}

/** @throws ElementError `ERR_CHANNEL_TLS`. */
function contextOf(identity: ChannelIdentity): SecureContext {
  try {
    return createSecureContext({
      ca: identity.caPem,
      cert: identity.certificatePem,
      key: identity.clientKeyPem,
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
    });
  } catch (cause) {
    throw new ElementError('ERR_CHANNEL_TLS', 'the own certificate is not usable', {}, cause);
  }
}

/** End of the gateway's certificate; a resumed channel shows none. */
function endOf(socket: TLSSocket): number | null {
  return socket.getPeerX509Certificate()?.validToDate.getTime() ?? null;
}

/**
 * Who is to blame for a TLS fault: the gateway refuses our certificate, a relay changed bytes
 * (every other fault of OpenSSL itself), or the gateway is not the one that we know.
 */
function tlsFaultCode(
  opensslCode: string,
): 'ERR_CHANNEL_REJECTED' | 'ERR_CHANNEL_TAMPERED' | 'ERR_CHANNEL_TLS' {
  if (!opensslCode.startsWith('ERR_SSL_')) return 'ERR_CHANNEL_TLS';
  const isRefused = /ALERT.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(opensslCode);
  return isRefused ? 'ERR_CHANNEL_REJECTED' : 'ERR_CHANNEL_TAMPERED';
}
