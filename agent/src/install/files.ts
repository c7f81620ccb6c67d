/** Files that are put in place whole and taken away again with the folders that came with them. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { replaceFile } from '../durable-file.ts';
import { fileFault } from './errors.ts';

/** Longest file that we read of others. */
export const FOREIGN_FILE_BYTES_MAX = 16_777_216;

/** What a path holds. `reason` is the system's code, `EACCES` or another. */
export type ReadFile = { readonly text: string } | { readonly text: null; readonly reason: string };

/** Never throws: a file that cannot be read is an answer. */
export function readWhole(path: string): ReadFile {
  try {
    const bytes = readFileSync(path);
    if (bytes.length > FOREIGN_FILE_BYTES_MAX) return { text: null, reason: 'EFBIG' };
    return { text: bytes.toString('utf8') };
  } catch (fault) {
    const reason = fault instanceof Error && 'code' in fault ? String(fault.code) : 'EIO';
    return { text: null, reason };
  }
}

/** A file's text as a value; undefined when it is no JSON. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** The folders on the way to `path` that are not there, outermost first. */
export function missingFolders(path: string): readonly string[] {
  const missing: string[] = [];
  for (let folder = path; !existsSync(folder); folder = dirname(folder)) {
    // A drive that is not there has no folder above it.
    if (folder === dirname(folder)) break;
    missing.unshift(folder);
  }
  return missing;
}

/** Makes a folder that all users of the place can read. @throws InstallError. */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o755 });
  } catch (cause) {
    throw fileFault(path, cause);
  }
}

/** Replaces a file at once. @throws InstallError. */
export function putFile(path: string, text: string, mode: number): void {
  try {
    replaceFile(path, text, mode);
  } catch (cause) {
    rmSync(`${path}.new`, { force: true });
    throw fileFault(path, cause);
  }
}

/** Removes a file that may be gone. @throws InstallError. */
export function takeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (cause) {
    throw fileFault(path, cause);
  }
}

/** Removes folders, innermost first; one in which something is stays. */
export function takeEmptyFolders(folders: readonly string[]): void {
  for (const folder of folders.toSorted((one, other) => other.length - one.length)) {
    try {
      rmdirSync(folder);
    } catch {
      // Somebody uses it by now, or it is not ours to remove.
    }
  }
}

/** SHA-256 of a text, hex. */
export function digestOf(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
