/** The three static keys of a key set, and those of one card from a master. @see GPCS 2.3.1 §B.4 */
import { Secret } from '../../bytes/index.ts';
import type { CipherProvider } from '../../crypto/index.ts';
import {
  aesKeyCheckValue,
  type Diversification,
  desKeyCheckValue,
  diversifyKey,
  type StaticKeyUsage,
} from '../data/index.ts';

/**
 * A key set. It is opened only where sessions are computed: with the keys, in the security module
 * of the manager, never in the role that relays commands.
 */
export type StaticKeys = Readonly<Record<StaticKeyUsage, Secret<Uint8Array>>>;

/** The three usages in the order of their identifiers. */
export const STATIC_KEY_USAGES: readonly StaticKeyUsage[] = ['encryption', 'mac', 'dataEncryption'];

/** A key set of three clear keys; they are copied. */
export function staticKeys(clear: Readonly<Record<StaticKeyUsage, Uint8Array>>): StaticKeys {
  return mapKeys((usage) => clear[usage].slice());
}

/** The keys of one card. @see EMV CPS 1.1 */
export function diversifyKeys(
  ciphers: CipherProvider,
  masters: StaticKeys,
  request: { readonly way: Diversification; readonly keyDiversificationData: Uint8Array },
): StaticKeys {
  return mapKeys((usage) => diversifyKey(ciphers, masters[usage].expose(), { ...request, usage }));
}

/** The check value of each key, for people to compare before anything is sent. */
export function keyCheckValues(
  ciphers: CipherProvider,
  keys: StaticKeys,
  protocol: 2 | 3,
): Readonly<Record<StaticKeyUsage, Uint8Array>> {
  const checkValue = (usage: StaticKeyUsage): Uint8Array => {
    const key = keys[usage].expose();
    return protocol === 3 ? aesKeyCheckValue(ciphers, key) : desKeyCheckValue(key);
  };
  return {
    encryption: checkValue('encryption'),
    mac: checkValue('mac'),
    dataEncryption: checkValue('dataEncryption'),
  };
}

function mapKeys(clearOf: (usage: StaticKeyUsage) => Uint8Array): StaticKeys {
  return {
    encryption: new Secret(clearOf('encryption'), '[key]'),
    mac: new Secret(clearOf('mac'), '[key]'),
    dataEncryption: new Secret(clearOf('dataEncryption'), '[key]'),
  };
}
