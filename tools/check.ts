/** `npm test`: types, lint, then every test; stops with the number of failed steps. */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';

/** One step: what a person reads, and the command. `node` stands for this very Node. */
type Step = { readonly name: string; readonly command: readonly string[] };

const TEST = [
  'node',
  '--import=./tools/property-seed.ts',
  '--test',
  '--test-timeout=300000',
] as const;
const STEPS: readonly Step[] = [
  { name: 'pages', command: ['node', 'web/build.ts'] },
  { name: 'types', command: ['node_modules/.bin/tsc', '-b'] },
  { name: 'lint', command: ['node_modules/.bin/biome', 'ci', '.'] },
  {
    name: 'pure tests',
    command: [
      ...TEST,
      '--test-isolation=none',
      'protocol/**/*.test.ts',
      'applet/**/*.test.ts',
      'plugin/**/*.test.ts',
      'sdk/**/*.test.ts',
      'tools/**/*.test.ts',
    ],
  },
  {
    name: 'party tests',
    command: [
      ...TEST,
      '--test-concurrency=2',
      'element/**/*.test.ts',
      'agent/**/*.test.ts',
      'online/**/*.test.ts',
      'cli/**/*.test.ts',
      'web/**/*.test.ts',
    ],
  },
  {
    name: 'whole system',
    // Two at a time: they wait for processes more than they compute.
    command: [
      ...TEST,
      '--test-concurrency=2',
      'tests/*.test.ts',
      'tests/{faults,pcscd,sim}/*.test.ts',
    ],
  },
  { name: 'browser', command: [...TEST, '--test-concurrency=1', 'tests/browser/*.test.ts'] },
];

const only = process.argv.slice(2);
const path = `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`;
const failed: string[] = [];
for (const step of STEPS) {
  if (only.length > 0 && !only.some((word) => step.name.includes(word))) continue;
  const started = performance.now();
  const [program = '', ...args] = step.command;
  process.stdout.write(`\n== ${step.name}\n`);
  const result = spawnSync(program === 'node' ? process.execPath : program, args, {
    stdio: 'inherit',
    cwd: join(import.meta.dirname, '..'),
    env: { ...process.env, PATH: path },
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const passed = result.status === 0;
  process.stdout.write(`== ${step.name}: ${passed ? 'ok' : 'FAILED'} in ${seconds} s\n`);
  if (!passed) failed.push(step.name);
}
if (failed.length > 0) {
  process.stdout.write(`\nfailed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}
