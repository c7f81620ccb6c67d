/**
 * What the element does for an applet. All calls are synchronous; refusals are errors with a
 * `code`. Nothing else of the outside can be reached from an applet.
 */
import type { CipherProvider } from '../../crypto/index.ts';
import type { CommandApdu, ResponseApdu } from '../../iso7816/index.ts';

/** A handle: the name that an applet has given to a key of its own. The key itself never comes. */
export type KeyName = string;
/** Kinds of keys: AES-128/192/256, two- and three-key TDES, SM4, HMAC-SHA-256, ECDSA P-256. */
export type KeyKind = 'aes' | 'tdes' | 'sm4' | 'hmac' | 'ecP256';
/** What a key may do; fixed when it is made. */
export type KeyUsage = 'mac' | 'encipher' | 'decipher' | 'sign';
/** How a key is made. */
export type KeyRules = {
  readonly kind: KeyKind;
  readonly usages: readonly KeyUsage[];
};
/** What may be known of a key. */
export type KeyFacts = KeyRules & {
  /** First three bytes of the check value (KCV); empty for `hmac` and `ecP256`. */
  readonly checkValue: Uint8Array;
  /** Of `ecP256`: 04, x, y. Empty for all others. */
  readonly publicKey: Uint8Array;
};

/** Persistent objects: name -> bytes, of this instance alone. */
export interface AppletObjects {
  read(name: string): Uint8Array | null;
  write(name: string, bytes: Uint8Array): void;
  remove(name: string): void;
  names(): readonly string[];
  /** In a conversation only: makes last what was written so far. */
  commit(): void;
}

/** Keys of this instance alone. */
export interface AppletKeys {
  /** `lengthBytes` for `aes` (16, 24, 32), `tdes` (16, 24) and `hmac` (16 to 64). */
  generate(name: KeyName, rules: KeyRules, lengthBytes?: number): KeyFacts;
  /**
   * Takes a key that came enciphered under the data key of the open secure channel.
   * `checkValue` is compared where it is not empty.
   */
  take(name: KeyName, rules: KeyRules, enciphered: Uint8Array, checkValue: Uint8Array): KeyFacts;
  facts(name: KeyName): KeyFacts | null;
  remove(name: KeyName): void;
  names(): readonly KeyName[];
  /** AES-CMAC, retail MAC (ISO 9797-1 algorithm 3, padding 2), SM4 CBC-MAC or HMAC-SHA-256. */
  mac(name: KeyName, data: Uint8Array): Uint8Array;
  /** CBC over whole blocks; `iv` of one block. */
  encipher(name: KeyName, iv: Uint8Array, blocks: Uint8Array): Uint8Array;
  decipher(name: KeyName, iv: Uint8Array, blocks: Uint8Array): Uint8Array;
  /** ECDSA over the SHA-256 of `data`: r, s. */
  sign(name: KeyName, data: Uint8Array): Uint8Array;
}

/** The secure channel of the applet's domain; in `process` only. @see GPCS 2.3.1 §10 */
export interface AppletSecureChannel {
  /** Level of the open session; null when there is none. */
  securityLevel(): number | null;
  /** Answers INITIALIZE UPDATE and EXTERNAL AUTHENTICATE. */
  authenticate(command: CommandApdu): ResponseApdu;
  /** The command in clear; null when its protection is wrong, and then the session has ended. */
  unwrap(command: CommandApdu): CommandApdu | null;
  wrap(response: ResponseApdu): ResponseApdu;
  /** Deciphers whole blocks under the key for data; null without session. */
  decipher(blocks: Uint8Array): Uint8Array | null;
}

/** The state of this instance in the card's registry. @see GPCS 2.3.1 §5.3 */
export interface AppletLifeCycle {
  state(): number;
  /** SELECTABLE (07) or a state of its own (xxxxx111); never a lock. */
  change(state: number): void;
}

/** Public-key checks that need no key of the applet. */
export interface AppletSignatures {
  /** ECDSA over SHA-256; the key is 04, x, y, the signature r, s. */
  isEcdsaP256(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean;
}

/** Everything that an applet can reach. */
export interface AppletHost {
  /** Name of the instance, hex. */
  readonly instanceAid: string;
  readonly objects: AppletObjects;
  readonly keys: AppletKeys;
  readonly channel: AppletSecureChannel;
  readonly lifeCycle: AppletLifeCycle;
  readonly signatures: AppletSignatures;
  /** Ciphers for keys that are not secret to the applet, hashes, and public-key arithmetic. */
  readonly ciphers: CipherProvider;
  readonly random: { bytes(lengthBytes: number): Uint8Array };
  readonly clock: { nowMs(): number };
}
