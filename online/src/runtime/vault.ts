/** Card data at rest: sealed texts and keyed digests under a key file that only its owner reads. */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { fromHex, type RandomSource, TapError, toHex } from '@tapnpay/protocol/bytes';

/** AES-256. */
export const VAULT_KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** Keeps card data unreadable at rest. */
export interface Vault {
  /** AES-256-GCM (NIST SP 800-38D), hex of IV, tag and ciphertext. */
  seal(text: string): string;
  /** @throws VaultError `ERR_VAULT` when the text was altered or sealed under another key. */
  open(sealed: string): string;
  /** HMAC-SHA256, hex: equal texts are found, nobody without the key can guess one. */
  digest(text: string): string;
}

/** A sealed text or the key file is broken. */
export class VaultError extends TapError<'ERR_VAULT'> {}

/** A vault over `key`; sealing and digests have keys of their own. @see RFC 5869 */
export function createVault(key: Uint8Array, random: RandomSource): Vault {
  if (key.length !== VAULT_KEY_BYTES) {
    throw new VaultError('ERR_VAULT', `a vault's key has ${VAULT_KEY_BYTES} bytes`);
  }
  const sealKey = derive(key, 'seal');
  const digestKey = derive(key, 'digest');
  return {
    seal(text) {
      const iv = random.bytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', sealKey, iv);
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return toHex(iv) + toHex(cipher.getAuthTag()) + toHex(body);
    },
    open(sealed) {
      try {
        const bytes = fromHex(sealed);
        const bodyStart = IV_BYTES + TAG_BYTES;
        const iv = bytes.subarray(0, IV_BYTES);
        const options = { authTagLength: TAG_BYTES };
        const decipher = createDecipheriv('aes-256-gcm', sealKey, iv, options);
        decipher.setAuthTag(bytes.subarray(IV_BYTES, bodyStart));
        const body = [decipher.update(bytes.subarray(bodyStart)), decipher.final()];
        return Buffer.concat(body).toString('utf8');
      } catch {
        throw new VaultError('ERR_VAULT', 'a sealed record does not open');
      }
    },
    digest: (text) => toHex(createHmac('sha256', digestKey).update(text, 'utf8').digest()),
  };
}

/** A file's key, made at the first call, never half written. @throws VaultError `ERR_VAULT`. */
export function readOrMakeVaultKey(path: string, random: RandomSource): Uint8Array {
  const present = readKeyText(path);
  if (present !== null) return keyOf(present);
  mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE });
  const draft = `${path}.${toHex(random.bytes(6))}.new`;
  const file = openSync(draft, 'wx', FILE_MODE);
  try {
    writeSync(file, toHex(random.bytes(VAULT_KEY_BYTES)));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    // A link, unlike a rename, fails when another process was faster.
    linkSync(draft, path);
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST') throw cause;
  } finally {
    rmSync(draft, { force: true });
  }
  return keyOf(readKeyText(path) ?? '');
}

function derive(key: Uint8Array, purpose: string): KeyObject {
  const info = `tapnpay vault ${purpose}`;
  return createSecretKey(new Uint8Array(hkdfSync('sha256', key, '', info, VAULT_KEY_BYTES)));
}

function readKeyText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return null;
    throw cause;
  }
}

function keyOf(text: string): Uint8Array {
  if (/^[0-9A-F]{64}$/.test(text)) return fromHex(text);
  throw new VaultError('ERR_VAULT', 'the key file of the vault is broken');
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
}
