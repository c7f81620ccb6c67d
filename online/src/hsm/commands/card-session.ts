/** Card and session keys of the card that a command is about. @see EMV 4.3 B2 A1, PBOC3 P17 */
import {
  deriveIccMasterKey,
  deriveSessionKey,
  deriveSm4IccMasterKey,
  deriveSm4SessionKey,
} from '@tapnpay/protocol/crypto';
import type { CardId, CardKeyAlgorithm } from '@tapnpay/protocol/wire';
import type { HsmContext } from '../context.ts';
import { bytesOf } from './rule.ts';

/** Of a request that names a card, its counter and its cipher. */
export type CardRequest = {
  readonly card: CardId;
  readonly atc: string;
  readonly algorithm?: CardKeyAlgorithm | undefined;
};

/** The session key below an issuer master key. */
export function sessionKeyOf(
  { ciphers }: HsmContext,
  issuerMasterKey: Uint8Array,
  { card, atc, algorithm }: CardRequest,
): Uint8Array {
  const counter = bytesOf(atc);
  if (algorithm === '4') {
    return deriveSm4SessionKey(
      ciphers,
      deriveSm4IccMasterKey(ciphers, issuerMasterKey, card),
      counter,
    );
  }
  const { pan, panSequenceNumber } = card;
  return deriveSessionKey(deriveIccMasterKey(issuerMasterKey, pan, panSequenceNumber), counter);
}
