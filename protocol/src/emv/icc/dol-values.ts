/** Taking apart the values that a terminal sends for a data object list. */
import type { DolEntry } from '../../iso7816/index.ts';

/** Bytes that a list asks for. */
export function dolBytes(entries: readonly DolEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.lengthBytes, 0);
}

/** Value of each tag; the first of a doubled tag stays. `bytes` has the length of the list. */
export function dolValues(
  entries: readonly DolEntry[],
  bytes: Uint8Array,
): ReadonlyMap<string, Uint8Array> {
  const values = new Map<string, Uint8Array>();
  let offset = 0;
  for (const entry of entries) {
    const value = bytes.slice(offset, offset + entry.lengthBytes);
    if (!values.has(entry.tag)) values.set(entry.tag, value);
    offset += entry.lengthBytes;
  }
  return values;
}
