/**
 * What one party sees of one payment, for the look inside of a laboratory: a scope that follows the
 * work of the payment through every await, and events that are written under it. A party that is
 * not in a laboratory has no tracer, and then none of this costs anything.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '@tapnpay/protocol/bytes';
import type { HopName, TraceEvent } from '@tapnpay/protocol/wire';
import type { Log } from './logging.ts';
import { withTrace } from './observability/spans.ts';

/** Names by which one payment may be known to one party; further ones are not kept. */
const REFERENCES_MAX = 8;
/** Events of one scope: a loop that went wrong must not fill the disk. */
const EVENTS_MAX = 512;

type Scope = { readonly references: Set<string>; hop: HopName; events: number };

/** Where a party begins to work for one payment. */
export type TraceEntry = {
  readonly references: readonly (string | null | undefined)[];
  readonly hop: HopName;
};

/** One thing seen; its values are masked by whoever saw it. */
export type SeenThing = Pick<TraceEvent, 'kind' | 'title' | 'data'> & {
  /** When it was, if not now. */
  readonly atMs?: number;
  readonly hop?: HopName;
};

/** Writes what one party sees. */
export class Tracer {
  readonly #party: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #scopes = new AsyncLocalStorage<Scope>();

  constructor(options: { readonly party: string; readonly clock: Clock; readonly log: Log }) {
    this.#party = options.party;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Does `work` for one payment: what is seen meanwhile belongs to it. */
  run<T>(entry: TraceEntry, work: () => T): T {
    const scope: Scope = { references: new Set(), hop: entry.hop, events: 0 };
    addReferences(scope, entry.references);
    return this.#scopes.run(scope, work);
  }

  /** Starts work that belongs to no payment, such as a worker that was woken by one. */
  outside<T>(work: () => T): T {
    return this.#scopes.exit(work);
  }

  /** Further names of the payment under way. */
  refer(...references: readonly (string | null | undefined)[]): void {
    const scope = this.#scopes.getStore();
    if (scope) addReferences(scope, references);
  }

  /** What is seen from now on belongs to this hop. */
  reach(hop: HopName): void {
    const scope = this.#scopes.getStore();
    if (scope) scope.hop = hop;
  }

  /** Writes one thing; outside of a payment nothing. */
  trace(seen: SeenThing): void {
    const scope = this.#scopes.getStore();
    if (!scope || scope.events >= EVENTS_MAX) return;
    scope.events += 1;
    const { kind, title, data, hop = scope.hop, atMs = this.#clock.nowMs() } = seen;
    const event: TraceEvent = {
      event: 'trace',
      party: this.#party,
      atMs,
      hop,
      references: [...scope.references],
      kind,
      title,
      data,
    };
    this.#log(event);
  }
}

function addReferences(scope: Scope, references: TraceEntry['references']): void {
  for (const reference of references) {
    if (reference && scope.references.size < REFERENCES_MAX) scope.references.add(reference);
  }
}

/** `Tracer.run` for code that may have no tracer; in either case a scope for a trace id. */
export function runInTrace<T>(tracer: Tracer | undefined, entry: TraceEntry, work: () => T): T {
  return withTrace(null, () => (tracer ? tracer.run(entry, work) : work()));
}

/** What is to be told after each successful call of some methods of `T`. */
export type Watchers<T> = {
  readonly [K in keyof T]?: T[K] extends (...args: infer A) => Promise<infer R>
    ? (result: R, ...args: A) => void
    : never;
};

/** `target` with some of its methods watched; it notices nothing. */
export function watched<T extends object>(target: T, watchers: Watchers<T>): T {
  return new Proxy(target, {
    get(of, name) {
      const member: unknown = Reflect.get(of, name, of);
      if (typeof member !== 'function') return member;
      const watcher = Reflect.get(watchers, name) as ((...args: unknown[]) => void) | undefined;
      if (!watcher) return member.bind(of);
      return async (...args: unknown[]) => {
        const result: unknown = await member.apply(of, args);
        watcher(result, ...args);
        return result;
      };
    },
  });
}

/** The rows of a ledger transaction that was written, each as an event. */
export function tracePostings(
  tracer: Tracer,
  kind: string,
  postings: readonly {
    readonly entryId: string;
    readonly account: string;
    readonly currency: string;
    readonly amountMinor: bigint;
  }[],
): void {
  for (const { entryId, account, currency, amountMinor } of postings) {
    const data = { transaction: kind, entryId, account, currency };
    tracer.trace({
      kind: 'ledger',
      title: 'posting',
      data: { ...data, amountMinor: String(amountMinor) },
    });
  }
}
