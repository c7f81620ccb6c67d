/**
 * Loaded before the element by tests only: the process is killed at its write of the number
 * `CRASH_AT`, before any of its bytes or with half of them on the disk.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const at = Number(process.env['CRASH_AT']);
const isHalf = process.env['CRASH_HALF'] === '1';
const writeSync = fs.writeSync as (...args: unknown[]) => number;
let count = 0;

const counting = (fd: number, bytes: Uint8Array, offset: number, length: number, at_: number) => {
  count += 1;
  if (count !== at) return writeSync(fd, bytes, offset, length, at_);
  if (isHalf) writeSync(fd, bytes, offset, Math.ceil(length / 2), at_);
  process.kill(process.pid, 'SIGKILL');
  // The signal is on its way; nothing more of this process may reach the disk.
  for (;;);
};
Object.assign(fs, { writeSync: counting });
syncBuiltinESMExports();
