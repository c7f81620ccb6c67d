/**
 * `bench mux`: round trips on loopback between two threads, with the framing and matching that the
 * lines run, beside a bare echo of the same bytes. `bench mux-soak`: the same against answers that
 * come shuffled, late, twice and without field 41, each one accounted for.
 */
import { Worker } from 'node:worker_threads';
import {
  connectTcp,
  encodeFrame,
  FrameDecoder,
  Multiplexer,
  type Transport,
} from '@tapnpay/online/runtime';
import { systemClock } from '@tapnpay/protocol/node';
import { type Benchmark, spreadOf } from './benchmark.ts';
import { RequestMaker, readFrame } from './mux-frames.ts';
import type { MuxServerFacts, StormCounts } from './mux-server.ts';

const WINDOWS: readonly number[] = [1, 64, 512];
/** The window that the figures at the top of the report are of. */
const WINDOW_REPORTED = 64;
/** One round trip in so many is timed. */
const TIMED = 8;
const TIMEOUT_MS = 10_000;
/** A window of one waits for the wire: fewer round trips show it as well. */
const SINGLE_SHARE = 8;

/** Round trips with one number of requests in flight. */
type WindowReport = {
  readonly window: number;
  readonly count: number;
  readonly roundTripsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mismatches: number;
  /** CPU of both threads and the kernel, in microseconds: what a busy machine does not change. */
  readonly cpuUsPerRoundTrip: number;
  readonly ceilingPerSecond: number;
};

/** The figures of one window at the top, those of all windows below. */
export type MuxReport = WindowReport & {
  readonly threads: number;
  readonly frameBytes: number;
  readonly reports: readonly WindowReport[];
};

/** A server thread of its own, ready. */
async function startServer(facts: MuxServerFacts): Promise<{
  readonly worker: Worker;
  readonly transport: Transport;
}> {
  const worker = new Worker(new URL('./mux-server.ts', import.meta.url), { workerData: facts });
  const port = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  return { worker, transport: await connectTcp({ port }) };
}

/** The measurement. */
export const benchMux: Benchmark = {
  countDefault: 400_000,
  countMax: 20_000_000,
  run: async (count) => {
    const reports: WindowReport[] = [];
    for (const window of WINDOWS) reports.push(await measure(window, count));
    const reported = reports.find(({ window }) => window === WINDOW_REPORTED);
    if (!reported) throw new Error('the window of the report was not measured');
    const frameBytes = encodeFrame(new RequestMaker().make(0).body).length;
    const json: MuxReport = { threads: 2, frameBytes, ...reported, reports };
    return { json, text: reports.map(reportText).join('\n') };
  },
};

async function measure(window: number, wanted: number): Promise<WindowReport> {
  const count = Math.max(window, window === 1 ? Math.ceil(wanted / SINGLE_SHARE) : wanted);
  await roundTrips(window, Math.ceil(count / 10));
  const { seconds, cpuUs, timesMs, mismatches } = await roundTrips(window, count);
  const ceilingSeconds = await echo(window, count);
  const { p50, p99 } = spreadOf(timesMs);
  return {
    window,
    count,
    roundTripsPerSecond: Math.round(count / seconds),
    p50Ms: Number(p50.toFixed(3)),
    p99Ms: Number(p99.toFixed(3)),
    mismatches,
    cpuUsPerRoundTrip: Number((cpuUs / count).toFixed(2)),
    ceilingPerSecond: Math.round(count / ceilingSeconds),
  };
}

