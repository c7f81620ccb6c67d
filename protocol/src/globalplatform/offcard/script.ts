/**
 * Scripts computed beforehand: with challenges that the host can predict (i bit 10 of SCP03, 40 of
 * SCP02) every command is known before the card is there, and only its counter must be.
 * @see GP-D §6.2.2.1
 */
import {
  bytesToUint,
  equalBytes,
  fromHex,
  TapError,
  toHex,
  uintToBytes,
} from '../../bytes/index.ts';
import type { CipherProvider } from '../../crypto/index.ts';
import {
  type CommandApdu,
  decodeResponse,
  encodeCommand,
  type ResponseApdu,
  SW_9000_OK,
  statusWordHex,
} from '../../iso7816/index.ts';
import {
  decodeInitializeUpdate,
  GlobalPlatformError,
  isLevelOffered,
  limitFault,
  SCP02_I_40_PSEUDO_RANDOM,
  SCP03_I_01_S16,
  SCP03_I_10_PSEUDO_RANDOM,
  scp02CardChallenge,
  scp02SessionKey,
  scp03CardChallenge,
} from '../data/index.ts';
import type { StaticKeys } from './keys.ts';
import {
  externalAuthenticate,
  initializeUpdateCommand,
  sessionMessages,
  sessionOf,
} from './open.ts';
import type { HostSession, SessionMessages } from './session.ts';

/** Commands in one script. */
export const SCRIPT_COMMANDS_MAX = 600;

/** What the host knows of a card that is not there. */
export type ScriptTarget = {
  readonly protocol: 2 | 3;
  readonly parameterI: number;
  readonly keyVersionNumber: number;
  /** The counter that the card will show. */
  readonly sequenceCounter: number;
  /** AID of the domain or application that the channel is opened with, in hex. */
  readonly invokerAid: string;
};

/** One step: the bytes to send and the status words after which the script goes on. */
export type ScriptStep = { readonly command: Uint8Array; readonly allowed: readonly number[] };

/** A script; `steps` are for the relay, `session` opens the answers when they come back. */
export type OfflineScript = {
  readonly steps: readonly ScriptStep[];
  readonly session: HostSession;
  readonly messages: SessionMessages;
  readonly target: ScriptTarget;
};

/**
 * Computes a script.
 * @param request.commands clear commands; they may encipher data under the session's key.
 * @throws GlobalPlatformError `ERR_GP_PROTOCOL` when the challenge is not predictable or the level
 *   not offered, `ERR_GP_LIMIT`.
 */
export function computeScript(
  ciphers: CipherProvider,
  target: ScriptTarget,
  request: {
    readonly keys: StaticKeys;
    readonly hostChallenge: Uint8Array;
    readonly securityLevel: number;
    readonly commands: (session: HostSession) => readonly CommandApdu[];
    readonly commandBytesMax?: number;
  },
): OfflineScript {
  const { keys, hostChallenge, securityLevel } = request;
  assertPredictable(target, securityLevel);
  const cardChallenge = predictedChallenge(ciphers, target, keys);
  const sequenceCounter = uintToBytes(target.sequenceCounter, target.protocol === 3 ? 3 : 2);
  const answer = {
    ...{ secureChannelProtocol: target.protocol, cardChallenge, sequenceCounter },
    keyVersionNumber: target.keyVersionNumber,
    parameterI: target.protocol === 3 ? target.parameterI : null,
    ...{ keyDiversificationData: new Uint8Array(10), cardCryptogram: new Uint8Array() },
  };
  const messages = sessionMessages(ciphers, { keys, answer, hostChallenge });
  const session = sessionOf(messages, answer, request);
  const authentication = [
    initializeUpdateCommand(target.keyVersionNumber, hostChallenge),
    externalAuthenticate(messages, securityLevel),
  ];
  const commands = request.commands(session);
  if (commands.length > SCRIPT_COMMANDS_MAX) {
    throw limitFault('script commands', commands.length, SCRIPT_COMMANDS_MAX);
  }
  const all = [...authentication, ...commands.map((command) => session.wrap(command))];
  const steps = all.map((command) => ({ command: encodeCommand(command), allowed: [SW_9000_OK] }));
  return { steps, session, messages, target };
}

