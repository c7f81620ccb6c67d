/**
 * Data of PIN CHANGE/UNBLOCK: a new PIN block, enciphered under the session key for data.
 * @see PBOC3 P5 (issuer script commands); PBOC3 P7
 */
import { concatBytes, toHex } from '../../bytes/index.ts';
import {
  type CipherProvider,
  padIso9797Method2,
  SM4_BLOCK_BYTES,
  tdesDecrypt,
  tdesEncrypt,
} from '../../crypto/index.ts';
import { IAD_ALGORITHM_SM4 } from './cryptogram.ts';

const PIN_BLOCK_BYTES = 8;
/** Length byte, PIN block and padding, under 3DES and SM4 alike. */
export const PIN_CHANGE_DATA_BYTES = 16;
/** `2L`, 4 to 12 digits, filler F. @see EMV 4.3 B3 §6.5.12 table 24 */
const FORMAT_2 = /^2([4-9A-C])([0-9]{4,12})(F*)$/;

/** What both sides know beside the block. */
export type PinChangeKey = {
  /** Algorithm byte of 9F10. */
  readonly algorithm: number;
  /** Session key for data of this transaction. */
  readonly sessionKeyEnc: Uint8Array;
};

/** Whether a block is a clear one of format 2, the only one that a card compares. */
export function isPinBlockFormat2(block: Uint8Array): boolean {
  const [, length = '', digits = ''] = FORMAT_2.exec(toHex(block)) ?? [];
  return block.length === PIN_BLOCK_BYTES && Number.parseInt(length, 16) === digits.length;
}

/** Length byte, block, `80` and zeros, enciphered block by block. Used by the issuer. */
export function encipherPinChange(
  ciphers: Pick<CipherProvider, 'sm4EcbEncrypt'>,
  change: PinChangeKey & { readonly block: Uint8Array },
): Uint8Array {
  const { algorithm, sessionKeyEnc, block } = change;
  const framed = concatBytes(Uint8Array.of(block.length), block);
  return algorithm === IAD_ALGORITHM_SM4
    ? ciphers.sm4EcbEncrypt(sessionKeyEnc, padIso9797Method2(framed, SM4_BLOCK_BYTES))
    : tdesEncrypt(sessionKeyEnc, padIso9797Method2(framed));
}

/** The block of the enciphered data; undefined when length byte or padding are wrong. */
export function decipherPinChange(
  ciphers: Pick<CipherProvider, 'sm4EcbDecrypt'>,
  change: PinChangeKey & { readonly enciphered: Uint8Array },
): Uint8Array | undefined {
  const { algorithm, sessionKeyEnc, enciphered } = change;
  if (enciphered.length !== PIN_CHANGE_DATA_BYTES) return undefined;
  const clear =
    algorithm === IAD_ALGORITHM_SM4
      ? ciphers.sm4EcbDecrypt(sessionKeyEnc, enciphered)
      : tdesDecrypt(sessionKeyEnc, enciphered);
  const rest = toHex(clear.subarray(1 + PIN_BLOCK_BYTES));
  const isSound = clear[0] === PIN_BLOCK_BYTES && rest === '80000000000000';
  return isSound ? clear.slice(1, 1 + PIN_BLOCK_BYTES) : undefined;
}
