/** The core's signatures over node:crypto: orders by the gateway's key, elements by their own. */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { GatewayError } from '../errors.ts';
import type { Signatures } from '../ports.ts';
import { p256Key } from './authority.ts';

const P1363 = 'ieee-p1363';

/** Signs orders with `orderKey`; checks elements with the key they were certified for. */
export function signaturesOf(orderKey: KeyObject): Signatures {
  if (createPublicKey(orderKey).asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new GatewayError('ERR_INTERNAL', 'the order key is no P-256 key');
  }
  return {
    signOrder: (input) =>
      toHex(sign('sha256', Buffer.from(input), { key: orderKey, dsaEncoding: P1363 })),
    verifyElement: (publicKeySpki, input, signature) => {
      const key = p256Key(publicKeySpki);
      const bytes = fromHex(signature);
      return verify('sha256', Buffer.from(input), { key, dsaEncoding: P1363 }, bytes);
    },
  };
}
