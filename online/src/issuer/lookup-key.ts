/** The key under which card numbers are looked up; kept beside the database, never in it. */
import { createHmac } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex, type RandomSource, toHex } from '@tapnpay/protocol/bytes';

const KEY_BYTES = 32;

/** HMAC-SHA256 under the installation's key, made at the first start; hex in upper case. */
export function openKeyedDigest(dataDir: string, random: RandomSource): (text: string) => string {
  const key = fromHex(readOrMakeKey(join(dataDir, 'keys'), random));
  return (text) => createHmac('sha256', key).update(text).digest('hex').toUpperCase();
}

function readOrMakeKey(folder: string, random: RandomSource): string {
  const path = join(folder, 'issuer-lookup.key');
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const partial = `${path}.new`;
    writeFileSync(partial, toHex(random.bytes(KEY_BYTES)), { mode: 0o600 });
    chmodSync(partial, 0o600);
    renameSync(partial, path);
  }
  return readFileSync(path, 'utf8').trim();
}
