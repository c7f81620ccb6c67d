/** PUT KEY: key sets and public keys. @see GPCS 2.3.1 §11.8, GP-D §7.2 */
import { byteAt, concatBytes, equalBytes } from '../../bytes/index.ts';
import type { CipherProvider } from '../../crypto/index.ts';
import type { CommandApdu, ResponseApdu } from '../../iso7816/index.ts';
import {
  aesKeyCheckValue,
  CLA_GLOBALPLATFORM,
  desKeyCheckValue,
  ECC_PARAMETERS_00_P256,
  encodePutKeyData,
  GlobalPlatformError,
  INS_D8_PUT_KEY,
  KEY_CHECK_VALUE_BYTES,
  KEY_TYPE_80_DES,
  KEY_TYPE_88_AES,
  KEY_TYPE_A0_RSA_EXPONENT,
  KEY_TYPE_A1_RSA_MODULUS,
  KEY_TYPE_B0_ECC_PUBLIC,
  KEY_TYPE_F0_ECC_PARAMETERS,
  KEY_VERSION_FF_FACTORY,
  type KeyData,
  limitFault,
  PUT_KEY_80_MORE_COMMANDS,
  PUT_KEY_80_MULTIPLE_KEYS,
} from '../data/index.ts';
import { STATIC_KEY_USAGES, type StaticKeys } from './keys.ts';
import { assertStatus } from './open.ts';
import type { HostSession } from './session.ts';

/** PUT KEY, in several commands when one is too short, and the answer that the card must give. */
export type PutKeyRequest = {
  readonly commands: readonly CommandApdu[];
  readonly expectedAnswer: Uint8Array;
};
/** Commands of one PUT KEY. */
export const PUT_KEY_COMMANDS_MAX = 16;

const NONE: Uint8Array = new Uint8Array();

/** Version that the command changes: 0 adds a set. */
type Versions = { readonly replaces: number; readonly newKeyVersionNumber: number };

/**
 * Puts three keys, each of its own (report 12). What they are for follows from `type`, never from
 * their length; check values are of that algorithm (report 13).
 */
export function putKeySet(
  ciphers: CipherProvider,
  session: HostSession,
  request: Versions & { readonly type: 'aes' | 'des'; readonly keys: StaticKeys },
): PutKeyRequest {
  const fields = STATIC_KEY_USAGES.map((usage) =>
    keyField(ciphers, session, request.type, request.keys[usage].expose()),
  );
  return putKey(session, request, { keys: fields, p2: PUT_KEY_80_MULTIPLE_KEYS | 1 });
}

/** Puts an RSA key that verifies, for DAP or tokens. */
export function putRsaPublicKey(
  session: Pick<HostSession, 'dataBytesMax'>,
  request: Versions & { readonly modulus: Uint8Array; readonly exponent: Uint8Array },
): PutKeyRequest {
  const components = [
    { type: KEY_TYPE_A1_RSA_MODULUS, bytes: request.modulus, clearBytes: null },
    { type: KEY_TYPE_A0_RSA_EXPONENT, bytes: request.exponent, clearBytes: null },
  ];
  return putKey(session, request, { keys: [{ components, keyCheckValue: NONE }], p2: 1 });
}

/** Puts a P-256 key that verifies: 04, x and y. */
export function putEccPublicKey(
  session: Pick<HostSession, 'dataBytesMax'>,
  request: Versions & { readonly point: Uint8Array },
): PutKeyRequest {
  const parameters = Uint8Array.of(ECC_PARAMETERS_00_P256);
  const components = [
    { type: KEY_TYPE_B0_ECC_PUBLIC, bytes: request.point, clearBytes: null },
    { type: KEY_TYPE_F0_ECC_PARAMETERS, bytes: parameters, clearBytes: null },
  ];
  return putKey(session, request, { keys: [{ components, keyCheckValue: NONE }], p2: 1 });
}

/**
 * Compares the card's answer with what was sent.
 * @throws GlobalPlatformError `ERR_GP_STATUS`, `ERR_GP_KEY_CHECK_VALUE`.
 */
export function checkPutKeyAnswer(request: PutKeyRequest, response: ResponseApdu): void {
  assertStatus('PUT KEY', response);
  if (equalBytes(response.data, request.expectedAnswer)) return;
  throw new GlobalPlatformError('ERR_GP_KEY_CHECK_VALUE', 'the card answers other check values', {
    keyVersionNumber: byteAt(request.expectedAnswer, 0),
  });
}

function putKey(
  session: Pick<HostSession, 'dataBytesMax'>,
  { replaces, newKeyVersionNumber }: Versions,
  { keys, p2 }: { readonly keys: readonly KeyData[]; readonly p2: number },
): PutKeyRequest {
  const data = encodePutKeyData({ newKeyVersionNumber, keys });
  const { dataBytesMax } = session;
  const count = Math.ceil(data.length / dataBytesMax);
  if (count > PUT_KEY_COMMANDS_MAX) {
    throw limitFault('PUT KEY commands', count, PUT_KEY_COMMANDS_MAX);
  }
  const header = { cla: CLA_GLOBALPLATFORM, ins: INS_D8_PUT_KEY, p2, le: 256 };
  // FF has the bit of more commands: a long change is sent as an addition, which the factory set
  // gives way to as well.
  const replaced = count > 1 && replaces === KEY_VERSION_FF_FACTORY ? 0 : replaces;
  return {
    commands: Array.from({ length: count }, (_, number) => ({
      ...header,
      p1: number === count - 1 ? replaced : replaced | PUT_KEY_80_MORE_COMMANDS,
      data: data.slice(number * dataBytesMax, (number + 1) * dataBytesMax),
    })),
    expectedAnswer: concatBytes(
      Uint8Array.of(newKeyVersionNumber),
      ...keys.map(({ keyCheckValue }) => keyCheckValue.subarray(0, KEY_CHECK_VALUE_BYTES)),
    ),
  };
}

/** One secret key under the session's key for data, filled to whole blocks. */
function keyField(
  ciphers: CipherProvider,
  session: HostSession,
  type: 'aes' | 'des',
  key: Uint8Array,
): KeyData {
  const { blockBytes } = session;
  const filled = new Uint8Array(blockBytes * Math.ceil(key.length / blockBytes));
  filled.set(key);
  const bytes = session.encryptData(filled);
  return type === 'aes'
    ? {
        components: [{ type: KEY_TYPE_88_AES, bytes, clearBytes: key.length }],
        keyCheckValue: aesKeyCheckValue(ciphers, key),
      }
    : {
        components: [{ type: KEY_TYPE_80_DES, bytes, clearBytes: null }],
        keyCheckValue: desKeyCheckValue(key),
      };
}
