/** TR-31 key blocks of version D: AES key derivation binding method. @see X9.143-2021 §4, TR-31 */
import {
  asciiToBytes,
  bytesToUint,
  concatBytes,
  equalBytes,
  fromHex,
  type RandomSource,
  toHex,
  uintToBytes,
} from '../bytes/index.ts';
import { AES_BLOCK_BYTES, AES_KEY_BYTES, aesCbcDecrypt, aesCbcEncrypt, aesCmac } from './cmac.ts';
import { assertKeyLength, CryptoError } from './errors.ts';
import type { CipherProvider } from './provider.ts';

/** One optional block of the header: two characters of id and ASCII data. @see X9.143 §4.3.6 */
export type Tr31OptionalBlock = { readonly id: string; readonly data: string };

/** The attributes that the MAC binds to the key. */
export type Tr31Header = {
  /** Two characters, such as `P0`. @see X9.143 table 2 */
  readonly usage: string;
  /** `T` 3DES, `A` AES, `H` HMAC. @see X9.143 table 3 */
  readonly algorithm: string;
  /** `B` both, `E` encrypt, `D` decrypt, `G` generate, `V` verify, `C`, `N`, `S`, `T`, `X`, `Y`. */
  readonly modeOfUse: string;
  /** `N` not exportable, `E` under a trusted key block, `S` sensitive. */
  readonly exportability: string;
  /** Two characters; `00` (no versioning) when left out. */
  readonly keyVersion?: string;
  readonly optionalBlocks?: readonly Tr31OptionalBlock[];
};

/** What a block holds once its MAC is checked. */
export type Tr31KeyBlock = Required<Tr31Header> & { readonly key: Uint8Array };

/** Longest block the four length digits can say. */
export const TR31_BLOCK_CHARACTERS_MAX = 9999;
/** Longest key taken, in bytes. */
export const TR31_KEY_BYTES_MAX = 512;
/** Optional blocks in one header; two digits can say 99. */
export const TR31_OPTIONAL_BLOCKS_MAX = 99;
const HEADER_CHARACTERS = 16;
const MAC_BYTES = 16;

/**
 * A key block in ASCII.
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH` for a bad protection key or an empty or over-long
 *   key, `ERR_CRYPTO_KEY_BLOCK` for header fields of a wrong shape.
 */
export function tr31WrapD(
  ciphers: CipherProvider,
  protectionKey: Uint8Array,
  header: Tr31Header,
  key: Uint8Array,
  random: RandomSource,
): string {
  const keys = derivedKeys(ciphers, protectionKey);
  if (key.length === 0 || key.length > TR31_KEY_BYTES_MAX) {
    throw new CryptoError('ERR_CRYPTO_KEY_LENGTH', `cannot wrap a key of ${key.length} bytes`, {
      lengthBytes: key.length,
    });
  }
  const clearBytes = Math.ceil((2 + key.length) / AES_BLOCK_BYTES) * AES_BLOCK_BYTES;
  const headerText = encodeHeader(header, 2 * clearBytes + 2 * MAC_BYTES);
  const clear = concatBytes(
    uintToBytes(8 * key.length, 2),
    key,
    random.bytes(clearBytes - 2 - key.length),
  );
  const mac = aesCmac(ciphers, keys.authentication, concatBytes(asciiToBytes(headerText), clear));
  const enciphered = aesCbcEncrypt(ciphers, keys.encryption, clear, mac);
  return `${headerText}${toHex(enciphered)}${toHex(mac)}`;
}

/**
 * The key and its attributes.
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH` for a bad protection key, `ERR_CRYPTO_KEY_BLOCK` for
 *   a malformed block, `ERR_CRYPTO_KEY_BLOCK_MAC` for a wrong key or any changed character.
 */
export function tr31UnwrapD(
  ciphers: CipherProvider,
  protectionKey: Uint8Array,
  block: string,
): Tr31KeyBlock {
  assertKeyLength(protectionKey, AES_KEY_BYTES);
  const { header, headerLength } = decodeHeader(block);
  const macStart = block.length - 2 * MAC_BYTES;
  const hexBytes = (macStart - headerLength) / 2;
  if (hexBytes < AES_BLOCK_BYTES || hexBytes % AES_BLOCK_BYTES !== 0) {
    throw malformed('key data is no whole number of AES blocks', headerLength);
  }
  if (!/^[0-9A-F]+$/.test(block.slice(headerLength))) {
    throw malformed('key data or MAC is not upper-case hex', headerLength);
  }
  const keys = derivedKeys(ciphers, protectionKey);
  const mac = fromHex(block.slice(macStart));
  const enciphered = fromHex(block.slice(headerLength, macStart));
  const clear = aesCbcDecrypt(ciphers, keys.encryption, enciphered, mac);
  const headerBytes = asciiToBytes(block.slice(0, headerLength));
  const expected = aesCmac(ciphers, keys.authentication, concatBytes(headerBytes, clear));
  if (!equalBytes(mac, expected)) {
    throw new CryptoError('ERR_CRYPTO_KEY_BLOCK_MAC', 'key block MAC is wrong');
  }
  const lengthBits = bytesToUint(clear.subarray(0, 2));
  const keyBytes = lengthBits / 8;
  if (lengthBits % 8 !== 0 || keyBytes === 0 || keyBytes > clear.length - 2) {
    throw malformed('key length is wrong', headerLength);
  }
  return { ...header, key: clear.slice(2, 2 + keyBytes) };
}

