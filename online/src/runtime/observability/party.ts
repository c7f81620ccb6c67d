/** A party's log, metrics and operations interface, put together the same way for each. */
import pg from 'pg';
import type { LineStats } from '../line/index.ts';
import { createLog, type PartyLog } from '../logging.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { type ReadinessChecks, startOpsServer } from './ops-server.ts';

/** Operators wait no longer for the books. */
const ASK_TIMEOUT_MS = 1_500;

/** The log of a party, and the metrics that count its records. */
export function observedLog(options: Parameters<typeof createLog>[0]): {
  readonly log: PartyLog;
  readonly metrics: Metrics;
} {
  const metrics = createMetrics(options.party);
  return { metrics, log: createLog({ ...options, onRecord: metrics.record }) };
}

/** Serves metrics and health on `port`; without one nothing is served. */
export async function serveOps(
  port: number | undefined,
  parts: { readonly metrics: Metrics; readonly checks: ReadinessChecks },
): Promise<() => Promise<void>> {
  if (port === undefined) return async () => undefined;
  const server = await startOpsServer({ port, ...parts });
  return server.close;
}

/** Counters and fill of a party's lines, by peer. */
export function probeLines(
  metrics: Metrics,
  stats: () => Iterable<readonly [peer: string, stats: LineStats]>,
): void {
  metrics.probe({
    name: 'tapnpay_line',
    help: 'Messages, matches, time-outs and fill of the lines by peer',
    labels: ['peer', 'what'],
    read: () =>
      [...stats()].flatMap(([peer, values]) =>
        Object.entries(values).map(([what, value]) => ({ labels: { peer, what }, value })),
      ),
  });
}

/** Where a party's tables are. */
export type BooksAddress = { readonly databaseUrl: string; readonly schema: string };

/**
 * Work that is durable and not done yet, by queue: each a table with its condition, such as
 * `outbox WHERE state = 'waiting'`, counted in the party's own schema at each scrape.
 */
export function probeQueues(
  metrics: Metrics,
  books: BooksAddress,
  queues: Readonly<Record<string, string>>,
): void {
  const counts = Object.entries(queues).map(
    ([queue, rows]) => `SELECT '${queue}' AS queue, count(*)::int AS depth FROM ${rows}`,
  );
  metrics.probe({
    name: 'tapnpay_queue_depth',
    help: 'Work that is durable and not done yet, by queue',
    labels: ['queue'],
    read: async () => {
      const rows = await ask<{ queue: string; depth: number }>(books, counts.join(' UNION ALL '));
      return rows.map(({ queue, depth }) => ({ labels: { queue }, value: depth }));
    },
  });
}

/** For readiness: whether the party's books can be read now. */
export async function booksAnswer(books: BooksAddress): Promise<boolean> {
  return (await ask(books, 'SELECT 1')).length === 1;
}

/** A connection of its own, so that operators never wait for, or take, one of the payments'. */
async function ask<Row extends object>(books: BooksAddress, text: string): Promise<Row[]> {
  const client = new pg.Client({
    connectionString: books.databaseUrl,
    connectionTimeoutMillis: ASK_TIMEOUT_MS,
    options: `-c search_path=${books.schema} -c statement_timeout=${ASK_TIMEOUT_MS}`,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}
