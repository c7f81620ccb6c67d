/** Whole reads and writes at a place of a file. */
import { readSync, writeSync } from 'node:fs';

/** Writes every byte, however the system cuts the writing up. */
export function writeWhole(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

/** The bytes, or null when the file ends before them. */
export function readWhole(fd: number, lengthBytes: number, position: number): Buffer | null {
  const bytes = Buffer.alloc(lengthBytes);
  let done = 0;
  while (done < lengthBytes) {
    const got = readSync(fd, bytes, done, lengthBytes - done, position + done);
    if (got === 0) return null;
    done += got;
  }
  return bytes;
}
