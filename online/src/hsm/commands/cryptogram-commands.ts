/**
 * The issuer's half of EMV under 3DES and SM4: cryptograms are compared, never given out, and card
 * keys are derived inside. @see EMV 4.3 B2 §8, PBOC3 P5, PBOC3 P17
 */
import { equalBytes, toHex } from '@tapnpay/protocol/bytes';
import {
  APPLICATION_CRYPTOGRAM_BYTES,
  applicationCryptogram,
  arpcMethod1,
  scriptMac4,
  sm4ApplicationCryptogram,
  sm4Arpc,
  sm4ScriptMac4,
} from '@tapnpay/protocol/crypto';
import { ecBalanceMac, IAD_ALGORITHM_3DES, IAD_ALGORITHM_SM4 } from '@tapnpay/protocol/emv/data';
import {
  type CardKeyAlgorithm,
  hexShape,
  type KeyBlock,
  KeyUsage,
  oneOfShape,
  type Shape,
} from '@tapnpay/protocol/wire';
import type { KeyNeed } from '../keys.ts';
import { sessionKeyOf } from './card-session.ts';
import {
  bytesOf,
  type Command,
  cardShape,
  command,
  exactHex,
  keyBlockShape,
  optionalShape,
} from './rule.ts';

/** Longest input of a cryptogram. */
const AC_INPUT_BYTES_MAX = 256;
/** Longest data of a script command in front of its MAC. */
const SCRIPT_DATA_BYTES_MAX = 251;

export const cardAlgorithm: Shape<CardKeyAlgorithm | undefined> = optionalShape(
  oneOfShape<CardKeyAlgorithm>('T', '4'),
);
/** Of 9F10: the five low bytes of the balance and their MAC. */
const EC_BALANCE_BYTES = 5;
const EC_BALANCE_MAC_BYTES = 4;
const atc = exactHex(2);
const cryptogram = exactHex(APPLICATION_CRYPTOGRAM_BYTES);

/** Whether the card made `arqc` over `data` (CVN 01 and 17). */
export const verifyArqcCommand: Command<'verifyArqc'> = command<'verifyArqc', 'imk'>('verifyArqc', {
  callers: ['issuer'],
  fields: {
    algorithm: cardAlgorithm,
    imkAc: keyBlockShape,
    card: cardShape,
    atc,
    data: hexShape({ min: 1, max: AC_INPUT_BYTES_MAX }),
    arqc: cryptogram,
  },
  mechanisms: () => ['emvCryptograms'],
  keys: ({ imkAc, algorithm }) => ({ imk: cardKey(imkAc, KeyUsage.issuerMasterAc, algorithm) }),
  run: ({ context, request, keys }) => {
    const key = sessionKeyOf(context, keys.imk, request);
    const data = bytesOf(request.data);
    const expected =
      request.algorithm === '4'
        ? sm4ApplicationCryptogram(context.ciphers, key, data)
        : applicationCryptogram(key, data);
    return { valid: equalBytes(expected, bytesOf(request.arqc)) };
  },
});

/**
 * The issuer's proof to the card, method 1. One block of the caller's choice: no way to an ARQC,
 * whose CBC chain runs under half of the 3DES key, and which under SM4 has the padding byte `80`
 * where this block has zeros. @see EMV 4.3 B2 §8.2.1
 */
export const generateArpcCommand: Command<'generateArpc'> = command<'generateArpc', 'imk'>(
  'generateArpc',
  {
    callers: ['issuer'],
    fields: {
      algorithm: cardAlgorithm,
      imkAc: keyBlockShape,
      card: cardShape,
      atc,
      arqc: cryptogram,
      arc: exactHex(2),
    },
    mechanisms: () => ['emvCryptograms'],
    keys: ({ imkAc, algorithm }) => ({ imk: cardKey(imkAc, KeyUsage.issuerMasterAc, algorithm) }),
    run: ({ context, request, keys }) => {
      const key = sessionKeyOf(context, keys.imk, request);
      const arqc = bytesOf(request.arqc);
      const authorisationResponseCode = bytesOf(request.arc);
      const parts = { cryptogram: arqc, authorisationResponseCode };
      const arpc =
        request.algorithm === '4'
          ? sm4Arpc(context.ciphers, key, parts)
          : arpcMethod1(key, arqc, authorisationResponseCode);
      return { arpc: toHex(arpc) };
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
    algorithm: cardAlgorithm,
    imkMac: keyBlockShape,
    card: cardShape,
    atc,
    arqc: cryptogram,
    header: exactHex(5),
    data: hexShape({ max: SCRIPT_DATA_BYTES_MAX }),
  },
  mechanisms: () => ['emvCryptograms'],
  keys: ({ imkMac, algorithm }) => ({ imk: cardKey(imkMac, KeyUsage.issuerMasterMac, algorithm) }),
  run: ({ context, request, keys }) => {
    const key = sessionKeyOf(context, keys.imk, request);
    const [header, counter, arqc, data] = [
      ...[bytesOf(request.header), bytesOf(request.atc)],
      ...[bytesOf(request.arqc), bytesOf(request.data)],
    ] as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    const parts = { header, atc: counter, cryptogram: arqc, data };
    const mac =
      request.algorithm === '4'
        ? sm4ScriptMac4(context.ciphers, key, parts)
        : scriptMac4(key, header, counter, arqc, data);
    return { mac: toHex(mac) };
  },
});

/**
 * Whether the card vouches for a balance. Its MAC covers seven bytes, that of a script fifteen or
 * more: neither command helps with the other's. @see PBOC3 P13
 */
export const verifyEcBalanceCommand: Command<'verifyEcBalance'> = command<'verifyEcBalance', 'imk'>(
  'verifyEcBalance',
  {
    callers: ['issuer'],
    fields: {
      algorithm: cardAlgorithm,
      imkMac: keyBlockShape,
      card: cardShape,
      atc,
      balance: exactHex(EC_BALANCE_BYTES),
      mac: exactHex(EC_BALANCE_MAC_BYTES),
    },
    mechanisms: () => ['emvCryptograms'],
    keys: ({ imkMac, algorithm }) => ({
      imk: cardKey(imkMac, KeyUsage.issuerMasterMac, algorithm),
    }),
    run: ({ context, request, keys }) => {
      const expected = ecBalanceMac(context.ciphers, {
        algorithm: request.algorithm === '4' ? IAD_ALGORITHM_SM4 : IAD_ALGORITHM_3DES,
        sessionKeyMac: sessionKeyOf(context, keys.imk, request),
        atc: bytesOf(request.atc),
        balance: bytesOf(request.balance),
      });
      return { valid: equalBytes(expected, bytesOf(request.mac)) };
    },
  },
);

/** An issuer master key of one usage under the algorithm that the request names. */
export function cardKey(
  block: KeyBlock,
  usage: KeyUsage,
  algorithm: CardKeyAlgorithm = 'T',
): KeyNeed {
  return { block, usages: [usage], algorithm };
}
