/** One payment as a document: what all parties logged of it, joined, decoded, in 14 hops. */
import {
  Hop,
  type HopName,
  type HopRecord,
  type TraceDocument,
  type TraceEvent,
  type TraceHop,
  type TraceItem,
} from '@tapnpay/protocol/wire';
import { CardSession, type DecodedApdu, Ins } from './apdu.ts';
import { hsmFields, hsmSentence } from './hsm.ts';
import { messageFields, messageName } from './iso8583.ts';
import { isMaskedHex } from './masked-hex.ts';
import { HOP_NAMES } from './names.ts';
import { type OrderLog, readOrderLog } from './read-logs.ts';
import { channelName, ledgerName, rowFields } from './rows.ts';
import type { ValueContext } from './tlv.ts';

/** Currency of an order whose own was not logged. */
const DEFAULT_CURRENCY = '156';
/** Hops that a contactless card does not take part in any more. */
const CONTACT_ONLY: ReadonlySet<HopName> = new Set(['finish', 'confirm']);

/** A decoded event and the hop it is shown in. */
type Placed = { readonly hop: HopName; readonly atMs: number; readonly item: TraceItem };

/**
 * The trace of an order from the logs below `dataDir`; null when no party has logged it. What is
 * broken in a log is left out.
 */
export function collectTrace(dataDir: string, orderId: string): TraceDocument | null {
  const log = readOrderLog(dataDir, orderId);
  return log && traceDocument(orderId, log);
}

/** The document of what was logged. */
export function traceDocument(orderId: string, log: OrderLog): TraceDocument {
  const hops = earliestHops(log.hops);
  const events = [...log.events].sort((left, right) => left.atMs - right.atMs);
  const startMs = startOf(hops, events);
  const placed = placeEvents(events, startMs);
  const isContactless = interfaceOf(log) === 'contactless';
  const names = Object.keys(Hop) as HopName[];
  const times = [...log.hops.map(({ atMs }) => atMs), ...events.map(({ atMs }) => atMs)];
  return {
    orderId,
    totalMs: rounded(Math.max(startMs, ...times) - startMs),
    hops: names.map((name) => {
      const seen = placed.filter((entry) => entry.hop === name);
      return traceHop({ name, record: hops.get(name), seen, startMs, isContactless });
    }),
    apduText: apduText(events),
  };
}

function traceHop(facts: {
  readonly name: HopName;
  readonly record: HopRecord | undefined;
  readonly seen: readonly Placed[];
  readonly startMs: number;
  readonly isContactless: boolean;
}): TraceHop {
  const { name, record, seen, startMs, isContactless } = facts;
  const items = seen.map(({ item }) => item);
  const [first] = items;
  const isPassed = record !== undefined || first !== undefined;
  const skipped = isContactless && CONTACT_ONLY.has(name) ? 'notApplicable' : 'notReached';
  return {
    n: Hop[name],
    hop: name,
    name: HOP_NAMES[name],
    status: isPassed ? 'passed' : skipped,
    party: record?.party ?? first?.party ?? null,
    ms: record ? rounded(record.atMs - startMs) : (first?.ms ?? null),
    facts: record?.facts ?? {},
    items,
  };
}

/** Of several records of one hop the first counts. */
function earliestHops(records: readonly HopRecord[]): ReadonlyMap<HopName, HopRecord> {
  const earliest = new Map<HopName, HopRecord>();
  for (const record of records) {
    const known = earliest.get(record.name);
    if (!known || record.atMs < known.atMs) earliest.set(record.name, record);
  }
  return earliest;
}

function startOf(hops: ReadonlyMap<HopName, HopRecord>, events: readonly TraceEvent[]): number {
  const order = hops.get('order');
  if (order) return order.atMs;
  return Math.min(...[...hops.values()].map(({ atMs }) => atMs), ...events.map(({ atMs }) => atMs));
}

