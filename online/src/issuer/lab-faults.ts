/** Faults that a laboratory may ask of the issuer; outside lab mode there are none. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Faults of the configuration; `dropReply`: how many answers are lost, true for all. */
export type IssuerFaults = { readonly dropReply?: boolean | number | undefined };

/** File that asks for one lost answer, or as many as the number it holds. */
export function dropReplyPath(dataDir: string): string {
  return join(dataDir, 'lab', 'issuer-drop-reply');
}

/** Whether the next answer is to be lost; counts down the configuration first, then the file. */
export function openDropReply(dataDir: string, faults: IssuerFaults | undefined): () => boolean {
  if (!faults) return () => false;
  const { dropReply = false } = faults;
  let left = typeof dropReply === 'number' ? dropReply : dropReply ? Number.POSITIVE_INFINITY : 0;
  const path = dropReplyPath(dataDir);
  return () => {
    if (left > 0) {
      left -= 1;
      return true;
    }
    if (!existsSync(path)) return false;
    const wanted = Number(readFileSync(path, 'utf8').trim() || '1');
    if (wanted > 1) writeFileSync(path, String(wanted - 1));
    else rmSync(path, { force: true });
    return wanted >= 1;
  };
}
