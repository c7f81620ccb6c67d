/** The card's place in the element's process: empty until birth, then one card for its life. */
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { type CardCommand, type CardFacts, tsmContactInput } from '@tapnpay/protocol/wire';
import { ElementError } from '../errors.ts';
import type { ElementState } from '../state.ts';
import { ElementCard, type ElementCardPorts, needCard } from './element-card.ts';

/** Answers the agent's commands about the card. */
export class CardSeat {
  readonly #ports: ElementCardPorts;
  readonly #state: ElementState;
  #card: ElementCard | null;

  /** @throws ElementError `ERR_STORE_CORRUPT`, also when a card that was born is missing. */
  constructor(ports: ElementCardPorts, state: ElementState) {
    this.#ports = ports;
    this.#state = state;
    this.#card = ElementCard.open(ports);
    const { cardSerialNumber } = state.record;
    const found = this.#card?.facts().serialNumber ?? null;
    if (cardSerialNumber !== null && cardSerialNumber !== found) {
      throw new ElementError('ERR_STORE_CORRUPT', 'the card of this element is missing');
    }
    if (cardSerialNumber === null) this.#remember();
  }

  /** The card; null before its birth. */
  get card(): ElementCard | null {
    return this.#card;
  }

  /** @throws ElementError `ERR_ELEMENT_BORN`, `ERR_ELEMENT_NOT_BORN`, `ERR_ELEMENT_BIRTH`. */
  answer(command: CardCommand): object {
    switch (command.type) {
      case 'card':
        return { card: this.#card?.facts() ?? null };
      case 'birth':
        this.#card = ElementCard.bear(this.#ports, command.birth);
        this.#remember();
        return this.#card.facts() satisfies CardFacts;
      case 'manage':
        return { response: toHex(needCard(this.#card).process(fromHex(command.command))) };
      case 'manageReset':
        needCard(this.#card).reset();
        return {};
      case 'signContact':
        return { signature: this.#signContact(command) };
    }
  }

  /** The element composes the text itself: nobody gets its signature under another one. */
  #signContact({ contactId, nonce }: Extract<CardCommand, { type: 'signContact' }>): string {
    const card = needCard(this.#card);
    const { serialNumber: serial } = card.facts();
    const input = tsmContactInput({ serial, contactId, nonce });
    return toHex(card.attest(Buffer.from(input, 'utf8')));
  }

  /** Two files that name each other: a card that is taken away is not born again. */
  #remember(): void {
    if (this.#card === null) return;
    this.#state.update({ cardSerialNumber: this.#card.facts().serialNumber });
  }
}
