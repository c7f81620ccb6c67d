/** An HSM's folder, `<dataDir>/hsm/<party>`: master key, tokens, sealed RSA keys, ledger. */
import { appendFileSync, closeSync, fsyncSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { concatBytes, equalBytes, type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import type { HsmParty } from '../runtime/party-keys.ts';
import { type InitialKeyLedger, MASTER_KEY_BYTES } from './context.ts';
import { HsmError } from './errors.ts';
import { createFileAtomic, makePrivateFolder, readFileIfAny } from './files.ts';
import { CALLERS_OF_PARTY, LAB_LABEL } from './profile.ts';
import type { HsmTokens } from './session.ts';

/** `TPLM`, version 1. */
const MASTER_KEY_MAGIC: Uint8Array = Uint8Array.of(0x54, 0x50, 0x4c, 0x4d, 1);
const LABEL_BYTES = 3;
const CHECKSUM_BYTES = 32;
const TOKEN_BYTES = 32;
/** Permissions that others must not have on a secret file. */
const OTHERS_MODE = 0o077;

/** Folder of the HSM of `party`. */
export function hsmFolder(dataDir: string, party: HsmParty): string {
  return join(dataDir, 'hsm', party);
}

/** The local master key and its label. */
export type MasterKeyFile = { readonly lmk: Uint8Array; readonly label: string };

/**
 * Reads the local master key of `party`, or makes it at the first start.
 * The file is magic, label, key and SHA-256 of all; only its mode keeps others out.
 * @throws HsmError `ERR_HSM_STORE` for a file that is broken or open to others.
 */
export function openMasterKey(options: {
  readonly dataDir: string;
  readonly party: HsmParty;
  readonly random: RandomSource;
  readonly ciphers: Pick<CipherProvider, 'sha256'>;
}): MasterKeyFile {
  const { dataDir, party, random, ciphers } = options;
  const folder = hsmFolder(dataDir, party);
  makePrivateFolder(folder);
  const path = join(folder, 'lmk.bin');
  if (!readFileIfAny(path)) {
    const label = new TextEncoder().encode(LAB_LABEL);
    const body = concatBytes(MASTER_KEY_MAGIC, label, random.bytes(MASTER_KEY_BYTES));
    createFileAtomic(path, concatBytes(body, ciphers.sha256(body)));
  }
  return decodeMasterKey(readSecretFile(path), ciphers);
}

function decodeMasterKey(file: Uint8Array, ciphers: Pick<CipherProvider, 'sha256'>): MasterKeyFile {
  const keyOffset = MASTER_KEY_MAGIC.length + LABEL_BYTES;
  const bodyBytes = keyOffset + MASTER_KEY_BYTES;
  const body = file.slice(0, bodyBytes);
  const isSound =
    file.length === bodyBytes + CHECKSUM_BYTES &&
    equalBytes(body.slice(0, MASTER_KEY_MAGIC.length), MASTER_KEY_MAGIC) &&
    equalBytes(file.slice(bodyBytes), ciphers.sha256(body));
  if (!isSound) throw new HsmError('ERR_HSM_STORE', 'the file of the master key is broken');
  const label = new TextDecoder().decode(body.slice(MASTER_KEY_MAGIC.length, keyOffset));
  return { lmk: body.slice(keyOffset), label };
}

/**
 * Tokens of the callers of `party`'s HSM, made at the first start.
 * @throws HsmError `ERR_HSM_STORE`.
 */
export function openTokens(options: {
  readonly dataDir: string;
  readonly party: HsmParty;
  readonly random: RandomSource;
}): HsmTokens {
  const { dataDir, party, random } = options;
  const folder = hsmFolder(dataDir, party);
  makePrivateFolder(folder);
  const path = join(folder, 'tokens.json');
  if (!readFileIfAny(path)) {
    const tokens = CALLERS_OF_PARTY[party].map((caller) => [
      caller,
      toHex(random.bytes(TOKEN_BYTES)),
    ]);
    createFileAtomic(path, `${JSON.stringify(Object.fromEntries(tokens), null, 2)}\n`);
  }
  return readHsmTokens(dataDir, party);
}

/**
 * Tokens of the callers of `party`'s HSM, for whoever starts those callers.
 * @throws HsmError `ERR_HSM_STORE` when the HSM was never started or its file is broken.
 */
export function readHsmTokens(dataDir: string, party: HsmParty): HsmTokens {
  const file = readSecretFile(join(hsmFolder(dataDir, party), 'tokens.json'));
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(file));
  } catch {
    throw new HsmError('ERR_HSM_STORE', 'the file of tokens is no JSON');
  }
  if (!isTokens(value, party)) {
    throw new HsmError('ERR_HSM_STORE', `the file of tokens is not of the HSM of ${party}`);
  }
  return value;
}

function isTokens(value: unknown, party: HsmParty): value is HsmTokens {
  if (typeof value !== 'object' || value === null) return false;
  const entries = new Map<string, unknown>(Object.entries(value));
  const callers = CALLERS_OF_PARTY[party];
  if (entries.size !== callers.length) return false;
  const form = new RegExp(`^[0-9A-F]{${2 * TOKEN_BYTES}}$`);
  return callers.every((caller) => {
    const token = entries.get(caller);
    return typeof token === 'string' && form.test(token);
  });
}

/** A ledger in a file of one id a line; an id that is in the file was handed over, or nearly. */
export function openInitialKeyLedger(dataDir: string, party: HsmParty): InitialKeyLedger {
  const path = join(hsmFolder(dataDir, party), 'initial-keys.txt');
  const text = new TextDecoder().decode(readFileIfAny(path) ?? new Uint8Array(0));
  const exported = new Set(text.split('\n'));
  return {
    claim(initialKeyId) {
      if (exported.has(initialKeyId)) return false;
      const file = openSync(path, 'a', 0o600);
      try {
        // A line of its own even after one that a crash cut short.
        appendFileSync(file, `\n${initialKeyId}\n`);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      exported.add(initialKeyId);
      return true;
    },
  };
}

function readSecretFile(path: string): Uint8Array {
  const file = readFileIfAny(path);
  if (!file) throw new HsmError('ERR_HSM_STORE', `${path} is missing; start its HSM first`);
  if (process.platform !== 'win32' && (statSync(path).mode & OTHERS_MODE) !== 0) {
    throw new HsmError('ERR_HSM_STORE', `${path} is open to others; run: chmod 600 ${path}`);
  }
  return file;
}
