/**
 * The manager's line to one element: batches of commands go out, answers come back, whoever relays
 * them. Sessions are opened, and their messages protected, by the HSM alone.
 */
import { createHash } from 'node:crypto';
import { fromHex, TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  decodeInitializeUpdate,
  type InitializeUpdateAnswer,
  isLevelOffered,
} from '@tapnpay/protocol/globalplatform/data';
import {
  decodeSelectAnswer,
  initializeUpdateCommand,
  selectCommand,
} from '@tapnpay/protocol/globalplatform/offcard';
import {
  type CommandApdu,
  decodeResponse,
  encodeCommand,
  type ResponseApdu,
  SW_6700_WRONG_LENGTH,
  SW_9000_OK,
  statusWordHex,
} from '@tapnpay/protocol/iso7816';
import {
  type HsmAnswers,
  type HsmRequest,
  type OpenedElementSession,
  TSM_BATCH_BYTES_MAX,
  TSM_BATCH_COMMANDS_MAX,
  type TsmStep,
} from '@tapnpay/protocol/wire';
import { TsmError } from './errors.ts';
import type { Element, ElementKeySet, Master } from './model.ts';
import type { TsmPorts } from './ports.ts';

/** Steps of work with an element: batches out, the answers that came in. */
export type Talk<T> = AsyncGenerator<readonly TsmStep[], T, readonly string[]>;

/** Levels from the best one down; the first that the element offers is taken. */
const LEVELS: readonly number[] = [0x33, 0x13, 0x03, 0x01];
/** Warning of SELECT: the card is locked. Its issuer's domain can be managed. */
const SW_6283_CARD_LOCKED = 0x6283;
/** Answers of a HSM that say that the keys are not the element's. */
const WRONG_KEYS: readonly string[] = ['ERR_HSM_CARD_CRYPTOGRAM'];
/** Answers of a HSM that say that the element's answer is wrong. */
const WRONG_ANSWER: readonly string[] = ['ERR_HSM_RESPONSE_MAC', 'ERR_HSM_PARAMETER'];

/** Padding and MAC that a session adds to a command. */
const PROTECTION_BYTES_MAX = 32;

/** A session that is open. */
export type OpenSession = {
  readonly domainAid: string;
  readonly dataBytesMax: number;
  readonly keySet: ElementKeySet;
};

/** What the line needs to know of the element. */
export type LineElement = Pick<
  Element,
  | ('id' | 'keyDiversificationData' | 'commandBytesMax' | 'parameterI')
  | ('factory' | 'keySets' | 'sentKeySets')
>;

/** The line. One at a time for an element. */
export class ElementLine {
  readonly #ports: TsmPorts;
  readonly #masters: ReadonlyMap<string, Master>;
  #token = '';
  #open: OpenSession | null = null;

  constructor(ports: TsmPorts, masters: readonly Master[]) {
    this.#ports = ports;
    this.#masters = new Map(masters.map((master) => [master.id, master]));
  }

  /** The open session; null when there is none. */
  get open(): OpenSession | null {
    return this.#open;
  }

  /** Its token for the HSM. */
  get token(): string {
    return this.#token;
  }

  /** The key block of a master. @throws TsmError `ERR_INTERNAL`. */
  keyBlockOf(master: string): string {
    const found = this.#masters.get(master);
    if (found) return found.keyBlock;
    throw new TsmError('ERR_INTERNAL', `master ${master} is not here`);
  }

