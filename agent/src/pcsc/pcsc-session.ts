/** A session with a card through PC/SC. Nothing that the card may have heard is ever sent again. */
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import type { CardChannel } from '@tapnpay/protocol/iso7816';
import type { CardInterface } from '@tapnpay/protocol/wire';
import { interfaceOf } from '../readers/atr.ts';
import type { CardProtocol, CardSession, ConnectOptions, PinPad } from '../readers/card-reader.ts';
import { Conversation } from '../readers/conversation.ts';
import { ReaderError, removedFault } from '../readers/errors.ts';
import { SerialQueue } from '../readers/serial-queue.ts';
import { DOUBTFUL_CODES } from './faults.ts';
import {
  PCSC_BUFFER_BYTES_MAX,
  type PcscRequest,
  type PcscResults,
  STATE,
  WAIT_SLICE_MS,
} from './messages.ts';
import type { NativeProcess } from './native-process.ts';
import { parseFeatures, pinPadOf } from './pin-pad.ts';

/** Times of one call; the card's own limit is in its driver. */
export type SessionTimes = {
  readonly connectMs: number;
  readonly transmitMs: number;
  /** For other programs to end their transaction. */
  readonly beginMs: number;
  /** For a program that looks at each new card to let it go. */
  readonly inUseMs: number;
  /** The service needs a moment to see that a card has left. */
  readonly removalMs: number;
  /** Windows resets a card whose transaction is idle for 5 s. */
  readonly keepAliveMs: number;
};
export const SESSION_TIMES: SessionTimes = {
  connectMs: 15_000,
  transmitMs: 30_000,
  beginMs: 10_000,
  inUseMs: 1_000,
  removalMs: 800,
  keepAliveMs: 2_000,
};

/** Attempts for a card that answers badly to its first power. */
const CONNECT_ATTEMPTS_MAX = 3;
const CONNECT_PAUSE_MS = 100;
/** Looks again at a card that another program holds, however slow the first look was. */
const IN_USE_RETRIES_MIN = 3;
const QUICK_MS = 3_000;
const APDU_BYTES_MIN = 4;
const PROTOCOL_T1 = 2;

/** What a session is made of. */
export type SessionFacts = {
  readonly native: NativeProcess;
  readonly reader: string;
  readonly options: ConnectOptions;
  readonly times: SessionTimes;
  /** Takes the process back when the session is over. */
  readonly onEnd: () => void;
};

/** A connected card. */
export class PcscSession implements CardSession {
  readonly #facts: SessionFacts;
  readonly #queue: SerialQueue = new SerialQueue();
  pinPad: PinPad | null = null;
  #atr: Uint8Array = new Uint8Array(0);
  #protocol: CardProtocol = 'T=1';
  /** A command went to the card since it got power: a reset would lose what it did. */
  #isUsed = false;
  #isOpen = true;
  #isAlone = false;

  constructor(facts: SessionFacts) {
    this.#facts = facts;
  }

  get reader(): string {
    return this.#facts.reader;
  }

  get atr(): Uint8Array {
    return this.#atr.slice();
  }

  get protocol(): CardProtocol {
    return this.#protocol;
  }

  get interface(): CardInterface {
    return this.#facts.options.interface ?? interfaceOf(this.#atr, this.reader);
  }

  /** Powers the card up; once, before anything else. @throws ReaderError as `connect` does. */
  async open(): Promise<void> {
    const exclusive = this.#facts.options.sharing === 'exclusive';
    const request = { op: 'connect', reader: this.reader, exclusive } as const;
    this.#powered(await this.#persist(() => this.#ask(request, this.#facts.times.connectMs)));
    if (this.#facts.options.wantsPinPad) this.pinPad = await this.#findPinPad();
  }

  async transmit(command: Uint8Array): Promise<Uint8Array> {
    return await this.#queue.run(() => this.#exchange(command));
  }

  async reset(): Promise<void> {
    if (this.#isAlone) throw new Error('a conversation that has the card does not reset it');
    await this.#queue.run(() => this.#reconnect('reset'));
  }

  async exclusively<Result>(work: (card: CardChannel) => Promise<Result>): Promise<Result> {
    return await this.#queue.run(async () => {
      await this.#begin();
      this.#isAlone = true;
      const conversation = new Conversation((command) => this.#exchange(command));
      const alive = setInterval(() => {
        const status = this.#ask({ op: 'status' }, QUICK_MS);
        status.catch((fault: unknown) => conversation.fail(fault));
      }, this.#facts.times.keepAliveMs);
      try {
        return await work(conversation);
      } finally {
        clearInterval(alive);
        this.#isAlone = false;
        await this.#end(conversation.isFailed);
      }
    });
  }

  async disconnect(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { native } = this.#facts;
    try {
      await native.request({ op: 'disconnect', disposition: 'unpower' }, { timeoutMs: QUICK_MS });
    } catch {
      // The card is let go by the end of the process that held it.
      native.kill();
    }
    this.#facts.onEnd();
  }

  #powered({ atr, protocol }: PcscResults['connect']): void {
    this.#atr = fromHex(atr);
    this.#protocol = protocol === PROTOCOL_T1 ? 'T=1' : 'T=0';
    this.#isUsed = false;
  }

  async #reconnect(
    disposition: 'leave' | 'reset',
    timeoutMs: number = this.#facts.times.connectMs,
  ): Promise<void> {
    const exclusive = this.#facts.options.sharing === 'exclusive';
    const request = { op: 'reconnect', exclusive, disposition } as const;
    this.#powered(await this.#ask(request, timeoutMs));
  }