/** Keeps `window` requests in flight until `count` have their answers. */
async function roundTrips(
  window: number,
  count: number,
): Promise<{
  readonly seconds: number;
  readonly cpuUs: number;
  readonly timesMs: readonly number[];
  readonly mismatches: number;
}> {
  const { worker, transport } = await startServer({ mode: 'answer', isControl: false });
  const multiplexer = new Multiplexer<number>({ clock: systemClock, inFlightMax: window });
  const maker = new RequestMaker();
  const decoder = new FrameDecoder();
  const timesMs: number[] = [];
  let mismatches = 0;
  let next = 0;
  let ended = 0;
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const ask = (): void => {
    const sequence = next++;
    const startMs = sequence % TIMED === 0 ? performance.now() : 0;
    const { body, key } = maker.make(sequence);
    const frame = encodeFrame(body);
    const send = (): void => transport.send(frame);
    void multiplexer.expect(key, { timeoutMs: TIMEOUT_MS, send }).then((answered) => {
      if (answered !== sequence) mismatches += 1;
      if (startMs > 0) timesMs.push(performance.now() - startMs);
      ended += 1;
      if (next < count) ask();
      else if (ended === count) finish();
    });
  };
  transport.listen({
    onBytes: (chunk) => {
      for (const body of decoder.push(chunk)) {
        const { key, sequence } = readFrame(body);
        if (multiplexer.settle(key, sequence) !== 'matched') mismatches += 1;
      }
    },
    onClose: () => undefined,
  });
  const startCpu = process.cpuUsage();
  const startMs = performance.now();
  for (let index = 0; index < window; index++) ask();
  await finished;
  const seconds = (performance.now() - startMs) / 1_000;
  const { user, system } = process.cpuUsage(startCpu);
  transport.close();
  await worker.terminate();
  return { seconds, cpuUs: user + system, timesMs, mismatches };
}

/** Seconds for the same frames through the same sockets without frames read or answers matched. */
async function echo(window: number, count: number): Promise<number> {
  const { worker, transport } = await startServer({ mode: 'echo', isControl: false });
  const frame = encodeFrame(new RequestMaker().make(0).body);
  const burst = Buffer.concat(Array.from({ length: window }, () => frame));
  const total = count * frame.length;
  let sent = 0;
  let received = 0;
  const startMs = performance.now();
  await new Promise<void>((resolve) => {
    const send = (frames: number): void => {
      const bytes = Math.min(frames * frame.length, total - sent);
      sent += bytes;
      if (bytes > 0) transport.send(burst.subarray(0, bytes));
    };
    transport.listen({
      onBytes: (chunk) => {
        const before = Math.floor(received / frame.length);
        received += chunk.length;
        send(Math.floor(received / frame.length) - before);
        if (received === total) resolve();
      },
      onClose: () => undefined,
    });
    send(window);
  });
  const seconds = (performance.now() - startMs) / 1_000;
  transport.close();
  await worker.terminate();
  return seconds;
}

function reportText(report: WindowReport): string {
  const { window, roundTripsPerSecond, ceilingPerSecond, p50Ms, p99Ms, mismatches } = report;
  const { cpuUsPerRoundTrip } = report;
  const share = Math.round((100 * roundTripsPerSecond) / ceilingPerSecond);
  return [
    `window ${String(window).padStart(3)}: ${roundTripsPerSecond} round trips/s,`,
    `p50 ${p50Ms} ms, p99 ${p99Ms} ms, ${mismatches} mismatches,`,
    `${cpuUsPerRoundTrip} us of CPU each;`,
    `bare echo ${ceilingPerSecond}/s (${share} %)`,
  ].join(' ');
}

// --- Soak ---

const SOAK_WINDOW = 512;
const SOAK_TIMEOUT_MS = 100;
/** After the last request: late answers still come. */
const SOAK_REST_MS = 1_500;

/** What became of each request; a byte each. */
const State = { open: 0, matched: 1, expired: 2, lateHeard: 3 } as const;

/** What the client saw. From `mismatches` on everything must be zero. */
export type SoakCounts = {
  readonly requests: number;
  matched: number;
  expired: number;
  late: number;
  unmatchedCopies: number;
  /** Without field 41 and not to be told from another: handed over, never guessed. */
  unmatchedAmbiguous: number;
  mismatches: number;
  lost: number;
  lateTwice: number;
};

