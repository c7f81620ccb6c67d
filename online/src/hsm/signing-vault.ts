/** Keys that sign load files (DAP), one of each kind; sealed at rest, made when first asked for. */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { concatBytes, fromHex, type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import type { LoadFileSignatureKind } from '@tapnpay/protocol/wire';
import { HsmError } from './errors.ts';
import { readFileIfAny, writeFileAtomic } from './files.ts';

/** Size of the RSA key. */
const RSA_BITS = 2048;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Associated data of the sealed file: format and version. */
const SEAL_CONTEXT: Uint8Array = new TextEncoder().encode('tapnpay hsm signing 1');

/** Where `signLoadFile` gets its keys from. */
export interface SigningVault {
  /** Made when first asked for, the same ever after. */
  key(kind: LoadFileSignatureKind): KeyObject;
}

/** A vault that forgets. */
export function memorySigningVault(): SigningVault {
  const keys = new Map<LoadFileSignatureKind, KeyObject>();
  return { key: (kind) => keys.get(kind) ?? remember(keys, kind, makeKey(kind)) };
}

/**
 * A vault in one file, AES-256-GCM under a key of its own that comes from the master key.
 * Its calls throw HsmError `ERR_HSM_STORE` for a file that does not open.
 */
export function sealedSigningVault(options: {
  readonly path: string;
  readonly lmk: Uint8Array;
  readonly random: RandomSource;
}): SigningVault {
  const { path, random } = options;
  const sealKey = createHmac('sha256', options.lmk).update(SEAL_CONTEXT).digest();
  let keys: Map<LoadFileSignatureKind, KeyObject> | undefined;
  return {
    key(kind) {
      keys ??= readKeys(path, sealKey);
      const known = keys.get(kind);
      if (known) return known;
      const made = makeKey(kind);
      writeKeys({ path, sealKey, random }, new Map([...keys, [kind, made]]));
      return remember(keys, kind, made);
    },
  };
}

function remember(
  keys: Map<LoadFileSignatureKind, KeyObject>,
  kind: LoadFileSignatureKind,
  key: KeyObject,
): KeyObject {
  keys.set(kind, key);
  return key;
}

function makeKey(kind: LoadFileSignatureKind): KeyObject {
  return kind === 'rsaPss'
    ? generateKeyPairSync('rsa', { modulusLength: RSA_BITS }).privateKey
    : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

function writeKeys(
  to: { readonly path: string; readonly sealKey: Uint8Array; readonly random: RandomSource },
  keys: ReadonlyMap<LoadFileSignatureKind, KeyObject>,
): void {
  const texts = [...keys].map(([kind, key]) => [
    ...[kind, toHex(key.export({ type: 'pkcs8', format: 'der' }))],
  ]);
  const nonce = to.random.bytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', to.sealKey, nonce).setAAD(SEAL_CONTEXT);
  const json = JSON.stringify(Object.fromEntries(texts));
  const sealed = concatBytes(cipher.update(json, 'utf8'), cipher.final());
  writeFileAtomic(to.path, concatBytes(nonce, sealed, cipher.getAuthTag()));
}

function readKeys(path: string, sealKey: Uint8Array): Map<LoadFileSignatureKind, KeyObject> {
  const file = readFileIfAny(path);
  if (!file) return new Map();
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
    const texts = JSON.parse(new TextDecoder().decode(clear)) as Record<
      LoadFileSignatureKind,
      string
    >;
    const keys = Object.entries(texts).map(([kind, der]) => {
      const key = Buffer.from(fromHex(der));
      const opened = createPrivateKey({ key, format: 'der', type: 'pkcs8' });
      return [kind as LoadFileSignatureKind, opened] as const;
    });
    return new Map(keys);
  } catch {
    // The cause could quote what was deciphered.
    throw broken();
  }
}

function broken(): HsmError {
  const text = 'the sealed keys for load files do not open under this master key';
  return new HsmError('ERR_HSM_STORE', text);
}