  /** A transaction of PC/SC. A card that was reset before it was used is taken as it is now. */
  async #begin(): Promise<void> {
    const { beginMs } = this.#facts.times;
    const begin = () => this.#ask({ op: 'begin' }, beginMs);
    try {
      await begin().catch(async (fault: unknown) => {
        if (codeOf(fault) !== 'ERR_CARD_RESET' || this.#isUsed) throw await this.#judged(fault);
        await this.#reconnect('leave', beginMs);
        return await begin();
      });
    } catch (fault) {
      if (codeOf(fault) !== 'ERR_READER_TIMEOUT') throw fault;
      const message = 'another program does not let go of the card';
      throw new ReaderError('ERR_READER_IN_USE', message, { reader: this.reader }, fault);
    }
  }

  /** After a fault the next program finds a card without our session in it. */
  async #end(isFailed: boolean): Promise<void> {
    const disposition = isFailed ? 'reset' : 'leave';
    try {
      await this.#ask({ op: 'end', disposition }, QUICK_MS);
    } catch {
      // The card or the service is gone, and the transaction with it; whatever was wrong inside
      // has been told already.
    }
  }

  async #exchange(command: Uint8Array): Promise<Uint8Array> {
    if (command.length < APDU_BYTES_MIN || command.length > PCSC_BUFFER_BYTES_MAX) {
      const message = `PC/SC takes no command of ${command.length} bytes`;
      throw new ReaderError('ERR_CARD_APDU', message, { lengthBytes: command.length });
    }
    const request = { op: 'transmit', command: toHex(command) } as const;
    const { transmitMs } = this.#facts.times;
    let answer: PcscResults['transmit'];
    try {
      answer = await this.#ask(request, transmitMs);
    } catch (fault) {
      // Reset before its first command: nothing is lost, and the card did not get this one.
      if (codeOf(fault) !== 'ERR_CARD_RESET' || this.#isUsed) throw await this.#judged(fault);
      await this.#reconnect('leave');
      answer = await this.#ask(request, transmitMs);
    } finally {
      this.#isUsed = true;
    }
    const response = fromHex(answer.response);
    if (response.length >= 2) return response;
    const empty = new ReaderError('ERR_CARD_TRANSPORT', 'the driver gave no answer');
    throw (await this.#isThere()) ? empty : removedFault(this.reader);
  }

  /** Whether the card is still there tells what a failed exchange was. */
  async #judged(fault: unknown): Promise<unknown> {
    if (!(fault instanceof ReaderError) || !DOUBTFUL_CODES.has(fault.data['pcscCode']))
      return fault;
    try {
      return (await this.#isThere()) ? fault : removedFault(this.reader);
    } catch (worse) {
      return worse;
    }
  }

  /** False when the card leaves within the moment that the service needs to see it. */
  async #isThere(): Promise<boolean> {
    const { reader } = this;
    const look = async (state: number, timeoutMs: number): Promise<number> => {
      const states = [{ reader, state }];
      const answer = await this.#ask({ op: 'wait', timeoutMs, states }, WAIT_SLICE_MS + QUICK_MS);
      return answer.states[0]?.state ?? STATE.UNKNOWN;
    };
    let state = await look(0, 0);
    if ((state & STATE.PRESENT) !== 0) {
      state = await look(state & ~STATE.CHANGED, this.#facts.times.removalMs);
    }
    if ((state & (STATE.UNKNOWN | STATE.UNAVAILABLE)) !== 0) {
      throw new ReaderError('ERR_READER_GONE', 'the reader was unplugged', { reader });
    }
    return (state & STATE.PRESENT) !== 0;
  }

  /** Tries again while another program looks at a new card, or the card powers up badly. */
  async #persist<Result>(connect: () => Promise<Result>): Promise<Result> {
    const until = performance.now() + this.#facts.times.inUseMs;
    for (let bad = 0, busy = 0; ; ) {
      try {
        return await connect();
      } catch (fault) {
        const code = codeOf(fault);
        const mayWait = busy < IN_USE_RETRIES_MIN || performance.now() < until;
        if (CONNECT_AGAIN.has(code)) bad += 1;
        else if (code === 'ERR_READER_IN_USE' && mayWait) busy += 1;
        else throw fault;
        if (bad === CONNECT_ATTEMPTS_MAX) throw fault;
        await new Promise((resolve) => setTimeout(resolve, CONNECT_PAUSE_MS));
      }
    }
  }

  async #findPinPad(): Promise<PinPad | null> {
    try {
      const { data } = await this.#ask({ op: 'features' }, QUICK_MS);
      return pinPadOf(parseFeatures(fromHex(data)), async (request, timeoutMs) => {
        try {
          return await this.#ask(request, timeoutMs);
        } catch (fault) {
          // A card that was pulled out is no broken pad.
          throw await this.#judged(fault);
        }
      });
    } catch (fault) {
      // A driver without control codes has no pad; a reader that is lost is told as such.
      if (codeOf(fault) === 'ERR_READER_FAULT' || codeOf(fault) === 'ERR_CARD_TRANSPORT') {
        return null;
      }
      throw fault;
    }
  }

  async #ask<Request extends PcscRequest>(
    request: Request,
    timeoutMs: number,
  ): Promise<PcscResults[Request['op']]> {
    if (!this.#isOpen) {
      throw new ReaderError('ERR_READER_CLOSED', 'the session is closed', { reader: this.reader });
    }
    return await this.#facts.native.request(request, { timeoutMs, reader: this.reader });
  }
}

/** Faults of a connect that another try can cure. */
const CONNECT_AGAIN: ReadonlySet<string> = new Set([
  ...['ERR_CARD_RESET', 'ERR_CARD_MUTE', 'ERR_CARD_TRANSPORT', 'ERR_READER_SERVICE'],
]);

function codeOf(fault: unknown): string {
  return fault instanceof ReaderError ? fault.code : '';
}
