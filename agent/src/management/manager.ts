/**
 * A manager of a GlobalPlatform card on this machine: it opens a secure channel over whatever
 * carries APDUs and runs the steps of the manager's side in it.
 */
import * as gp from '@tapnpay/protocol/globalplatform/data';
import {
  assertStatus,
  COMMAND_BYTES_MAX_SHORT,
  decodeSelectAnswer,
  type HostSession,
  initializeUpdateCommand,
  inSession,
  type KeyCandidate,
  openSecureChannel,
  overTransport,
  selectCommand,
} from '@tapnpay/protocol/globalplatform/offcard';
import {
  type CommandApdu,
  decodeResponse,
  encodeCommand,
  type ResponseApdu,
  SW_6700_WRONG_LENGTH,
} from '@tapnpay/protocol/iso7816';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import type { CardLook } from './keys-of-card.ts';
import { highestLevel, matchingKeys } from './keys-of-card.ts';

/** Whatever carries a command to a card and its answer back. */
export type ApduTransport = {
  transmit(command: Uint8Array): Uint8Array | Promise<Uint8Array>;
};
/** Steps of the manager's side. */
export type Steps<Result> = Generator<CommandApdu, Result, ResponseApdu>;

/** What a channel is asked to be. */
export type ChannelRequest = {
  /** Key sets that may be the card's; what the card shows first says which to derive. */
  readonly candidates: (answer: gp.InitializeUpdateAnswer) => readonly KeyCandidate[];
  /** Null: the highest that the card offers. */
  readonly securityLevel?: number | null;
  /** 0: the card's choice. */
  readonly keyVersionNumber?: number;
  /** The domain; empty for the issuer's. */
  readonly domainAid?: string;
};

/** Runs steps over a transport. */
export async function runSteps<Result>(
  transport: ApduTransport,
  steps: Steps<Result>,
): Promise<Result> {
  const over = overTransport(steps);
  let state = over.next();
  while (!state.done) {
    const answer = await transport.transmit(encodeCommand(state.value));
    state = over.next(decodeResponse(answer));
  }
  return state.value;
}

/**
 * Looks at a card: SELECT and INITIALIZE UPDATE, which change nothing and count nothing.
 * @throws GlobalPlatformError `ERR_GP_STATUS` and others of a strange answer.
 */
export function* lookAtCard(
  request: Pick<ChannelRequest, 'keyVersionNumber' | 'domainAid'>,
): Steps<CardLook> {
  const selected = yield selectCommand(request.domainAid ?? '');
  // 6283: the card is locked, and can still be managed.
  assertStatus('SELECT', selected, [0x9000, 0x6283]);
  const said = decodeSelectAnswer(selected.data);
  const domainAid = request.domainAid || said.aid;
  const commandBytesMax = said.commandBytesMax ?? COMMAND_BYTES_MAX_SHORT;
  for (const challengeBytes of [8, 16]) {
    const hostChallenge = systemRandom.bytes(challengeBytes);
    const response = yield initializeUpdateCommand(request.keyVersionNumber ?? 0, hostChallenge);
    if (challengeBytes === 8 && response.statusWord === SW_6700_WRONG_LENGTH) continue;
    assertStatus('INITIALIZE UPDATE', response);
    const answer = gp.decodeInitializeUpdate(response.data);
    return { answer, domainAid, hostChallenge, commandBytesMax };
  }
  throw new gp.GlobalPlatformError('ERR_GP_PROTOCOL', 'the card takes no challenge');
}

/** An open channel with a domain. */
export class CardManager {
  readonly #transport: ApduTransport;
  readonly session: HostSession;
  readonly answer: gp.InitializeUpdateAnswer;
  /** Which of the candidates the card has. */
  readonly keyName: string;

  private constructor(
    transport: ApduTransport,
    opened: {
      readonly session: HostSession;
      readonly answer: gp.InitializeUpdateAnswer;
      readonly keyName: string;
    },
  ) {
    this.#transport = transport;
    this.session = opened.session;
    this.answer = opened.answer;
    this.keyName = opened.keyName;
  }

  /**
   * Opens one. Keys that are not the card's end before EXTERNAL AUTHENTICATE, so that the card
   * counts nothing.
   * @throws GlobalPlatformError `ERR_GP_CARD_CRYPTOGRAM`, `ERR_GP_STATUS`, `ERR_GP_PROTOCOL`.
   */
  static async open(transport: ApduTransport, request: ChannelRequest): Promise<CardManager> {
    const look = await runSteps(transport, lookAtCard(request));
    const { answer, commandBytesMax } = look;
    // A wrong key is told with all check values, before anything is sent that a card counts.
    matchingKeys(look, request.candidates);
    const opened = await runSteps(
      transport,
      openSecureChannel({
        ...{ ciphers: nodeCiphers, random: (lengthBytes) => systemRandom.bytes(lengthBytes) },
        candidates: request.candidates,
        securityLevel: request.securityLevel ?? highestLevel(answer),
        keyVersionNumber: request.keyVersionNumber ?? 0,
        commandBytesMax,
        challengeBytes: answer.cardChallenge.length === 16 ? 16 : 8,
      }),
    );
    return new CardManager(transport, opened);
  }

  /** Steps inside the session. */
  run<Result>(steps: Steps<Result>): Promise<Result> {
    return runSteps(this.#transport, inSession(this.session, steps));
  }

  /** Commands that must all be answered by 9000; the answer to the last one. */
  async sendAll(step: string, commands: readonly CommandApdu[]): Promise<ResponseApdu | null> {
    let last: ResponseApdu | null = null;
    for (const command of commands) {
      last = await this.run(one(command));
      assertStatus(step, last);
    }
    return last;
  }
}

function* one(command: CommandApdu): Steps<ResponseApdu> {
  return yield command;
}
