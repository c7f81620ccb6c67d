/** Verifies the signatures of load files with the ciphers of Node. @see GPCS 2.3.1 §C.3 */
import { constants, createPublicKey, type JsonWebKeyInput, verify } from 'node:crypto';
import type { SignatureVerifier } from '@tapnpay/protocol/globalplatform/oncard';

/** Salt of RSASSA-PSS in bytes: as long as the hash. @see RFC 8017 §9.1 */
const SALT_BYTES = 32;
const POINT_BYTES = 65;

/** A key or signature of a wrong form is a wrong signature. */
export const cardVerifier: SignatureVerifier = {
  isRsaPss({ modulus, exponent }, message, signature): boolean {
    const jwk = { kty: 'RSA', n: base64url(modulus), e: base64url(exponent) };
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    return isSigned(jwk, message, signature, { padding, saltLength: SALT_BYTES });
  },
  isEcdsaP256(point, message, signature): boolean {
    if (point.length !== POINT_BYTES || point[0] !== 0x04) return false;
    const [x, y] = [base64url(point.subarray(1, 33)), base64url(point.subarray(33))];
    const jwk = { kty: 'EC', crv: 'P-256', x, y };
    return isSigned(jwk, message, signature, { dsaEncoding: 'ieee-p1363' });
  },
};

function isSigned(
  jwk: JsonWebKeyInput['key'],
  message: Uint8Array,
  signature: Uint8Array,
  options: object,
): boolean {
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    return verify('sha256', message, { key, ...options }, signature);
  } catch {
    // OpenSSL throws for a point off the curve or a modulus that is none: nothing is signed by it.
    return false;
  }
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
