/**
 * `bench payments`: full payments over real processes and wires, with durable commits: order by
 * HTTP, sealed payment and completion over open channels, switch, issuer, ledger, notification;
 * beside it the raw commit ceiling of the same database.
 */
import { connectDatabase, type DatabaseClient } from '@tapnpay/online/runtime';
import { UsageError } from '../../command.ts';
import { type Benchmark, spreadOf } from '../benchmark.ts';
import { assertBooks, readBooks } from './books.ts';
import { commitCeiling, writeTransactions } from './ceiling.ts';
import { fillBooks } from './fill.ts';
import { closedLoad, type LoadResult, openLoad, prepareLoad } from './load.ts';
import { cpuPerPayment, machineLoad, postmasterOf, readCpu } from './processes.ts';
import { type LoadSystem, startLoadSystem } from './system.ts';

/** Simulated elements, each with a channel of its own. */
const ELEMENTS = 200;
/** Most payments before anything is counted: processes compile, connect and fill their caches. */
const WARM_UP_MAX = 4_000;
/** Share of the highest throughput at which latencies are measured. */
const LATENCY_LOAD = 0.7;
/** Most payments on channels of their own, each way. */
const CHANNEL_PAYMENTS_MAX = 1_000;
/** Channels that are opened at once. */
const CHANNELS_AT_ONCE = 32;
/** How long notifications may take after the last payment. */
const SETTLE_TIMEOUT_MS = 60_000;
const SETTLE_PAUSE_MS = 100;

/** Throughput with all channels open, and latency below it. */
export type Measured = {
  readonly paymentsPerSecond: number;
  /** At `LATENCY_LOAD` of it, from the intended start. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly latencyLoadPerSecond: number;
  readonly commitCeilingPerSecond: number;
  /** Durable steps a second: each was on disk before anybody was told. */
  readonly commitsPerSecond: number;
  readonly ratioToCeiling: number;
  /** Transactions of the database that carried these steps; groups share one. */
  readonly transactionsPerSecond: number;
  readonly notificationDelayMs: { readonly p50: number; readonly p99: number };
  readonly cpuMsPerPayment: Readonly<Record<string, number>>;
  readonly machineLoad: number | null;
};

/** The benchmark. */
export const benchPayments: Benchmark = {
  countDefault: 20_000,
  countMax: 1_000_000,
  run: async (count, options) => {
    const rows = options?.rows ?? 0;
    const load = await startLoadSystem({ elements: ELEMENTS, onProgress });
    const database = await connectDatabase(load.system.config.databaseUrl);
    try {
      const run = new Run(load, database);
      const report = await run.all(count, rows);
      return { json: report, text: reportText(report) };
    } finally {
      await database.end();
      await load.close();
    }
  },
};

type ChannelRate = {
  readonly paymentsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
};
type Report = Measured & {
  readonly elements: number;
  readonly payments: number;
  readonly cold: ChannelRate;
  readonly resumed: ChannelRate;
  readonly withTenMillion?: Measured & { readonly rows: number };
};

class Run {
  readonly #load: LoadSystem;
  readonly #database: DatabaseClient;
  #approved = 0;

  constructor(load: LoadSystem, database: DatabaseClient) {
    this.#load = load;
    this.#database = database;
  }

