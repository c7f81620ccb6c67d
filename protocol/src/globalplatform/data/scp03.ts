/** Secure Channel Protocol 03: session keys, cryptograms, C-MAC. @see GP-D §4.1, §6.2 */
import { byteAt, concatBytes } from '../../bytes/index.ts';
import { aesCmac, type CipherProvider } from '../../crypto/index.ts';
import { assertBytes } from './errors.ts';

/** Derivation constants. @see GP-D table 4-1 */
const CONSTANT = {
  cardCryptogram: 0x00,
  hostCryptogram: 0x01,
  cardChallenge: 0x02,
  encryption: 0x04,
  commandMac: 0x06,
  responseMac: 0x07,
} as const;
/** What is derived by the key derivation function of SCP03. */
export type Scp03Derivation = keyof typeof CONSTANT;

const AES_BLOCK_BYTES = 16;
/** Most bytes that one derivation gives (AES-256). */
const DERIVED_BYTES_MAX = 32;

/** What both sides have sent, 8 or 16 bytes each. */
export type Scp03Challenges = {
  readonly hostChallenge: Uint8Array;
  readonly cardChallenge: Uint8Array;
};

/**
 * CMAC in counter mode: 11 zeros, constant, 00, length in bits, counter, context.
 * @see GP-D §4.1.5
 * @throws GlobalPlatformError `ERR_GP_LENGTH`, CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function scp03Derive(
  ciphers: CipherProvider,
  key: Uint8Array,
  request: {
    readonly constant: number;
    readonly context: Uint8Array;
    readonly lengthBytes: number;
  },
): Uint8Array {
  const { constant, context, lengthBytes } = request;
  const lengthBits = 8 * lengthBytes;
  const parts: Uint8Array[] = [];
  for (let counter = 1; (counter - 1) * AES_BLOCK_BYTES < DERIVED_BYTES_MAX; counter++) {
    if ((counter - 1) * AES_BLOCK_BYTES >= lengthBytes) break;
    const head = [...new Array<number>(11).fill(0), constant, 0, lengthBits >> 8];
    const label = Uint8Array.of(...head, lengthBits & 0xff, counter);
    parts.push(aesCmac(ciphers, key, concatBytes(label, context)));
  }
  return concatBytes(...parts).slice(0, lengthBytes);
}

/** A session key, as long as the static key. @see GP-D §6.2.1 */
export function scp03SessionKey(
  ciphers: CipherProvider,
  staticKey: Uint8Array,
  usage: 'encryption' | 'commandMac' | 'responseMac',
  challenges: Scp03Challenges,
): Uint8Array {
  return scp03Derive(ciphers, staticKey, {
    constant: CONSTANT[usage],
    context: contextOf(challenges),
    lengthBytes: staticKey.length,
  });
}

/** The card's or the host's cryptogram, as long as a challenge. @see GP-D §6.2.2 */
export function scp03Cryptogram(
  ciphers: CipherProvider,
  sessionMac: Uint8Array,
  whose: 'cardCryptogram' | 'hostCryptogram',
  challenges: Scp03Challenges,
): Uint8Array {
  return scp03Derive(ciphers, sessionMac, {
    constant: CONSTANT[whose],
    context: contextOf(challenges),
    lengthBytes: challenges.hostChallenge.length,
  });
}

/**
 * A command with its C-MAC, chained by the whole CMAC of the command before (zeros at first).
 * @see GP-D §6.2.4
 * @throws GlobalPlatformError `ERR_GP_LENGTH`.
 */
export function scp03WrapMac(
  ciphers: CipherProvider,
  sessionMac: Uint8Array,
  command: { readonly header: Uint8Array; readonly data: Uint8Array },
  chain: { readonly value: Uint8Array | null; readonly macBytes: 8 | 16 },
): { readonly command: Uint8Array; readonly chainingValue: Uint8Array } {
  const { data } = command;
  assertBytes('command header', command.header, [4]);
  if (data.length > 255 - chain.macBytes) assertBytes('command data', data, [255 - chain.macBytes]);
  const header = command.header.slice();
  header[0] = byteAt(header, 0) | 0x04;
  const input = concatBytes(header, Uint8Array.of(data.length + chain.macBytes), data);
  const start = chain.value ?? new Uint8Array(AES_BLOCK_BYTES);
  const chainingValue = aesCmac(ciphers, sessionMac, concatBytes(start, input));
  return {
    command: concatBytes(input, chainingValue.subarray(0, chain.macBytes)),
    chainingValue,
  };
}

/**
 * The card challenge that a host can predict: parameter i has bit 10.
 * @see GP-D §6.2.2.1
 * @param invokerAid of the selected application or domain.
 */
export function scp03CardChallenge(
  ciphers: CipherProvider,
  staticEncryptionKey: Uint8Array,
  request: {
    readonly sequenceCounter: Uint8Array;
    readonly invokerAid: Uint8Array;
    readonly lengthBytes: 8 | 16;
  },
): Uint8Array {
  const { sequenceCounter, invokerAid, lengthBytes } = request;
  assertBytes('sequence counter', sequenceCounter, [3]);
  return scp03Derive(ciphers, staticEncryptionKey, {
    ...{ constant: CONSTANT.cardChallenge, lengthBytes },
    context: concatBytes(sequenceCounter, invokerAid),
  });
}

function contextOf({ hostChallenge, cardChallenge }: Scp03Challenges): Uint8Array {
  assertBytes('host challenge', hostChallenge, [8, 16]);
  assertBytes('card challenge', cardChallenge, [hostChallenge.length]);
  return concatBytes(hostChallenge, cardChallenge);
}
