/** Load files of tests' own small applications: a TypeScript file without imports, as it stands. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  encodeApplicationPackage,
  PAYMENT_LOAD_FILE_AID,
  PAYMENT_MODULE_AID,
} from '@tapnpay/protocol/globalplatform/data';

const folder = mkdtempSync(join(tmpdir(), 'tapnpay-load-files-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const made = new Map<string, LoadFile>();

/** A load file and its name for the element. */
export type LoadFile = { readonly path: string; readonly hash: string };

/** The load file of an application beside this file; made once in a process. */
export function loadFileOf(name: string): LoadFile {
  const found = made.get(name);
  if (found) return found;
  const source = readFileSync(join(import.meta.dirname, name), 'utf8');
  const bytes = encodeApplicationPackage({
    manifest: {
      ...{ format: 1, name, version: '1.0.0', loadFileAid: PAYMENT_LOAD_FILE_AID },
      ...{ interfaceVersion: 1, modules: [{ aid: PAYMENT_MODULE_AID, name }] },
      memoryBytes: 16 * 1024 * 1024,
    },
    bundle: stripTypeScriptTypes(source),
  });
  const path = join(folder, `${name}.tplf`);
  writeFileSync(path, bytes);
  const hash = createHash('sha256').update(bytes).digest('hex').toUpperCase();
  made.set(name, { path, hash });
  return { path, hash };
}
