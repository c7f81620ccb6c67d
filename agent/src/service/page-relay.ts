/** The way to the gateway through the page: records in base64, unread. */
import { RELAY_BYTES_MAX, type Relay, type RelayListener } from '../record-relay.ts';

/** What the relay tells the page. */
export type PageRelayOutput =
  | { readonly type: 'openChannel' }
  | { readonly type: 'channelData'; readonly base64: string }
  | { readonly type: 'channelEnd' };

/** One channel of one payment; silent after `end`, `destroy` or `cut`. */
export class PageRelay implements Relay {
  readonly #output: (message: PageRelayOutput) => void;
  #listener: RelayListener | null;

  constructor(listener: RelayListener, output: (message: PageRelayOutput) => void) {
    this.#listener = listener;
    this.#output = output;
    output({ type: 'openChannel' });
  }

  send(records: Uint8Array): void {
    if (this.#listener === null) return;
    const base64 = Buffer.from(records).toString('base64');
    this.#output({ type: 'channelData', base64 });
  }

  end(): void {
    if (this.#listener === null) return;
    this.#listener = null;
    this.#output({ type: 'channelEnd' });
  }

  destroy(): void {
    this.end();
  }

  /** No record passes any more, and the element hears that its channel is gone. */
  cut(): void {
    const listener = this.#listener;
    this.end();
    listener?.onClosed();
  }

  /** The page has its connection to the gateway. */
  onOpened(): void {
    this.#listener?.onOpened();
  }

  /** Records from the gateway. */
  onData(base64: string): void {
    const records = Buffer.from(base64, 'base64');
    for (let offset = 0; offset < records.length; offset += RELAY_BYTES_MAX) {
      this.#listener?.onRecords(records.subarray(offset, offset + RELAY_BYTES_MAX));
    }
  }

  /** The page lost the gateway, or never reached it. */
  onClosed(): void {
    const listener = this.#listener;
    this.#listener = null;
    listener?.onClosed();
  }
}
