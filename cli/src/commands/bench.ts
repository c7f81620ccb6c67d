/** `tapnpay bench`: the measurements, one table. */
import type { Benchmark } from '../bench/benchmark.ts';
import { type Command, textOption, UsageError } from '../command.ts';

const BENCHMARKS: Readonly<Record<string, () => Promise<Benchmark>>> = {
  kernel: async () => (await import('../bench/kernel.ts')).benchKernel,
  taps: async () => (await import('../bench/taps.ts')).benchTaps,
};

const USAGE = `usage: tapnpay bench kernel|taps [--count N] [--json]
kernel  the acceptance kernels' own CPU time over a card in the same process, 3000 payments each
taps    from the card to the result, hop by hop, over real processes, 100 payments each`;

export const bench: Command = {
  summary: {
    en: 'measure: kernel (its own CPU time), taps (from the card to the result, by hop)',
    zh: '性能测量：kernel（内核自身 CPU 时间）、taps（从挥卡或插卡到结果，逐步计时）',
  },
  usage: USAGE,
  options: { count: { type: 'string' } },
  run: async (values, positionals) => {
    const [name = '', ...rest] = positionals;
    const load = Object.hasOwn(BENCHMARKS, name) ? BENCHMARKS[name] : undefined;
    if (load === undefined || rest.length > 0) {
      throw new UsageError(`bench measures ${Object.keys(BENCHMARKS).join(' or ')}`);
    }
    const { countDefault, countMax, run } = await load();
    const count = Number(textOption(values, 'count') ?? countDefault);
    if (!Number.isInteger(count) || count < 1 || count > countMax) {
      throw new UsageError(`--count takes 1 to ${countMax}`);
    }
    const { json, text } = await run(count);
    process.stdout.write(values['json'] ? `${JSON.stringify(json)}\n` : `${text}\n`);
    return 0;
  },
};
