/** `tapnpay up`: the whole system, until it is told to stop. */
import { chmodSync, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { systemClock } from '@tapnpay/protocol/node';
import { type Command, portOption, textOption } from '../command.ts';
import { gatewayUrl } from '../payment/run-tap.ts';
import { launchSystem } from '../system/launch.ts';
import { DEFAULT_PORT, defaultDataDir } from '../system/layout.ts';

export const up: Command = {
  summary: {
    en: 'start the whole system; stop it with Ctrl-C',
    zh: '启动整个系统;按 Ctrl-C 停止',
  },
  usage: `usage: tapnpay up [--port N] [--data DIR] [--database-url URL] [--json]
--port is the first of six ports on 127.0.0.1 (default ${DEFAULT_PORT}, 0 for free ones);
DATABASE_URL or --database-url names your own PostgreSQL 15 or later.`,
  options: {
    port: { type: 'string' },
    data: { type: 'string' },
    'database-url': { type: 'string' },
  },
  run: async (values) => {
    const startedMs = systemClock.nowMs();
    const dataDir = resolve(textOption(values, 'data') ?? defaultDataDir);
    mkdirSync(dataDir, { recursive: true });
    // The database's own user must be able to pass; the files inside are closed themselves.
    chmodSync(dataDir, 0o711);
    const ended = untilSignal();
    const system = await launchSystem({
      dataDir,
      basePort: portOption(values, 'port') ?? DEFAULT_PORT,
      databaseUrl: textOption(values, 'database-url') ?? process.env['DATABASE_URL'],
      onProgress: (text) => process.stderr.write(`… ${text}\n`),
    });
    const readyMs = systemClock.nowMs() - startedMs;
    const facts = { ready: true, gateway: gatewayUrl(system.config), dataDir, readyMs };
    process.stdout.write(values['json'] ? `${JSON.stringify(facts)}\n` : readyText(facts));
    await ended;
    process.stderr.write('… stopping 正在停止\n');
    await system.close();
    return 0;
  },
};

function readyText(facts: {
  readonly gateway: string;
  readonly dataDir: string;
  readonly readyMs: number;
}): string {
  return `Ready in ${(facts.readyMs / 1000).toFixed(1)} s 系统就绪
  gateway 网关   ${facts.gateway}
  data 数据      ${facts.dataDir}
  pay 试一笔     npx tapnpay tap --amount 12.34 --trace
  This is a laboratory system, not certified by anyone. 本系统仅供实验,未经认证。
`;
}

function untilSignal(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => done());
    }
  });
}
