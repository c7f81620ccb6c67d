/** `tapnpay bench taps`: from the tap to the result, hop by hop, over real processes and wires. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CardInterface, HopName } from '@tapnpay/protocol/wire';
import { type Command, textOption, UsageError } from '../command.ts';
import type { TapDocument } from '../payment/document.ts';
import { runTap } from '../payment/run-tap.ts';
import { launchSystem } from '../system/launch.ts';
import type { SystemConfig } from '../system/layout.ts';

const COUNT = 100;
const COUNT_MAX = 2_000;
/** First payments of a process compile and connect: they are not counted. */
const WARM_UP = 5;

/** Milliseconds of one step over all payments. */
type Spread = { readonly p50: number; readonly p99: number };
/** `steps`: the time since the hop before; `tapToResult`: from the card to the last word. */
type Report = {
  readonly interface: CardInterface;
  readonly count: number;
  readonly steps: Readonly<Partial<Record<HopName, Spread>>>;
  readonly tapToResult: Spread;
};

export const bench: Command = {
  summary: {
    en: 'measure: taps (from the card to the result, by hop)',
    zh: '性能测量：taps（从挥卡或插卡到结果，逐步计时）',
  },
  usage: `usage: tapnpay bench taps [--count ${COUNT}] [--json]
pays with a virtual card that adds no delay, in a temporary system of its own.`,
  options: { count: { type: 'string' } },
  run: async (values, positionals) => {
    if (positionals[0] !== 'taps')
      throw new UsageError('bench measures taps: run tapnpay bench taps');
    const count = Number(textOption(values, 'count') ?? COUNT);
    if (!Number.isInteger(count) || count < 1 || count > COUNT_MAX) {
      throw new UsageError(`--count takes 1 to ${COUNT_MAX}`);
    }
    const reports = await measure(count);
    process.stdout.write(
      values['json'] ? `${JSON.stringify({ reports })}\n` : reports.map(reportText).join('\n'),
    );
    return 0;
  },
};

async function measure(count: number): Promise<readonly Report[]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-bench-'));
  // The database's own user must be able to pass.
  chmodSync(dataDir, 0o711);
  const system = await launchSystem({ dataDir, basePort: 0 });
  try {
    const reports: Report[] = [];
    for (const wire of ['contact', 'contactless'] as const) {
      const documents: TapDocument[] = [];
      for (let index = -WARM_UP; index < count; index++) {
        const document = await pay(system.config, wire);
        if (index >= 0) documents.push(document);
        process.stderr.write(`\r${wire} ${index + 1}/${count} `);
      }
      reports.push(reportOf(wire, documents));
    }
    process.stderr.write('\n');
    return reports;
  } finally {
    await system.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function pay(system: SystemConfig, wire: CardInterface): Promise<TapDocument> {
  const common = { system, amount: '1.00', currency: '156', card: 'debit', pin: '123456' };
  const document = await runTap({ ...common, interface: wire, fault: null, notifyUrl: null });
  if (document.outcome === 'approved') return document;
  throw new UsageError(`a payment was ${document.outcome}: ${document.reason}`);
}

function reportOf(wire: CardInterface, documents: readonly TapDocument[]): Report {
  const steps = new Map<HopName, number[]>();
  const totals: number[] = [];
  for (const { hops } of documents) {
    // In the order of time: a tap's cryptogram comes with its GPO, before the checks.
    const passed = hops
      .filter(({ ms }) => ms !== null)
      .toSorted((left, right) => (left.ms ?? 0) - (right.ms ?? 0));
    for (const [index, { name, ms }] of passed.entries()) {
      const before = passed[index - 1]?.ms;
      if (before === undefined) continue;
      steps.set(name, [...(steps.get(name) ?? []), (ms ?? 0) - (before ?? 0)]);
    }
    const at = (name: HopName): number => hops.find((hop) => hop.name === name)?.ms ?? Number.NaN;
    totals.push(at('confirm') - at('channel'));
  }
  const spreads = [...steps].map(([name, values]) => [name, spreadOf(values)] as const);
  return {
    interface: wire,
    count: documents.length,
    steps: Object.fromEntries(spreads),
    tapToResult: spreadOf(totals),
  };
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

function reportText(report: Report): string {
  const row = (name: string, { p50, p99 }: Spread): string =>
    `  ${name.padEnd(16)}${String(p50).padStart(6)}${String(p99).padStart(8)}`;
  return [
    `${report.interface}, ${report.count} payments, ms since the hop before  p50     p99`,
    ...Object.entries(report.steps).map(([name, spread]) => row(name, spread)),
    row('tap to result', report.tapToResult),
    '',
  ].join('\n');
}
