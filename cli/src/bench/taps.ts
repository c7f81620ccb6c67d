/** `bench taps`: from the tap to the result, hop by hop, over real processes and wires. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CardInterface, HopName } from '@tapnpay/protocol/wire';
import { UsageError } from '../command.ts';
import { openCards } from '../commands/cards.ts';
import type { TapDocument } from '../payment/document.ts';
import { GatewayClient } from '../payment/gateway-client.ts';
import { openElement, runTap } from '../payment/run-tap.ts';
import { virtualTapCard } from '../payment/tap-card.ts';
import { launchSystem } from '../system/launch.ts';
import { type SystemConfig, urlOf } from '../system/layout.ts';
import { type Benchmark, type Spread, spreadOf } from './benchmark.ts';

/** First payments of a process compile and connect: they are not counted. */
const WARM_UP = 5;
/** New elements that are enrolled, one after the other. */
const ENROLMENTS = 5;

/** `steps`: the time since the hop before; `tapToResult`: from the card to the last word. */
type Report = {
  readonly interface: CardInterface;
  readonly count: number;
  readonly steps: Readonly<Partial<Record<HopName, Spread>>>;
  readonly tapToResult: Spread;
  /** From the card's presentation to its payment sealed in the element. */
  readonly tapToSealedMs: Spread;
  /** Part of that time, 0 to 1, which the application ran in the sandbox; median. */
  readonly sandboxShare: number;
};

/** Pays `count` times on each interface, and enrols new elements. */
export const benchTaps: Benchmark = {
  countDefault: 100,
  countMax: 2_000,
  run: async (count) => {
    const { reports, enrolment } = await measure(count);
    // Of the slower interface: what a payer waits for at most.
    const [slower] = reports.toSorted((one, two) => two.tapToSealedMs.p50 - one.tapToSealedMs.p50);
    const tapToSealedMs = slower?.tapToSealedMs.p50 ?? null;
    const sandboxShare = slower?.sandboxShare ?? null;
    const enrolmentMs = Math.round(enrolment.p50);
    const enrolled = `new elements, from their start until they can pay: ${enrolmentMs} ms`;
    const text = [...reports.map(reportText), enrolled].join('\n');
    return {
      json: { reports, tapToSealedMs, sandboxShare, enrolmentMs },
      text,
    };
  },
};

async function measure(
  count: number,
): Promise<{ readonly reports: readonly Report[]; readonly enrolment: Spread }> {
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
    const enrolment = await enrolments(system.config);
    process.stderr.write('\n');
    return { reports, enrolment };
  } finally {
    await system.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/**
 * New elements: process, birth, the manager's keys, domains, load, installation, personalisation,
 * and the gateway's certificate.
 */
async function enrolments(system: SystemConfig): Promise<Spread> {
  const url = urlOf(system, 'gatewayHttp');
  const gateway = new GatewayClient({ url, dataDir: system.dataDir });
  const times: number[] = [];
  for (let index = 1; index <= ENROLMENTS; index++) {
    const startedMs = performance.now();
    const element = await openElement(system, gateway, `element-bench-${index}`);
    times.push(performance.now() - startedMs);
    await element.close();
    process.stderr.write(`\renrolment ${index}/${ENROLMENTS} `);
  }
  return spreadOf(times);
}

async function pay(system: SystemConfig, wire: CardInterface): Promise<TapDocument> {
  const cards = openCards(system.dataDir);
  const card = virtualTapCard(cards, { card: 'debit', interface: wire, fault: null });
  const common = { system, amount: '1.00', currency: '156', pin: '123456' };
  const document = await runTap({ ...common, card, fault: null, notifyUrl: null });
  await card.close();
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
  const sealed = documents.map(({ hops }) => sealedOf(hops));
  return {
    interface: wire,
    tapToSealedMs: spreadOf(sealed.map(({ ms }) => ms)),
    sandboxShare: spreadOf(sealed.map(({ share }) => share)).p50,
    count: documents.length,
    steps: Object.fromEntries(spreads),
    tapToResult: spreadOf(totals),
  };
}

/** What the element says of a sealed payment: time since the card came, and the sandbox's part. */
function sealedOf(hops: TapDocument['hops']): { readonly ms: number; readonly share: number } {
  const facts = hops.find(({ name }) => name === 'seal')?.facts ?? {};
  const ms = Number(facts['tapToSealedMs'] ?? Number.NaN);
  const share = Number(facts['sandboxMs'] ?? Number.NaN) / ms;
  return { ms, share: Math.round(1000 * share) / 1000 };
}

function reportText(report: Report): string {
  const row = (name: string, { p50, p99 }: Spread): string =>
    `  ${name.padEnd(16)}${String(p50).padStart(6)}${String(p99).padStart(8)}`;
  return [
    `${report.interface}, ${report.count} payments, ms since the hop before  p50     p99`,
    ...Object.entries(report.steps).map(([name, spread]) => row(name, spread)),
    row('tap to result', report.tapToResult),
    row('card to sealed', report.tapToSealedMs),
    `  of that in the sandbox: ${Math.round(100 * report.sandboxShare)} %`,
    '',
  ].join('\n');
}
