/** The code that payments may come from: what this installation ships, and what operators say. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { sha256Hex } from '@tapnpay/protocol/node';
import type { ElementStore } from './store.ts';

/** Accepts the load files of these paths; one that was revoked meanwhile stays revoked. */
export async function acceptLoadFiles(
  store: Pick<ElementStore, 'acceptLoadFile'>,
  paths: readonly string[],
  acceptedAtMs: number,
): Promise<void> {
  for (const path of paths) {
    const hash = sha256Hex(readFileSync(path));
    await store.acceptLoadFile({ hash, name: basename(path), acceptedAtMs });
  }
}
