/** Messages of a session of SCP03: C-ENC, C-MAC, R-ENC, R-MAC. @see GP-D §6.2.4 to §6.2.7 */
import { concatBytes, uintToBytes } from '../../bytes/index.ts';
import {
  AES_BLOCK_BYTES,
  aesCbcDecrypt,
  aesCbcEncrypt,
  aesCmac,
  type CipherProvider,
  padIso9797Method2,
} from '../../crypto/index.ts';
import { APDU_DATA_BYTES_MAX, type StatusWord } from '../../iso7816/index.ts';
import { assertBytes } from './errors.ts';
import { unpadIso9797Method2 } from './secure-messaging.ts';

/** First byte of the counter block for answers. @see GP-D §6.2.7 */
const RESPONSE_MARK = 0x80;

/** Which message of a session: commands are counted from 1, an answer has its command's number. */
export type Scp03Message = { readonly direction: 'command' | 'response'; readonly number: number };

/** The data field of one message, padded and enciphered; no data stay none. @see GP-D §6.2.6 */
export function scp03Encrypt(
  ciphers: CipherProvider,
  sessionEnc: Uint8Array,
  message: Scp03Message,
  data: Uint8Array,
): Uint8Array {
  if (data.length === 0) return data;
  const start = startVector(ciphers, sessionEnc, message);
  return aesCbcEncrypt(ciphers, sessionEnc, padIso9797Method2(data, AES_BLOCK_BYTES), start);
}

/**
 * The inverse of `scp03Encrypt`.
 * @throws GlobalPlatformError `ERR_GP_LENGTH`, `ERR_GP_FORMAT` for a wrong padding.
 */
export function scp03Decrypt(
  ciphers: CipherProvider,
  sessionEnc: Uint8Array,
  message: Scp03Message,
  enciphered: Uint8Array,
): Uint8Array {
  if (enciphered.length === 0) return enciphered;
  const whole = AES_BLOCK_BYTES * Math.ceil(enciphered.length / AES_BLOCK_BYTES);
  assertBytes('enciphered data', enciphered, [whole]);
  const start = startVector(ciphers, sessionEnc, message);
  return unpadIso9797Method2(aesCbcDecrypt(ciphers, sessionEnc, enciphered, start));
}

/**
 * The whole CMAC of a command, which is also the next chaining value. Lc counts the MAC; beyond
 * 255 it has three bytes, as in an extended command.
 * @see GP-D §6.2.4
 */
export function scp03CommandMac(
  ciphers: CipherProvider,
  sessionMac: Uint8Array,
  command: {
    /** CLA (of channel 0, with secure messaging), INS, P1, P2. */
    readonly header: Uint8Array;
    readonly data: Uint8Array;
    readonly chainingValue: Uint8Array;
    readonly macBytes: 8 | 16;
  },
): Uint8Array {
  const { header, data, chainingValue, macBytes } = command;
  assertBytes('command header', header, [4]);
  const lc = data.length + macBytes;
  const lengthField = lc > APDU_DATA_BYTES_MAX ? uintToBytes(lc, 3) : Uint8Array.of(lc);
  return aesCmac(ciphers, sessionMac, concatBytes(chainingValue, header, lengthField, data));
}

/** The MAC of an answer over the chaining value of its command. @see GP-D §6.2.5 */
export function scp03ResponseMac(
  ciphers: CipherProvider,
  sessionRmac: Uint8Array,
  response: {
    readonly data: Uint8Array;
    readonly statusWord: StatusWord;
    readonly chainingValue: Uint8Array;
    readonly macBytes: 8 | 16;
  },
): Uint8Array {
  const { data, statusWord, chainingValue, macBytes } = response;
  const input = concatBytes(chainingValue, data, uintToBytes(statusWord, 2));
  return aesCmac(ciphers, sessionRmac, input).slice(0, macBytes);
}

function startVector(
  ciphers: CipherProvider,
  sessionEnc: Uint8Array,
  { direction, number }: Scp03Message,
): Uint8Array {
  const block = concatBytes(new Uint8Array(AES_BLOCK_BYTES - 4), uintToBytes(number, 4));
  if (direction === 'response') block[0] = RESPONSE_MARK;
  return ciphers.aesEcbEncrypt(sessionEnc, block);
}
