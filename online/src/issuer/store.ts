/**
 * What the issuer keeps. Each method is one atomic durable step: when its promise resolves the
 * change survives a kill; when it rejects, what happened is unknown and no answer may be sent.
 */
import type {
  AtcUse,
  Books,
  CardView,
  DayUsage,
  Hold,
  HoldState,
  LedgerTransaction,
  NewCard,
  RequestRecord,
  RequestState,
  WorkItem,
} from './model.ts';
import type { CardSettings, Script, ScriptChange } from './scripts/model.ts';
import type { SettlementLine } from './settlement.ts';

/** What a card's decision changes on the card. */
export type CardChange = {
  readonly cardId: string;
  /** The version the decision was made on. */
  readonly version: bigint;
  readonly pinFailures: number;
  /** Counter of a verified cryptogram; it is used up whatever the answer is. */
  readonly usedAtc: number | null;
  readonly atcUse: AtcUse;
};

/** What a card's day gains, or loses when a payment is undone. */
export type UsageChange = DayUsage & { readonly cardId: string; readonly day: string };

/** An earlier request that changes with this one. */
export type RequestMark = {
  readonly traceKey: string;
  readonly from: RequestState;
  readonly to: RequestState;
  /** `returnedMinor` that the decision was made on. */
  readonly returnedBeforeMinor: bigint;
  readonly returnedMinor: bigint;
};

/** A new hold, or what becomes of one that was in state `from`. */
export type HoldChange = { readonly from: HoldState | null; readonly hold: Hold };

/** Everything that one request does, all or nothing. */
export type IssuerChange = {
  /** The request's answer. */
  readonly record: RequestRecord;
  /** A request that must be refused when it arrives. */
  readonly refusedAhead?: RequestRecord;
  readonly card?: CardChange;
  readonly usage?: UsageChange;
  readonly marks?: readonly RequestMark[];
  readonly hold?: HoldChange;
  readonly transaction?: LedgerTransaction;
  readonly workItems?: readonly WorkItem[];
  readonly scripts?: readonly ScriptChange[];
  readonly settings?: CardSettings;
};

/**
 * `duplicate`: the request has been answered already. `stale`: the card, balance, hold or original
 * is not what the decision was made on; read and decide again. Nothing was written in both cases.
 */
export type CommitResult = 'committed' | 'duplicate' | 'stale';

/** Which card, and what is asked about it. */
export type CardQuery = {
  readonly card:
    | { readonly panLookup: string; readonly panSequenceNumber: string }
    | { readonly cardId: string };
  /** Counter whose use is asked about. */
  readonly atc: number | null;
  /** Day of China whose usage is asked about, YYYYMMDD. */
  readonly day: string;
};

/** The issuer's durable memory: PostgreSQL in service, maps in simulation. */
export interface IssuerStore {
  /** Takes new cards with their opening balances; known ones stay as they are. How many are new. */
  importCards(cards: readonly NewCard[], atMs: number): Promise<number>;
  findCard(query: CardQuery): Promise<CardView | null>;
  findRequest(traceKey: string): Promise<RequestRecord | null>;
  findHold(holdId: string): Promise<Hold | null>;
  /** Open scripts of a card, oldest first. */
  findOpenScripts(cardId: string): Promise<readonly Script[]>;
  /** Scripts whose last delivery was the answer to this request. */
  findDelivered(traceKey: string): Promise<readonly Script[]>;
  /** The script of a load. */
  findLoad(loadTraceKey: string): Promise<Script | null>;
  /** Card whose account is bound to load this one, if a card of that number is. */
  findLoadPayer(cardId: string, panLookup: string): Promise<string | null>;
  commit(change: IssuerChange): Promise<CommitResult>;
  /** Uses a counter up for a token; false when it is not above every one that was used. */
  burnAtc(cardId: string, atc: number): Promise<boolean>;
  /** Frees holds whose time is over, `limit` at most; how many. Safe to repeat. */
  expireHolds(nowMs: number, limit: number): Promise<number>;
  /** What moved through the clearing on one settlement date, oldest first. */
  settlementLines(settlementDate: string): Promise<readonly SettlementLine[]>;
  readBooks(): Promise<Books>;
  close(): Promise<void>;
}