  async all(count: number, rows: number): Promise<Report> {
    await Promise.all(this.#load.payers.map(({ element }) => element.open({ resume: false })));
    onProgress('warm-up');
    // The issuer takes the new cards with the first payment.
    await this.#closed(1);
    await this.#closed(Math.min(count, WARM_UP_MAX));
    const measured = await this.#measure(count);
    onProgress('channels');
    await Promise.all(this.#load.payers.map(({ element }) => element.close()));
    const cold = await this.#channels('cold', count);
    const resumed = await this.#channels('resumed', count);
    await this.#settled();
    const report = { ...measured, elements: ELEMENTS, payments: count, cold, resumed };
    if (rows === 0) return report;
    await fillBooks(this.#database, rows, (done) => onProgress(`${done} payments filled in`));
    await Promise.all(this.#load.payers.map(({ element }) => element.open({ resume: false })));
    await this.#closed(Math.min(count, WARM_UP_MAX));
    const filled = await this.#measure(count);
    await this.#settled();
    return { ...report, withTenMillion: { ...filled, rows } };
  }

  async #measure(count: number): Promise<Measured> {
    onProgress('commit ceiling');
    const ceiling = await commitCeiling(this.#load.system.config.databaseUrl);
    const ready = prepareLoad(this.#load.payers, count);
    await this.#settled();
    onProgress('throughput');
    const watched = {
      roles: this.#load.system.pids(),
      postmaster: postmasterOf(this.#load.system.config.dataDir),
    };
    const booksBefore = await readBooks(this.#database);
    const writesBefore = await writeTransactions(this.#database);
    const cpuBefore = readCpu(watched);
    const result = await closedLoad(this.#ports(), ready, { channels: 'open' });
    this.#approved += approvedOf(result, count);
    await this.#settled();
    const cpuMsPerPayment = cpuPerPayment(cpuBefore, readCpu(watched), count);
    const writes = Number((await writeTransactions(this.#database)) - writesBefore);
    const steps = (await readBooks(this.#database)).durableSteps - booksBefore.durableSteps;
    const paymentsPerSecond = Math.round(count / result.seconds);
    onProgress('latency');
    const latency = await this.#latency(count, LATENCY_LOAD * paymentsPerSecond);
    const commitsPerSecond = Math.round(steps / result.seconds);
    return {
      paymentsPerSecond,
      ...latency,
      commitCeilingPerSecond: ceiling,
      commitsPerSecond,
      ratioToCeiling: rounded(commitsPerSecond / ceiling),
      transactionsPerSecond: Math.round(writes / result.seconds),
      cpuMsPerPayment,
      machineLoad: machineLoad(),
    };
  }

  async #latency(
    count: number,
    perSecond: number,
  ): Promise<Pick<Measured, 'p50Ms' | 'p99Ms' | 'latencyLoadPerSecond' | 'notificationDelayMs'>> {
    const ready = prepareLoad(this.#load.payers, count);
    const { receiver } = this.#load;
    receiver.delaysMs.length = 0;
    const result = await openLoad(this.#ports(), ready, perSecond);
    this.#approved += approvedOf(result, count);
    await this.#settled();
    const { p50, p99 } = spreadOf(result.latenciesMs);
    return {
      p50Ms: rounded(p50),
      p99Ms: rounded(p99),
      latencyLoadPerSecond: Math.round(perSecond),
      notificationDelayMs: spreadOf(receiver.delaysMs),
    };
  }

  async #closed(count: number): Promise<void> {
    const ready = prepareLoad(this.#load.payers, count);
    const result = await closedLoad(this.#ports(), ready, { channels: 'open' });
    this.#approved += approvedOf(result, count);
  }

  async #channels(channels: 'cold' | 'resumed', payments: number): Promise<ChannelRate> {
    const count = Math.min(payments, CHANNEL_PAYMENTS_MAX);
    const ready = prepareLoad(this.#load.payers, count);
    const use = { channels, payersMax: CHANNELS_AT_ONCE };
    const result = await closedLoad(this.#ports(), ready, use);
    this.#approved += approvedOf(result, count);
    const { p50, p99 } = spreadOf(result.latenciesMs);
    const paymentsPerSecond = Math.round(count / result.seconds);
    return { paymentsPerSecond, p50Ms: rounded(p50), p99Ms: rounded(p99) };
  }

  /** Every notification has come, and the books of all three are right. */
  async #settled(): Promise<void> {
    const { approved } = this.#load.receiver;
    const endMs = performance.now() + SETTLE_TIMEOUT_MS;
    while (approved.size < this.#approved && performance.now() < endMs) {
      await new Promise((done) => setTimeout(done, SETTLE_PAUSE_MS));
    }
    const told = { approved: this.#approved, notified: approved };
    await assertBooks(this.#database, told);
  }

  #ports(): Parameters<typeof closedLoad>[0] {
    const { payers, merchant, receiver } = this.#load;
    return { payers, merchant, notifyUrl: receiver.url };
  }
}

/** @throws UsageError when a payment was not approved: then the figure is of something else. */
function approvedOf(result: LoadResult, count: number): number {
  if (result.approved === count) return count;
  const text = JSON.stringify(result.others);
  throw new UsageError(
    `${count - result.approved} of ${count} payments were not approved: ${text}`,
  );
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

function onProgress(text: string): void {
  process.stderr.write(`\r\x1b[K${text} `);
}

function reportText(report: Report): string {
  const channel = (name: string, { paymentsPerSecond, p50Ms, p99Ms }: ChannelRate): string =>
    `${name}: ${paymentsPerSecond} payments/s, p50 ${p50Ms} ms, p99 ${p99Ms} ms`;
  const { withTenMillion } = report;
  return [
    `${report.elements} elements, ${report.payments} payments, channels open`,
    ...measuredText(report),
    channel('each payment on a cold channel', report.cold),
    channel('each payment on a resumed channel', report.resumed),
    ...(withTenMillion === undefined
      ? []
      : [
          '',
          `with ${withTenMillion.rows} payments in the tables`,
          ...measuredText(withTenMillion),
        ]),
  ].join('\n');
}

function measuredText(measured: Measured): readonly string[] {
  const { notificationDelayMs, cpuMsPerPayment } = measured;
  const total = Object.values(cpuMsPerPayment).reduce((sum, ms) => sum + ms, 0);
  return [
    `  ${measured.paymentsPerSecond} payments/s`,
    `  at ${measured.latencyLoadPerSecond}/s: ` +
      `p50 ${measured.p50Ms} ms, p99 ${measured.p99Ms} ms; ` +
      `notified after ${notificationDelayMs.p50} ms (p99 ${notificationDelayMs.p99})`,
    `  ${measured.commitsPerSecond} durable steps/s in ${measured.transactionsPerSecond} ` +
      `transactions/s; raw commits ${measured.commitCeilingPerSecond}/s; ` +
      `ratio ${measured.ratioToCeiling}`,
    `  processor ms per payment (${rounded(total)}; load of the machine ${measured.machineLoad}):`,
    ...Object.entries(cpuMsPerPayment).map(([name, ms]) => `    ${name.padEnd(28)}${ms}`),
  ];
}
