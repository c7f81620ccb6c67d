/** Opening a secure channel from the host's side. @see GPCS 2.3.1 §E.5, GP-D §7.1 */
import { Secret, toHex } from '../../bytes/index.ts';
import type { CipherProvider } from '../../crypto/index.ts';
import {
  type CommandApdu,
  type ResponseApdu,
  SW_6700_WRONG_LENGTH,
  SW_9000_OK,
  statusWordHex,
} from '../../iso7816/index.ts';
import {
  CLA_GLOBALPLATFORM,
  DIVERSIFICATIONS,
  type Diversification,
  decodeInitializeUpdate,
  formatFault,
  GlobalPlatformError,
  INS_50_INITIALIZE_UPDATE,
  INS_82_EXTERNAL_AUTHENTICATE,
  type InitializeUpdateAnswer,
  isLevelOffered,
  LEVEL_01_C_MAC,
  SCP02_PARAMETERS,
  SCP03_I_01_S16,
  SCP03_PARAMETERS,
} from '../data/index.ts';
import { diversifyKeys, type StaticKeys } from './keys.ts';
import { scp02Messages } from './scp02-session.ts';
import { scp03Messages } from './scp03-session.ts';
import {
  COMMAND_BYTES_MAX_SHORT,
  HostSession,
  type SessionMessages,
  type SessionSnapshot,
} from './session.ts';

/** A key set that may be the card's, with a name for the report. */
export type KeyCandidate = { readonly name: string; readonly keys: StaticKeys };
/** Key sets that are tried on one answer of a card. */
export const KEY_CANDIDATES_MAX = 16;

/** What a channel is opened with. Protocol and parameter i are the card's to say (report 3). */
export type OpenRequest = {
  readonly ciphers: CipherProvider;
  readonly random: (lengthBytes: number) => Uint8Array;
  /** Sets to try, in order, once the card has shown its data; nothing is sent for a try. */
  readonly candidates: (answer: InitializeUpdateAnswer) => readonly KeyCandidate[];
  readonly securityLevel: number;
  /** 0 lets the card choose. */
  readonly keyVersionNumber?: number;
  /** The first size of challenge; the other one is tried when the card answers 6700. */
  readonly challengeBytes?: 8 | 16;
  /** The logical channel; 0 unless it says another. */
  readonly channel?: number;
  /** Larger than 255 for a card that takes extended commands. */
  readonly commandBytesMax?: number;
};

/** An open channel: the session, and which of the key sets it has. */
export type OpenedChannel = {
  readonly session: HostSession;
  readonly answer: InitializeUpdateAnswer;
  readonly keyName: string;
};

/**
 * INITIALIZE UPDATE, the check of the card's cryptogram, EXTERNAL AUTHENTICATE. Wrong keys end
 * before EXTERNAL AUTHENTICATE, so that the card counts nothing (reports 1, 3, 4, 25).
 * @throws GlobalPlatformError `ERR_GP_CARD_CRYPTOGRAM`, `ERR_GP_PROTOCOL`, `ERR_GP_STATUS`,
 *   `ERR_GP_LENGTH`, `ERR_GP_FORMAT`.
 */
export function* openSecureChannel(
  request: OpenRequest,
): Generator<CommandApdu, OpenedChannel, ResponseApdu> {
  const { hostChallenge, response } = yield* initializeUpdate(request);
  const answer = checkedAnswer(decodeInitializeUpdate(response.data), hostChallenge);
  const { keyName, messages } = messagesOf(request, answer, hostChallenge);
  const session = sessionOf(messages, answer, request);
  const channel = request.channel ?? 0;
  const proof = externalAuthenticate(messages, request.securityLevel);
  const authenticated = yield { ...proof, cla: proof.cla | channel };
  assertStatus('EXTERNAL AUTHENTICATE', authenticated);
  return { session, answer, keyName };
}

