/** The card inside the own element, as the agent reaches it: it carries bytes and reads none. */
import { concatBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  type CardBirth,
  type CardFacts,
  cardAnswerShape,
  cardFactsShape,
  checkShape,
  contactSignatureShape,
  LAB_BIRTH,
  manageAnswerShape,
} from '@tapnpay/protocol/wire';
import type { ManagedCard } from '../contact/contact.ts';
import type { ElementProcess } from '../element-process.ts';
import type { ChipCard } from '../readers/card-reader.ts';

/** Historical bytes of the element's card: "TAPSE". */
const HISTORICAL: Uint8Array = Uint8Array.of(0x54, 0x41, 0x50, 0x53, 0x45);

/**
 * What the element's card says of itself; an element without one is given one first.
 * @throws TapError the element's own.
 */
export async function bornCard(
  element: ElementProcess,
  birth: CardBirth = LAB_BIRTH,
): Promise<CardFacts> {
  const { card } = checkShape(cardAnswerShape, await element.request({ type: 'card' }), 'card');
  if (card !== null) return card;
  const born = await element.request({ type: 'birth', birth });
  return checkShape(cardFactsShape, born, 'birth');
}

/**
 * A pipe of APDUs to the element's card, for managers on this machine and for the readers of
 * PC/SC. A reset is a manager that leaves; while a payment runs, commands fail with
 * `ERR_ELEMENT_BUSY`.
 */
export class ElementCardTransport implements ChipCard {
  readonly interface = 'contact';
  readonly #element: ElementProcess;

  constructor(element: ElementProcess) {
    this.#element = element;
  }

  /** Forgets sessions and selections; returns the ATR. @throws TapError. */
  async reset(): Promise<Uint8Array> {
    await this.#element.request({ type: 'manageReset' });
    return elementAtr();
  }

  /** One command, one answer. @throws TapError. */
  async transmit(command: Uint8Array): Promise<Uint8Array> {
    return fromHex(await this.transmitHex(toHex(command)));
  }

  /** The same in hex, for a manager whose commands come over the network. @throws TapError. */
  async transmitHex(command: string): Promise<string> {
    const answer = await this.#element.request({ type: 'manage', command });
    return checkShape(manageAnswerShape, answer, 'manage').response;
  }

  /** The element's signature at the beginning of a contact with its manager. @throws TapError. */
  async signContact(contact: {
    readonly contactId: string;
    readonly nonce: string;
  }): Promise<string> {
    const answer = await this.#element.request({ type: 'signContact', ...contact });
    return checkShape(contactSignatureShape, answer, 'signContact').signature;
  }
}

/** The element's card as its manager over the network reaches it. @throws TapError. */
export async function managedCard(element: ElementProcess): Promise<ManagedCard> {
  const { serialNumber } = await bornCard(element);
  const transport = new ElementCardTransport(element);
  return {
    serialNumber,
    signContact: (contact) => transport.signContact(contact),
    transmit: (command) => transport.transmitHex(command),
    reset: async () => void (await transport.reset()),
  };
}

/** ATR of a contact card that speaks T=1. @see ISO 7816-3 §8.2 */
export function elementAtr(): Uint8Array {
  const body = concatBytes(Uint8Array.of(0x80 | HISTORICAL.length, 0x01), HISTORICAL);
  const check = body.reduce((sum, value) => sum ^ value, 0);
  return concatBytes(Uint8Array.of(0x3b), body, Uint8Array.of(check));
}
