/**
 * `bench plugin`: the way through the browser, with the built extension in a real Chromium, the
 * installed host, the element and the gateway: page to host and back, and a channel until the
 * element has the gateway's welcome. Each stands beside what its parts cost without our work.
 */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TapError } from '@tapnpay/protocol/bytes';
import { buildPages } from '../system/build.ts';
import { launchSystem } from '../system/launch.ts';
import { type SystemConfig, urlOf } from '../system/layout.ts';
import type { Benchmark } from './benchmark.ts';
import { BenchHost, type HostKind } from './plugin/bench-host.ts';
import { type BenchPage, chromiumPath, openBenchPage, unpackExtension } from './plugin/browser.ts';
import { directChannels, twoBareStarts } from './plugin/ceilings.ts';
import { type PagePayment, pageCalls } from './plugin/page-script.ts';

/** Bytes of a round trip's payload. */
const SIZES = [16, 1_024, 16_384] as const;
/** Round trips of each size; a port takes 800 frames at once. */
const ROUND_TRIPS = 200;
/** First round trips of a port, which are not counted. */
const WARM_UP = 20;
/** Cold channels for so many warm ones. */
const WARM_PER_COLD = 3;
/** Milliseconds that each figure may take at the median. */
const TARGETS = { pageToHostMs: 2, coldChannelMs: 300, warmChannelMs: 50 } as const;

/** Median and 95th percentile in milliseconds. */
type Middle = { readonly p50: number; readonly p95: number };
type RoundTrips = {
  readonly bytes: number;
  /** Answered by the real host. */
  readonly host: Middle;
  /** The same question to a host with no work in it. */
  readonly ceiling: Middle;
  /** The bytes there and back, by a host with no work in it. */
  readonly echo: Middle;
};
type Channels = { readonly count: number; readonly channel: Middle; readonly ceiling: Middle };

type Report = {
  readonly pageToHostP50Ms: number;
  readonly coldChannelMs: number;
  readonly warmChannelMs: number;
  readonly targets: typeof TARGETS;
  readonly pageToHost: readonly RoundTrips[];
  /** `ceiling`: a full handshake over a socket after two starts of a bare Node. */
  readonly cold: Channels & { readonly bareStarts: Middle };
  /** `ceiling`: a resumed handshake over a socket. */
  readonly warm: Channels;
};

/** `count`: warm channels. */
export const benchPlugin: Benchmark = {
  countDefault: 30,
  countMax: 500,
  run: async (count) => {
    const report = await measure(count);
    return { json: report, text: reportText(report) };
  },
};

