/**
 * The key that binds the element's store to its machine: one file that only its owner may read. A
 * TPM or the keychain of an operating system can take its place behind the same function.
 */
import { hkdfSync } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import type { RandomSource } from '@tapnpay/protocol/bytes';
import { ElementError } from './errors.ts';
import { writeWhole } from './store-files.ts';

const KEY_FILE = 'element.key';
const KEY_BYTES = 32;
/** Of group and others. */
const OTHERS_RIGHTS = 0o077;

/**
 * The key of a store; made when the store is new.
 * @throws ElementError `ERR_STORE_CORRUPT` when the file is missing or cut off, `ERR_STORE_RIGHTS`
 *   when others than its owner may read or write it.
 */
export function openStoreKey(
  directory: string,
  { mayCreate, random }: { readonly mayCreate: boolean; readonly random: RandomSource },
): Buffer {
  const path = join(directory, KEY_FILE);
  if (mayCreate) {
    const fresh = `${path}.new`;
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_DSYNC;
    const fd = openSync(fresh, flags, 0o600);
    writeWhole(fd, random.bytes(KEY_BYTES), 0);
    closeSync(fd);
    renameSync(fresh, path);
  }
  assertOwnOnly(path);
  const key = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  if (key.length === KEY_BYTES) return key;
  throw new ElementError('ERR_STORE_CORRUPT', 'the key file of the store is missing or cut off');
}

/** A key of its own for one use of the store. @see RFC 5869 */
export function derivedStoreKey(key: Buffer, use: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), use, KEY_BYTES));
}

/** Windows has other rights; there the file lies in the profile of its user. */
function assertOwnOnly(path: string): void {
  if (process.platform === 'win32' || !existsSync(path)) return;
  const mode = statSync(path).mode & OTHERS_RIGHTS;
  if (mode === 0) return;
  const message = 'others may read the key file of the store; chmod 600 it';
  throw new ElementError('ERR_STORE_RIGHTS', message, { mode: mode.toString(8) });
}
