/** The command `tapnpay`: finds the command, parses its options, turns its outcome into an exit. */
import { errorBody } from '@tapnpay/protocol/bytes';
import { type Command, parseOptions, UsageError } from './command.ts';

/** Loaded when asked for: a role's process should not read what it does not run. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import('./commands/up.ts')).up,
  serve: async () => (await import('./commands/serve.ts')).serve,
  tap: async () => (await import('./commands/tap.ts')).tap,
  cards: async () => (await import('./commands/cards.ts')).cards,
  agent: async () => (await import('./commands/agent.ts')).agent,
  element: async () => (await import('./commands/element.ts')).element,
  tsm: async () => (await import('./commands/tsm.ts')).tsm,
  merchants: async () => (await import('./commands/merchants.ts')).merchants,
  applications: async () => (await import('./commands/applications.ts')).applications,
  audit: async () => (await import('./commands/audit.ts')).audit,
  ledger: async () => (await import('./commands/ledger.ts')).ledger,
  settle: async () => (await import('./commands/settle.ts')).settle,
  reconcile: async () => (await import('./commands/reconcile.ts')).reconcileCommand,
  issuer: async () => (await import('./commands/issuer.ts')).issuer,
  explain: async () => (await import('./commands/explain.ts')).explain,
  switch: async () => (await import('./commands/switch.ts')).switchCommand,
  doctor: async () => (await import('./commands/doctor.ts')).doctor,
  hsm: async () => (await import('./commands/hsm.ts')).hsm,
  bench: async () => (await import('./commands/bench.ts')).bench,
  'verify-vectors': async () => (await import('./commands/verify-vectors.ts')).verifyVectors,
};

async function help(): Promise<string> {
  const rows = await Promise.all(
    Object.entries(COMMANDS).map(async ([name, load]) => {
      const { summary } = await load();
      return `  ${name.padEnd(16)}${summary.en}\n  ${''.padEnd(16)}${summary.zh}`;
    }),
  );
  return [
    'tapnpay: card-present payments on the Internet (互联网有卡支付)',
    'A laboratory system. It is not certified by EMVCo, PCI or UnionPay.',
    '',
    'usage: tapnpay COMMAND [--help] [--json] ...',
    '',
    ...rows,
  ].join('\n');
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === 'help') {
    process.stdout.write(`${await help()}\n`);
    return name === undefined ? 2 : 0;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!load) {
    throw new UsageError(`no command ${name}; there are ${Object.keys(COMMANDS).join(', ')}`);
  }
  const command = await load();
  const { values, positionals } = parseOptions(command, rest);
  if (values['help']) {
    process.stdout.write(`${command.summary.en}\n${command.summary.zh}\n\n${command.usage}\n`);
    return 0;
  }
  return command.run(values, positionals);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  const error = errorBody(thrown);
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify({ error })}\n`);
  process.stderr.write(`tapnpay: ${error.message} (${error.code})\n`);
  process.exitCode = thrown instanceof UsageError ? 2 : 1;
}
