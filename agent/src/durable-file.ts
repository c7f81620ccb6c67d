/** Files that are replaced whole: a kill or a power cut leaves the old text or the new one. */
import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Returns when the new text is durable under `path`, with this mode whatever the mask is. */
export function replaceFile(path: string, text: string, mode: number = 0o600): void {
  const fresh = `${path}.new`;
  const fd = openSync(fresh, 'w', 0o600);
  try {
    fchmodSync(fd, mode);
    const bytes = Buffer.from(text, 'utf8');
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(fresh, path);
  syncDirectory(dirname(path));
}

/** Makes the names in a directory durable, where the system lets a directory be opened. */
export function syncDirectory(path: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