  /** A call of the HSM. @throws TsmError `ERR_TSM_HSM` when it cannot be reached. */
  async hsm<R extends HsmRequest>(request: R): Promise<HsmAnswers[R['command']]> {
    return callHsm(this.#ports, request);
  }

  /**
   * SELECT, and a session with the domain. Which keys it has, which protocol and level, follows
   * from its answer; with keys that do not explain that nothing more is sent (reports 1, 3, 4, 25).
   * @throws TsmError `ERR_TSM_CARD_CRYPTOGRAM`, `ERR_TSM_OTHER_ELEMENT`, `ERR_TSM_STATUS`.
   */
  async *openDomain(
    element: LineElement,
    domainAid: string,
    options: { readonly selectAid?: string } = {},
  ): Talk<OpenSession> {
    this.#open = null;
    // An application's own channel has the keys of its domain.
    const [selected] = yield* this.plain([selectCommand(options.selectAid ?? domainAid)]);
    assertStatus('SELECT', selected, [SW_9000_OK, SW_6283_CARD_LOCKED]);
    const { hostChallenge, response } = yield* this.#initializeUpdate();
    const answer = decoded(response, element);
    const said = decodeSelectAnswer(selected?.data ?? new Uint8Array()).commandBytesMax;
    const commandBytesMax = Math.min(
      element.commandBytesMax ?? said ?? 255,
      this.#ports.profile.commandBytesMax,
    );
    const asked = { answer, hostChallenge, answerHex: toHex(response.data), commandBytesMax };
    const { keySet, opened } = await this.#tryKeys(element, domainAid, asked);
    const [authenticated] = yield* this.#send([opened.externalAuthenticate], [SW_9000_OK]);
    assertStatus('EXTERNAL AUTHENTICATE', authenticated);
    this.#token = opened.session;
    this.#open = {
      ...{ domainAid, dataBytesMax: opened.dataBytesMax },
      keySet: { ...keySet, counter: nextCounter(answer), parameterI: answer.parameterI },
    };
    return this.#open;
  }

  /** Commands without a session; the batch ends behind one that is not answered by 9000. */
  async *plain(commands: readonly CommandApdu[]): Talk<readonly ResponseApdu[]> {
    return yield* this.#send(commands.map(hexOf), [SW_9000_OK]);
  }

  /**
   * Clear commands inside the session, protected and in as few batches as they fit. Fewer answers
   * than commands: the last answer was none of `allowed`, and nothing behind it was sent.
   * @throws TsmError `ERR_TSM_ANSWER` for an answer whose protection is wrong.
   */
  async *inSession(
    commands: readonly CommandApdu[],
    allowed: readonly number[] = [SW_9000_OK],
  ): Talk<readonly ResponseApdu[]> {
    const answers: ResponseApdu[] = [];
    for (const part of parts(commands.map(hexOf))) {
      const wrapped = await this.hsm({
        ...({ command: 'wrapElementCommands', session: this.#token } as const),
        commands: part,
      });
      const came = yield* this.#send(wrapped.commands, allowed);
      const clear = await this.hsm({
        ...({ command: 'unwrapElementAnswers', session: wrapped.session } as const),
        answers: came.map(({ data, statusWord }) => toHex(data) + statusWordHex(statusWord)),
      });
      this.#token = clear.session;
      answers.push(...clear.answers.map((hex) => decodeResponse(fromHex(hex))));
      const isStopped = !allowed.includes(answers.at(-1)?.statusWord ?? 0);
      // The element has not seen all that was protected: its next MAC would be another one.
      if (clear.answers.length < part.length) this.end();
      if (isStopped || clear.answers.length < part.length) break;
    }
    return answers;
  }

  /** Steps of single commands inside the session, such as the pages of GET STATUS. */
  async *stepsInSession<R>(steps: Generator<CommandApdu, R, ResponseApdu>): Talk<R> {
    let state = steps.next();
    while (!state.done) {
      const [answer] = yield* this.inSession([state.value]);
      if (!answer) throw noAnswer();
      state = steps.next(answer);
    }
    return state.value;
  }

  /** The session is of no more use: what comes next opens its own. */
  end(): void {
    this.#open = null;
  }

  async *#initializeUpdate(): Talk<{
    readonly hostChallenge: Uint8Array;
    readonly response: ResponseApdu;
  }> {
    let hostChallenge = this.#ports.random.bytes(8);
    let [response] = yield* this.plain([initializeUpdateCommand(0, hostChallenge)]);
    if (response?.statusWord === SW_6700_WRONG_LENGTH) {
      // S16: the card wants the other size (report 10).
      hostChallenge = this.#ports.random.bytes(16);
      [response] = yield* this.plain([initializeUpdateCommand(0, hostChallenge)]);
    }
    assertStatus('INITIALIZE UPDATE', response);
    return { hostChallenge, response };
  }

  async #tryKeys(
    element: LineElement,
    domainAid: string,
    asked: {
      readonly answer: InitializeUpdateAnswer;
      readonly answerHex: string;
      readonly hostChallenge: Uint8Array;
      readonly commandBytesMax: number;
    },
  ): Promise<{ readonly keySet: ElementKeySet; readonly opened: OpenedElementSession }> {
    const candidates = keySetCandidates(element, {
      ...{ domainAid, issuerDomainAid: this.#ports.profile.issuerDomainAid },
      keyVersionNumber: asked.answer.keyVersionNumber,
    });
    const results = await Promise.all(
      candidates.map((keySet) =>
        this.#tryKey(element, keySet, asked).then((opened) => ({ keySet, opened })),
      ),
    );
    for (const { keySet, opened } of results) if (opened) return { keySet, opened };
    throw new TsmError(
      'ERR_TSM_CARD_CRYPTOGRAM',
      'no known key set explains the cryptogram of the element; nothing was sent that it counts',
      {
        keyVersionNumber: asked.answer.keyVersionNumber,
        protocol: asked.answer.secureChannelProtocol,
        tried: candidates.map(({ master, way }) => `${master}:${way}`).join(' '),
      },
    );
  }

  async #tryKey(
    element: LineElement,
    keySet: ElementKeySet,
    asked: {
      readonly answer: InitializeUpdateAnswer;
      readonly answerHex: string;
      readonly hostChallenge: Uint8Array;
      readonly commandBytesMax: number;
    },
  ): Promise<OpenedElementSession | null> {
    const { answer } = asked;
    const protocol = answer.secureChannelProtocol === 3 ? 3 : 2;
    const level = LEVELS.find((one) => isLevelOffered(protocol, answer.parameterI ?? 0x15, one));
    try {
      return await this.hsm({
        command: 'openElementSession',
        source: this.sourceOf(element, keySet),
        hostChallenge: toHex(asked.hostChallenge),
        answer: asked.answerHex,
        securityLevel: level ?? 0x01,
        commandBytesMax: asked.commandBytesMax,
      });
    } catch (thrown) {
      if (thrown instanceof TsmError && WRONG_KEYS.includes(String(thrown.data['hsmCode']))) {
        return null;
      }
      throw thrown;
    }
  }

