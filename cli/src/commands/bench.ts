/** `tapnpay bench`: the measurements, one table. */
import type { Benchmark } from '../bench/benchmark.ts';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';

type Row = { readonly what: string; readonly load: () => Promise<Benchmark> };

/** A line each, in the order of `--help`. */
const BENCHMARKS: Readonly<Record<string, Row>> = {
  codec: {
    what: 'ISO 8583: packing, unpacking and routing of the 18-field sale, beside npm iso_8583',
    load: async () => (await import('../bench/codec.ts')).benchCodec,
  },
  kernel: {
    what: "the kernels' own CPU time over a card in the same process, 3000 payments each",
    load: async () => (await import('../bench/kernel.ts')).benchKernel,
  },
  taps: {
    what: 'from the card to the result, hop by hop, over real processes, 100 payments each',
    load: async () => (await import('../bench/taps.ts')).benchTaps,
  },
  mux: {
    what: 'round trips a second of the lines on loopback, two threads, beside a bare echo',
    load: async () => (await import('../bench/mux.ts')).benchMux,
  },
  'mux-soak': {
    what: '10 million answers shuffled, late, doubled and without field 41; each accounted for',
    load: async () => (await import('../bench/mux.ts')).benchMuxSoak,
  },
  issuer: {
    what: "an issuer's cryptography for a purchase, steps a second of a core, beside OpenSSL",
    load: async () => (await import('../bench/issuer.ts')).benchIssuer,
  },
  plugin: {
    what: 'page to host and back, cold and warm channels in a real Chromium, 30 warm ones',
    load: async () => (await import('../bench/plugin.ts')).benchPlugin,
  },
  payments: {
    what:
      'full payments a second with durable commits, and their latency; --rows 10000000 measures ' +
      'again with so many payments in the tables',
    load: async () => (await import('../bench/payments/index.ts')).benchPayments,
  },
};

/** Most payments that tables are filled with. */
const ROWS_MAX = 20_000_000;

const NAMES = Object.keys(BENCHMARKS);
const USAGE = `usage: tapnpay bench ${NAMES.join('|')} [--count N] [--rows N] [--json]
${Object.entries(BENCHMARKS)
  .map(([name, { what }]) => `${name.padEnd(8)} ${what}`)
  .join('\n')}`;

export const bench: Command = {
  summary: {
    en: `measure, each beside a peer or a ceiling: ${NAMES.join(', ')}`,
    zh: `性能测量（同一次运行给出对照或上限）：${NAMES.join('、')}`,
  },
  usage: USAGE,
  options: { count: { type: 'string' }, rows: { type: 'string' } },
  run: async (values, positionals) => {
    const [name = '', ...rest] = positionals;
    const row = Object.hasOwn(BENCHMARKS, name) ? BENCHMARKS[name] : undefined;
    if (row === undefined || rest.length > 0) {
      throw new UsageError(`bench measures ${NAMES.join(', ')}`);
    }
    const { countDefault, countMax, run } = await row.load();
    const count = Number(textOption(values, 'count') ?? countDefault);
    if (!Number.isInteger(count) || count < 1 || count > countMax) {
      throw new UsageError(`--count takes 1 to ${countMax}`);
    }
    const { json, text } = await run(count, { rows: rowsOf(values) });
    process.stdout.write(values['json'] ? `${JSON.stringify(json)}\n` : `${text}\n`);
    return 0;
  },
};

function rowsOf(values: OptionValues): number {
  const rows = Number(textOption(values, 'rows') ?? 0);
  if (Number.isInteger(rows) && rows >= 0 && rows <= ROWS_MAX) return rows;
  throw new UsageError(`--rows takes 0 to ${ROWS_MAX}`);
}
