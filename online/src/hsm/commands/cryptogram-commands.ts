/**
 * The issuer's half of EMV: cryptograms are compared, never given out, and card keys are derived
 * inside. @see EMV 4.3 B2 §8, PBOC3 P5
 */
import { equalBytes, toHex } from '@tapnpay/protocol/bytes';
import {
  APPLICATION_CRYPTOGRAM_BYTES,
  applicationCryptogram,
  arpcMethod1,
  deriveIccMasterKey,
  deriveSessionKey,
  scriptMac4,
} from '@tapnpay/protocol/crypto';
import { type CardId, hexShape, KeyUsage } from '@tapnpay/protocol/wire';
import { bytesOf, type Command, cardShape, command, exactHex, keyBlockShape } from './rule.ts';

/** Longest input of a cryptogram. */
const AC_INPUT_BYTES_MAX = 256;
/** Longest data of a script command in front of its MAC. */
const SCRIPT_DATA_BYTES_MAX = 251;

const atc = exactHex(2);
const cryptogram = exactHex(APPLICATION_CRYPTOGRAM_BYTES);

/** Whether the card made `arqc` over `data` (CVN 01 and 17). */
export const verifyArqcCommand: Command<'verifyArqc'> = command<'verifyArqc', 'imk'>('verifyArqc', {
  callers: ['issuer'],
  fields: {
    imkAc: keyBlockShape,
    card: cardShape,
    atc,
    data: hexShape({ min: 1, max: AC_INPUT_BYTES_MAX }),
    arqc: cryptogram,
  },
  keys: ({ imkAc }) => ({ imk: [imkAc, KeyUsage.issuerMasterAc] }),
  run: ({ request, keys }) => {
    const expected = applicationCryptogram(sessionKey(keys.imk, request), bytesOf(request.data));
    return { valid: equalBytes(expected, bytesOf(request.arqc)) };
  },
});

/**
 * The issuer's proof to the card, method 1. One 3DES block of the caller's choice: no way to an
 * ARQC, whose CBC chain runs under half of the key. @see EMV 4.3 B2 §8.2.1
 */
export const generateArpcCommand: Command<'generateArpc'> = command<'generateArpc', 'imk'>(
  'generateArpc',
  {
    callers: ['issuer'],
    fields: { imkAc: keyBlockShape, card: cardShape, atc, arqc: cryptogram, arc: exactHex(2) },
    keys: ({ imkAc }) => ({ imk: [imkAc, KeyUsage.issuerMasterAc] }),
    run: ({ request, keys }) => {
      const key = sessionKey(keys.imk, request);
      return { arpc: toHex(arpcMethod1(key, bytesOf(request.arqc), bytesOf(request.arc))) };
    },
  },
);

/** MAC of a script command; its header's Lc counts data and MAC. @see EMV 4.3 B2 §9.2 */
export const generateScriptMacCommand: Command<'generateScriptMac'> = command<
  'generateScriptMac',
  'imk'
>('generateScriptMac', {
  callers: ['issuer'],
  fields: {
    imkMac: keyBlockShape,
    card: cardShape,
    atc,
    arqc: cryptogram,
    header: exactHex(5),
    data: hexShape({ max: SCRIPT_DATA_BYTES_MAX }),
  },
  keys: ({ imkMac }) => ({ imk: [imkMac, KeyUsage.issuerMasterMac] }),
  run: ({ request, keys }) => {
    const { header, arqc, data } = request;
    const key = sessionKey(keys.imk, request);
    const mac = scriptMac4(
      key,
      bytesOf(header),
      bytesOf(request.atc),
      bytesOf(arqc),
      bytesOf(data),
    );
    return { mac: toHex(mac) };
  },
});

function sessionKey(
  imk: Uint8Array,
  request: { readonly card: CardId; readonly atc: string },
): Uint8Array {
  const { pan, panSequenceNumber } = request.card;
  return deriveSessionKey(deriveIccMasterKey(imk, pan, panSequenceNumber), bytesOf(request.atc));
}
