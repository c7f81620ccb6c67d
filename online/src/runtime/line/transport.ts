/** What a line needs from below: a duplex of bytes. TCP, the simulator and tests supply it. */

/** What a line hears from its transport. */
export type TransportEvents = {
  readonly onBytes: (chunk: Uint8Array) => void;
  /** Once, also after our own `close`; the fault, if it was one. */
  readonly onClose: (fault?: Error) => void;
};

/** A connected duplex. Nothing is delivered before `listen` is called, and nothing is lost. */
export interface Transport {
  listen(events: TransportEvents): void;
  /** Best effort; silently nothing after the close. */
  send(bytes: Uint8Array): void;
  /** Sends what is queued, then closes. */
  close(): void;
}

/** How an in-memory link carries one `send`: call `deliver` now, later, twice or never. */
export type Carrier = (bytes: Uint8Array, deliver: (chunk: Uint8Array) => void) => void;

/** The two ends of a link in memory; the carrier may lose, delay or repeat. */
export function memoryLink(
  carry: Carrier = (bytes, deliver) => queueMicrotask(() => deliver(bytes)),
): readonly [Transport, Transport] {
  const left = new MemoryEnd(carry);
  const right = new MemoryEnd(carry);
  left.peer = right;
  right.peer = left;
  return [left, right];
}

class MemoryEnd implements Transport {
  peer: MemoryEnd | null = null;
  readonly #carry: Carrier;
  #events: TransportEvents | null = null;
  #early: Uint8Array[] = [];
  #isClosed = false;

  constructor(carry: Carrier) {
    this.#carry = carry;
  }

  listen(events: TransportEvents): void {
    this.#events = events;
    const early = this.#early;
    this.#early = [];
    for (const chunk of early) events.onBytes(chunk);
    if (this.#isClosed) events.onClose();
  }

  send(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    const copy = bytes.slice();
    this.#carry(copy, (chunk) => this.peer?.receive(chunk));
  }

  close(): void {
    this.end();
    const { peer } = this;
    queueMicrotask(() => peer?.end());
  }

  receive(chunk: Uint8Array): void {
    if (this.#isClosed) return;
    if (this.#events) this.#events.onBytes(chunk);
    else this.#early.push(chunk);
  }

  end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#events?.onClose();
  }
}
