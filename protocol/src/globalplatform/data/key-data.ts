/** Keys as PUT KEY carries them. @see GPCS 2.3.1 §11.8.2.3, GP-D §7.2 */
import { byteAt, concatBytes } from '../../bytes/index.ts';
import { formatFault } from './errors.ts';
import { berLength, readBerLength } from './length-value.ts';

/** Key types. @see GPCS 2.3.1 table 11-16 */
export const KEY_TYPE_80_DES = 0x80;
export const KEY_TYPE_88_AES = 0x88;
export const KEY_TYPE_A0_RSA_EXPONENT = 0xa0;
export const KEY_TYPE_A1_RSA_MODULUS = 0xa1;
export const KEY_TYPE_B0_ECC_PUBLIC = 0xb0;
export const KEY_TYPE_F0_ECC_PARAMETERS = 0xf0;
/** Reference of P-256 in F0. @see GPCS 2.3.1 table B-2 */
export const ECC_PARAMETERS_00_P256 = 0x00;

/** Key versions by convention: what a set is for. @see GPCS 2.3.1 §11.1.8 */
export const KEY_VERSION_70_TOKEN = 0x70;
export const KEY_VERSION_71_RECEIPT = 0x71;
export const KEY_VERSION_73_DAP = 0x73;
/** The set that a card leaves the factory with; the first PUT KEY replaces it. */
export const KEY_VERSION_FF_FACTORY = 0xff;

/** Components of one key in a command. */
export const KEY_COMPONENTS_MAX = 4;
/** Keys in one command. */
export const KEYS_IN_COMMAND_MAX = 8;

/** A component as it travels: enciphered for secret keys, clear for public ones. */
export type KeyDataComponent = {
  readonly type: number;
  readonly bytes: Uint8Array;
  /** Bytes of the clear key where the field says it (AES); else null. */
  readonly clearBytes: number | null;
};
/** One key data field: its components and the check value, empty for public keys. */
export type KeyData = {
  readonly components: readonly KeyDataComponent[];
  readonly keyCheckValue: Uint8Array;
};

/** One key data field: type, length, (length of the clear key,) bytes, check value. */
export function encodeKeyData({ components, keyCheckValue }: KeyData): Uint8Array {
  const parts = components.map(({ type, bytes, clearBytes }) => {
    const inner = clearBytes === null ? bytes : concatBytes(Uint8Array.of(clearBytes), bytes);
    return concatBytes(Uint8Array.of(type), berLength(inner.length), inner);
  });
  return concatBytes(...parts, Uint8Array.of(keyCheckValue.length), keyCheckValue);
}

/** The new key version and its keys. */
export type PutKeyData = {
  readonly newKeyVersionNumber: number;
  readonly keys: readonly KeyData[];
};

/** The data field of PUT KEY. */
export function encodePutKeyData({ newKeyVersionNumber, keys }: PutKeyData): Uint8Array {
  return concatBytes(Uint8Array.of(newKeyVersionNumber), ...keys.map(encodeKeyData));
}

/**
 * Reads the data field of PUT KEY. A component begins with its type, whose bit 80 is set; a
 * length of check value has it not, so that the end of a key is seen.
 * @throws GlobalPlatformError `ERR_GP_FORMAT` with the place.
 */
export function decodePutKeyData(data: Uint8Array): PutKeyData {
  if (data.length < 2) throw formatFault('PUT KEY has no key', data.length);
  const keys: KeyData[] = [];
  let offset = 1;
  while (offset < data.length) {
    if (keys.length === KEYS_IN_COMMAND_MAX) throw formatFault('too many keys', offset);
    const { key, end } = readKey(data, offset);
    keys.push(key);
    offset = end;
  }
  return { newKeyVersionNumber: byteAt(data, 0), keys };
}

function readKey(data: Uint8Array, start: number): { readonly key: KeyData; readonly end: number } {
  const components: KeyDataComponent[] = [];
  let offset = start;
  for (let type = data[offset]; type !== undefined && type >= 0x80; type = data[offset]) {
    if (components.length === KEY_COMPONENTS_MAX) throw formatFault('too many components', offset);
    const found = readBerLength(data, offset + 1);
    const end = found ? found.valueOffset + found.length : Number.POSITIVE_INFINITY;
    if (!found || end > data.length) throw formatFault('key data are cut off', offset);
    const field = data.slice(found.valueOffset, end);
    const saysLength = type === KEY_TYPE_88_AES && field.length % 8 === 1;
    components.push({
      type,
      bytes: saysLength ? field.slice(1) : field,
      clearBytes: saysLength ? byteAt(field, 0) : null,
    });
    offset = end;
  }
  const checkBytes = data[offset];
  if (components.length === 0 || checkBytes === undefined) {
    throw formatFault('key has no type or no check value', offset);
  }
  const end = offset + 1 + checkBytes;
  if (end > data.length) throw formatFault('key check value is cut off', offset);
  return { key: { components, keyCheckValue: data.slice(offset + 1, end) }, end };
}