  /** A key set as the HSM wants it. */
  sourceOf(
    element: LineElement,
    { master, way, domainAid }: Pick<ElementKeySet, 'master' | 'way' | 'domainAid'>,
  ): { readonly key: string; readonly way: ElementKeySet['way']; readonly data: string } {
    const isIssuer = domainAid === this.#ports.profile.issuerDomainAid;
    const data = isIssuer
      ? element.keyDiversificationData
      : domainDiversificationData(element.keyDiversificationData, domainAid);
    return { key: this.keyBlockOf(master), way, data };
  }

  /** One batch, as it goes over the wire. */
  async *#send(
    commands: readonly string[],
    allowed: readonly number[],
  ): Talk<readonly ResponseApdu[]> {
    const words = allowed.map(wordHex);
    const came = yield commands.map((command) => ({ command, allowed: words }));
    return came.slice(0, commands.length).map((hex) => decodeResponse(fromHex(hex)));
  }
}

/** A call of the HSM with its faults as ours. @throws TsmError. */
export async function callHsm<R extends HsmRequest>(
  { hsm }: Pick<TsmPorts, 'hsm'>,
  request: R,
): Promise<HsmAnswers[R['command']]> {
  try {
    return await hsm.call(request);
  } catch (thrown) {
    if (!(thrown instanceof TapError)) throw thrown;
    const data = { hsmCode: thrown.code };
    if (WRONG_KEYS.includes(thrown.code)) {
      throw new TsmError('ERR_TSM_CARD_CRYPTOGRAM', thrown.message, data, thrown);
    }
    if (WRONG_ANSWER.includes(thrown.code)) {
      throw new TsmError('ERR_TSM_ANSWER', thrown.message, data, thrown);
    }
    throw new TsmError('ERR_TSM_HSM', 'the HSM did not do it', data, thrown);
  }
}

