/** Messages of SCP03 from the host's side. @see GP-D §6.2 */
import { concatBytes, equalBytes, fromHex, toHex } from '../../bytes/index.ts';
import { AES_BLOCK_BYTES, aesCbcEncrypt, type CipherProvider } from '../../crypto/index.ts';
import type { CommandApdu, ResponseApdu } from '../../iso7816/index.ts';
import {
  CLA_BIT_SECURE_MESSAGING,
  GlobalPlatformError,
  LEVEL_01_C_MAC,
  LEVEL_02_C_DECRYPTION,
  LEVEL_10_R_MAC,
  LEVEL_20_R_ENCRYPTION,
  limitFault,
  macClass,
  type Scp03Challenges,
  scp03CommandMac,
  scp03Cryptogram,
  scp03Decrypt,
  scp03Encrypt,
  scp03ResponseMac,
  scp03SessionKey,
} from '../data/index.ts';
import type { StaticKeys } from './keys.ts';
import { isProtectedAnswer, type SessionMessages, type SessionSnapshot } from './session.ts';

/** Commands that may wait for their answers: a script computed beforehand. */
export const PENDING_ANSWERS_MAX = 1024;

type Keys = {
  readonly encryption: Uint8Array;
  readonly commandMac: Uint8Array;
  readonly responseMac: Uint8Array;
  readonly staticDek: Uint8Array;
};
/** What the answer of a command is computed with. */
type Pending = { readonly number: number; readonly chainingValue: Uint8Array };

/** The messages of one session. @throws GlobalPlatformError `ERR_GP_PROTOCOL` for other keys. */
export function scp03Messages(
  ciphers: CipherProvider,
  statics: StaticKeys,
  challenges: Scp03Challenges,
  from?: SessionSnapshot,
): SessionMessages {
  const keys = sessionKeys(ciphers, statics, challenges);
  const macBytes = challenges.hostChallenge.length === 16 ? 16 : 8;
  const pending: Pending[] = (from?.pending ?? []).map((one) => ({
    ...{ number: one.number, chainingValue: fromHex(one.chainingValue) },
  }));
  let chainingValue: Uint8Array = from?.chainingValue
    ? fromHex(from.chainingValue)
    : new Uint8Array(AES_BLOCK_BYTES);
  let number = from?.number ?? 0;
  const cryptogram = (whose: 'hostCryptogram' | 'cardCryptogram'): Uint8Array =>
    scp03Cryptogram(ciphers, keys.commandMac, whose, challenges);
  return {
    ...{ protocol: 3, macBytes, blockBytes: 16 },
    hostCryptogram: () => cryptogram('hostCryptogram'),
    isCardCryptogram: (given) => equalBytes(given, cryptogram('cardCryptogram')),
    wrap(command: CommandApdu, level: number): CommandApdu {
      if ((level & LEVEL_01_C_MAC) === 0) return command;
      if (pending.length === PENDING_ANSWERS_MAX) {
        throw limitFault('pending answers', pending.length + 1, PENDING_ANSWERS_MAX);
      }
      const clear = command.data ?? new Uint8Array();
      const isCounted = (level & LEVEL_02_C_DECRYPTION) !== 0;
      // EXTERNAL AUTHENTICATE is in clear and number 0; each command behind it counts, also one
      // without data. @see GP-D §6.2.6
      const data = isCounted
        ? scp03Encrypt(ciphers, keys.encryption, { direction: 'command', number }, clear)
        : clear;
      const { cla, ins, p1, p2 } = command;
      const header = Uint8Array.of(macClass(cla), ins, p1, p2);
      const input = { header, data, chainingValue, macBytes } as const;
      chainingValue = scp03CommandMac(ciphers, keys.commandMac, input);
      if ((level & LEVEL_10_R_MAC) !== 0) pending.push({ number, chainingValue });
      number++;
      return {
        ...command,
        cla: cla | CLA_BIT_SECURE_MESSAGING,
        data: concatBytes(data, chainingValue.subarray(0, macBytes)),
      };
    },
    unwrap(response: ResponseApdu, level: number): ResponseApdu {
      if ((level & LEVEL_10_R_MAC) === 0) return response;
      const message = pending.shift();
      if (message) return opened(response, { ciphers, keys, level, message, macBytes });
      throw new GlobalPlatformError('ERR_GP_RESPONSE_MAC', 'no command waits for an answer');
    },
    encryptData: (blocks) =>
      aesCbcEncrypt(ciphers, keys.staticDek, blocks, new Uint8Array(AES_BLOCK_BYTES)),
    snapshot: () => ({
      chainingValue: toHex(chainingValue),
      number,
      pending: pending.map((one) => ({ ...one, chainingValue: toHex(one.chainingValue) })),
    }),
  };
}

function opened(
  response: ResponseApdu,
  by: {
    readonly ciphers: CipherProvider;
    readonly keys: Keys;
    readonly level: number;
    readonly message: Pending;
    readonly macBytes: 8 | 16;
  },
): ResponseApdu {
  const { ciphers, keys, level, message, macBytes } = by;
  const { statusWord } = response;
  if (!isProtectedAnswer(response, level)) {
    if (response.data.length === 0) return response;
    throw new GlobalPlatformError('ERR_GP_RESPONSE_MAC', 'an error came with unprotected data');
  }
  const end = response.data.length - macBytes;
  if (end < 0) throw new GlobalPlatformError('ERR_GP_RESPONSE_MAC', 'answer has no MAC');
  const data = response.data.slice(0, end);
  const input = { data, statusWord, chainingValue: message.chainingValue, macBytes } as const;
  const mac = scp03ResponseMac(ciphers, keys.responseMac, input);
  if (!equalBytes(mac, response.data.subarray(end))) {
    throw new GlobalPlatformError('ERR_GP_RESPONSE_MAC', 'MAC of the answer is wrong');
  }
  if ((level & LEVEL_20_R_ENCRYPTION) === 0) return { data, statusWord };
  const counted = { direction: 'response', number: message.number } as const;
  return { data: scp03Decrypt(ciphers, keys.encryption, counted, data), statusWord };
}

function sessionKeys(
  ciphers: CipherProvider,
  statics: StaticKeys,
  challenges: Scp03Challenges,
): Keys {
  const encryption = statics.encryption.expose();
  const mac = statics.mac.expose();
  for (const key of [encryption, mac]) {
    if ([16, 24, 32].includes(key.length) && key.length === mac.length) continue;
    throw new GlobalPlatformError('ERR_GP_PROTOCOL', 'SCP03 needs AES keys of one length', {
      lengthBytes: key.length,
    });
  }
  return {
    encryption: scp03SessionKey(ciphers, encryption, 'encryption', challenges),
    commandMac: scp03SessionKey(ciphers, mac, 'commandMac', challenges),
    responseMac: scp03SessionKey(ciphers, mac, 'responseMac', challenges),
    staticDek: statics.dataEncryption.expose(),
  };
}
