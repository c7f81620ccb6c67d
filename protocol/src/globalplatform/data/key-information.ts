/** The key information template E0: keys of a security domain. @see GPCS 2.3.1 §11.3.3.1 */
import { byteAt, bytesToUint } from '../../bytes/index.ts';
import { decodeTlv, type Tlv } from '../../iso7816/index.ts';
import { formatFault } from './errors.ts';

/** One component of a key. */
export type KeyComponent = { readonly type: number; readonly lengthBytes: number };
/** One key. */
export type KeyInformation = {
  readonly keyIdentifier: number;
  readonly keyVersionNumber: number;
  readonly components: readonly KeyComponent[];
};

/** Key types by their byte. @see GPCS 2.3.1 table 11-16 */
const KEY_TYPES: Readonly<Record<number, string>> = {
  128: 'DES',
  129: '3DES in CBC (reserved)',
  130: 'DES with ECB',
  131: 'DES with CBC',
  133: 'TLS pre-shared key',
  136: 'AES',
  144: 'HMAC-SHA1',
  145: 'HMAC-SHA1-160',
  160: 'RSA public exponent, clear',
  161: 'RSA modulus, clear',
  162: 'RSA modulus',
  163: 'RSA private exponent d',
  164: 'RSA CRT p',
  165: 'RSA CRT q',
  166: 'RSA CRT pq',
  167: 'RSA CRT dp1',
  168: 'RSA CRT dq1',
  176: 'ECC public key',
  177: 'ECC private key',
  178: 'ECC field parameter P',
  179: 'ECC field parameter A',
  180: 'ECC field parameter B',
  181: 'ECC field parameter G',
  182: 'ECC field parameter N',
  183: 'ECC field parameter k',
  240: 'ECC key parameters reference',
};

/** The name of a key type; null when it is not known. */
export function keyTypeName(type: number): string | null {
  return KEY_TYPES[type] ?? null;
}

/**
 * The keys of an answer to GET DATA 00E0, with or without the E0 around them, in their order.
 * @throws Iso7816Error for malformed TLV, GlobalPlatformError `ERR_GP_FORMAT` for a bad C0.
 */
export function decodeKeyInformation(bytes: Uint8Array): readonly KeyInformation[] {
  const objects = decodeTlv(bytes);
  const [first] = objects;
  const entries = first?.tag === 'E0' ? (first.children ?? []) : objects;
  return entries.filter(({ tag }) => tag === 'C0').map(keyOf);
}

function keyOf({ value, offsetBytes }: Tlv): KeyInformation {
  if (value.length < 4) throw formatFault('key information is too short', offsetBytes);
  const components: KeyComponent[] = [];
  let offset = 2;
  // The extended form writes FF, the type, two length bytes, and usage and access with lengths.
  if (byteAt(value, 2) === 0xff) {
    if (value.length < 6) throw formatFault('key information is too short', offsetBytes);
    const lengthBytes = bytesToUint(value.subarray(4, 6));
    components.push({ type: byteAt(value, 3), lengthBytes });
  } else {
    for (; offset + 1 < value.length; offset += 2) {
      components.push({ type: byteAt(value, offset), lengthBytes: byteAt(value, offset + 1) });
    }
    if (offset !== value.length) throw formatFault('key information has an odd end', offsetBytes);
  }
  return {
    keyIdentifier: byteAt(value, 0),
    keyVersionNumber: byteAt(value, 1),
    components,
  };
}
