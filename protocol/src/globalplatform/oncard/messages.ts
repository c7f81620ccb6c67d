/** Messages of a session from the card's side: SCP02 and SCP03. @see GPCS 2.3.1 Annex E, GP-D §6 */
import { concatBytes, equalBytes } from '../../bytes/index.ts';
import {
  AES_BLOCK_BYTES,
  aesCbcDecrypt,
  type CipherProvider,
  tdesCbcDecrypt,
  tdesDecrypt,
} from '../../crypto/index.ts';
import {
  APDU_DATA_BYTES_MAX,
  type CommandApdu,
  type ResponseApdu,
  SW_9000_OK,
} from '../../iso7816/index.ts';
import {
  CLA_BIT_SECURE_MESSAGING,
  GlobalPlatformError,
  LEVEL_02_C_DECRYPTION,
  LEVEL_10_R_MAC,
  LEVEL_20_R_ENCRYPTION,
  macClass,
  type Scp02Challenges,
  type Scp03Challenges,
  scp02CardCryptogram,
  scp02ChainedMac,
  scp02HostCryptogram,
  scp02SessionKey,
  scp03CommandMac,
  scp03Cryptogram,
  scp03Decrypt,
  scp03Encrypt,
  scp03ResponseMac,
  scp03SessionKey,
  unpadIso9797Method2,
} from '../data/index.ts';

/** The three keys of a set in clear. */
export type ClearKeys = {
  readonly encryption: Uint8Array;
  readonly mac: Uint8Array;
  readonly dataEncryption: Uint8Array;
};

/** How the protocol of a session protects messages. */
export interface CardMessages {
  readonly protocol: 2 | 3;
  readonly blockBytes: 8 | 16;
  cardCryptogram(): Uint8Array;
  isHostCryptogram(cryptogram: Uint8Array): boolean;
  /** The clear command; null when MAC, padding or length is wrong. */
  unwrap(command: CommandApdu, level: number): CommandApdu | null;
  /** The answer to the last command, protected. */
  wrap(response: ResponseApdu, level: number): ResponseApdu;
  /** Deciphers whole blocks under the key for data. */
  decipher(blocks: Uint8Array): Uint8Array;
}

/** A command without its MAC, and the MAC; null when it has none. */
function split(
  command: CommandApdu,
  macBytes: number,
): { readonly data: Uint8Array; readonly mac: Uint8Array; readonly header: Uint8Array } | null {
  const { cla, ins, p1, p2, data = new Uint8Array() } = command;
  const end = data.length - macBytes;
  if (end < 0 || (cla & CLA_BIT_SECURE_MESSAGING) === 0) return null;
  const header = Uint8Array.of(macClass(cla), ins, p1, p2);
  return { data: data.slice(0, end), mac: data.slice(end), header };
}

/** The command as it was before protection. */
function cleared(command: CommandApdu, data: Uint8Array): CommandApdu {
  const { cla, data: _protected, ...rest } = command;
  const clear = { ...rest, cla: cla & ~CLA_BIT_SECURE_MESSAGING };
  return data.length > 0 ? { ...clear, data } : clear;
}

/** SCP02, i=15 and 55. */
export function scp02CardMessages(keys: ClearKeys, challenges: Scp02Challenges): CardMessages {
  const { sequenceCounter } = challenges;
  const sessionEnc = scp02SessionKey(keys.encryption, 'encryption', sequenceCounter);
  const sessionMac = scp02SessionKey(keys.mac, 'commandMac', sequenceCounter);
  const sessionDek = scp02SessionKey(keys.dataEncryption, 'dataEncryption', sequenceCounter);
  let previousMac: Uint8Array | null = null;
  return {
    ...{ protocol: 2, blockBytes: 8 },
    cardCryptogram: () => scp02CardCryptogram(sessionEnc, challenges),
    isHostCryptogram: (given) => equalBytes(given, scp02HostCryptogram(sessionEnc, challenges)),
    unwrap(command, level): CommandApdu | null {
      const parts = split(command, 8);
      if (!parts || (command.data?.length ?? 0) > APDU_DATA_BYTES_MAX) return null;
      const isEnciphered = (level & LEVEL_02_C_DECRYPTION) !== 0 && parts.data.length > 0;
      const data = isEnciphered ? tdesClear(sessionEnc, parts.data) : parts.data;
      if (data === null) return null;
      const input = concatBytes(parts.header, Uint8Array.of(data.length + 8), data);
      const mac = scp02ChainedMac(sessionMac, input, previousMac);
      if (!equalBytes(mac, parts.mac)) return null;
      previousMac = mac;
      return cleared(command, data);
    },
    wrap: (response) => response,
    decipher: (blocks) => tdesDecrypt(sessionDek, blocks),
  };
}