/** The command, with a challenge of the host. */
export function initializeUpdateCommand(
  keyVersionNumber: number,
  hostChallenge: Uint8Array,
): CommandApdu {
  return {
    ...{ cla: CLA_GLOBALPLATFORM, ins: INS_50_INITIALIZE_UPDATE, p1: keyVersionNumber, p2: 0 },
    ...{ data: hostChallenge, le: 256 },
  };
}

/** The host's proof at a level; its C-MAC starts the chain at every level. */
export function externalAuthenticate(messages: SessionMessages, level: number): CommandApdu {
  const command = {
    ...{ cla: CLA_GLOBALPLATFORM, ins: INS_82_EXTERNAL_AUTHENTICATE, p1: level, p2: 0 },
    data: messages.hostCryptogram(),
  };
  return messages.wrap(command, LEVEL_01_C_MAC);
}

/** The session of messages whose card has proved its keys. */
export function sessionOf(
  messages: SessionMessages,
  answer: InitializeUpdateAnswer,
  request: Pick<OpenRequest, 'securityLevel' | 'commandBytesMax'>,
): HostSession {
  const commandBytesMax = request.commandBytesMax ?? COMMAND_BYTES_MAX_SHORT;
  return new HostSession(new Secret(messages, '[session]'), {
    keyVersionNumber: answer.keyVersionNumber,
    parameterI: answer.parameterI,
    securityLevel: request.securityLevel,
    commandBytesMax:
      messages.protocol === 2
        ? Math.min(commandBytesMax, COMMAND_BYTES_MAX_SHORT)
        : commandBytesMax,
  });
}

/** Key sets of a card from masters by every known way, to be tried on its answer (report 1). */
export function diversifiedCandidates(
  ciphers: CipherProvider,
  masters: StaticKeys,
  answer: InitializeUpdateAnswer,
): readonly KeyCandidate[] {
  const { keyDiversificationData } = answer;
  const isAes = answer.secureChannelProtocol === 3;
  const isShort = masters.mac.expose().length === 16;
  // EMV and VISA2 give keys of 16 bytes, KDF3 is AES throughout.
  const isFit = (way: Diversification): boolean =>
    way === 'none' || (way === 'kdf3' ? isAes : isShort);
  return DIVERSIFICATIONS.filter(isFit).map((way) => ({
    name: way,
    keys: diversifyKeys(ciphers, masters, { way, keyDiversificationData }),
  }));
}

/** @throws GlobalPlatformError `ERR_GP_STATUS`. */
export function assertStatus(
  step: string,
  { statusWord }: ResponseApdu,
  allowed: readonly number[] = [SW_9000_OK],
): void {
  if (allowed.includes(statusWord)) return;
  const text = statusWordHex(statusWord);
  throw new GlobalPlatformError('ERR_GP_STATUS', `${step} was answered by ${text}`, {
    ...{ step, statusWord: text },
  });
}

/** Sends the challenge; a card that wants the other size says 6700 (report 10). */
function* initializeUpdate(
  request: OpenRequest,
): Generator<
  CommandApdu,
  { readonly hostChallenge: Uint8Array; readonly response: ResponseApdu },
  ResponseApdu
> {
  const first = request.challengeBytes ?? 8;
  const version = request.keyVersionNumber ?? 0;
  const command = (challenge: Uint8Array): CommandApdu => ({
    ...initializeUpdateCommand(version, challenge),
    cla: CLA_GLOBALPLATFORM | (request.channel ?? 0),
  });
  let hostChallenge = request.random(first);
  let response = yield command(hostChallenge);
  if (response.statusWord === SW_6700_WRONG_LENGTH) {
    hostChallenge = request.random(first === 8 ? 16 : 8);
    response = yield command(hostChallenge);
  }
  assertStatus('INITIALIZE UPDATE', response);
  return { hostChallenge, response };
}

/**
 * What the answer says fits together and is spoken here.
 * @throws GlobalPlatformError `ERR_GP_PROTOCOL`, `ERR_GP_FORMAT`.
 */