async function measure(count: number): Promise<Report> {
  const executablePath = await chromiumPath();
  if (process.platform !== 'linux') {
    throw new TapError('ERR_BENCH_BROWSER', 'this measurement sees processes on Linux only');
  }
  say('build');
  await buildPages();
  const folder = mkdtempSync(join(tmpdir(), 'tapnpay-bench-'));
  // The database's own user must be able to pass.
  chmodSync(folder, 0o711);
  const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const system = await launchSystem({
      ...{ dataDir: join(folder, 'system'), basePort: 0, kind: 'service', onProgress: say },
    });
    closers.push(system.close);
    const { config } = system;
    const origin = urlOf(config, 'gatewayHttp');
    const [extension, userDataDir] = [join(folder, 'extension'), join(folder, 'profile')];
    unpackExtension(extension, { dataDir: config.dataDir, origin });
    const host = await BenchHost.install(config, userDataDir);
    const page = await openBenchPage({ executablePath, extension, userDataDir, origin });
    closers.push(page.close);
    return await new Rounds(page, host, config).report(count);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** The measurements, one after another on one page. */
class Rounds {
  readonly #page: BenchPage;
  readonly #host: BenchHost;
  readonly #system: SystemConfig;

  constructor(page: BenchPage, host: BenchHost, system: SystemConfig) {
    this.#page = page;
    this.#host = host;
    this.#system = system;
  }

  async report(count: number): Promise<Report> {
    const coldCount = Math.ceil(count / WARM_PER_COLD);
    say('element');
    await this.#enrol();
    say('cold channels');
    const cold = await this.#cold(coldCount);
    say('warm channels');
    const warm = await this.#warm(count);
    say('round trips');
    const pageToHost: RoundTrips[] = [];
    for (const bytes of SIZES) pageToHost.push(await this.#roundTrips(bytes));
    say('ceilings');
    const direct = await directChannels(this.#system, count);
    const bareStarts = middleOf(await twoBareStarts(coldCount));
    const full = middleOf(direct.full);
    process.stderr.write('\n');
    const { p50 } = pageToHost[0]?.host ?? { p50: Number.NaN };
    return {
      pageToHostP50Ms: p50,
      coldChannelMs: cold.p50,
      warmChannelMs: warm.p50,
      targets: TARGETS,
      pageToHost,
      cold: {
        ...{ count: coldCount, channel: cold, bareStarts },
        ceiling: {
          p50: rounded(bareStarts.p50 + full.p50),
          p95: rounded(bareStarts.p95 + full.p95),
        },
      },
      warm: { count, channel: warm, ceiling: middleOf(direct.resumed) },
    };
  }

  /** The host enrols its element by itself; then its store is kept, with no ticket in it. */
  async #enrol(): Promise<void> {
    await this.#open('real');
    await this.#host.enrolled();
    await this.#close();
    this.#host.saveElement();
  }

  /** Nothing runs: browser, page and gateway wait. From the opening of the port on. */
  async #cold(count: number): Promise<Middle> {
    const times: number[] = [];
    for (let round = 0; round < count; round++) {
      this.#host.restoreElement();
      const { openedAtMs } = await this.#open('real');
      const { welcomedAtMs } = await this.#channel({ resumed: false });
      times.push(welcomedAtMs - openedAtMs);
      await this.#close();
    }
    return middleOf(times);
  }

  /** Port and element are there, and so is a ticket. From the page's wish to pay on. */
  async #warm(count: number): Promise<Middle> {
    const times: number[] = [];
    await this.#open('real');
    // The last cold channel has left its ticket; the first of a process compiles.
    await this.#channel({ resumed: true });
    for (let round = 0; round < count; round++) {
      const { askedAtMs, welcomedAtMs } = await this.#channel({ resumed: true });
      times.push(welcomedAtMs - askedAtMs);
    }
    await this.#close();
    return middleOf(times);
  }

  async #channel(wanted: {
    readonly resumed: boolean;
  }): Promise<PagePayment & { readonly welcomedAtMs: number }> {
    const session = randomUUID();
    const orderId = `bench-${session}`;
    const payment = await this.#page.call<PagePayment>(pageCalls.pay({ session, orderId }));
    const resumed = payment.result?.channel?.resumed;
    if (resumed !== wanted.resumed) {
      const text = `a channel was ${resumed === undefined ? 'not opened' : 'of the other kind'}`;
      throw new TapError('ERR_BENCH_BROWSER', text, { code: payment.code });
    }
    return { ...payment, welcomedAtMs: await this.#host.welcomedAtMs(orderId) };
  }

  async #roundTrips(bytes: number): Promise<RoundTrips> {
    return {
      bytes,
      host: await this.#timed(bytes, 'real'),
      ceiling: await this.#timed(bytes, 'silent'),
      echo: await this.#timed(bytes, 'echo'),
    };
  }

  async #timed(bytes: number, hostKind: HostKind): Promise<Middle> {
    const session = randomUUID();
    await this.#open(hostKind);
    // Its number is used from then on, so that each further question is refused at once.
    if (hostKind === 'real') {
      await this.#page.call(pageCalls.pay({ session, orderId: `bench-${session}` }));
    }
    const kind = hostKind === 'echo' ? 'echo' : 'question';
    const count = WARM_UP + ROUND_TRIPS;
    const times = await this.#page.call<number[]>(
      pageCalls.roundTrips({ session, bytes, count, kind }),
    );
    await this.#close();
    return middleOf(times.slice(WARM_UP));
  }

  async #open(kind: HostKind): Promise<{ readonly openedAtMs: number }> {
    this.#host.use(kind);
    return await this.#page.call(pageCalls.open());
  }

  async #close(): Promise<void> {
    await this.#page.call(pageCalls.close());
    await this.#host.ended();
  }
}

function middleOf(values: readonly number[]): Middle {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number): number =>
    rounded(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN);
  return { p50: at(0.5), p95: at(0.95) };
}

/** Hundredths of a millisecond. */
function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}

function say(text: string): void {
  process.stderr.write(`\r${text.padEnd(60)}`);
}

function reportText(report: Report): string {
  const { cold, warm, targets } = report;
  return [
    headText(`page to host and back, ${ROUND_TRIPS} each, ms`),
    ...report.pageToHost.flatMap(({ bytes, host, ceiling, echo }) => [
      rowText(sizeText(bytes), 'our host', host, targets.pageToHostMs),
      rowText('', 'a host without work', ceiling),
      rowText('', 'the same, bytes there and back', echo),
    ]),
    headText("channel until the gateway's welcome, ms"),
    rowText(`cold, ${cold.count}`, 'nothing runs', cold.channel, targets.coldChannelMs),
    rowText('', 'two bare Nodes, full by a socket', cold.ceiling),
    rowText(`warm, ${warm.count}`, 'port open, resumed', warm.channel, targets.warmChannelMs),
    rowText('', 'resumed by a socket', warm.ceiling),
  ].join('\n');
}

function headText(title: string): string {
  return `${title.padEnd(46)}${'p50'.padStart(8)}${'p95'.padStart(9)}`;
}

function rowText(name: string, what: string, { p50, p95 }: Middle, targetMs?: number): string {
  const figures = `${String(p50).padStart(8)}${String(p95).padStart(9)}`;
  const target = targetMs === undefined ? '' : `   target ${targetMs}`;
  return `  ${name.padEnd(10)}${what.padEnd(34)}${figures}${target}`;
}

function sizeText(bytes: number): string {
  return bytes < 1_024 ? `${bytes} B` : `${bytes / 1_024} KB`;
}
