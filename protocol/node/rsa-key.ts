/** RSA keys of the sizes and exponents that EMV certificates hold, made by OpenSSL. */
import { generateKeyPairSync } from 'node:crypto';

/** Exponent of all keys that the sandbox makes. @see EMV 4.3 B2 §D1 */
const PUBLIC_EXPONENT = 3;

/** A whole key, big-endian bytes. */
export type GeneratedRsaKey = {
  readonly modulus: Uint8Array;
  readonly publicExponent: Uint8Array;
  readonly privateExponent: Uint8Array;
};

/** A new key. It takes some 30 ms for 1024 bits. */
export function generateRsaKey(lengthBits: number): GeneratedRsaKey {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: lengthBits,
    publicExponent: PUBLIC_EXPONENT,
  });
  const { n = '', e = '', d = '' } = privateKey.export({ format: 'jwk' });
  return { modulus: base64url(n), publicExponent: base64url(e), privateExponent: base64url(d) };
}

function base64url(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'));
}
