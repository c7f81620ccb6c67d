/** The way to a card: one function, bytes in and bytes out; logging and faults are decorators. */

/** Sends one command APDU, resolves with the answer. Rejects with `ERR_CARD_REMOVED` when gone. */
export interface CardChannel {
  transmit(command: Uint8Array): Promise<Uint8Array>;
}
