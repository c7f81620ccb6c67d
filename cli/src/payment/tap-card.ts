/** The card that `tap` pays with: a virtual one, or the one in a PC/SC reader. */
import { AgentError, cardFault, paymentChannel, type VirtualCards } from '@tapnpay/agent';
import type { CardChannel } from '@tapnpay/protocol/iso7816';
import type { CardInterface } from '@tapnpay/protocol/wire';
import { openRealCard } from '../commands/cards-source.ts';

/** One card for one payment. */
export type TapCard = {
  readonly interface: CardInterface;
  /** Powers it, once. */
  readonly present: () => Promise<CardChannel>;
  /** Gives back all that it took. */
  readonly close: () => Promise<void>;
};

/**
 * A virtual card, with the fault that was asked for.
 * @throws AgentError `ERR_CARD_UNKNOWN`, `ERR_CARD_INTERFACE`.
 */
export function virtualTapCard(
  cards: VirtualCards,
  wanted: {
    readonly card: string;
    readonly interface: CardInterface;
    readonly fault: string | null;
  },
): TapCard {
  const { card, fault } = wanted;
  const found = cards.list().find(({ name }) => name === card);
  if (!found) throw new AgentError('ERR_CARD_UNKNOWN', `there is no card ${card}`, { card });
  if (!found.interfaces.includes(wanted.interface)) {
    const text = `card ${card} has no ${wanted.interface} interface`;
    throw new AgentError('ERR_CARD_INTERFACE', text, { card });
  }
  const broken = fault === null ? null : cardFault(fault);
  return {
    interface: wanted.interface,
    present: async () => {
      const presented = cards.present(card, wanted.interface);
      await presented.ready;
      return broken ? broken(presented) : presented;
    },
    close: () => cards.close(),
  };
}

/**
 * The card that lies in a reader now; no other program may come between.
 * @throws ReaderError `ERR_READER_GONE`, `ERR_CARD_ABSENT` and others of the reader.
 */
export async function readerTapCard(
  name: string,
  wanted: CardInterface | undefined,
): Promise<TapCard> {
  const { session, close } = await openRealCard(name, wanted);
  return {
    interface: session.interface,
    present: async () => paymentChannel(session),
    close,
  };
}
