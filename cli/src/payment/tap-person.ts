/** The person that `tap` plays: presents its one card once, types its PIN once, and no more. */
import { type PinAsk, type PresentedCard, sealPin } from '@tapnpay/agent';
import { Secret, TapError } from '@tapnpay/protocol/bytes';
import type { CardInterface, CardRequest } from '@tapnpay/protocol/wire';

/** Why a tap is not taken when the terminal asked for insertion without naming a card. */
export const REASON_LIMIT = 'terminal:contactlessLimit';

/** What the person has. */
export type TapPersonFacts = {
  readonly interface: CardInterface;
  readonly pin: string | null;
  /** Brings the card to the reader. */
  readonly present: () => Promise<PresentedCard['card']>;
};

/** Answers of the command line to one payment. */
export class TapPerson {
  readonly #facts: TapPersonFacts;
  #isPresented = false;
  /** Why the card should have been inserted instead: `card:useContact`; null when it need not. */
  insertionReason: string | null = null;

  constructor(facts: TapPersonFacts) {
    this.#facts = facts;
  }

  /**
   * @throws TapError the reason of a second request as its code (`ERR_CARD_REMOVED`: the card stays
   * away), or `ERR_USER_CANCELLED` when only another interface is taken.
   */
  async presentCard(ask: CardRequest): Promise<PresentedCard> {
    const { interface: wanted, present } = this.#facts;
    if (!ask.interfaces.includes(wanted)) {
      this.insertionReason = ask.reason ?? REASON_LIMIT;
      throw new TapError('ERR_USER_CANCELLED', this.insertionReason);
    }
    if (this.#isPresented) {
      const code = ask.reason ?? 'ERR_USER_CANCELLED';
      throw new TapError(code, 'tap presents its card once');
    }
    this.#isPresented = true;
    return { interface: wanted, card: await present() };
  }

  /** The PIN, sealed to the element; null when there is none. */
  async enterPin({ publicKeySpki }: PinAsk): Promise<string | null> {
    const { pin } = this.#facts;
    return pin === null ? null : sealPin(new Secret(pin), publicKeySpki);
  }
}