/** The clear data; null for half blocks or a wrong padding. */
function tdesClear(key: Uint8Array, enciphered: Uint8Array): Uint8Array | null {
  if (enciphered.length % 8 !== 0) return null;
  return unpadded(() => unpadIso9797Method2(tdesCbcDecrypt(key, enciphered)));
}

/** What deciphering gives; null when the padding is wrong. */
function unpadded(decipher: () => Uint8Array): Uint8Array | null {
  try {
    return decipher();
  } catch (thrown) {
    if (thrown instanceof GlobalPlatformError) return null;
    throw thrown;
  }
}

/** SCP03, challenges of 8 or 16 bytes. */
export function scp03CardMessages(
  ciphers: CipherProvider,
  keys: ClearKeys,
  challenges: Scp03Challenges,
): CardMessages {
  const sessionEnc = scp03SessionKey(ciphers, keys.encryption, 'encryption', challenges);
  const sessionMac = scp03SessionKey(ciphers, keys.mac, 'commandMac', challenges);
  const sessionRmac = scp03SessionKey(ciphers, keys.mac, 'responseMac', challenges);
  const macBytes = challenges.hostChallenge.length === 16 ? 16 : 8;
  let chainingValue: Uint8Array = new Uint8Array(AES_BLOCK_BYTES);
  // EXTERNAL AUTHENTICATE is number 0; each command behind it counts, also one without data.
  let number = -1;
  const cryptogram = (whose: 'cardCryptogram' | 'hostCryptogram'): Uint8Array =>
    scp03Cryptogram(ciphers, sessionMac, whose, challenges);
  return {
    ...{ protocol: 3, blockBytes: 16 },
    cardCryptogram: () => cryptogram('cardCryptogram'),
    isHostCryptogram: (given) => equalBytes(given, cryptogram('hostCryptogram')),
    unwrap(command, level): CommandApdu | null {
      const parts = split(command, macBytes);
      if (!parts) return null;
      const { header, data } = parts;
      const input = { header, data, chainingValue, macBytes } as const;
      const mac = scp03CommandMac(ciphers, sessionMac, input);
      if (!equalBytes(mac.subarray(0, macBytes), parts.mac)) return null;
      chainingValue = mac;
      number++;
      if ((level & LEVEL_02_C_DECRYPTION) === 0) return cleared(command, data);
      const message = { direction: 'command', number } as const;
      const clear = unpadded(() => scp03Decrypt(ciphers, sessionEnc, message, data));
      return clear && cleared(command, clear);
    },
    wrap(response, level): ResponseApdu {
      if ((level & LEVEL_10_R_MAC) === 0) return response;
      const { statusWord } = response;
      const isWarning = statusWord >> 8 === 0x62 || statusWord >> 8 === 0x63;
      // An error goes out bare. @see GP-D §6.2.5
      if (statusWord !== SW_9000_OK && !isWarning) return { ...response, data: new Uint8Array() };
      const message = { direction: 'response', number } as const;
      const isEnciphered = (level & LEVEL_20_R_ENCRYPTION) !== 0;
      const data = isEnciphered
        ? scp03Encrypt(ciphers, sessionEnc, message, response.data)
        : response.data;
      const input = { data, statusWord, chainingValue, macBytes } as const;
      return { data: concatBytes(data, scp03ResponseMac(ciphers, sessionRmac, input)), statusWord };
    },
    decipher: (blocks) =>
      aesCbcDecrypt(ciphers, keys.dataEncryption, blocks, new Uint8Array(AES_BLOCK_BYTES)),
  };
}
