/** The transaction log and the load log: written with the money they tell of. @see PBOC3 P13 */
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { buildDolValue, type DolEntry } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { balanceBytes } from './purse.ts';
import type { LogFile } from './runtime-profile.ts';
import { active, atcBytes, type Snapshot, withState } from './session.ts';

/** Longest entry that an image keeps. */
const LOG_ENTRY_BYTES_MAX = 252;

/** Approved transactions go into the log, newest first. @see PBOC3 P5 (9F4D, 9F4F) */
export function withLogEntry(card: Snapshot): Snapshot {
  const { profile, state } = active(card);
  if (!profile.log) return card;
  const entry = toHex(logValues(card, profile.log.format));
  return withState(card, { log: newestFirst(profile.log, entry, state.log) });
}

/**
 * A load goes into the load log: tag of the balance, balance before and after, then what the load
 * log format (DF4F) lists. @see PBOC3 P13 (DF4D, DF4F)
 */
export function withLoadLogEntry(
  card: Snapshot,
  load: { readonly tag: string; readonly beforeMinor: bigint; readonly afterMinor: bigint },
): Snapshot {
  const { profile, state } = active(card);
  if (!profile.loadLog) return card;
  const entry = concatBytes(
    fromHex(load.tag),
    balanceBytes(load.beforeMinor),
    balanceBytes(load.afterMinor),
    logValues(card, profile.loadLog.format),
  );
  if (entry.length > LOG_ENTRY_BYTES_MAX) return card;
  return withState(card, { loadLog: newestFirst(profile.loadLog, toHex(entry), state.loadLog) });
}

function newestFirst(file: LogFile, entry: string, entries: readonly string[]): readonly string[] {
  return [entry, ...entries].slice(0, file.recordsMax);
}

function logValues(card: Snapshot, format: readonly DolEntry[]): Uint8Array {
  return buildDolValue(
    format,
    (tag) =>
      tag === data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER
        ? atcBytes(card)
        : card.session.values.get(tag),
    data.dolFormatOf,
  );
}

/** An entry of whichever log stands in the file; undefined: the file is no log. */
export function logRecord(
  card: Snapshot,
  sfi: number,
  record: number,
): { readonly entry: Uint8Array | null } | undefined {
  const { profile, state } = active(card);
  const entries =
    profile.log?.sfi === sfi ? state.log : profile.loadLog?.sfi === sfi ? state.loadLog : undefined;
  if (!entries) return undefined;
  const entry = entries[record - 1];
  return { entry: entry === undefined ? null : fromHex(entry) };
}
