/** Keys of one card from a master key: EMV CPS, VISA2 and KDF3. @see EMV CPS 1.1, GP-D §4.1.5 */
import { concatBytes } from '../../bytes/index.ts';
import { AES_BLOCK_BYTES, aesCmac, type CipherProvider, tdesEncrypt } from '../../crypto/index.ts';
import { assertBytes } from './errors.ts';

/** How a card's keys come from a master; `none` is the master itself. */
export type Diversification = 'none' | 'emv' | 'visa2' | 'kdf3';
/** Every way, in the order in which a search tries them. */
export const DIVERSIFICATIONS: readonly Diversification[] = ['none', 'emv', 'visa2', 'kdf3'];
/** The three keys of a set by their identifier. @see GPCS 2.3.1 §B.4 */
export const KEY_IDENTIFIER = { encryption: 1, mac: 2, dataEncryption: 3 } as const;
/** One of the three keys. */
export type StaticKeyUsage = keyof typeof KEY_IDENTIFIER;

/** Bytes of the diversification data that a card shows in INITIALIZE UPDATE. */
export const KEY_DIVERSIFICATION_DATA_BYTES = 10;

/**
 * One key of a card. EMV takes the last six bytes of the data, VISA2 the first two and four from
 * the middle, each followed by F0 and 0F with the key's identifier. KDF3 is CMAC in counter mode
 * over identifier and data and makes a key as long as its master. DES masters have 16 bytes.
 * @throws GlobalPlatformError `ERR_GP_LENGTH`, CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function diversifyKey(
  ciphers: CipherProvider,
  master: Uint8Array,
  request: {
    readonly way: Diversification;
    readonly usage: StaticKeyUsage;
    readonly keyDiversificationData: Uint8Array;
  },
): Uint8Array {
  const { way, usage, keyDiversificationData: data } = request;
  assertBytes('key diversification data', data, [KEY_DIVERSIFICATION_DATA_BYTES]);
  const identifier = KEY_IDENTIFIER[usage];
  if (way === 'none') return master.slice();
  if (way === 'kdf3') return kdf3(ciphers, master, { identifier, data });
  const six = way === 'emv' ? data.slice(4) : concatBytes(data.slice(0, 2), data.slice(4, 8));
  const half = (mark: number): Uint8Array => concatBytes(six, Uint8Array.of(mark, identifier));
  assertBytes('master key', master, [16]);
  return tdesEncrypt(master, concatBytes(half(0xf0), half(0x0f)));
}

/** Blocks of counter ‖ 00 00 00 identifier ‖ 00 ‖ data, as many as the key needs. */
function kdf3(
  ciphers: CipherProvider,
  master: Uint8Array,
  { identifier, data }: { readonly identifier: number; readonly data: Uint8Array },
): Uint8Array {
  assertBytes('master key', master, [16, 24, 32]);
  const blocks: Uint8Array[] = [];
  for (let counter = 1; (counter - 1) * AES_BLOCK_BYTES < master.length; counter++) {
    const label = Uint8Array.of(counter, 0, 0, 0, identifier, 0);
    blocks.push(aesCmac(ciphers, master, concatBytes(label, data)));
  }
  return concatBytes(...blocks).slice(0, master.length);
}
