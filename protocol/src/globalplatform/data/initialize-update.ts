/** The answer to INITIALIZE UPDATE. @see GPCS 2.3.1 §E.5.1, GP-D §7.1.1 */
import { byteAt } from '../../bytes/index.ts';
import { assertBytes, formatFault } from './errors.ts';

/** What the card says before both sides have proved anything. */
export type InitializeUpdateAnswer = {
  /** 10 bytes from which an off-card party derives this card's keys. */
  readonly keyDiversificationData: Uint8Array;
  readonly keyVersionNumber: number;
  readonly secureChannelProtocol: 1 | 2 | 3;
  /** Parameter i of SCP03; the answers of SCP01 and SCP02 do not hold it. */
  readonly parameterI: number | null;
  /** 2 bytes in SCP02, 3 in SCP03 with pseudo-random challenges, none else. */
  readonly sequenceCounter: Uint8Array | null;
  /** 6 bytes in SCP02 (the counter stands before them), 8 in SCP01, 8 or 16 in SCP03. */
  readonly cardChallenge: Uint8Array;
  readonly cardCryptogram: Uint8Array;
};

const DIVERSIFICATION_BYTES = 10;
/** Lengths of an SCP03 answer: without and with counter, 8-byte challenges and 16-byte ones. */
const SCP03_BYTES: readonly number[] = [29, 32, 45, 48];
const SCP02_BYTES = 28;

/**
 * Reads the answer without its status word.
 * @throws GlobalPlatformError `ERR_GP_LENGTH`, `ERR_GP_FORMAT` for an unknown protocol (byte 11).
 */
export function decodeInitializeUpdate(answer: Uint8Array): InitializeUpdateAnswer {
  assertBytes('INITIALIZE UPDATE answer', answer, [SCP02_BYTES, ...SCP03_BYTES]);
  const protocol = byteAt(answer, DIVERSIFICATION_BYTES + 1);
  const head = {
    keyDiversificationData: answer.slice(0, DIVERSIFICATION_BYTES),
    keyVersionNumber: byteAt(answer, DIVERSIFICATION_BYTES),
  };
  if (protocol === 3) return { ...head, ...scp03Part(answer) };
  if (protocol !== 1 && protocol !== 2) {
    throw formatFault(`secure channel protocol ${protocol} is not known`, 11);
  }
  assertBytes('INITIALIZE UPDATE answer', answer, [SCP02_BYTES]);
  const challengeAt = protocol === 2 ? 14 : 12;
  return {
    ...head,
    secureChannelProtocol: protocol,
    parameterI: null,
    sequenceCounter: protocol === 2 ? answer.slice(12, 14) : null,
    cardChallenge: answer.slice(challengeAt, 20),
    cardCryptogram: answer.slice(20, 28),
  };
}

function scp03Part(
  answer: Uint8Array,
): Omit<InitializeUpdateAnswer, 'keyDiversificationData' | 'keyVersionNumber'> {
  assertBytes('INITIALIZE UPDATE answer of SCP03', answer, SCP03_BYTES);
  const size = answer.length >= 45 ? 16 : 8;
  const challengeAt = DIVERSIFICATION_BYTES + 3;
  const end = challengeAt + 2 * size;
  return {
    secureChannelProtocol: 3,
    parameterI: byteAt(answer, 12),
    sequenceCounter: answer.length > end ? answer.slice(end, end + 3) : null,
    cardChallenge: answer.slice(challengeAt, challengeAt + size),
    cardCryptogram: answer.slice(challengeAt + size, end),
  };
}
