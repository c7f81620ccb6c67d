/**
 * Prometheus metrics of one party. What can be counted is an event of the log already, so metrics
 * are a table over its records; what can be asked (queues, lines, pools) is read when scraped.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { LogRecord } from '../logging.ts';

/** A value that is asked for at each scrape; a fault leaves the gauge out. */
export type Probe = {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly read: () => Promise<readonly Reading[] | number> | readonly Reading[] | number;
};
/** One labelled value. */
export type Reading = { readonly labels: Readonly<Record<string, string>>; readonly value: number };

/** A party's metrics. */
export type Metrics = {
  readonly registry: Registry;
  /** Sees every record of the party's log. */
  record(level: string, record: LogRecord): void;
  probe(probe: Probe): void;
};

/** Distinct names of events that are counted; a bug that makes names must not fill the memory. */
const EVENT_NAMES_MAX = 256;
/** Payments whose first hop is remembered for the time to the next one. */
const HOPS_PENDING_MAX = 4_096;
const SECONDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** Counters over events: the label's value comes from a fact of the record. */
const COUNTED: readonly {
  readonly event: string;
  readonly name: string;
  readonly help: string;
  readonly facts: Readonly<Record<string, string>>;
}[] = [
  {
    event: 'hop',
    name: 'tapnpay_hops_total',
    help: 'Hops of payments that this party reached',
    facts: { hop: 'name' },
  },
  {
    event: 'paymentMoved',
    name: 'tapnpay_payment_moves_total',
    help: 'State changes of payments (gateway)',
    facts: { from: 'from', to: 'to' },
  },
  {
    event: 'answered',
    name: 'tapnpay_answers_total',
    help: 'Answers to acquirers by field 39 (switch)',
    facts: { kind: 'kind', response_code: 'responseCode' },
  },
  {
    event: 'adviceTried',
    name: 'tapnpay_advices_tried_total',
    help: 'Tries of stored advices by field 39 of the acknowledgement (switch)',
    facts: { response_code: 'responseCode' },
  },
  {
    event: 'reversalTried',
    name: 'tapnpay_reversals_tried_total',
    help: 'Tries of reversals by field 39 of the acknowledgement (gateway)',
    facts: { response_code: 'responseCode' },
  },
  {
    event: 'requestRefused',
    name: 'tapnpay_requests_refused_total',
    help: 'Requests refused before anything was decided (issuer)',
    facts: { response_code: 'responseCode', reason: 'reason' },
  },
];

/** The metrics of `party`, with those of the process itself. */
export function createMetrics(party: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ party });
  collectDefaultMetrics({ register: registry, prefix: 'tapnpay_' });
  const events = new Counter({
    name: 'tapnpay_events_total',
    help: 'Records of the log by event and level',
    labelNames: ['event', 'level'],
    registers: [registry],
  });
  const known = new Set<string>();
  const counters = new Map(
    COUNTED.map(({ event, name, help, facts }) => [
      event,
      {
        facts,
        counter: new Counter({ name, help, labelNames: Object.keys(facts), registers: [registry] }),
      },
    ]),
  );
  const observeHop = hopTimes(registry);
  return {
    registry,
    record: (level, record) => {
      const { event } = record;
      if (known.size < EVENT_NAMES_MAX) known.add(event);
      events.inc({ event: known.has(event) ? event : 'other', level });
      const counted = counters.get(event);
      if (counted) counted.counter.inc(labelsOf(counted.facts, record));
      if (event === 'hop') observeHop(record);
    },
    probe: (probe) => addProbe(registry, probe),
  };
}

function labelsOf(
  facts: Readonly<Record<string, string>>,
  record: LogRecord,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(facts).map(([label, fact]) => [label, String(record[fact] ?? 'none')]),
  );
}

/** Time from a payment's hop to its next one in this party. */
function hopTimes(registry: Registry): (record: LogRecord) => void {
  const histogram = new Histogram({
    name: 'tapnpay_hop_seconds',
    help: 'Time from one hop of a payment to its next in this party',
    labelNames: ['from', 'to'],
    buckets: [...SECONDS],
    registers: [registry],
  });
  const last = new Map<string, { readonly name: string; readonly atMs: number }>();
  return ({ traceId, name, atMs }) => {
    if (typeof traceId !== 'string' || typeof name !== 'string' || typeof atMs !== 'number') return;
    const before = last.get(traceId);
    if (before && atMs >= before.atMs) {
      histogram.observe({ from: before.name, to: name }, (atMs - before.atMs) / 1_000);
    }
    last.delete(traceId);
    last.set(traceId, { name, atMs });
    const [oldest] = last.keys();
    if (last.size > HOPS_PENDING_MAX && oldest !== undefined) last.delete(oldest);
  };
}

function addProbe(registry: Registry, probe: Probe): void {
  const { name, help, labels = [], read } = probe;
  new Gauge({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
    async collect() {
      this.reset();
      try {
        const value = await read();
        if (typeof value === 'number') this.set(value);
        else for (const reading of value) this.set({ ...reading.labels }, reading.value);
      } catch {
        // Not a number is Prometheus' word for "not known"; the scrape must tell the rest.
        if (labels.length === 0) this.set(Number.NaN);
      }
    },
  });
}
