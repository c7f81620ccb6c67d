/** Which keys a card has, and what it offers with them, told from one look at it. */
import { toHex } from '@tapnpay/protocol/bytes';
import {
  GlobalPlatformError,
  type InitializeUpdateAnswer,
  isLevelOffered,
  SCP02_LEVELS,
  SCP02_PARAMETERS,
  SCP03_LEVELS,
} from '@tapnpay/protocol/globalplatform/data';
import {
  isKeyFit,
  type KeyCandidate,
  keyCheckValues,
  sessionMessages,
} from '@tapnpay/protocol/globalplatform/offcard';
import { nodeCiphers } from '@tapnpay/protocol/node';

/** What a card shows before anybody has proved anything. */
export type CardLook = {
  readonly answer: InitializeUpdateAnswer;
  /** Hex; the issuer's own name when none was asked for. */
  readonly domainAid: string | null;
  readonly hostChallenge: Uint8Array;
  /** Most data bytes of one command, as SELECT says; 255 where it says nothing. */
  readonly commandBytesMax: number;
};

/** The highest level that a card with this answer offers. */
export function highestLevel(answer: InitializeUpdateAnswer): number {
  const protocol = answer.secureChannelProtocol === 3 ? 3 : 2;
  const levels = protocol === 3 ? SCP03_LEVELS : SCP02_LEVELS;
  const offered = levels.filter((level) =>
    isLevelOffered(protocol, answer.parameterI ?? SCP02_PARAMETERS[0] ?? 0, level),
  );
  return Math.max(...offered);
}

/**
 * The key set that explains a card's cryptogram; nothing is sent for the question.
 * @throws GlobalPlatformError `ERR_GP_CARD_CRYPTOGRAM` with the names and check values of all that
 *   were tried, for people to compare.
 */
export function matchingKeys(
  { answer, hostChallenge }: CardLook,
  candidates: (answer: InitializeUpdateAnswer) => readonly KeyCandidate[],
): KeyCandidate {
  const protocol = answer.secureChannelProtocol === 3 ? 3 : 2;
  const fit = candidates(answer).filter(({ keys }) => isKeyFit(keys, protocol));
  const found = fit.find(({ keys }) =>
    sessionMessages(nodeCiphers, { keys, answer, hostChallenge }).isCardCryptogram(
      answer.cardCryptogram,
    ),
  );
  if (found) return found;
  const tried = fit.map(({ name, keys }) => {
    const { encryption } = keyCheckValues(nodeCiphers, keys, protocol);
    return `${name}:${toHex(encryption)}`;
  });
  throw new GlobalPlatformError(
    'ERR_GP_CARD_CRYPTOGRAM',
    `none of the keys is the card's (tried ${tried.join(' ')}); nothing was sent that it counts`,
    {
      ...{ protocol, keyVersionNumber: answer.keyVersionNumber },
      keyDiversificationData: toHex(answer.keyDiversificationData),
      tried: tried.join(' '),
    },
  );
}