/** What became of a script: the answers in clear, and where and why it stopped. */
export type ScriptResult = {
  readonly answers: readonly ResponseApdu[];
  readonly stoppedAt: number | null;
  readonly reason: string | null;
};

/**
 * Checks the answers that the relay brings back, in order. The card's cryptogram is checked after
 * the fact: a wrong one means that nothing of the script was done.
 */
export function checkScriptAnswers(
  script: OfflineScript,
  answers: readonly Uint8Array[],
): ScriptResult {
  const clear: ResponseApdu[] = [];
  for (const [index, { allowed }] of script.steps.entries()) {
    const bytes = answers[index];
    if (bytes === undefined) return { answers: clear, stoppedAt: index, reason: 'noAnswer' };
    try {
      const response = openedAnswer(script, index, decodeResponse(bytes));
      clear.push(response);
      if (allowed.includes(response.statusWord)) continue;
      return { answers: clear, stoppedAt: index, reason: statusWordHex(response.statusWord) };
    } catch (thrown) {
      if (!(thrown instanceof TapError)) throw thrown;
      return { answers: clear, stoppedAt: index, reason: thrown.code };
    }
  }
  return { answers: clear, stoppedAt: null, reason: null };
}

function openedAnswer(script: OfflineScript, index: number, response: ResponseApdu): ResponseApdu {
  if (index > 1) return script.session.unwrap(response);
  if (index === 1 || response.statusWord !== SW_9000_OK) return response;
  const answer = decodeInitializeUpdate(response.data);
  const counter = answer.sequenceCounter ?? new Uint8Array();
  const isExpected = equalBytes(
    counter,
    uintToBytes(script.target.sequenceCounter, counter.length || 1),
  );
  if (isExpected && script.messages.isCardCryptogram(answer.cardCryptogram)) return response;
  throw new GlobalPlatformError('ERR_GP_CARD_CRYPTOGRAM', 'another card, key or counter', {
    ...{ sequenceCounter: bytesToUint(counter), answer: toHex(answer.cardChallenge) },
  });
}

/** @throws GlobalPlatformError `ERR_GP_PROTOCOL`. */
export function assertPredictable(target: ScriptTarget, securityLevel: number): void {
  const { protocol, parameterI } = target;
  const bit = protocol === 3 ? SCP03_I_10_PSEUDO_RANDOM : SCP02_I_40_PSEUDO_RANDOM;
  const isPredictable = (parameterI & bit) !== 0;
  if (isPredictable && isLevelOffered(protocol, parameterI, securityLevel)) return;
  throw new GlobalPlatformError(
    'ERR_GP_PROTOCOL',
    isPredictable ? 'the card does not offer that level' : 'its challenges are not predictable',
    { protocol, parameterI, securityLevel },
  );
}

/** The challenge that a card will show, whose counter is known. */
export function predictedChallenge(
  ciphers: CipherProvider,
  { protocol, parameterI, sequenceCounter, invokerAid }: ScriptTarget,
  keys: StaticKeys,
): Uint8Array {
  if (protocol === 2) {
    const counter = uintToBytes(sequenceCounter, 2);
    const sessionMac = scp02SessionKey(keys.mac.expose(), 'commandMac', counter);
    return scp02CardChallenge(sessionMac, fromHex(invokerAid));
  }
  return scp03CardChallenge(ciphers, keys.encryption.expose(), {
    sequenceCounter: uintToBytes(sequenceCounter, 3),
    invokerAid: fromHex(invokerAid),
    lengthBytes: parameterI & SCP03_I_01_S16 ? 16 : 8,
  });
}
