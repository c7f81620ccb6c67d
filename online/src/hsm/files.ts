/** Files that are there whole or not at all, for their owner only. */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { systemRandom } from '../runtime/system.ts';

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** Makes a folder that only its owner may enter. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
  chmodSync(path, FOLDER_MODE);
}

/** Bytes of a file, undefined when there is none. */
export function readFileIfAny(path: string): Uint8Array | undefined {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    if (isCode(cause, 'ENOENT')) return undefined;
    throw cause;
  }
}

/** Replaces a file: durable when the call returns, never half written. */
export function writeFileAtomic(path: string, content: Uint8Array | string): void {
  const draft = writeDraft(path, content);
  renameSync(draft, path);
  syncFolder(dirname(path));
}

/** Makes a file unless there is one; false when there was. Never half written. */
export function createFileAtomic(path: string, content: Uint8Array | string): boolean {
  const draft = writeDraft(path, content);
  try {
    // A link, unlike a rename, fails when the name is taken.
    linkSync(draft, path);
    syncFolder(dirname(path));
    return true;
  } catch (cause) {
    if (isCode(cause, 'EEXIST')) return false;
    throw cause;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Removes a file, durably. */
export function removeFile(path: string): void {
  rmSync(path, { force: true });
  syncFolder(dirname(path));
}

function writeDraft(path: string, content: Uint8Array | string): string {
  const suffix = Buffer.from(systemRandom.bytes(6)).toString('hex');
  const draft = `${path}.${suffix}.new`;
  const file = openSync(draft, 'wx', FILE_MODE);
  try {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return draft;
}

function syncFolder(path: string): void {
  // Windows cannot open a folder; its rename is a journalled operation of the file system.
  if (process.platform === 'win32') return;
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function isCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}
