/** Working keys of a POS in field 62 of its sign-in. @see Q/CUP 009.1, sign-in (0810) */
import { copyBytes } from './characters.ts';
import { fault } from './errors.ts';

/** A key enciphered under the terminal's master key, and the first bytes of its check value. */
export type EncipheredKey = { readonly enciphered: Uint8Array; readonly checkValue: Uint8Array };

/** The keys of one sign-in. */
export type SignInKeys = {
  readonly pinKey: EncipheredKey;
  /** In the layouts of double length its second half is eight zeros, and it is a single key. */
  readonly macKey: EncipheredKey;
  /** For tracks; only in the longest layout. */
  readonly trackKey: EncipheredKey | null;
};

const CHECK_BYTES = 4;
/** Field 62's length -> lengths of its keys. QUIRK: some regions put check values elsewhere. */
const LAYOUTS: Readonly<Record<number, readonly number[]>> = {
  24: [8, 8],
  40: [16, 16],
  60: [16, 16, 16],
};

/** @throws Iso8583Error `ERR_ISO8583_LENGTH` unless it is 24, 40 or 60 bytes. */
export function decodeSignInKeys(bytes: Uint8Array, offsetBytes = 0): SignInKeys {
  const layout = LAYOUTS[bytes.length];
  if (layout === undefined) {
    const place = { fieldPath: 'F62', offsetBytes };
    throw fault('ERR_ISO8583_LENGTH', place, `has ${bytes.length} bytes, 24, 40 or 60 allowed`);
  }
  const keys: EncipheredKey[] = [];
  let offset = 0;
  for (const keyBytes of layout) {
    const end = offset + keyBytes;
    keys.push({
      enciphered: copyBytes(bytes, offset, end),
      checkValue: copyBytes(bytes, end, end + CHECK_BYTES),
    });
    offset = end + CHECK_BYTES;
  }
  const [pinKey, macKey, trackKey = null] = keys;
  if (pinKey === undefined || macKey === undefined)
    throw new Error('a layout has two keys or more');
  return { pinKey, macKey, trackKey };
}

/** The field of these keys. @throws Iso8583Error `ERR_ISO8583_LENGTH` when no layout fits. */
export function encodeSignInKeys({ pinKey, macKey, trackKey }: SignInKeys): Uint8Array {
  const keys = trackKey === null ? [pinKey, macKey] : [pinKey, macKey, trackKey];
  const total = keys.reduce((sum, { enciphered }) => sum + enciphered.length + CHECK_BYTES, 0);
  const layout = LAYOUTS[total] ?? [];
  const isLaidOut =
    layout.length === keys.length &&
    keys.every(
      ({ enciphered, checkValue }, index) =>
        enciphered.length === layout[index] && checkValue.length === CHECK_BYTES,
    );
  if (!isLaidOut) {
    const place = { fieldPath: 'F62', offsetBytes: 0 };
    throw fault('ERR_ISO8583_LENGTH', place, 'keys have no layout of 24, 40 or 60 bytes');
  }
  const bytes = new Uint8Array(total);
  let offset = 0;
  for (const { enciphered, checkValue } of keys) {
    bytes.set(enciphered, offset);
    bytes.set(checkValue, offset + enciphered.length);
    offset += enciphered.length + CHECK_BYTES;
  }
  return bytes;
}
