/** The merchant's password: made at first start, kept in a private file, hashed in the database. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RandomSource } from '@tapnpay/protocol/bytes';
import type { ShopStore } from '../store.ts';

/** `<dataDir>/shop/admin-password`; whoever can read it is the merchant. */
export const ADMIN_PASSWORD_FILE = 'admin-password';
/** 16 letters of 5 bits each. */
const PASSWORD_LETTERS = 16;
const LETTERS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** Longest password that is hashed, in characters. */
export const PASSWORD_CHARACTERS_MAX = 128;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** scrypt's cost: 32 MB and some 60 ms. */
const COST = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const;

/** The store's hash, made from the file's password, which is made when both are missing. */
export async function openPassword(
  directory: string,
  store: Pick<ShopStore, 'passwordHash' | 'setPasswordHash'>,
  random: RandomSource,
): Promise<string> {
  const kept = await store.passwordHash();
  if (kept !== null) return kept;
  const path = join(directory, ADMIN_PASSWORD_FILE);
  const password = readPassword(path) ?? makePassword(path, directory, random);
  return store.setPasswordHash(await hashPassword(password));
}

function readPassword(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (fault) {
    if (fault instanceof Error && 'code' in fault && fault.code === 'ENOENT') return null;
    throw fault;
  }
}

function makePassword(path: string, directory: string, random: RandomSource): string {
  const letters = [...random.bytes(PASSWORD_LETTERS)].map((byte) => LETTERS[byte & 31]).join('');
  const password = letters.replace(/(.{4})(?=.)/g, '$1-');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${password}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
  return password;
}

/** `scrypt$salt$hash` in base64url. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt);
  return `scrypt$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}

/** Whether this is the password of the hash; the time tells nothing. */
export async function isPassword(password: string, kept: string): Promise<boolean> {
  const [, salt = '', hash = ''] = kept.split('$');
  const wanted = Buffer.from(hash, 'base64url');
  const given = await derive(password, Buffer.from(salt, 'base64url'));
  return wanted.length === HASH_BYTES && timingSafeEqual(given, wanted);
}

/** Spaces and the case of letters do not matter: the password is typed from paper. */
function derive(password: string, salt: Uint8Array): Promise<Buffer> {
  const typed = password.replace(/[\s-]/g, '').toUpperCase();
  return new Promise((done, fail) => {
    scrypt(typed, salt, HASH_BYTES, COST, (fault, key) => (fault ? fail(fault) : done(key)));
  });
}
