/** The lines of the parties' logs that belong to one order; nothing else of them is kept. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { Hop, type HopName, type HopRecord, type TraceEvent } from '@tapnpay/protocol/wire';

/** Files below `<dataDir>/logs`, in the order in which a payment meets them. */
export const TRACED_LOGS: readonly string[] = [
  ...['shop', 'agent', 'tap', 'gateway', 'switch', 'issuer'],
];
/** Most bytes read of one log: its end, where the latest payments are. */
const LOG_BYTES_MAX = 16_000_000;
/** Longest line that is looked at, in characters. */
const LINE_CHARACTERS_MAX = 65_536;
/** Most lines of one payment. */
const LINES_MAX = 4_096;
/** Rounds of joining: order id -> payment id -> retrieval reference, and one to be sure. */
const ROUNDS_MAX = 4;
const KINDS: ReadonlySet<string> = new Set(['apdu', 'iso8583', 'hsm', 'ledger', 'channel']);
/** Ids that a payer, a shop or an engineer may ask with: no path, no pattern. */
const ORDER_ID = /^[0-9A-Za-z][0-9A-Za-z-]{7,63}$/;

/** What the logs hold of one order. */
export type OrderLog = {
  readonly hops: readonly HopRecord[];
  readonly events: readonly TraceEvent[];
};

type Entry =
  | { readonly kind: 'hop'; readonly references: readonly string[]; readonly hop: HopRecord }
  | { readonly kind: 'trace'; readonly references: readonly string[]; readonly event: TraceEvent };

/** Everything that was logged for an order; null when nothing was, or the id is none. */
export function readOrderLog(dataDir: string, orderId: string): OrderLog | null {
  if (!ORDER_ID.test(orderId)) return null;
  const entries = TRACED_LOGS.flatMap((party) =>
    readTail(join(dataDir, 'logs', `${party}.log`))
      .split('\n')
      .flatMap((line) => parseLine(line, party)),
  );
  const found = joinEntries(entries, orderId);
  if (found.length === 0) return null;
  return {
    hops: found.flatMap((entry) => (entry.kind === 'hop' ? [entry.hop] : [])),
    events: found.flatMap((entry) => (entry.kind === 'trace' ? [entry.event] : [])),
  };
}

/** Entries that share a reference with the order, directly or by another entry. */
function joinEntries(entries: readonly Entry[], orderId: string): readonly Entry[] {
  const references = new Set([orderId]);
  let found: readonly Entry[] = [];
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const next = entries.filter((entry) => entry.references.some((id) => references.has(id)));
    for (const entry of next) for (const id of entry.references) references.add(id);
    if (next.length === found.length) break;
    found = next;
  }
  return found.slice(0, LINES_MAX);
}

/** The end of a file, from the first whole line on; a missing file has no lines. */
function readTail(path: string): string {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    // A party that has never run has nothing to tell.
    return '';
  }
  try {
    const { size } = fstatSync(file);
    const start = Math.max(0, size - LOG_BYTES_MAX);
    const bytes = Buffer.alloc(size - start);
    const text = bytes.toString('utf8', 0, readSync(file, bytes, 0, bytes.length, start));
    return start === 0 ? text : text.slice(text.indexOf('\n') + 1);
  } finally {
    closeSync(file);
  }
}

function parseLine(line: string, party: string): readonly Entry[] {
  const isWanted = line.includes('"hop"') || line.includes('"trace"');
  if (!isWanted || line.length > LINE_CHARACTERS_MAX) return [];
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // Half a line, as a kill leaves it, or another program's.
    return [];
  }
  if (!isRecord(value)) return [];
  const entry = value['event'] === 'trace' ? traceEntry(value, party) : hopEntry(value, party);
  return entry ? [entry] : [];
}

function traceEntry(value: Values, logParty: string): Entry | null {
  const { atMs, hop, references, kind, title, data, party } = value;
  const isKnown = isHopName(hop) && typeof kind === 'string' && KINDS.has(kind);
  if (!isKnown || !isTime(atMs) || typeof title !== 'string' || !isRecord(data)) return null;
  const event: TraceEvent = {
    event: 'trace',
    party: typeof party === 'string' ? party : logParty,
    atMs,
    hop,
    references: textsOf(references),
    kind: kind as TraceEvent['kind'],
    title,
    data: plainValues(data),
  };
  return { kind: 'trace', references: event.references, event };
}

/** Hops name their payment in their facts or beside them. */
function hopEntry(value: Values, logParty: string): Entry | null {
  const { event, n, name, atMs, facts, party } = value;
  if (event !== 'hop' || !isHopName(name) || n !== Hop[name] || !isTime(atMs)) return null;
  const told = isRecord(facts) ? facts : {};
  const ids = [value, told].flatMap((record) => [
    record['orderId'],
    record['paymentId'],
    record['retrievalReference'],
  ]);
  const hop: HopRecord = {
    n: Hop[name],
    name,
    party: typeof party === 'string' ? party : logParty,
    atMs,
    facts: plainValues(told),
  };
  return { kind: 'hop', references: [...textsOf(value['references']), ...textsOf(ids)], hop };
}

type Values = Readonly<Record<string, unknown>>;

function isRecord(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isHopName(value: unknown): value is HopName {
  return typeof value === 'string' && Object.hasOwn(Hop, value);
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function textsOf(value: unknown): readonly string[] {
  const texts = Array.isArray(value) ? value : [];
  return texts.filter((text): text is string => typeof text === 'string' && text !== '');
}

function plainValues(values: Values): TraceEvent['data'] {
  const plain = Object.entries(values).filter(
    (entry): entry is [string, string | number | boolean | null] =>
      entry[1] === null || ['string', 'number', 'boolean'].includes(typeof entry[1]),
  );
  return Object.fromEntries(plain);
}
