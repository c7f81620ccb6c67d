/** RSA keys of the sandbox CA, of the issuer and of new cards; sealed at rest. */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { concatBytes, fromHex, type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import type { RsaPrivateKey } from '@tapnpay/protocol/emv/issuer';
import { generateRsaKey } from '@tapnpay/protocol/node';
import { HsmError } from './errors.ts';
import { readFileIfAny, writeFileAtomic } from './files.ts';

/** Sizes in bits; each key fits into the certificate of the one above. @see EMV 4.3 B2 §D1 */
const CA_KEY_BITS = 1408;
const ISSUER_KEY_BITS = 1152;
const CARD_KEY_BITS = 1024;

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Associated data of the sealed file: format and version. */
const SEAL_CONTEXT: Uint8Array = new TextEncoder().encode('tapnpay hsm rsa 1');

/** The keys that certify cards. */
export type SandboxAuthority = { readonly ca: RsaPrivateKey; readonly issuer: RsaPrivateKey };

/** Where `personaliseCard` gets its RSA keys from. */
export interface RsaVault {
  /** Made when first asked for, the same ever after. */
  authority(): SandboxAuthority;
  /** A new key for one card. */
  cardKey(): RsaPrivateKey;
}

/** A vault that forgets. */
export function memoryRsaVault(): RsaVault {
  let authority: SandboxAuthority | undefined;
  return {
    authority() {
      authority ??= makeAuthority();
      return authority;
    },
    cardKey: () => generateRsaKey(CARD_KEY_BITS),
  };
}

/**
 * A vault in one file, AES-256-GCM under a key of its own that comes from the master key.
 * Its calls throw HsmError `ERR_HSM_STORE` for a file that does not open.
 */
export function sealedRsaVault(options: {
  readonly path: string;
  readonly lmk: Uint8Array;
  readonly random: RandomSource;
}): RsaVault {
  const sealKey = createHmac('sha256', options.lmk).update(SEAL_CONTEXT).digest();
  let authority: SandboxAuthority | undefined;
  return {
    authority() {
      authority ??= readAuthority(options.path, sealKey) ?? storeAuthority({ ...options, sealKey });
      return authority;
    },
    cardKey: () => generateRsaKey(CARD_KEY_BITS),
  };
}

function makeAuthority(): SandboxAuthority {
  return { ca: generateRsaKey(CA_KEY_BITS), issuer: generateRsaKey(ISSUER_KEY_BITS) };
}

function storeAuthority(options: {
  readonly path: string;
  readonly sealKey: Uint8Array;
  readonly random: RandomSource;
}): SandboxAuthority {
  const made = makeAuthority();
  const json = JSON.stringify({ ca: encodeKey(made.ca), issuer: encodeKey(made.issuer) });
  const nonce = options.random.bytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', options.sealKey, nonce).setAAD(SEAL_CONTEXT);
  const sealed = concatBytes(cipher.update(json, 'utf8'), cipher.final());
  writeFileAtomic(options.path, concatBytes(nonce, sealed, cipher.getAuthTag()));
  return made;
}

function readAuthority(path: string, sealKey: Uint8Array): SandboxAuthority | undefined {
  const file = readFileIfAny(path);
  if (!file) return undefined;
  if (file.length <= NONCE_BYTES + TAG_BYTES) throw broken();
  const tagOffset = file.length - TAG_BYTES;
  try {
    const decipher = createDecipheriv('aes-256-gcm', sealKey, file.slice(0, NONCE_BYTES))
      .setAAD(SEAL_CONTEXT)
      .setAuthTag(file.slice(tagOffset));
    const clear = concatBytes(
      decipher.update(file.slice(NONCE_BYTES, tagOffset)),
      decipher.final(),
    );
    const { ca, issuer } = JSON.parse(new TextDecoder().decode(clear)) as Record<
      'ca' | 'issuer',
      EncodedKey
    >;
    return { ca: decodeKey(ca), issuer: decodeKey(issuer) };
  } catch {
    // The cause could quote what was deciphered.
    throw broken();
  }
}

type EncodedKey = Readonly<Record<keyof RsaPrivateKey, string>>;

function encodeKey(key: RsaPrivateKey): EncodedKey {
  return {
    modulus: toHex(key.modulus),
    publicExponent: toHex(key.publicExponent),
    privateExponent: toHex(key.privateExponent),
  };
}

function decodeKey(key: EncodedKey): RsaPrivateKey {
  return {
    modulus: fromHex(key.modulus),
    publicExponent: fromHex(key.publicExponent),
    privateExponent: fromHex(key.privateExponent),
  };
}

function broken(): HsmError {
  return new HsmError('ERR_HSM_STORE', 'the sealed RSA keys do not open under this master key');
}
