/** What the issuer takes from a card's message for the HSM's commands about that card. */
import { toHex } from '@tapnpay/protocol/bytes';
import { decodeIad, EmvDataError } from '@tapnpay/protocol/emv/data';
import { CARD_KEY_ALGORITHMS, type CardKeyAlgorithm, type KeyBlock } from '@tapnpay/protocol/wire';
import type { IssuerKeys } from './ports.ts';
import type { CardRequest } from './request.ts';

const TAG_9F10_ISSUER_APPLICATION_DATA = '9F10';
const TAG_9F26_APPLICATION_CRYPTOGRAM = '9F26';

/** Cipher that the card names in 9F10; null when it names none that we know. */
export function algorithmOf(values: ReadonlyMap<string, Uint8Array>): CardKeyAlgorithm | null {
  const iad = values.get(TAG_9F10_ISSUER_APPLICATION_DATA);
  if (!iad) return null;
  try {
    return CARD_KEY_ALGORITHMS.get(decodeIad(iad).algorithm) ?? null;
  } catch (thrown) {
    if (thrown instanceof EmvDataError) return null;
    throw thrown;
  }
}

/** The master key of application cryptograms under a cipher. */
export function cryptogramKey(keys: IssuerKeys, algorithm: CardKeyAlgorithm): KeyBlock {
  return algorithm === 'T' ? keys.imkAc : keys.imkAcSm4;
}

/** The card as the HSM derives its keys. */
export function cardIdOf(request: CardRequest): {
  readonly pan: string;
  readonly panSequenceNumber: string;
} {
  return { pan: request.pan.expose(), panSequenceNumber: request.panSequenceNumber };
}

/** A counter as 9F36 carries it. */
export function atcHex(atc: number): string {
  return atc.toString(16).padStart(4, '0').toUpperCase();
}

/** Cryptogram of the request, for the proof to the card. */
export function arqcHex(request: CardRequest): string {
  const arqc = request.card?.expose().get(TAG_9F26_APPLICATION_CRYPTOGRAM);
  return arqc ? toHex(arqc) : '';
}
