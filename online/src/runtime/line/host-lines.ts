/** All lines of a switch: one current connection a member, found by institution number. */
import type { DecodedMessage, Iso8583Message } from '@tapnpay/protocol/iso8583';
import { LineError } from './errors.ts';
import { HostLine, type HostLineOptions } from './host-line.ts';
import type { LineKeys } from './keys.ts';
import type { Reply } from './multiplexer.ts';
import type { Transport } from './transport.ts';

/** What the lines of a switch stand on; members are named by their institution number. */
export type HostLinesOptions = Pick<
  HostLineOptions,
  'localId' | 'zoneKeys' | 'hsm' | 'clock' | 'random' | 'log' | 'times'
> & {
  /** A financial message of an established member; null is not answered. */
  readonly onRequest: (memberId: string, message: DecodedMessage) => Promise<Iso8583Message | null>;
  readonly onLateReply: (memberId: string, message: DecodedMessage) => void;
  readonly onEstablished?: (memberId: string) => void;
};

/** The members' lines. A member that connects anew replaces its older line for new requests. */
export class HostLines {
  readonly #options: HostLinesOptions;
  readonly #current = new Map<string, HostLine>();
  readonly #open = new Set<HostLine>();
  #isClosing = false;

  constructor(options: HostLinesOptions) {
    this.#options = options;
  }

  /** Takes a new connection; who it is comes with its sign-on. */
  accept(transport: Transport): void {
    if (this.#isClosing) {
      transport.close();
      return;
    }
    const { onRequest, onLateReply, onEstablished, ...common } = this.#options;
    const line = new HostLine(transport, {
      ...common,
      onRequest: ({ memberId }, message) => onRequest(memberId, message),
      onLateReply: ({ memberId }, message) => onLateReply(memberId, message),
      onEstablished: (established) => {
        this.#current.set(established.memberId, established);
        onEstablished?.(established.memberId);
      },
      onClosed: (closed) => {
        this.#open.delete(closed);
        const isCurrent = this.#current.get(closed.memberId) === closed;
        if (isCurrent) this.#current.delete(closed.memberId);
      },
    });
    if (!line.isClosed) this.#open.add(line);
  }

  /** Working keys of a member's line, or null while it is not established. */
  keys(memberId: string): LineKeys | null {
    return this.#current.get(memberId)?.keys() ?? null;
  }

  /** The keys before the last exchange on the same connection: for messages already under way. */
  previousKeys(memberId: string): LineKeys | null {
    return this.#current.get(memberId)?.previousKeys() ?? null;
  }

  /**
   * Sends a request to a member and waits for its answer.
   * @throws LineError `ERR_LINE_CLOSED`: it may have arrived; any other code: it was not sent.
   */
  async request(
    memberId: string,
    message: Iso8583Message,
    options: { readonly timeoutMs: number },
  ): Promise<Reply> {
    const line = this.#current.get(memberId);
    if (line) return line.request(message, options);
    throw new LineError('ERR_LINE_NOT_ESTABLISHED', 'the member is not signed on', { memberId });
  }

  /** Takes no more connections, lets work under way end, closes every line. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all([...this.#open].map((line) => line.close()));
  }
}