export function checkedAnswer(
  answer: InitializeUpdateAnswer,
  hostChallenge: Uint8Array,
): InitializeUpdateAnswer {
  const { secureChannelProtocol: protocol, parameterI, cardChallenge } = answer;
  if (protocol === 1 || (parameterI !== null && !SCP03_PARAMETERS.includes(parameterI))) {
    throw new GlobalPlatformError('ERR_GP_PROTOCOL', 'protocol or parameter i is not spoken', {
      ...{ protocol, parameterI },
    });
  }
  if (protocol === 3) {
    const size = (parameterI ?? 0) & SCP03_I_01_S16 ? 16 : 8;
    const isWhole = cardChallenge.length === size && hostChallenge.length === size;
    if (!isWhole) throw formatFault('size of challenges is not that of parameter i', 12);
  } else if (hostChallenge.length !== 8) {
    throw formatFault('SCP02 has challenges of 8 bytes', 11);
  }
  return answer;
}

/** The messages under the first set that explains the card's cryptogram. */
function messagesOf(
  request: OpenRequest,
  answer: InitializeUpdateAnswer,
  hostChallenge: Uint8Array,
): { readonly keyName: string; readonly messages: SessionMessages } {
  const protocol = answer.secureChannelProtocol === 3 ? 3 : 2;
  // SCP02 does not say its i; what is spoken here has the same levels for each.
  const parameterI = answer.parameterI ?? SCP02_PARAMETERS[0] ?? 0;
  if (!isLevelOffered(protocol, parameterI, request.securityLevel)) {
    throw new GlobalPlatformError('ERR_GP_PROTOCOL', 'the card does not offer that level', {
      ...{ protocol, parameterI, securityLevel: request.securityLevel },
    });
  }
  const candidates = request.candidates(answer).slice(0, KEY_CANDIDATES_MAX);
  for (const { name, keys } of candidates) {
    if (!isKeyFit(keys, protocol)) continue;
    const messages = sessionMessages(request.ciphers, { keys, answer, hostChallenge });
    if (messages.isCardCryptogram(answer.cardCryptogram)) return { keyName: name, messages };
  }
  throw new GlobalPlatformError(
    'ERR_GP_CARD_CRYPTOGRAM',
    'no key set explains the cryptogram of the card; nothing was sent that it would count',
    {
      protocol,
      keyVersionNumber: answer.keyVersionNumber,
      keyDiversificationData: toHex(answer.keyDiversificationData),
      tried: candidates.map(({ name }) => name).join(' '),
    },
  );
}

/** A 32-byte key is no DES key, and three lengths are AES (report 3). */
export function isKeyFit(keys: StaticKeys, protocol: 2 | 3): boolean {
  const allowed = protocol === 3 ? [16, 24, 32] : [16];
  const lengths = [keys.encryption, keys.mac, keys.dataEncryption].map(
    (key) => key.expose().length,
  );
  return lengths.every((length) => allowed.includes(length) && length === lengths[0]);
}

/** Messages of the protocol that an answer names. */
export function sessionMessages(
  ciphers: CipherProvider,
  parts: {
    readonly keys: StaticKeys;
    readonly answer: Pick<
      InitializeUpdateAnswer,
      'secureChannelProtocol' | 'cardChallenge' | 'sequenceCounter'
    >;
    readonly hostChallenge: Uint8Array;
    /** To go on with a session that was put down. */
    readonly from?: SessionSnapshot | undefined;
  },
): SessionMessages {
  const { keys, answer, hostChallenge, from } = parts;
  const { cardChallenge } = answer;
  if (answer.secureChannelProtocol === 3) {
    return scp03Messages(ciphers, keys, { hostChallenge, cardChallenge }, from);
  }
  const sequenceCounter = answer.sequenceCounter ?? new Uint8Array();
  return scp02Messages(keys, { hostChallenge, sequenceCounter, cardChallenge }, from);
}
