/**
 * A dynamic token as the work of a session: the person's yes to what the card will sign, a freshly
 * inserted card, and the digits for the page that asked. Nothing of the card goes to the log.
 */
import type { TokenWish } from '@tapnpay/protocol/wire';
import type { DeskSession, SessionEnd, SessionWork } from './desk-session.ts';
import type { PayingElement } from './element-keeper.ts';

/** One token. */
export class TokenWork implements SessionWork {
  readonly intent = 'token';
  readonly orderId = null;
  readonly wish: TokenWish;
  readonly #element: Pick<PayingElement, 'token'>;

  constructor(wish: TokenWish, element: Pick<PayingElement, 'token'>) {
    this.wish = wish;
    this.#element = element;
  }

  async run(desk: DeskSession): Promise<SessionEnd> {
    const made = await this.#element.token({
      gatewayOrigin: desk.page.origin,
      wish: this.wish,
      presentCard: ({ attempt, reason }) =>
        desk.presentCard({ kind: 'token', interfaces: ['contact'], attempt, reason }),
      onCardDone: () => desk.apply({ type: 'cardDone' }),
    });
    const { session, endedBy } = desk;
    // Whoever took the yes back while the card was read has given nothing.
    const told = endedBy === null ? made : { token: null, reason: endedBy };
    desk.tell({ type: 'tokenResult', session, ...told });
    return { outcome: told.token === null ? 'notMade' : 'made', reason: told.reason };
  }

  onFrame(): void {
    // No record passes here.
  }

  cut(): void {
    // Nothing leaves but the result.
  }
}