/** Data that make the key set of a domain its own: the element's, bound to the domain's name. */
export function domainDiversificationData(elementData: string, domainAid: string): string {
  const digest = createHash('sha256').update(fromHex(elementData)).update(fromHex(domainAid));
  return toHex(new Uint8Array(digest.digest().subarray(0, 10)));
}

/**
 * Key sets that a domain may have answered with: its own of that version, known or sent; while it
 * has none of its own, those of the issuer's domain; and those of the factory, whatever version
 * they have there (01, 20 and FF are seen: report 12), while the issuer's domain has no known set.
 */
export function keySetCandidates(
  element: Pick<LineElement, 'keySets' | 'sentKeySets' | 'factory'>,
  asked: {
    readonly domainAid: string;
    readonly issuerDomainAid: string;
    readonly keyVersionNumber: number;
  },
): readonly ElementKeySet[] {
  const { domainAid, issuerDomainAid, keyVersionNumber } = asked;
  const all = [...element.sentKeySets, ...element.keySets].filter(
    (set) => set.keyVersionNumber === keyVersionNumber,
  );
  const own = all.filter((set) => set.domainAid === domainAid);
  const inherited = all.filter((set) => set.domainAid === issuerDomainAid);
  const isNew = !element.keySets.some((set) => set.domainAid === issuerDomainAid);
  const factory = (isNew ? element.factory : []).map(({ master, way }) => ({
    ...{ domainAid: issuerDomainAid, keyVersionNumber, master, way },
    ...{ counter: null, parameterI: null },
  }));
  return [...own, ...(domainAid === issuerDomainAid ? [] : inherited), ...factory];
}

/** @throws TsmError `ERR_TSM_STATUS` with step and status word, `ERR_TSM_CONTACT` for none. */
export function assertStatus(
  step: string,
  response: ResponseApdu | undefined,
  allowed: readonly number[] = [SW_9000_OK],
): asserts response is ResponseApdu {
  if (!response) throw noAnswer();
  const { statusWord } = response;
  if (allowed.includes(statusWord)) return;
  const text = statusWordHex(statusWord);
  throw new TsmError('ERR_TSM_STATUS', `${step} was answered by ${text}`, {
    ...{ step, statusWord: text },
  });
}

function decoded(response: ResponseApdu, element: LineElement): InitializeUpdateAnswer {
  let answer: InitializeUpdateAnswer;
  try {
    answer = decodeInitializeUpdate(response.data);
  } catch (thrown) {
    if (!(thrown instanceof TapError)) throw thrown;
    throw new TsmError('ERR_TSM_ANSWER', thrown.message, { step: 'INITIALIZE UPDATE' });
  }
  if (toHex(answer.keyDiversificationData) !== element.keyDiversificationData) {
    throw new TsmError('ERR_TSM_OTHER_ELEMENT', 'the diversification data are of another element');
  }
  if (element.parameterI === null || answer.parameterI === element.parameterI) return answer;
  throw new TsmError('ERR_TSM_OTHER_ELEMENT', 'parameter i is not that of this element', {
    ...{ known: element.parameterI, answered: answer.parameterI },
  });
}

/** What the next session of the key set will show; null where the element does not say it. */
function nextCounter({ sequenceCounter }: InitializeUpdateAnswer): number | null {
  if (!sequenceCounter) return null;
  return sequenceCounter.reduce((sum, byte) => sum * 256 + byte, 0) + 1;
}

/** Parts that each fit one batch, in order. */
function* parts(commands: readonly string[]): Generator<readonly string[]> {
  let part: string[] = [];
  let bytes = 0;
  for (const command of commands) {
    const own = command.length / 2 + PROTECTION_BYTES_MAX;
    if (part.length === TSM_BATCH_COMMANDS_MAX || bytes + own > TSM_BATCH_BYTES_MAX) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(command);
    bytes += own;
  }
  if (part.length > 0) yield part;
}

function hexOf(command: CommandApdu): string {
  return toHex(encodeCommand(command));
}

function wordHex(word: number): string {
  return word.toString(16).toUpperCase().padStart(4, '0');
}

function noAnswer(): TsmError {
  return new TsmError('ERR_TSM_CONTACT', 'the element gave no answer');
}
