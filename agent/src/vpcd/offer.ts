/**
 * A card of this program in a reader of vpcd; every program that speaks PC/SC can use it. Either we
 * call vpcd, which listens (its default): our connection is the card, its end takes the card out.
 * Or vpcd calls us ("reverse"), one port a slot, and keeps calling.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { ChipCard } from '../readers/card-reader.ts';
import { ReaderError } from '../readers/errors.ts';
import { SerialQueue } from '../readers/serial-queue.ts';
import { VPCD_MESSAGE_BYTES_MAX, VpcdDecoder, type VpcdMessage, vpcdFrame } from './frames.ts';

/** Where vpcd listens as it is delivered; the second slot is the next port. */
export const VPCD_PORT = 35_963;
const CONNECT_TIMEOUT_MS = 3_000;
/** An answer that says that the card did not work: no precise diagnosis. */
const SW_6F00: Uint8Array = Uint8Array.of(0x6f, 0x00);

/** A place in the network. */
export type VpcdAddress = { readonly host: string; readonly port: number };

/** What is told of an offered card. */
export type VpcdEvents = {
  /** The reader gives or takes power, or asks for an APDU. */
  readonly onActivity?: (activity: 'powerOn' | 'powerOff' | 'reset' | 'apdu') => void;
  /** The reader's side has closed. */
  readonly onClosed?: () => void;
};

/** A card that is offered; `close` takes it out. */
export type OfferedCard = { readonly close: () => Promise<void> };

/**
 * Puts the card into the slot of a vpcd that listens.
 * @throws ReaderError `ERR_READER_GONE` when nobody listens there.
 */
export async function insertIntoVpcd(
  card: ChipCard,
  address: VpcdAddress,
  events: VpcdEvents = {},
): Promise<OfferedCard> {
  const socket = connect({ ...address, noDelay: true, timeout: CONNECT_TIMEOUT_MS });
  await new Promise<void>((resolve, reject) => {
    const refuse = (cause: unknown) => {
      socket.destroy();
      const where = `${address.host}:${address.port}`;
      const message = `no vpcd listens at ${where}; is pcscd with vpcd running?`;
      reject(new ReaderError('ERR_READER_GONE', message, { address: where }, cause));
    };
    socket.once('error', refuse);
    socket.once('timeout', () => refuse(new Error('time-out')));
    socket.once('connect', () => {
      socket.removeAllListeners();
      socket.setTimeout(0);
      resolve();
    });
  });
  return serve(card, socket, events);
}

/** A server that vpcd calls; it takes one connection, a second one is closed. */
export type VpcdServer = {
  readonly port: number;
  /** Offers this card to whoever calls or has called; the one before is taken out. */
  readonly insert: (card: ChipCard, events?: VpcdEvents) => void;
  /** Takes the card out; vpcd sees an empty slot. */
  readonly remove: () => void;
  readonly close: () => Promise<void>;
};

/** Listens for vpcd's reverse mode. While no card is in, callers are turned away. */
export async function listenForVpcd(address: VpcdAddress): Promise<VpcdServer> {
  let inserted: { readonly card: ChipCard; readonly events: VpcdEvents } | null = null;
  let offered: OfferedCard | null = null;
  const remove = (): void => {
    inserted = null;
    void offered?.close();
    offered = null;
  };
  const server = createServer({ noDelay: true }, (socket) => {
    if (inserted === null || offered !== null) {
      socket.destroy();
      return;
    }
    const { card, events } = inserted;
    offered = serve(card, socket, {
      ...events,
      onClosed: () => {
        offered = null;
        events.onClosed?.();
      },
    });
  });
  await listening(server, address);
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : address.port,
    insert: (card, events = {}) => {
      remove();
      inserted = { card, events };
    },
    remove,
    close: async () => {
      remove();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function listening(server: Server, { host, port }: VpcdAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const message = `port ${port} of ${host} is taken`;
      reject(new ReaderError('ERR_READER_IN_USE', message, { port }, cause));
    });
    server.listen(port, host, resolve);
  });
}

/** Answers what the reader's side says until either closes. */
function serve(card: ChipCard, socket: Socket, events: VpcdEvents): OfferedCard {
  const decoder = new VpcdDecoder();
  const queue = new SerialQueue();
  const slot = new PoweredSlot(card);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => {
    for (const message of decoder.push(new Uint8Array(bytes))) {
      // The card is one: its answers leave in the order of the questions.
      void queue.run(async () => {
        if (message.type === 'unknown') return;
        if (message.type !== 'getAtr') events.onActivity?.(message.type);
        const answer = await slot.answer(message);
        if (answer === null) socket.destroy();
        else if (answer.length > 0 && !socket.destroyed) socket.write(vpcdFrame(answer));
      });
    }
  });
  void closed.then(() => events.onClosed?.());
  const close = async (): Promise<void> => {
    socket.destroy();
    await closed;
  };
  return { close };
}

/** The card's power, and its ATR since the last one. */
class PoweredSlot {
  readonly #card: ChipCard;
  #atr: Uint8Array | null = null;

  constructor(card: ChipCard) {
    this.#card = card;
  }

  /** Bytes to send, none for a word without answer; null: the card is gone. */
  async answer(
    message: Exclude<VpcdMessage, { readonly type: 'unknown' }>,
  ): Promise<Uint8Array | null> {
    try {
      switch (message.type) {
        case 'powerOff':
          this.#atr = null;
          return new Uint8Array(0);
        case 'powerOn':
        case 'reset':
          this.#atr = await this.#card.reset();
          return new Uint8Array(0);
        case 'getAtr':
          // Asked before any power too, to see whether a card is there.
          this.#atr ??= await this.#card.reset();
          return this.#atr;
        case 'apdu': {
          const answer = await this.#card.transmit(message.command);
          return answer.length > VPCD_MESSAGE_BYTES_MAX ? SW_6F00 : answer;
        }
      }
    } catch {
      // A card that was lifted or cannot be kept durable must not answer: it is out of the slot.
      return null;
    }
  }
}