function placeEvents(events: readonly TraceEvent[], startMs: number): readonly Placed[] {
  const context = contextOf(events);
  const cards = new Cards(context);
  return events.map((event) => {
    const { hop, item } = decodeEvent(event, context, cards);
    const ms = rounded(event.atMs - startMs);
    return { hop, atMs: event.atMs, item: { ...item, kind: event.kind, party: event.party, ms } };
  });
}

type Decoded = {
  readonly hop: HopName;
  readonly item: Pick<TraceItem, 'title' | 'name' | 'raw' | 'fields'>;
};

function decodeEvent(event: TraceEvent, context: ValueContext, cards: Cards): Decoded {
  const { hop, title, data } = event;
  switch (event.kind) {
    case 'apdu':
      return cards.read(event);
    case 'iso8583': {
      const raw = typeof data['raw'] === 'string' && isMaskedHex(data['raw']) ? [data['raw']] : [];
      const fields = messageFields(event, context);
      return { hop, item: { title, name: messageName(event), raw, fields } };
    }
    case 'hsm':
      return {
        hop,
        item: { title, name: hsmSentence(title), raw: [], fields: hsmFields(event, context) },
      };
    case 'ledger':
      return { hop, item: { title, name: ledgerName(event), raw: [], fields: rowFields(event) } };
    case 'channel':
      return { hop, item: { title, name: channelName(title), raw: [], fields: rowFields(event) } };
  }
}

/** The card sessions of a payment: each presentation of a card begins a new one. */
class Cards {
  readonly #context: ValueContext;
  #session: CardSession;
  /** The issuer has been asked: what the card does now finishes the transaction. */
  #isFinishing = false;
  #hasCryptogram = false;

  constructor(context: ValueContext) {
    this.#context = context;
    this.#session = new CardSession(context);
  }

  read(event: TraceEvent): Decoded {
    const { data } = event;
    const command = String(data['command'] ?? '');
    const response = String(data['response'] ?? '');
    if (data['number'] === 1) {
      this.#session = new CardSession(this.#context);
      this.#isFinishing = false;
      this.#hasCryptogram = false;
    }
    const decoded = this.#session.read(command, response);
    const { title, name, fields } = decoded;
    return { hop: this.#hopOf(decoded), item: { title, name, raw: [command, response], fields } };
  }

  /** The agent carries commands unread; which hop each belongs to is told by what it is. */
  #hopOf({ ins, hasCryptogram }: DecodedApdu): HopName {
    const isSecondAc = ins === Ins.generateAc && this.#hasCryptogram;
    if (isSecondAc || ins === Ins.externalAuthenticate) this.#isFinishing = true;
    if (this.#isFinishing) return 'finish';
    if (hasCryptogram || ins === Ins.generateAc) {
      this.#hasCryptogram = true;
      return 'cryptogram';
    }
    const isCheck = CHECK_COMMANDS.has(ins ?? 0);
    return isCheck ? 'check' : 'tap';
  }
}

const CHECK_COMMANDS: ReadonlySet<number> = new Set([
  ...[Ins.internalAuthenticate, Ins.verify, Ins.getData, 0x84],
]);

function contextOf(events: readonly TraceEvent[]): ValueContext {
  const told = events.find(({ kind, data }) => kind === 'channel' && data['currency']);
  return { currency: String(told?.data['currency'] ?? DEFAULT_CURRENCY) };
}

/** How the card was read last, from whoever knows it. */
function interfaceOf({ hops, events }: OrderLog): string | null {
  const sealed = events.findLast(({ kind, data }) => kind === 'channel' && data['interface']);
  const hop = hops.findLast(({ facts }) => facts['interface'] !== undefined);
  const card = events.findLast(({ kind, data }) => kind === 'apdu' && data['interface']);
  const value = sealed?.data['interface'] ?? hop?.facts['interface'] ?? card?.data['interface'];
  return value === undefined ? null : String(value);
}

/** The card session as lines that other tools read. */
function apduText(events: readonly TraceEvent[]): string {
  const lines = events
    .filter(({ kind }) => kind === 'apdu')
    .flatMap(({ data }) => [`=> ${data['command']}`, `<= ${data['response']}`]);
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
