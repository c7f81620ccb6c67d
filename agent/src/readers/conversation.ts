/** The channel of a conversation that has the card for itself. */
import type { CardChannel } from '@tapnpay/protocol/iso7816';

/** One `exclusively`: its first fault is its end, a lost card is never resumed. */
export class Conversation implements CardChannel {
  readonly #exchange: (command: Uint8Array) => Promise<Uint8Array>;
  #fault: unknown = null;

  constructor(exchange: (command: Uint8Array) => Promise<Uint8Array>) {
    this.#exchange = exchange;
  }

  get isFailed(): boolean {
    return this.#fault !== null;
  }

  fail(fault: unknown): void {
    this.#fault ??= fault;
  }

  async transmit(command: Uint8Array): Promise<Uint8Array> {
    if (this.#fault !== null) throw this.#fault;
    try {
      return await this.#exchange(command);
    } catch (fault) {
      this.fail(fault);
      throw fault;
    }
  }
}
