/** What pure code asks of the outside: time and randomness. Drivers and the simulator answer. */

/** A source of time; the system's own or a simulated one. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  nowMs(): number;
  /** Calls `action` once after `delayMs`; the returned function cancels it. */
  startTimer(delayMs: number, action: () => void): () => void;
}

/** A source of unpredictable bytes; cryptographic outside tests and simulation. */
export interface RandomSource {
  bytes(lengthBytes: number): Uint8Array;
}
