/**
 * Keeps standard output for frames: whatever else is written there, by `console` or by a library,
 * goes to standard error. Imported before everything else by the host's program.
 */

/** Standard error may be read by nobody: what waits longer than this is dropped. */
const DIAGNOSTICS_BYTES_MAX = 65_536;

/** Writes a frame; nothing else may. */
export const writeFrameBytes: typeof process.stdout.write = process.stdout.write.bind(
  process.stdout,
);

/** Writes a line for whoever reads standard error. */
export function writeDiagnostic(line: string): void {
  const { stderr } = process;
  if (stderr.writable && stderr.writableLength < DIAGNOSTICS_BYTES_MAX) stderr.write(`${line}\n`);
}

function diverted(
  data: Uint8Array | string,
  encodingOrDone?: BufferEncoding | ((fault?: Error | null) => void),
  done?: (fault?: Error | null) => void,
): boolean {
  writeDiagnostic(typeof data === 'string' ? data.trimEnd() : Buffer.from(data).toString('utf8'));
  const callback = typeof encodingOrDone === 'function' ? encodingOrDone : done;
  if (callback !== undefined) queueMicrotask(callback);
  return true;
}

process.stdout.write = diverted;
// The browser closes what it no longer reads, in any order.
process.stderr.on('error', () => {});
