/** Key sets of elements in requests: their shape, their master's need, and the keys themselves. */

import { toHex } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import {
  diversifyKeys,
  keyCheckValues,
  type StaticKeys,
  staticKeys,
} from '@tapnpay/protocol/globalplatform/offcard';
import {
  countShape,
  type KeyAlgorithm,
  type KeySetCheckValues,
  type KeySetSource,
  type KeySetWay,
  KeyUsage,
  oneOfShape,
  type Shape,
} from '@tapnpay/protocol/wire';
import { HsmError } from '../errors.ts';
import type { KeyNeed } from '../keys.ts';
import { bytesOf, exactHex, keyBlockShape, strictShape } from './rule.ts';

/** Bytes of the data that make a key set one element's. */
const DIVERSIFICATION_DATA_BYTES = 10;

export const keySetShape: Shape<KeySetSource> = strictShape<KeySetSource>({
  key: keyBlockShape,
  way: oneOfShape('none', 'emv', 'visa2', 'kdf3'),
  data: exactHex(DIVERSIFICATION_DATA_BYTES),
});

/** SCP02 or SCP03. */
export const protocolShape: Shape<2 | 3> = (value, path) => {
  const number = countShape(3)(value, path);
  if (number === 2 || number === 3) return number;
  throw new HsmError('ERR_HSM_PARAMETER', `${path} is 2 or 3`);
};

/** Cipher of the master that a way needs; a master that is used as it is may be of either. */
const ALGORITHM_OF: Readonly<Record<KeySetWay, KeyAlgorithm | undefined>> = {
  none: undefined,
  emv: 'T',
  visa2: 'T',
  kdf3: 'A',
};

/** What the master of a set must be. */
export function masterNeed({ key, way }: KeySetSource): KeyNeed {
  return { block: key, usages: [KeyUsage.elementMaster], algorithm: ALGORITHM_OF[way] };
}

/** The three keys of one element or domain from a clear master. */
export function elementKeys(
  ciphers: CipherProvider,
  master: Uint8Array,
  { way, data }: KeySetSource,
): StaticKeys {
  const masters = staticKeys({ encryption: master, mac: master, dataEncryption: master });
  return diversifyKeys(ciphers, masters, { way, keyDiversificationData: bytesOf(data) });
}

/** Their check values in order. */
export function checkValuesOf(
  ciphers: CipherProvider,
  keys: StaticKeys,
  protocol: 2 | 3,
): KeySetCheckValues {
  const values = keyCheckValues(ciphers, keys, protocol);
  return [toHex(values.encryption), toHex(values.mac), toHex(values.dataEncryption)];
}
