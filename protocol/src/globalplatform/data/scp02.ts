/** Secure Channel Protocol 02: session keys, cryptograms, command MACs. @see GPCS 2.3.1 Annex E */
import { byteAt, concatBytes, xorBytes } from '../../bytes/index.ts';
import {
  DES_BLOCK_BYTES,
  desEncrypt,
  padIso9797Method2,
  retailMac,
  tdesCbcEncrypt,
  x99Mac,
} from '../../crypto/index.ts';
import { assertBytes } from './errors.ts';

/** Derivation constants. @see GPCS 2.3.1 §E.4.1 */
const CONSTANT = {
  commandMac: 0x0101,
  responseMac: 0x0102,
  dataEncryption: 0x0181,
  encryption: 0x0182,
} as const;
/** What a session key of SCP02 is for. */
export type Scp02KeyUsage = keyof typeof CONSTANT;

/** What both sides have sent: 8-byte host challenge, 2-byte counter, 6-byte card challenge. */
export type Scp02Challenges = {
  readonly hostChallenge: Uint8Array;
  readonly sequenceCounter: Uint8Array;
  readonly cardChallenge: Uint8Array;
};

/**
 * One session key: 3DES-CBC of constant ‖ counter ‖ zeros under the static key of its usage.
 * @see GPCS 2.3.1 §E.4.1
 * @throws GlobalPlatformError `ERR_GP_LENGTH`, CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function scp02SessionKey(
  staticKey: Uint8Array,
  usage: Scp02KeyUsage,
  sequenceCounter: Uint8Array,
): Uint8Array {
  assertBytes('static key', staticKey, [16]);
  assertBytes('sequence counter', sequenceCounter, [2]);
  const constant = CONSTANT[usage];
  const data = concatBytes(
    Uint8Array.of(constant >> 8, constant & 0xff),
    sequenceCounter,
    new Uint8Array(12),
  );
  return tdesCbcEncrypt(staticKey, data);
}

/** The cryptogram by which the card proves its keys. @see GPCS 2.3.1 §E.4.2 */
export function scp02CardCryptogram(
  sessionEnc: Uint8Array,
  challenges: Scp02Challenges,
): Uint8Array {
  const { hostChallenge, sequenceCounter, cardChallenge } = checked(challenges);
  return tripleDesMac(sessionEnc, concatBytes(hostChallenge, sequenceCounter, cardChallenge));
}

/** The cryptogram by which the host proves its keys. @see GPCS 2.3.1 §E.4.2 */
export function scp02HostCryptogram(
  sessionEnc: Uint8Array,
  challenges: Scp02Challenges,
): Uint8Array {
  const { hostChallenge, sequenceCounter, cardChallenge } = checked(challenges);
  return tripleDesMac(sessionEnc, concatBytes(sequenceCounter, cardChallenge, hostChallenge));
}

/**
 * A command with its C-MAC: bit 3 of the class set, Lc raised by 8, the MAC behind the data.
 * `previousMac` is the C-MAC of the command before; null for EXTERNAL AUTHENTICATE. It is
 * enciphered by single DES under the first key half before it starts the next MAC.
 * @see GPCS 2.3.1 §E.4.3, §E.4.4 (C-MAC on modified APDU), §E.3.4 (ICV encryption)
 * @throws GlobalPlatformError `ERR_GP_LENGTH` when data and MAC do not fit a short command.
 */
export function scp02WrapMac(
  sessionMac: Uint8Array,
  command: { readonly header: Uint8Array; readonly data: Uint8Array },
  previousMac: Uint8Array | null,
): { readonly command: Uint8Array; readonly mac: Uint8Array } {
  const { data } = command;
  assertBytes('command header', command.header, [4]);
  if (data.length > 255 - DES_BLOCK_BYTES) assertBytes('command data', data, [247]);
  const header = command.header.slice();
  header[0] = byteAt(header, 0) | 0x04;
  const input = concatBytes(header, Uint8Array.of(data.length + DES_BLOCK_BYTES), data);
  const mac = scp02ChainedMac(sessionMac, input, previousMac);
  return { command: concatBytes(input, mac), mac };
}

/** EXTERNAL AUTHENTICATE of a host cryptogram at a security level, its C-MAC behind it. */
export function scp02ExternalAuthenticate(
  sessionMac: Uint8Array,
  hostCryptogram: Uint8Array,
  securityLevel: number,
): { readonly command: Uint8Array; readonly mac: Uint8Array } {
  assertBytes('host cryptogram', hostCryptogram, [DES_BLOCK_BYTES]);
  const header = Uint8Array.of(0x84, 0x82, securityLevel, 0x00);
  return scp02WrapMac(sessionMac, { header, data: hostCryptogram }, null);
}

/** The 6-byte card challenge of i=55: a MAC of the application's name. @see GPCS 2.3.1 §E.4.1 */
export function scp02CardChallenge(sessionMac: Uint8Array, invokerAid: Uint8Array): Uint8Array {
  return retailMac(sessionMac, invokerAid, { padding: 2 }).slice(0, 6);
}

/**
 * The retail MAC whose start value is the previous MAC, enciphered; null starts a chain.
 * @see GPCS 2.3.1 §E.3.4, §E.4.4
 */
export function scp02ChainedMac(
  sessionMac: Uint8Array,
  input: Uint8Array,
  previousMac: Uint8Array | null,
): Uint8Array {
  if (previousMac === null) return retailMac(sessionMac, input, { padding: 2 });
  const start = desEncrypt(sessionMac.slice(0, 8), previousMac);
  const padded = padIso9797Method2(input);
  padded.set(xorBytes(padded.slice(0, DES_BLOCK_BYTES), start));
  return retailMac(sessionMac, padded, { padding: 1 });
}

/** Full 3DES CBC-MAC with `80` padding. */
function tripleDesMac(key: Uint8Array, data: Uint8Array): Uint8Array {
  assertBytes('session key', key, [16]);
  return x99Mac(key, padIso9797Method2(data));
}

function checked(challenges: Scp02Challenges): Scp02Challenges {
  assertBytes('host challenge', challenges.hostChallenge, [8]);
  assertBytes('sequence counter', challenges.sequenceCounter, [2]);
  assertBytes('card challenge', challenges.cardChallenge, [6]);
  return challenges;
}
