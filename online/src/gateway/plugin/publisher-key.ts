/**
 * The key that signs this system's extension. It is made once and never changes, for browsers know
 * the extension by it: id = the first 128 bits of SHA-256 of the public key, in letters a to p.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
} from 'node:crypto';
import { linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readPrivateFile } from '../pki/key-files.ts';
import { PublisherError } from './errors.ts';

/** Folder of the publisher below the system's data folder. */
export const PUBLISHER_FOLDER = 'publisher';
/** PKCS #8 in PEM; mode 0600. */
export const PUBLISHER_KEY_FILE = 'extension-key.pem';
const NOTE_FILE = 'LAB.txt';
const KEY_BITS = 2048;
/** First 128 bits of the digest, as hex digits. */
const ID_CHARACTERS = 32;

/** Beside the key and not in it: Chromium's own packer takes no text before the PEM block. */
const NOTE = `LAB: extension-key.pem was made by a program at the first start of this system.
It signs the browser extension of this system and no other; whoever has it can update the extension
in every browser that has it. Keep it: with another key the extension has another id.

实验密钥（LAB）：extension-key.pem 由程序在系统首次启动时生成。
它只用于签署本系统的浏览器插件；持有者可更新所有已安装该插件的浏览器。请妥善保管：更换密钥会改变插件标识。
`;

/** The opened key. */
export type PublisherKey = {
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKeySpki: Uint8Array;
  /** Chromium's id of the extension. */
  readonly extensionId: string;
};

/**
 * Opens the publisher's key of a system, making it at the first call: gateway and installer may
 * both be the first, and get the same one.
 * @throws PublisherError `ERR_PUBLISHER_KEY`.
 */
export async function openPublisherKey(dataDir: string): Promise<PublisherKey> {
  const directory = join(dataDir, PUBLISHER_FOLDER);
  const path = join(directory, PUBLISHER_KEY_FILE);
  const pem = readPrivateFile(path) ?? (await makeKeyFile(directory, path));
  const privateKey = parseKey(pem);
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const publicKeySpki = new Uint8Array(spki);
  return { privateKey, publicKeySpki, extensionId: extensionIdOf(publicKeySpki) };
}

/** Chromium's id of an extension that is signed with this key. */
export function extensionIdOf(publicKeySpki: Uint8Array): string {
  const digest = createHash('sha256').update(publicKeySpki).digest('hex').slice(0, ID_CHARACTERS);
  return digest.replace(/./g, (digit) => String.fromCharCode(0x61 + Number.parseInt(digit, 16)));
}

/** The file that is there in the end, whoever was first. */
async function makeKeyFile(directory: string, path: string): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: KEY_BITS });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const beside = `${path}.${crypto.randomUUID()}`;
  writeFileSync(beside, pem, { mode: 0o600, flag: 'wx', flush: true });
  try {
    // A link, unlike a rename, never replaces a key that another process has made meanwhile.
    linkSync(beside, path);
    writeFileSync(join(directory, NOTE_FILE), NOTE, { mode: 0o600 });
    return pem;
  } catch (fault) {
    const made = readPrivateFile(path);
    if (made === null) throw fault;
    return made;
  } finally {
    rmSync(beside, { force: true });
  }
}

function parseKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw keyError('is no private key', cause);
  }
  if (key.asymmetricKeyType !== 'rsa') throw keyError('is no RSA key');
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < KEY_BITS) throw keyError(`has less than ${KEY_BITS} bits`);
  return key;
}

function keyError(why: string, cause?: unknown): PublisherError {
  const message = `${PUBLISHER_FOLDER}/${PUBLISHER_KEY_FILE} ${why}`;
  return new PublisherError('ERR_PUBLISHER_KEY', message, {}, cause);
}
