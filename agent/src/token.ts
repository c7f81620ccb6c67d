/** One dynamic token as the agent sees it: it carries a card's APDUs to the element alone. */
import { errorBody, fromHex, toHex } from '@tapnpay/protocol/bytes';
import { type CardChannel, Iso7816Error } from '@tapnpay/protocol/iso7816';
import {
  checkShape,
  type ElementCommand,
  type ElementTokenResult,
  elementTokenResultShape,
  type TokenWish,
} from '@tapnpay/protocol/wire';
import type { ElementActivity, ElementProcess } from './element-process.ts';
import type { PresentedCard } from './payment.ts';

/** What a token needs. */
export type TokenRequest = {
  readonly element: ElementProcess;
  readonly wish: TokenWish;
  /** A person's consent and a freshly inserted card. Rejects with a TapError: no token. */
  readonly presentCard: (ask: {
    readonly attempt: number;
    readonly reason: string | null;
  }) => Promise<PresentedCard>;
  readonly onCardDone?: () => void;
};

/** Makes one token. @throws TapError when none could be tried (`ERR_ELEMENT_...`). */
export async function tokenWithElement(request: TokenRequest): Promise<ElementTokenResult> {
  const courier = new TokenCourier(request);
  try {
    const result = await request.element.request({ type: 'token', wish: request.wish }, (event) =>
      courier.onActivity(event),
    );
    return checkShape(elementTokenResultShape, result, 'result');
  } finally {
    courier.close();
  }
}

/** Answers what the element asks; a late answer is dropped. */
class TokenCourier {
  readonly #request: TokenRequest;
  #card: CardChannel | null = null;
  #isClosed = false;
  #question = 0;

  constructor(request: TokenRequest) {
    this.#request = request;
  }

  onActivity(event: ElementActivity): void {
    switch (event.type) {
      case 'tokenCardRequest': {
        const { attempt, reason } = event;
        this.#card = null;
        this.#answer(async () => {
          const presented = await this.#request.presentCard({ attempt, reason });
          this.#card = presented.card;
          return { type: 'cardAnswer', interface: presented.interface };
        }, 'cardFault');
        break;
      }
      case 'apdu':
        this.#answer(async () => {
          const card = this.#card;
          if (card === null) throw new Iso7816Error('ERR_CARD_REMOVED', 'no card is there');
          return {
            type: 'apduAnswer',
            response: toHex(await card.transmit(fromHex(event.command))),
          };
        }, 'apduFault');
        break;
      case 'cardDone':
        this.#request.onCardDone?.();
        break;
      default:
        // A token has no channel, no PIN and no hops.
        break;
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#card = null;
  }

  #answer(asked: () => Promise<ElementCommand>, refusal: 'cardFault' | 'apduFault'): void {
    const number = ++this.#question;
    const send = (command: ElementCommand): void => {
      if (!this.#isClosed && number === this.#question) this.#request.element.send(command);
    };
    asked().then(send, (fault: unknown) => send({ type: refusal, error: errorBody(fault) }));
  }
}
