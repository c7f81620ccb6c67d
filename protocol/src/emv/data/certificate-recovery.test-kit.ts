/** Certificates and signed data made by hand, so that a test can put any byte wrong. */
import { generateKeyPairSync } from 'node:crypto';
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex } from '../../bytes/index.ts';
import { rsaRaw } from '../../crypto/index.ts';

/** An RSA key pair of the chain. */
export type KitKey = {
  readonly modulus: Uint8Array;
  readonly exponent: Uint8Array;
  readonly privateExponent: Uint8Array;
};

/** A fresh pair. */
export function kitKey(modulusLength: number, publicExponent = 3): KitKey {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent });
  const jwk = privateKey.export({ format: 'jwk' });
  const part = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'));
  return { modulus: part(jwk.n), exponent: part(jwk.e), privateExponent: part(jwk.d) };
}

/** What differs from a right block; the hash is made over the changed bytes unless it is given. */
export type BlockChange = {
  readonly header?: number;
  readonly trailer?: number;
  readonly hash?: Uint8Array;
  /** New bytes by offset in the block. */
  readonly bytes?: Readonly<Record<number, string>>;
};

/** `6A body hash BC`, padded with BB to the modulus and signed. @see EMV 4.3 B2 §A2.1 */
export function signBlock(
  signer: KitKey,
  parts: { readonly body: Uint8Array; readonly beyond: Uint8Array; readonly change?: BlockChange },
): Uint8Array {
  const { change = {} } = parts;
  const block = new Uint8Array(signer.modulus.length).fill(0xbb);
  block[0] = change.header ?? 0x6a;
  block[block.length - 1] = change.trailer ?? 0xbc;
  block.set(parts.body, 1);
  for (const [offset, bytes] of Object.entries(change.bytes ?? {})) {
    block.set(fromHex(bytes), Number(offset));
  }
  const hashAt = block.length - 21;
  const covered = concatBytes(block.slice(1, hashAt), parts.beyond);
  block.set(change.hash ?? nodeCiphers.sha1(covered), hashAt);
  return rsaRaw(signer.modulus, signer.privateExponent, block);
}

/** A certificate with what stands outside of it. */
export type KitCertificate = {
  readonly certificate: Uint8Array;
  readonly remainder: Uint8Array;
  readonly exponent: Uint8Array;
};

/** Certificate of a key: `head` is format, identifier, expiry and serial number. */
export function certifyKey(
  signer: KitKey,
  subject: KitKey,
  parts: {
    readonly head: string;
    readonly staticData?: Uint8Array;
    readonly change?: BlockChange;
    /** Remainder and exponent as they are hashed and handed out. */
    readonly outside?: { readonly remainder?: Uint8Array; readonly exponent?: Uint8Array };
  },
): KitCertificate {
  const { modulus } = subject;
  const exponent = parts.outside?.exponent ?? subject.exponent;
  const lengths = Uint8Array.of(1, 1, modulus.length, exponent.length);
  const head = concatBytes(fromHex(parts.head), lengths);
  const room = signer.modulus.length - 22 - head.length;
  const remainder = parts.outside?.remainder ?? modulus.slice(room);
  const beyond = concatBytes(remainder, exponent, parts.staticData ?? new Uint8Array(0));
  const body = concatBytes(head, modulus.slice(0, room));
  const change = parts.change ?? {};
  return { certificate: signBlock(signer, { body, beyond, change }), remainder, exponent };
}
