/**
 * A card reader as the whole agent sees it, whatever is behind: a script, a virtual card or the
 * system's PC/SC service. Bytes in, bytes out; everything else wraps that.
 */
import type { CardChannel } from '@tapnpay/protocol/iso7816';
import type { CardInterface } from '@tapnpay/protocol/wire';

/** Transmission protocol of a powered card; contactless cards appear as T=1. */
export type CardProtocol = 'T=0' | 'T=1';

/** How a card is connected to: `exclusive` keeps every other program out until the disconnect. */
export type SharingMode = 'shared' | 'exclusive';

/** What is behind a reader. */
export type ReaderKind = 'scripted' | 'virtual' | 'pcsc';

/** A card that came or went. */
export type CardEvent =
  | {
      readonly type: 'cardInserted';
      readonly reader: string;
      readonly atr: Uint8Array | null;
      /** The reader was seen empty before; false for a card that may have lain there. */
      readonly isFresh: boolean;
    }
  | { readonly type: 'cardRemoved'; readonly reader: string };

/** Ends a subscription; calling it again does nothing. */
export type Unsubscribe = () => void;

/** How the card is taken. */
export type ConnectOptions = {
  /** `shared` where nothing is said. */
  readonly sharing?: SharingMode;
  /** What a name or an ATR cannot say is said here. */
  readonly interface?: CardInterface;
  /** Look for a PIN pad; some drivers are slow to say that they have none. */
  readonly wantsPinPad?: boolean;
};

/** One reader. */
export interface CardReader {
  readonly name: string;
  readonly kind: ReaderKind;
  /**
   * Powers the card and opens a session with it.
   * @throws ReaderError `ERR_CARD_ABSENT`, `ERR_CARD_MUTE`, `ERR_CARD_PROTOCOL`,
   * `ERR_READER_IN_USE`, `ERR_READER_GONE`, `ERR_READER_SERVICE`, `ERR_READER_TIMEOUT`.
   */
  connect(options?: ConnectOptions): Promise<CardSession>;
  /** Tells of every card that comes or goes from now on, first of one that is there. */
  onCard(listener: (event: CardEvent) => void): Unsubscribe;
  /** Ends all sessions and lets the reader go. */
  close(): Promise<void>;
}

/**
 * A session with one powered card. `transmit` rejects with `ERR_CARD_REMOVED`, `ERR_CARD_RESET`,
 * `ERR_CARD_TRANSPORT` or `ERR_READER_*`; nothing is ever sent twice by itself. 61xx and 6Cxx of
 * T=0 are handed through.
 */
export interface CardSession extends CardChannel {
  readonly reader: string;
  /** Answer to reset; a reset may bring another. */
  readonly atr: Uint8Array;
  readonly protocol: CardProtocol;
  readonly interface: CardInterface;
  /** A PIN pad on the reader for offline PIN; null when it has none. */
  readonly pinPad: PinPad | null;
  /** Warm reset: the card forgets the session. Not allowed within `exclusively`. */
  reset(): Promise<void>;
  /**
   * Runs a conversation that no other program can come between (a PC/SC transaction). A card that
   * is lost or reset on the way fails everything that follows within: it is never resumed.
   * @throws what `work` throws; `ERR_READER_IN_USE` when others do not let go in time.
   */
  exclusively<Result>(work: (card: CardChannel) => Promise<Result>): Promise<Result>;
  /** Lets the card go, powered off. Never throws; calling it again does nothing. */
  disconnect(): Promise<void>;
}

/** How a PIN entry on a reader's pad ended. */
export type PinPadResult =
  /** The card's answer to VERIFY. */
  | { readonly result: 'verified'; readonly response: Uint8Array }
  | { readonly result: 'cancelled' | 'timeout' | 'unusable' };

/** Bounds of a PIN entry on the pad. */
export type PinPadOptions = {
  readonly digitsMin: number;
  readonly digitsMax: number;
  /** 90 s where nothing is said. */
  readonly timeoutMs?: number;
  /** Language of the pad's own messages. */
  readonly language: 'zh' | 'en';
};

/** A reader's own PIN pad: the digits go from its keys to the card and nowhere else. */
export interface PinPad {
  /**
   * Asks on the pad and sends VERIFY of a plaintext offline PIN. A pad that fails is `unusable`,
   * one that is silent `timeout`; `cancelled` is a person's key and nothing else.
   * @throws ReaderError `ERR_CARD_REMOVED`, `ERR_CARD_RESET`, `ERR_READER_GONE` and others.
   * @see EMV 4.3 B3 §6.5.12
   */
  verifyPlaintextPin(options: PinPadOptions): Promise<PinPadResult>;
}

/** A chip that a program holds: what an in-memory reader or vpcd gives power to. */
export interface ChipCard {
  readonly interface: CardInterface;
  /** Power-on or reset: returns the ATR. Everything volatile is forgotten. */
  reset(): Uint8Array | Promise<Uint8Array>;
  transmit(command: Uint8Array): Uint8Array | Promise<Uint8Array>;
}
