/** Cryptogram versions: what the MAC runs over and which key it runs under. */
import { byteAt, concatBytes, toHex } from '../bytes/index.ts';
import {
  deriveSessionKey,
  deriveSm4SessionKey,
  retailMac,
  sm4ApplicationCryptogram,
  tdesEncrypt,
} from '../crypto/index.ts';
import type { CipherProvider } from '../crypto/provider.ts';
import { AC_INPUT_CVN_01, AC_INPUT_CVN_17 } from '../emv/data/index.ts';
import type { DolEntry } from '../iso7816/dol.ts';
import { both } from './build.ts';
import type { BothLanguages } from './types.ts';

/** How a session key is made. */
export type SessionKeyMethod = 'none' | 'PBOC' | 'EMV common';

/** One version; `code` is the byte in 9F10. */
export type CryptogramVersion = {
  readonly code: string;
  readonly name: BothLanguages;
  readonly entries: readonly DolEntry[];
  /** What follows the data objects: the CVR, its second byte, or the whole of 9F10. */
  readonly tail: 'cvr' | 'cvrByte2' | 'iad';
  readonly sessionKey: SessionKeyMethod;
  /** ISO 9797-1 padding method. */
  readonly padding: 1 | 2;
  readonly arpcMethod: 1 | 2;
};

const ONE_CVR = { entries: AC_INPUT_CVN_01, tail: 'cvr', arpcMethod: 1 } as const;
const SHORT = { entries: AC_INPUT_CVN_17, tail: 'cvrByte2', arpcMethod: 1 } as const;

/** Versions by the byte in 9F10. @see PBOC3 P5 (CVN 01), PBOC3 P12 (CVN 17), EMV 4.3 B2 §8.1 */
const VERSIONS: readonly CryptogramVersion[] = [
  {
    ...ONE_CVR,
    code: '01',
    name: both('PBOC CVN 01, contact', 'PBOC 密文版本 01，接触式'),
    sessionKey: 'PBOC',
    padding: 2,
  },
  {
    ...SHORT,
    code: '17',
    name: both('PBOC CVN 17 (hex), qPBOC', 'PBOC 密文版本 17（十六进制），qPBOC'),
    sessionKey: 'PBOC',
    padding: 2,
  },
  { ...ONE_CVR, code: '0A', name: both('Visa CVN 10'), sessionKey: 'none', padding: 1 },
  { ...SHORT, code: '11', name: both('Visa CVN 17'), sessionKey: 'none', padding: 1 },
  {
    code: '12',
    name: both('Visa CVN 18'),
    entries: AC_INPUT_CVN_01,
    tail: 'iad',
    sessionKey: 'EMV common',
    padding: 2,
    arpcMethod: 2,
  },
];

/** The version of a code in 9F10; undefined when it is unknown here. */
export function versionOf(code: string): CryptogramVersion | undefined {
  return VERSIONS.find((version) => version.code === code);
}

/** Decimal names that people use (`10`, `18`) -> the code, where it is not the code itself. */
export function versionByName(name: string): CryptogramVersion | undefined {
  const folded = name
    .toUpperCase()
    .replace(/^(?:CVN|0X)/, '')
    .trim();
  const decimal: Readonly<Record<string, string>> = { '10': '0A', '18': '12', '1': '01' };
  return versionOf(decimal[folded] ?? folded);
}

/** The session key of a version; the card key itself when it has none. */
export function sessionKeyOf(
  ciphers: CipherProvider,
  key: {
    readonly iccMasterKey: Uint8Array;
    readonly atc: Uint8Array;
    readonly method: SessionKeyMethod;
    readonly algorithm: '3DES' | 'SM4';
  },
): Uint8Array {
  const { iccMasterKey, atc, method, algorithm } = key;
  if (algorithm === 'SM4') return deriveSm4SessionKey(ciphers, iccMasterKey, atc);
  if (method === 'none') return iccMasterKey;
  if (method === 'PBOC') return deriveSessionKey(iccMasterKey, atc);
  const zeros = new Uint8Array(5);
  const left = concatBytes(atc, Uint8Array.of(0xf0), zeros);
  const right = concatBytes(atc, Uint8Array.of(0x0f), zeros);
  return tdesEncrypt(iccMasterKey, concatBytes(left, right));
}

/** The cryptogram of a version over its assembled input. */
export function cryptogramOf(
  ciphers: CipherProvider,
  key: {
    readonly sessionKey: Uint8Array;
    readonly algorithm: '3DES' | 'SM4';
    readonly padding: 1 | 2;
  },
  input: Uint8Array,
): Uint8Array {
  if (key.algorithm === 'SM4') return sm4ApplicationCryptogram(ciphers, key.sessionKey, input);
  return retailMac(key.sessionKey, input, { padding: key.padding });
}

/** A DES key with odd parity in every byte, as some write it. */
export function withOddParity(key: Uint8Array): string {
  return toHex(
    key.map((_, index) => {
      const high = byteAt(key, index) & 0xfe;
      let ones = 0;
      for (let bits = high; bits !== 0; bits >>= 1) ones += bits & 1;
      return ones % 2 === 0 ? high | 1 : high;
    }),
  );
}
