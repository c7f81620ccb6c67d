/** Application selection: directory, then list of AIDs; candidates; final SELECT. */
import { bytesToLatin1, bytesToUint, equalBytes, TapError, toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  decodeTlv,
  findTlv,
  flattenTlv,
  type ResponseApdu,
  type StatusWord,
  SW_6A81_FUNCTION_NOT_SUPPORTED,
  SW_6283_SELECTED_FILE_INVALIDATED,
  SW_9000_OK,
  type Tlv,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { type KernelContext, transmit } from './context.ts';
import { isCardObject } from './data-objects.ts';
import { KernelError } from './errors.ts';
import type { TerminalAid } from './profile.ts';
import type { Candidate, Kernel } from './types.ts';

/** Name of the payment system environment. @see EMV 4.3 B1 §12.2.2 */
const PSE_NAME: Uint8Array = Uint8Array.from('1PAY.SYS.DDF01', (character) =>
  character.charCodeAt(0),
);
/** Most records of the directory, most candidates, most partial matches of one AID. */
const DIRECTORY_RECORDS_MAX = 32;
export const CANDIDATES_MAX = 32;
const PARTIAL_MATCHES_MAX = 16;

/** A candidate and the terminal's rules for it. */
export type CandidateApplication = Candidate & { readonly terminalAid: TerminalAid };

/** Mutual applications in the order of priority, or that the card is blocked. */
export type CandidateList = {
  readonly candidates: readonly CandidateApplication[];
  readonly source: 'directory' | 'aidList';
  readonly cardBlocked: boolean;
};

/** Builds the candidate list. @see EMV 4.3 B1 §12.3 */
export function* buildCandidateList(context: KernelContext): Kernel<CandidateList> {
  const fromDirectory = yield* readDirectory(context);
  if (fromDirectory.length > 0) {
    return { candidates: byPriority(fromDirectory), source: 'directory', cardBlocked: false };
  }
  return yield* tryAidList(context);
}

/**
 * Applications of the payment system directory; empty when there is none, it is malformed or
 * names nothing the terminal takes. Any status word but 9000 means "no directory": cards answer
 * 6A82, 6984, 6D00 (russss/python-emv #3, #15).
 * DEVIATION: 6A81 here does not end the session at once. A blocked card says 6A81 to the first AID,
 * too, and ends there; a card that only lacks the directory is still taken.
 * @see EMV 4.3 B1 §12.3.2
 */
function* readDirectory(context: KernelContext): Kernel<readonly CandidateApplication[]> {
  const selected = yield* transmit(context, selectCommand(PSE_NAME, 'first'));
  if (selected.statusWord !== SW_9000_OK) return [];
  const sfi = directorySfi(selected);
  if (sfi === null) return [];
  const found: CandidateApplication[] = [];
  for (let record = 1; record <= DIRECTORY_RECORDS_MAX; record++) {
    const response = yield* transmit(context, readRecordCommand(sfi, record));
    if (response.statusWord !== SW_9000_OK) break;
    for (const entry of directoryEntries(response.data)) addEntry(context, found, entry);
  }
  return found;
}

function directorySfi(response: ResponseApdu): number | null {
  const fci = decodeFci(response.data);
  const sfi = fci && findTlv(fci, data.TAG_88_SHORT_FILE_IDENTIFIER)?.value;
  if (sfi?.length !== 1) return null;
  const value = bytesToUint(sfi);
  return value >= 1 && value <= 10 ? value : null;
}

/** Application templates of one directory record; a malformed record has none. */
function directoryEntries(record: Uint8Array): readonly Tlv[] {
  const template = tolerant(record)?.[0];
  if (template?.tag !== data.TAG_70_READ_RECORD_TEMPLATE) return [];
  const children = template.children ?? [];
  return children.filter((child) => child.tag === data.TAG_61_APPLICATION_TEMPLATE);
}

function addEntry(context: KernelContext, found: CandidateApplication[], entry: Tlv): void {
  const values = flattenTlv(entry.children ?? []);
  const aid = values.get(data.TAG_4F_APPLICATION_DEDICATED_FILE_NAME);
  if (!aid) return;
  addCandidate(context, found, { aid, values });
}

/** Adds an application that the terminal takes too and that was not offered before. */
export function addCandidate(
  context: KernelContext,
  found: CandidateApplication[],
  offer: { readonly aid: Uint8Array; readonly values: ReadonlyMap<string, Uint8Array> },
): void {
  const { aid, values } = offer;
  if (aid.length < 5 || aid.length > 16 || found.length >= CANDIDATES_MAX) return;
  if (found.some((candidate) => equalBytes(candidate.aid, aid))) return;
  const terminalAid = matchingAid(context.terminalAids, aid);
  if (!terminalAid) return;
  const indicator = values.get(data.TAG_87_APPLICATION_PRIORITY_INDICATOR)?.[0] ?? 0;
  found.push({
    aid,
    terminalAid,
    label: labelOf(context, values) ?? toHex(aid),
    priority: indicator & 0x0f,
    confirmationRequired: (indicator & 0x80) !== 0,
  });
}

/** The terminal's entry for a card AID; the longest one when several match. */
function matchingAid(aids: readonly TerminalAid[], aid: Uint8Array): TerminalAid | undefined {
  return aids
    .filter((entry) => matches(entry, aid))
    .toSorted((left, right) => right.aid.length - left.aid.length)[0];
}

function matches(entry: TerminalAid, aid: Uint8Array): boolean {
  if (equalBytes(entry.aid, aid)) return true;
  return entry.partialSelection && startsWith(aid, entry.aid);
}

function startsWith(whole: Uint8Array, start: Uint8Array): boolean {
  return whole.length >= start.length && equalBytes(whole.subarray(0, start.length), start);
}

/**
 * Preferred name when the terminal can show its code table, else the label.
 * @see EMV 4.3 B1 §12.4; openemv 49019c6
 */
function labelOf(
  context: KernelContext,
  values: ReadonlyMap<string, Uint8Array>,
): string | undefined {
  const preferred = values.get(data.TAG_9F12_APPLICATION_PREFERRED_NAME);
  const codeTable = values.get(data.TAG_9F11_ISSUER_CODE_TABLE_INDEX)?.[0];
  // Code table 1 is bit 1 of byte 5 of 9F40; this kernel shows Latin-1 and nothing else.
  const showsLatin1 = ((context.input.terminal.additionalCapabilities[4] ?? 0) & 0x01) !== 0;
  const chosen =
    preferred && codeTable === 1 && showsLatin1
      ? preferred
      : values.get(data.TAG_50_APPLICATION_LABEL);
  const text =
    chosen &&
    bytesToLatin1(chosen)
      .replace(/[^\x20-\x7e\xa0-\xff]/g, '')
      .trim();
  return text === '' ? undefined : text;
}

/** Selects every AID of the terminal in turn. @see EMV 4.3 B1 §12.3.3 */
function* tryAidList(context: KernelContext): Kernel<CandidateList> {
  const found: CandidateApplication[] = [];
  for (const [index, entry] of context.terminalAids.entries()) {
    const first = yield* transmit(context, selectCommand(entry.aid, 'first'));
    // 6A81 at once: the card is blocked, or does not know SELECT.
    if (index === 0 && first.statusWord === SW_6A81_FUNCTION_NOT_SUPPORTED) {
      return { candidates: [], source: 'aidList', cardBlocked: true };
    }
    yield* collectOccurrences(context, { entry, first, found });
  }
  return { candidates: byPriority(found), source: 'aidList', cardBlocked: false };
}

/** Takes the answer to one AID and, for partial names, the next occurrences. */
function* collectOccurrences(
  context: KernelContext,
  search: {
    readonly entry: TerminalAid;
    readonly first: ResponseApdu;
    readonly found: CandidateApplication[];
  },
): Kernel<void> {
  const { entry, found } = search;
  let response = search.first;
  for (let occurrence = 0; occurrence < PARTIAL_MATCHES_MAX; occurrence++) {
    const isBlocked = response.statusWord === SW_6283_SELECTED_FILE_INVALIDATED;
    if (response.statusWord !== SW_9000_OK && !isBlocked) return;
    const fci = decodeFci(response.data);
    const aid = fci && findTlv(fci, data.TAG_84_DEDICATED_FILE_NAME)?.value;
    if (aid && !isBlocked && matches(entry, aid)) {
      addCandidate(context, found, { aid, values: flattenTlv(fci) });
    }
    // An exact name ends the search for this AID; so does an answer without any name.
    if (!aid || equalBytes(aid, entry.aid) || !entry.partialSelection) return;
    response = yield* transmit(context, selectCommand(entry.aid, 'next'));
  }
}

/** Priority 1 first, applications without one last; equal ones in the card's order. */
export function byPriority(
  found: readonly CandidateApplication[],
): readonly CandidateApplication[] {
  const rank = (candidate: Candidate): number => candidate.priority || 16;
  return found.toSorted((left, right) => rank(left) - rank(right));
}

/**
 * The one to use: the only one, or the cardholder's choice; null when they cancel.
 * @throws KernelError `ERR_KERNEL_ANSWER`. @see EMV 4.3 B1 §12.4
 */
export function* chooseCandidate(
  candidates: readonly CandidateApplication[],
): Kernel<CandidateApplication | null> {
  const only = candidates.length === 1 ? candidates[0] : undefined;
  if (only && !only.confirmationRequired) return only;
  const offers = candidates.map(({ aid, label, priority, confirmationRequired }) => ({
    aid: aid.slice(),
    label,
    priority,
    confirmationRequired,
  }));
  const answer = yield { kind: 'selectApplication', candidates: offers };
  if (answer === null) return null;
  const chosen = typeof answer === 'number' ? candidates[answer] : undefined;
  if (!chosen) throw new KernelError('ERR_KERNEL_ANSWER', 'driver chose no candidate');
  return chosen;
}

/** What became of a final SELECT; the status word is the card's, 9000 of a foreign FCI too. */
export type Selection = { readonly isSelected: boolean; readonly statusWord: StatusWord };

/**
 * Final SELECT; on success the transaction's data start afresh with this application's FCI.
 * Not selected: the card does not offer it any more (L1L1/cardpeek #76, Next-Flip/Momentum #411).
 * @see EMV 4.3 B1 §12.4
 */
export function* selectApplication(
  context: KernelContext,
  candidate: CandidateApplication,
): Kernel<Selection> {
  const response = yield* transmit(context, selectCommand(candidate.aid, 'first'));
  const { statusWord } = response;
  if (statusWord !== SW_9000_OK) return { isSelected: false, statusWord };
  const fci = decodeFci(response.data);
  const name = fci && findTlv(fci, data.TAG_84_DEDICATED_FILE_NAME)?.value;
  if (!name || !startsWith(name, candidate.aid)) return { isSelected: false, statusWord };
  const values = flattenTlv(fci);
  const { terminalAid } = candidate;
  context.data = context.terminalObjects.copy();
  context.readTags.clear();
  context.terminalAid = terminalAid;
  context.label = labelOf(context, values) ?? candidate.label;
  // The terminal's AID takes the value of the DF name. @see EMV 4.3 B1 §12.4
  context.data.set(data.TAG_9F06_APPLICATION_IDENTIFIER_TERMINAL, name);
  context.data.set(
    data.TAG_9F09_APPLICATION_VERSION_NUMBER_TERMINAL,
    terminalAid.applicationVersion,
  );
  context.data.set(data.TAG_9F1B_TERMINAL_FLOOR_LIMIT, floorLimit(terminalAid));
  for (const [tag, value] of values) if (isCardObject(tag)) context.data.set(tag, value);
  return { isSelected: true, statusWord };
}

function floorLimit(terminalAid: TerminalAid): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, Number(terminalAid.floorLimitMinor));
  return bytes;
}

/** Objects of an FCI, or null when the answer is none. @see EMV 4.3 B1 §11.3.4 */
export function decodeFci(answer: Uint8Array): readonly Tlv[] | null {
  const objects = tolerant(answer);
  return objects?.[0]?.tag === data.TAG_6F_FCI_TEMPLATE ? objects : null;
}

/** TLV of an answer whose faults only mean "not this one". */
function tolerant(answer: Uint8Array): readonly Tlv[] | null {
  try {
    return decodeTlv(answer);
  } catch (fault) {
    if (fault instanceof TapError) return null;
    throw fault;
  }
}

/** SELECT by name. @see EMV 4.3 B1 §11.3.2 */
export function selectCommand(name: Uint8Array, occurrence: 'first' | 'next'): CommandApdu {
  const p2 = occurrence === 'first' ? 0x00 : 0x02;
  return { cla: 0x00, ins: 0xa4, p1: 0x04, p2, data: name, le: 256 };
}

/** READ RECORD. @see EMV 4.3 B3 §6.5.11 */
export function readRecordCommand(sfi: number, record: number): CommandApdu {
  return { cla: 0x00, ins: 0xb2, p1: record, p2: (sfi << 3) | 0x04, le: 256 };
}
