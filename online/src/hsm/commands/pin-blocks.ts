/**
 * PIN blocks inside the HSM: read under one key, written under another, never shown. Formats 1 and
 * 2 carry no PAN and are neither read nor written here; a block of one PAN becomes a block of that
 * PAN only, since requests have room for a single one. @see ISO 9564-1 §9.3, §9.4
 */
import { bytesToUint, toHex } from '@tapnpay/protocol/bytes';
import {
  aesDukptInitialKey,
  aesDukptWorkingKey,
  CryptoError,
  DUKPT_INITIAL_KEY_ID_BYTES,
  decipherPinBlockFormat4,
  encipherPinBlockFormat4,
  pinBlockFormat0,
  pinBlockFormat3,
  pinOfBlockFormat0,
  pinOfBlockFormat3,
  tdesDecrypt,
  tdesEncrypt,
} from '@tapnpay/protocol/crypto';
import {
  hexShape,
  type KeyAlgorithm,
  type KeyBlock,
  KeyUsage,
  type PinFormat,
  type Shape,
} from '@tapnpay/protocol/wire';
import type { HsmContext } from '../context.ts';
import { HsmError } from '../errors.ts';
import type { KeyNeed } from '../keys.ts';
import { bytesOf } from './rule.ts';

const FORMAT_3_RANDOM_BYTES = 10;
const FORMAT_4_RANDOM_BYTES = 8;

/** Size of a block, and the cipher that its format is defined for. */
const FORMATS: Readonly<
  Record<PinFormat, { readonly lengthBytes: number; readonly algorithm: KeyAlgorithm }>
> = {
  0: { lengthBytes: 8, algorithm: 'T' },
  3: { lengthBytes: 8, algorithm: 'T' },
  4: { lengthBytes: 16, algorithm: 'A' },
};

/** A block of any format. */
export const pinBlockShape: Shape<string> = hexShape({ min: 8, max: 16 });
/** One of the formats that carry a PAN. */
export const pinFormatShape: Shape<PinFormat> = (value, path) => {
  if (value === 0 || value === 3 || value === 4) return value;
  throw new HsmError('ERR_HSM_PARAMETER', `${path} is no PIN block format 0, 3 or 4`);
};

/** What a PIN key must be to hold blocks of a format. */
export function pinKey(block: KeyBlock, format: PinFormat = 0): KeyNeed {
  const { algorithm } = FORMATS[format];
  return { block, usages: [KeyUsage.pinEncryption], algorithm };
}

/** A block as a request names it. */
export type PinSource = {
  readonly format: PinFormat;
  readonly pinBlock: string;
  readonly pan: string;
};

/** The PIN of a block, or null for whatever was wrong about it. */
export function pinOfBlock(
  { ciphers }: HsmContext,
  key: Uint8Array,
  { format, pinBlock, pan }: PinSource,
): string | null {
  const block = bytesOf(pinBlock);
  return unlessCryptoError(() => {
    if (block.length !== FORMATS[format].lengthBytes) return null;
    if (format === 4) return decipherPinBlockFormat4(ciphers, key, block, pan);
    const clear = tdesDecrypt(key, block);
    return format === 3 ? pinOfBlockFormat3(clear, pan) : pinOfBlockFormat0(clear, pan);
  });
}

/** The key of an element's PIN block; null for a serial number whose counter has no key. */
export function elementPinKey(
  { ciphers }: HsmContext,
  baseKey: Uint8Array,
  ksnHex: string,
): Uint8Array | null {
  const ksn = bytesOf(ksnHex);
  const initialKeyId = ksn.slice(0, DUKPT_INITIAL_KEY_ID_BYTES);
  const counter = bytesToUint(ksn.slice(DUKPT_INITIAL_KEY_ID_BYTES));
  return unlessCryptoError(() => {
    const initialKey = aesDukptInitialKey(ciphers, baseKey, initialKeyId);
    return aesDukptWorkingKey(ciphers, initialKey, initialKeyId, counter, 'pinEncryption');
  });
}

/** A PIN in a block under a key of its format's cipher, hex. */
export function blockOfPin(
  { ciphers, random }: HsmContext,
  key: Uint8Array,
  clear: { readonly pin: string; readonly pan: string; readonly format: PinFormat },
): string {
  const { pin, pan, format } = clear;
  if (format === 4) {
    const random8 = random.bytes(FORMAT_4_RANDOM_BYTES);
    return toHex(encipherPinBlockFormat4(ciphers, key, { pin, pan, random8 }));
  }
  const block =
    format === 3
      ? pinBlockFormat3({ pin, pan, random10: random.bytes(FORMAT_3_RANDOM_BYTES) })
      : pinBlockFormat0(pin, pan);
  return toHex(tdesEncrypt(key, block));
}

function unlessCryptoError<T>(read: () => T): T | null {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof CryptoError) return null;
    throw thrown;
  }
}
