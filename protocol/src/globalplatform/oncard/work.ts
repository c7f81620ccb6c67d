/** One command at work: the state it started from, the one it makes, and the channel it came by. */
import type { CommandApdu, ResponseApdu } from '../../iso7816/index.ts';
import {
  type StatusWord,
  SW_6A80_WRONG_DATA,
  SW_6A88_REFERENCED_DATA_NOT_FOUND,
  SW_6982_SECURITY_STATUS_NOT_SATISFIED,
  SW_6985_CONDITIONS_NOT_SATISFIED,
  SW_9000_OK,
  statusWordHex,
} from '../../iso7816/index.ts';
import { GlobalPlatformError, LEVEL_01_C_MAC } from '../data/index.ts';
import type { CardMessages } from './messages.ts';
import type { CardPorts } from './ports.ts';
import type { CardProfile } from './profile.ts';
import { type CardEntry, type CardState, domainOf, entryOf, type SecurityDomain } from './state.ts';

/** The answer to a command that is not done; thrown by steps, it undoes what they did. */
export class CardRefusal extends GlobalPlatformError {
  readonly statusWord: StatusWord;
  /** The protection of the command was wrong: its session is over. */
  readonly endsSession: boolean;

  constructor(statusWord: StatusWord, why: string, options: { endsSession?: boolean } = {}) {
    super('ERR_GP_REFUSED', why, { statusWord: statusWordHex(statusWord) });
    this.statusWord = statusWord;
    this.endsSession = options.endsSession ?? false;
  }
}

/** An open session of a channel. */
export type CardSession = {
  readonly messages: CardMessages;
  readonly level: number;
  /** Whose keys opened it, and which. */
  readonly keyOwnerAid: string;
  readonly keyVersionNumber: number;
};
/** INITIALIZE UPDATE done, EXTERNAL AUTHENTICATE not yet. */
export type PendingSession = Omit<CardSession, 'level'> & { readonly parameterI: number };
/** A load file on its way. */
export type PendingLoad = {
  readonly aid: string;
  readonly domainAid: string;
  readonly hash: Uint8Array | null;
  readonly blocks: readonly Uint8Array[];
  readonly bytes: number;
};
/** STORE DATA on its way. */
export type PendingStore = {
  readonly form: number;
  readonly blocks: readonly Uint8Array[];
  readonly bytes: number;
};
/** PUT KEY on its way. */
export type PendingKeys = { readonly data: Uint8Array; readonly p1: number; readonly p2: number };
/** What a logical channel holds until it is closed or reset. */
export type CardChannel = {
  readonly number: number;
  selectedAid: string;
  pending: PendingSession | null;
  session: CardSession | null;
  personalisedAid: string | null;
  load: PendingLoad | null;
  store: PendingStore | null;
  keys: PendingKeys | null;
  /** Scope and name of the last GET STATUS, and where its next page begins. */
  listing: { readonly scope: number; readonly aid: string; readonly next: number } | null;
};

/** A channel that has just been opened. */
export function newChannel(number: number, selectedAid: string): CardChannel {
  return {
    ...{ number, selectedAid, pending: null, session: null },
    ...{ personalisedAid: null, load: null, store: null, keys: null, listing: null },
  };
}

/** Ends the session of a channel and what hangs on it. */
export function endSession(channel: CardChannel): void {
  Object.assign(channel, newChannel(channel.number, channel.selectedAid));
}

/** One command at work. `state` is what becomes of the card when it is done. */
export type Work = {
  readonly ports: CardPorts;
  readonly profile: CardProfile;
  readonly channel: CardChannel;
  readonly channels: Map<number, CardChannel>;
  state: CardState;
  /** Makes the state as it is now last, whatever becomes of the command. */
  readonly commit: () => void;
};
/** A step that answers a clear command. */
export type Handler = (work: Work, command: CommandApdu) => ResponseApdu;

const NO_DATA: Uint8Array = new Uint8Array();

/** 9000 with data. */
export function ok(data: Uint8Array = NO_DATA): ResponseApdu {
  return { data, statusWord: SW_9000_OK };
}

/** Answer 00: done, and no receipt. @see GPCS 2.3.1 §11.5.3.1 */
export function okWithoutReceipt(): ResponseApdu {
  return ok(Uint8Array.of(0));
}

/** The data of a command. */
export function dataOf(command: CommandApdu): Uint8Array {
  return command.data ?? NO_DATA;
}

/** @throws CardRefusal 6985. */
export function requireCondition(isMet: boolean, why: string): asserts isMet {
  if (!isMet) throw new CardRefusal(SW_6985_CONDITIONS_NOT_SATISFIED, why);
}

/** @throws CardRefusal 6A80. */
export function requireData(isRight: boolean, why: string): asserts isRight {
  if (!isRight) throw new CardRefusal(SW_6A80_WRONG_DATA, why);
}

/** @throws CardRefusal 6A88 without a value. */
export function found<Value>(value: Value | undefined | null, what: string): Value {
  if (value !== undefined && value !== null) return value;
  throw new CardRefusal(SW_6A88_REFERENCED_DATA_NOT_FOUND, `${what} is not there`);
}

/** The entry of a name. @throws CardRefusal 6A88. */
export function foundEntry(work: Work, aid: string): CardEntry {
  return found(entryOf(work.state, aid), `entry ${aid}`);
}

/** The domain that is selected on the channel. @throws CardRefusal 6985. */
export function selectedDomain(work: Work): SecurityDomain {
  const domain = domainOf(work.state, work.channel.selectedAid);
  if (domain) return domain;
  throw new CardRefusal(SW_6985_CONDITIONS_NOT_SATISFIED, 'no security domain is selected');
}

/**
 * An open session. What changes the card needs a C-MAC.
 * DEVIATION: the standard lets a domain take commands at level 00; between card and manager are
 * relays here, and they could slip in theirs.
 * @throws CardRefusal 6982.
 */
export function requireSession(
  work: Work,
  options: { readonly isReading?: boolean } = {},
): CardSession {
  const { session } = work.channel;
  const isEnough = session && (options.isReading || (session.level & LEVEL_01_C_MAC) !== 0);
  if (session && isEnough) return session;
  throw new CardRefusal(SW_6982_SECURITY_STATUS_NOT_SATISFIED, 'no session of that level');
}

/** Runs a decoder of foreign data; its faults are 6A80. */
export function decoded<Value>(decode: () => Value): Value {
  try {
    return decode();
  } catch (thrown) {
    if (thrown instanceof CardRefusal || !(thrown instanceof Error)) throw thrown;
    throw new CardRefusal(SW_6A80_WRONG_DATA, thrown.message);
  }
}
