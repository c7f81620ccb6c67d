/** What is put around a session or a reader: another way to transmit, a trace, a log. */
import { TapError, toHex } from '@tapnpay/protocol/bytes';
import { type CardChannel, Iso7816Error } from '@tapnpay/protocol/iso7816';
import { type ApduRecord, traceCard } from '../apdu-trace.ts';
import type { CardReader, CardSession } from './card-reader.ts';
import { ReaderError } from './errors.ts';

/** Puts something around a channel. */
export type ChannelDecorator = (card: CardChannel) => CardChannel;

/** The same session whose commands go through `decorate`, within `exclusively` too. */
export function decorateSession(session: CardSession, decorate: ChannelDecorator): CardSession {
  const outer = decorate(session);
  return {
    get reader() {
      return session.reader;
    },
    get atr() {
      return session.atr;
    },
    get protocol() {
      return session.protocol;
    },
    get interface() {
      return session.interface;
    },
    get pinPad() {
      return session.pinPad;
    },
    transmit: (command) => outer.transmit(command),
    reset: () => session.reset(),
    exclusively: (work) => session.exclusively((card) => work(decorate(card))),
    disconnect: () => session.disconnect(),
  };
}

/** The same reader whose sessions are decorated. */
export function decorateReader(
  reader: CardReader,
  decorate: (session: CardSession) => CardSession,
): CardReader {
  return {
    name: reader.name,
    kind: reader.kind,
    connect: async (options) => decorate(await reader.connect(options)),
    onCard: (listener) => reader.onCard(listener),
    close: () => reader.close(),
  };
}

/** Reports each exchange, masked. */
export function tracedSession(
  session: CardSession,
  onApdu: (record: ApduRecord) => void,
): CardSession {
  let number = 0;
  return decorateSession(session, (card) =>
    traceCard(card, (record) => {
      number += 1;
      onApdu({ ...record, number });
    }),
  );
}

/**
 * The channel as a payment wants it: a card that cannot be spoken to any more, whatever the reason,
 * was removed or is lost in transport.
 * @throws Iso7816Error `ERR_CARD_REMOVED`, `ERR_CARD_TRANSPORT`; the reader's fault is the cause.
 */
export function paymentChannel(card: CardChannel): CardChannel {
  return {
    transmit: async (command) => {
      try {
        return await card.transmit(command);
      } catch (fault) {
        if (!(fault instanceof ReaderError)) throw fault;
        const code = fault.code === 'ERR_CARD_REMOVED' ? fault.code : 'ERR_CARD_TRANSPORT';
        const data = { ...fault.data, readerCode: fault.code };
        throw new Iso7816Error(code, fault.message, data, fault);
      }
    },
  };
}

/** One exchange as it was, with its time: for measuring and for recordings, never for logs. */
export type RawExchange = {
  readonly command: Uint8Array;
  /** Null when it ended with a fault. */
  readonly response: Uint8Array | null;
  readonly fault: string | null;
  readonly durationMs: number;
};

/** Reports each exchange as it was, to whoever keeps it to himself. */
export function observedChannel(
  card: CardChannel,
  onExchange: (exchange: RawExchange) => void,
  nowMs: () => number = () => performance.now(),
): CardChannel {
  return {
    transmit: async (command) => {
      const started = nowMs();
      const kept = command.slice();
      const report = (response: Uint8Array | null, fault: string | null) =>
        onExchange({ command: kept, response, fault, durationMs: nowMs() - started });
      try {
        const response = await card.transmit(command);
        report(response.slice(), null);
        return response;
      } catch (fault) {
        report(null, fault instanceof TapError ? fault.code : 'ERR_CARD_TRANSPORT');
        throw fault;
      }
    },
  };
}

/** Text of an exchange for a developer's terminal; only of cards that hold no person's data. */
export function exchangeText({ command, response, fault, durationMs }: RawExchange): string {
  const answer = response === null ? fault : toHex(response);
  return `=> ${toHex(command)}\n<= ${answer}  ${durationMs.toFixed(1)} ms`;
}
