/** Messages of SCP02, i=15 and 55, from the host's side. @see GPCS 2.3.1 Annex E */
import { concatBytes, equalBytes, fromHex, toHex } from '../../bytes/index.ts';
import { padIso9797Method2, tdesCbcEncrypt, tdesEncrypt } from '../../crypto/index.ts';
import type { CommandApdu, ResponseApdu } from '../../iso7816/index.ts';
import {
  CLA_BIT_SECURE_MESSAGING,
  GlobalPlatformError,
  LEVEL_01_C_MAC,
  LEVEL_02_C_DECRYPTION,
  limitFault,
  macClass,
  type Scp02Challenges,
  scp02CardCryptogram,
  scp02ChainedMac,
  scp02HostCryptogram,
  scp02SessionKey,
} from '../data/index.ts';
import type { StaticKeys } from './keys.ts';
import type { SessionMessages, SessionSnapshot } from './session.ts';

const MAC_BYTES = 8;
/** Lc of SCP02 is one byte also in its MAC: there are no extended commands (report 11). */
const COMMAND_BYTES_MAX = 255;

/** The messages of one session. @throws GlobalPlatformError `ERR_GP_PROTOCOL` for other keys. */
export function scp02Messages(
  keys: StaticKeys,
  challenges: Scp02Challenges,
  from?: SessionSnapshot,
): SessionMessages {
  const { sequenceCounter } = challenges;
  const clear = {
    encryption: keys.encryption.expose(),
    mac: keys.mac.expose(),
    dataEncryption: keys.dataEncryption.expose(),
  };
  for (const key of Object.values(clear)) {
    if (key.length === 16) continue;
    throw new GlobalPlatformError('ERR_GP_PROTOCOL', 'SCP02 needs DES keys of 16 bytes', {
      lengthBytes: key.length,
    });
  }
  const sessionEnc = scp02SessionKey(clear.encryption, 'encryption', sequenceCounter);
  const sessionMac = scp02SessionKey(clear.mac, 'commandMac', sequenceCounter);
  const sessionDek = scp02SessionKey(clear.dataEncryption, 'dataEncryption', sequenceCounter);
  let previousMac = from?.chainingValue ? fromHex(from.chainingValue) : null;
  return {
    ...{ protocol: 2, macBytes: MAC_BYTES, blockBytes: 8 },
    hostCryptogram: () => scp02HostCryptogram(sessionEnc, challenges),
    isCardCryptogram: (cryptogram) =>
      equalBytes(cryptogram, scp02CardCryptogram(sessionEnc, challenges)),
    wrap(command: CommandApdu, level: number): CommandApdu {
      if ((level & LEVEL_01_C_MAC) === 0) return command;
      const data = command.data ?? new Uint8Array();
      const lengthBytes = data.length + MAC_BYTES;
      if (lengthBytes > COMMAND_BYTES_MAX) {
        throw limitFault('SCP02 command data bytes', lengthBytes, COMMAND_BYTES_MAX);
      }
      const { cla, ins, p1, p2 } = command;
      const header = Uint8Array.of(macClass(cla), ins, p1, p2, lengthBytes);
      // The MAC is over the clear data; they are enciphered after it. @see GPCS 2.3.1 §E.4.6
      previousMac = scp02ChainedMac(sessionMac, concatBytes(header, data), previousMac);
      const isEnciphered = (level & LEVEL_02_C_DECRYPTION) !== 0 && data.length > 0;
      const body = isEnciphered ? tdesCbcEncrypt(sessionEnc, padIso9797Method2(data)) : data;
      return {
        ...command,
        ...{ cla: cla | CLA_BIT_SECURE_MESSAGING, data: concatBytes(body, previousMac) },
      };
    },
    unwrap: (response: ResponseApdu): ResponseApdu => response,
    encryptData: (blocks) => tdesEncrypt(sessionDek, blocks),
    snapshot: () => ({
      ...{ chainingValue: previousMac && toHex(previousMac), number: 0, pending: [] },
    }),
  };
}