/** Ten million answers as unkind as they come, every one accounted for. */
export const benchMuxSoak: Benchmark = {
  countDefault: 10_000_000,
  countMax: 100_000_000,
  run: async (count) => {
    const startMs = performance.now();
    const { client, server } = await soak(count);
    const seconds = Number(((performance.now() - startMs) / 1_000).toFixed(1));
    const heard = client.matched + client.late + client.unmatchedCopies + client.unmatchedAmbiguous;
    const json = { seconds, ...client, heard, server };
    const rows = [
      ...Object.entries({ seconds, ...client, heard }),
      ...Object.entries(server).map(([name, value]) => [`server: ${name}`, value] as const),
    ];
    return { json, text: rows.map(([name, value]) => `${name.padEnd(26)}${value}`).join('\n') };
  },
};

/**
 * Runs it. In a control run some answers carry the number of another request: a count that finds
 * no mismatch there is worth nothing.
 */
export async function soak(
  count: number,
  { isControl = false }: { readonly isControl?: boolean } = {},
): Promise<{ readonly client: SoakCounts; readonly server: StormCounts }> {
  const { worker, transport } = await startServer({ mode: 'storm', isControl });
  const counted = new Promise<StormCounts>((resolve) => worker.once('message', resolve));
  const counts: SoakCounts = {
    requests: count,
    matched: 0,
    expired: 0,
    late: 0,
    unmatchedCopies: 0,
    unmatchedAmbiguous: 0,
    mismatches: 0,
    lost: 0,
    lateTwice: 0,
  };
  await runSoak(transport, counts);
  await new Promise((resolve) => setTimeout(resolve, SOAK_REST_MS));
  transport.close();
  const server = await counted;
  await worker.terminate();
  return { client: counts, server };
}

function runSoak(transport: Transport, counts: SoakCounts): Promise<void> {
  const { requests } = counts;
  const states = new Uint8Array(requests);
  const multiplexer = new Multiplexer<number>({ clock: systemClock, inFlightMax: SOAK_WINDOW });
  const maker = new RequestMaker();
  const decoder = new FrameDecoder();
  transport.listen({
    onBytes: (chunk) => {
      for (const body of decoder.push(chunk)) {
        const { key, sequence } = readFrame(body);
        const settled = multiplexer.settle(key, sequence);
        if (settled === 'matched') states[sequence] = State.matched;
        else countStray(counts, states, { settled, sequence, key });
      }
    },
    onClose: () => undefined,
  });
  return new Promise((resolve) => {
    let next = 0;
    let ended = 0;
    const ask = (): void => {
      const sequence = next++;
      const { body, key } = maker.make(sequence);
      const frame = encodeFrame(body);
      const send = (): void => transport.send(frame);
      void multiplexer.expect(key, { timeoutMs: SOAK_TIMEOUT_MS, send }).then((answered) => {
        if (answered === 'timeout') {
          states[sequence] = State.expired;
          counts.expired += 1;
        } else if (answered === sequence) counts.matched += 1;
        else counts.mismatches += 1;
        ended += 1;
        if (next < requests) ask();
        else if (ended === requests) resolve();
      });
    };
    for (let index = 0; index < Math.min(SOAK_WINDOW, requests); index++) ask();
  });
}

/** An answer that no request took: late once, a copy, or not to be told apart; else a fault. */
function countStray(
  counts: SoakCounts,
  states: Uint8Array,
  stray: {
    readonly settled: 'late' | 'unmatched';
    readonly sequence: number;
    readonly key: { readonly terminal: string | undefined };
  },
): void {
  const { settled, sequence, key } = stray;
  const state = states[sequence] ?? State.open;
  const isBare = key.terminal === undefined;
  if (settled === 'late') {
    counts.late += 1;
    if (state === State.lateHeard) counts.lateTwice += 1;
    else if (state !== State.expired) counts.mismatches += 1;
    states[sequence] = State.lateHeard;
  } else if (isBare) counts.unmatchedAmbiguous += 1;
  else if (state === State.matched || state === State.lateHeard) counts.unmatchedCopies += 1;
  else counts.lost += 1;
}
