/**
 * Dynamic tokens of cards: part of a cryptogram is compared, never given out. The data are those of
 * a token and of nothing else: a caller that finds a cryptogram bit by bit finds one that no issuer
 * takes for a payment. @see protocol/src/emv/data/dynamic-token.ts
 */
import { toHex } from '@tapnpay/protocol/bytes';
import { applicationCryptogram, sm4ApplicationCryptogram } from '@tapnpay/protocol/crypto';
import {
  TAG_9F10_ISSUER_APPLICATION_DATA,
  TAG_9F36_APPLICATION_TRANSACTION_COUNTER,
  TAG_9F37_UNPREDICTABLE_NUMBER,
  TAG_82_APPLICATION_INTERCHANGE_PROFILE,
  tokenSignature,
  tokenTerminalValues,
} from '@tapnpay/protocol/emv/data';
import { assembleAcInput } from '@tapnpay/protocol/emv/issuer';
import { hexShape, KeyUsage, listShape } from '@tapnpay/protocol/wire';
import { HsmError } from '../errors.ts';
import { sessionKeyOf } from './card-session.ts';
import { cardAlgorithm, cardKey } from './cryptogram-commands.ts';
import {
  bytesOf,
  type Command,
  cardShape,
  command,
  exactHex,
  keyBlockShape,
  optionalShape,
} from './rule.ts';

/** Counters of one request: each is a derivation and a cryptogram. */
export const TOKEN_ATCS_MAX = 64;
/** Fewest bits that are compared: fewer would be a guess. */
export const TOKEN_MASK_BITS_MIN = 16;
/** Longest data that a token signs. */
const SIGNED_BYTES_MAX = 164;

/** Which counter of the window made the token. */
export const verifyTokenCommand: Command<'verifyToken'> = command<'verifyToken', 'imk'>(
  'verifyToken',
  {
    callers: ['issuer'],
    fields: {
      algorithm: cardAlgorithm,
      imkAc: keyBlockShape,
      card: cardShape,
      atcs: listShape(exactHex(2), TOKEN_ATCS_MAX),
      aip: exactHex(2),
      issuerApplicationData: hexShape({ min: 8, max: 32 }),
      unpredictableNumber: exactHex(4),
      signed: optionalShape(hexShape({ min: 1, max: SIGNED_BYTES_MAX })),
      mask: exactHex(8),
      cryptogram: exactHex(8),
    },
    mechanisms: () => ['emvCryptograms'],
    keys: ({ imkAc, algorithm }) => ({ imk: cardKey(imkAc, KeyUsage.issuerMasterAc, algorithm) }),
    run: ({ context, request, keys }) => {
      const mask = BigInt(`0x${request.mask}`);
      if (bitCount(mask) < TOKEN_MASK_BITS_MIN) {
        const message = `a token compares at least ${TOKEN_MASK_BITS_MIN} bits`;
        throw new HsmError('ERR_HSM_PARAMETER', message, { fieldPath: 'mask' });
      }
      const wanted = BigInt(`0x${request.cryptogram}`) & mask;
      const signed = request.signed === undefined ? null : bytesOf(request.signed);
      let found: string | null = null;
      for (const atc of request.atcs) {
        const key = sessionKeyOf(context, keys.imk, { ...request, atc });
        const data = tokenInput(request, atc);
        const made =
          request.algorithm === '4'
            ? sm4ApplicationCryptogram(context.ciphers, key, data)
            : applicationCryptogram(key, data);
        const compared = signed === null ? made : tokenSignature(made, signed);
        if ((BigInt(`0x${toHex(compared)}`) & mask) === wanted) found ??= atc;
      }
      return { atc: found };
    },
  },
);

/** What the card signed: the shape of a token with the card's own values. */
function tokenInput(
  request: {
    readonly aip: string;
    readonly issuerApplicationData: string;
    readonly unpredictableNumber: string;
  },
  atc: string,
): Uint8Array {
  const values = new Map(tokenTerminalValues({ mode: 'plain' }));
  values.set(TAG_9F37_UNPREDICTABLE_NUMBER, bytesOf(request.unpredictableNumber));
  values.set(TAG_82_APPLICATION_INTERCHANGE_PROFILE, bytesOf(request.aip));
  values.set(TAG_9F36_APPLICATION_TRANSACTION_COUNTER, bytesOf(atc));
  values.set(TAG_9F10_ISSUER_APPLICATION_DATA, bytesOf(request.issuerApplicationData));
  return assembleAcInput(values);
}

function bitCount(mask: bigint): number {
  return mask.toString(2).replaceAll('0', '').length;
}