/**
 * The header without any key: who may want to see the usage before asking for the key. Nothing of
 * it is authenticated. @throws CryptoError `ERR_CRYPTO_KEY_BLOCK`.
 */
export function tr31HeaderOf(block: string): Required<Tr31Header> {
  return decodeHeader(block).header;
}

/** Encryption and authentication keys by CMAC in counter mode. @see X9.143 §4.4, TR-31 §5.3.2.3 */
function derivedKeys(
  ciphers: CipherProvider,
  protectionKey: Uint8Array,
): { readonly encryption: Uint8Array; readonly authentication: Uint8Array } {
  assertKeyLength(protectionKey, AES_KEY_BYTES);
  const lengthBytes = protectionKey.length;
  const derive = (usage: number): Uint8Array => {
    const parts: Uint8Array[] = [];
    for (let counter = 1; (counter - 1) * AES_BLOCK_BYTES < lengthBytes; counter++) {
      // Counter, usage (0000 encryption, 0001 MAC), separator, algorithm (AES 0002-0004), bits.
      const algorithm = lengthBytes / 8;
      const data = [counter, 0, usage, 0, 0, algorithm, ...uintToBytes(8 * lengthBytes, 2)];
      parts.push(aesCmac(ciphers, protectionKey, new Uint8Array(data)));
    }
    return concatBytes(...parts).slice(0, lengthBytes);
  };
  return { encryption: derive(0), authentication: derive(1) };
}

function encodeHeader(header: Tr31Header, restCharacters: number): string {
  const version = header.keyVersion ?? '00';
  const fields = [header.usage, header.algorithm, header.modeOfUse, version, header.exportability];
  const text = fields.join('');
  if (fields.map((field) => field.length).join('') !== '21121' || !/^[0-9A-Za-z]{7}$/.test(text)) {
    throw malformed('header field has a wrong length or character', 5);
  }
  const blocks = paddedOptionalBlocks(header.optionalBlocks ?? []);
  const optional = blocks.map(encodeOptionalBlock).join('');
  const length = HEADER_CHARACTERS + optional.length + restCharacters;
  if (length > TR31_BLOCK_CHARACTERS_MAX || blocks.length > TR31_OPTIONAL_BLOCKS_MAX) {
    throw malformed('optional blocks are too long', HEADER_CHARACTERS);
  }
  const count = String(blocks.length).padStart(2, '0');
  return `D${String(length).padStart(4, '0')}${text}${count}00${optional}`;
}

function encodeOptionalBlock(block: Tr31OptionalBlock): string {
  const length = 4 + block.data.length;
  if (!/^[0-9A-Z]{2}$/.test(block.id) || length > 255 || !/^[ -~]*$/.test(block.data)) {
    throw malformed('optional block has a wrong id or data', HEADER_CHARACTERS);
  }
  return `${block.id}${length.toString(16).toUpperCase().padStart(2, '0')}${block.data}`;
}

/** A `PB` block fills the optional blocks to whole cipher blocks. @see X9.143 §4.3.6 */
function paddedOptionalBlocks(blocks: readonly Tr31OptionalBlock[]): Tr31OptionalBlock[] {
  const length = blocks.reduce((sum, block) => sum + 4 + block.data.length, 0);
  if (length % AES_BLOCK_BYTES === 0) return [...blocks];
  const missing = AES_BLOCK_BYTES - (length % AES_BLOCK_BYTES);
  const fill = missing >= 4 ? missing : missing + AES_BLOCK_BYTES;
  return [...blocks, { id: 'PB', data: '0'.repeat(fill - 4) }];
}

function decodeHeader(block: string): {
  readonly header: Required<Tr31Header>;
  readonly headerLength: number;
} {
  const match =
    /^D([0-9]{4})([0-9A-Z]{2})([0-9A-Z])([0-9A-Z])([0-9A-Za-z]{2})([ENS])([0-9]{2})00/.exec(block);
  if (match === null) throw malformed('this is no header of version D', 0);
  const [, length, usage, algorithm, modeOfUse, keyVersion, exportability, count] = match;
  if (Number(length) !== block.length) throw malformed('block length is wrong', 1);
  const optionalBlocks: Tr31OptionalBlock[] = [];
  let offset = HEADER_CHARACTERS;
  for (let index = 0; index < Number(count); index++) {
    const head = /^([0-9A-Z]{2})([0-9A-F]{2})$/.exec(block.slice(offset, offset + 4));
    const blockLength = Number.parseInt(head?.[2] ?? '0', 16);
    if (head === null || blockLength < 4 || offset + blockLength > block.length) {
      throw malformed('optional block is wrong', offset);
    }
    optionalBlocks.push({ id: head[1]!, data: block.slice(offset + 4, offset + blockLength) });
    offset += blockLength;
  }
  if (!/^[ -~]*$/.test(block.slice(0, offset))) throw malformed('header is not ASCII', 0);
  const fields = { usage: usage!, algorithm: algorithm!, modeOfUse: modeOfUse! };
  return {
    header: {
      ...fields,
      keyVersion: keyVersion!,
      exportability: exportability!,
      optionalBlocks: optionalBlocks.filter(({ id }) => id !== 'PB'),
    },
    headerLength: offset,
  };
}

function malformed(why: string, offsetCharacters: number): CryptoError {
  return new CryptoError('ERR_CRYPTO_KEY_BLOCK', `key block: ${why}`, { offsetCharacters });
}
