/** The core's signatures over node:crypto: orders by the gateway's key, elements by their own. */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { GatewayError } from '../errors.ts';
import type { Signatures } from '../ports.ts';
import { p256Key } from './authority.ts';

const P1363 = 'ieee-p1363';
/** Keys of elements that stay parsed; above it the oldest is forgotten. */
const KEYS_MAX = 4_096;

/** Signs orders with `orderKey`; checks elements with the key they were certified for. */
export function signaturesOf(orderKey: KeyObject): Signatures {
  if (createPublicKey(orderKey).asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new GatewayError('ERR_INTERNAL', 'the order key is no P-256 key');
  }
  const keys = new Map<string, KeyObject>();
  const keyOf = (publicKeySpki: string): KeyObject => {
    const known = keys.get(publicKeySpki);
    if (known) return known;
    const key = p256Key(publicKeySpki);
    const [oldest] = keys.keys();
    if (keys.size >= KEYS_MAX && oldest !== undefined) keys.delete(oldest);
    keys.set(publicKeySpki, key);
    return key;
  };
  return {
    signOrder: (input) =>
      toHex(sign('sha256', Buffer.from(input), { key: orderKey, dsaEncoding: P1363 })),
    verifyElement: (publicKeySpki, input, signature) => {
      const key = keyOf(publicKeySpki);
      const bytes = fromHex(signature);
      return verify('sha256', Buffer.from(input), { key, dsaEncoding: P1363 }, bytes);
    },
  };
}
