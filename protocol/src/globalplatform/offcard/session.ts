/** A session seen from the host: wraps commands, unwraps answers. @see GPCS 2.3.1 §10 */
import type { Secret } from '../../bytes/index.ts';
import { APDU_DATA_BYTES_MAX, type CommandApdu, type ResponseApdu } from '../../iso7816/index.ts';
import { GlobalPlatformError, LEVEL_02_C_DECRYPTION, LEVEL_10_R_MAC } from '../data/index.ts';

/**
 * Where a session stands between two commands: plain data, so that whoever holds the keys may put a
 * session down and take it up again. `chainingValue` is the last MAC in hex, null before the first.
 */
export type SessionSnapshot = {
  readonly chainingValue: string | null;
  readonly number: number;
  /** Commands of SCP03 that wait for their answers. */
  readonly pending: readonly { readonly number: number; readonly chainingValue: string }[];
};

/** How the protocol of a session protects messages; one implementation each. */
export interface SessionMessages {
  readonly protocol: 2 | 3;
  readonly macBytes: 8 | 16;
  readonly blockBytes: 8 | 16;
  /** The proof of the host, for EXTERNAL AUTHENTICATE. */
  hostCryptogram(): Uint8Array;
  /** Whether the card has the same keys. */
  isCardCryptogram(cryptogram: Uint8Array): boolean;
  /** Protects a command at a level; commands count in the order of the calls. */
  wrap(command: CommandApdu, level: number): CommandApdu;
  /** Takes the protection off the next answer. @throws GlobalPlatformError. */
  unwrap(response: ResponseApdu, level: number): ResponseApdu;
  /** Enciphers whole blocks under the key for data. @see GP-D §6.2.8 */
  encryptData(blocks: Uint8Array): Uint8Array;
  /** Where it stands; given to the maker of messages it goes on from there. */
  snapshot(): SessionSnapshot;
}

/** What a session is. */
export type SessionFacts = {
  readonly keyVersionNumber: number;
  /** Of SCP03; null in SCP02, whose answer does not say it. */
  readonly parameterI: number | null;
  readonly securityLevel: number;
  /** Most data bytes that the card takes in a command, MAC and padding among them. */
  readonly commandBytesMax: number;
};

/** An open session. A fault of an answer ends it. */
export class HostSession {
  readonly facts: SessionFacts;
  readonly protocol: 2 | 3;
  readonly #messages: Secret<SessionMessages>;
  #isEnded = false;

  constructor(messages: Secret<SessionMessages>, facts: SessionFacts) {
    this.#messages = messages;
    this.facts = facts;
    this.protocol = messages.expose().protocol;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Block size of the key for data: 8 for DES, 16 for AES. */
  get blockBytes(): 8 | 16 {
    return this.#messages.expose().blockBytes;
  }

  /** Most clear data bytes of a command, so that MAC and padding fit behind them (report 15). */
  get dataBytesMax(): number {
    const { macBytes, blockBytes } = this.#messages.expose();
    const { securityLevel, commandBytesMax } = this.facts;
    if (securityLevel === 0) return commandBytesMax;
    const room = commandBytesMax - macBytes;
    if ((securityLevel & LEVEL_02_C_DECRYPTION) === 0) return room;
    return blockBytes * Math.floor(room / blockBytes) - 1;
  }

  /**
   * The command as it goes over the wire.
   * @throws GlobalPlatformError `ERR_GP_LIMIT`, `ERR_GP_SESSION_ENDED`.
   */
  wrap(command: CommandApdu): CommandApdu {
    this.#assertOpen();
    const lengthBytes = command.data?.length ?? 0;
    if (lengthBytes > this.dataBytesMax) {
      const message = `${lengthBytes} data bytes leave no room in ${this.dataBytesMax}`;
      throw new GlobalPlatformError('ERR_GP_LIMIT', message, {
        ...{ limit: 'command data bytes', value: lengthBytes, most: this.dataBytesMax },
      });
    }
    return this.#messages.expose().wrap(command, this.facts.securityLevel);
  }

  /**
   * The answer in clear. An error comes without a MAC: the standard protects none.
   * @see GP-D §6.2.5
   * @throws GlobalPlatformError `ERR_GP_RESPONSE_MAC`, `ERR_GP_SESSION_ENDED`.
   */
  unwrap(response: ResponseApdu): ResponseApdu {
    this.#assertOpen();
    try {
      return this.#messages.expose().unwrap(response, this.facts.securityLevel);
    } catch (thrown) {
      this.#isEnded = true;
      throw thrown;
    }
  }

  /** Enciphers whole blocks of keys or sensitive data. */
  encryptData(blocks: Uint8Array): Uint8Array {
    this.#assertOpen();
    return this.#messages.expose().encryptData(blocks);
  }

  /** Ends the session on this side. */
  end(): void {
    this.#isEnded = true;
  }

  #assertOpen(): void {
    if (this.#isEnded) throw new GlobalPlatformError('ERR_GP_SESSION_ENDED', 'session has ended');
  }
}

/** Whether an answer of this status word has a MAC at a level. @see GP-D §6.2.5 */
export function isProtectedAnswer(response: ResponseApdu, level: number): boolean {
  const first = response.statusWord >> 8;
  const isSuccess = response.statusWord === 0x9000 || first === 0x62 || first === 0x63;
  return (level & LEVEL_10_R_MAC) !== 0 && isSuccess;
}

/** Most data bytes of a short command, the default of a session. */
export const COMMAND_BYTES_MAX_SHORT: number = APDU_DATA_BYTES_MAX;

/**
 * Runs steps of clear commands inside a session: each command is wrapped, each answer unwrapped.
 */
export function* inSession<Result>(
  session: HostSession,
  steps: Generator<CommandApdu, Result, ResponseApdu>,
): Generator<CommandApdu, Result, ResponseApdu> {
  let state = steps.next();
  while (!state.done) {
    const answer = yield session.wrap(state.value);
    state = steps.next(session.unwrap(answer));
  }
  return state.value;
}
