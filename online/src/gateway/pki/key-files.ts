/** Private files of the gateway: made once, readable by their owner only, replaced as a whole. */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Owner may read and write. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** The text of a file, or null when there is none. */
export function readPrivateFile(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (fault) {
    if (fault instanceof Error && 'code' in fault && fault.code === 'ENOENT') return null;
    throw fault;
  }
}

/** Writes beside and renames, so that a kill leaves the old file or the new one. */
export function writePrivateFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
  const beside = `${path}.new`;
  const file = openSync(beside, 'w', FILE_MODE);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(beside, path);
}

/** The file's text, made by `make` at the first call. */
export function privateFile(path: string, make: () => string): string {
  const present = readPrivateFile(path);
  if (present !== null) return present;
  const made = make();
  writePrivateFile(path, made);
  return made;
}
