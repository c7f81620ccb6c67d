/** `tapnpay up`: the whole system, until it is told to stop. */
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { systemClock } from '@tapnpay/protocol/node';
import { AGENT_WALLET_PAGE, padded } from '@tapnpay/protocol/wire';
import { type Command, portOption, textOption } from '../command.ts';
import { launchSystem } from '../system/launch.ts';
import { DEFAULT_PORT, defaultDataDir, type SystemConfig, urlOf } from '../system/layout.ts';

const LABEL_COLUMNS = 36;
const REAL_CARDS_ROW = [
  'real readers 真实读卡器',
  'on: a card pays after your consent 已启用：经您确认后可用真卡付款',
] as const;

export const up: Command = {
  summary: {
    en: 'start the whole system; stop it with Ctrl-C',
    zh: '启动整个系统；按 Ctrl-C 停止',
  },
  usage: `usage: tapnpay up [--port N] [--data DIR] [--database-url URL] [--readers]
       [--without-manager] [--json]
--port is the first of 15 ports on 127.0.0.1 (default ${DEFAULT_PORT}, 0 for free ones);
DATABASE_URL or --database-url names your own PostgreSQL 15 or later;
--readers lets a card in a PC/SC reader pay: after your consent in the helper's window the card that
you present next is asked for a payment cryptogram. Without it no real card is touched;
--without-manager starts no manager of secure elements: they go on with what it gave them before.`,
  options: {
    port: { type: 'string' },
    data: { type: 'string' },
    'database-url': { type: 'string' },
    readers: { type: 'boolean' },
    'without-manager': { type: 'boolean' },
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
      readers: values['readers'] === true,
      manager: values['without-manager'] !== true,
      onProgress: (text) => process.stderr.write(`… ${text}\n`),
    });
    const readyMs = systemClock.nowMs() - startedMs;
    const facts = readyFacts(system.config, readyMs);
    process.stdout.write(values['json'] ? `${JSON.stringify(facts)}\n` : readyText(facts));
    await ended;
    process.stderr.write('… stopping 正在停止\n');
    await system.close();
    return 0;
  },
};

type ReadyFacts = ReturnType<typeof readyFacts>;

function readyFacts(system: SystemConfig, readyMs: number) {
  const { dataDir } = system;
  return {
    ready: true,
    shop: urlOf(system, 'shop'),
    wallet: `${urlOf(system, 'agent')}${AGENT_WALLET_PAGE}`,
    gateway: urlOf(system, 'gatewayHttp'),
    observer: urlOf(system, 'observer'),
    /** Typed once in the helper's window, so that only this machine's person pairs a browser. */
    pairingCode: secretLine(dataDir, 'agent/pairing-code'),
    adminPassword: secretLine(dataDir, 'shop/admin-password'),
    /** Cards in the readers of this machine may pay. */
    readers: system.readers ?? false,
    dataDir,
    readyMs,
  };
}

/** A secret that its party made for the person at this terminal. */
function secretLine(dataDir: string, file: string): string {
  return readFileSync(join(dataDir, file), 'utf8').trim();
}

function readyText(facts: ReadyFacts): string {
  const rows: readonly (readonly [label: string, value: string])[] = [
    ['shop 商城', facts.shop],
    ['browser pairing code 浏览器配对码', `${facts.pairingCode}   (asked once 首次支付时输入)`],
    ['PIN of every test card 测试卡密码', '123456'],
    ['', ''],
    ['wallet 虚拟卡包', facts.wallet],
    ['back office 商户后台', `${facts.shop}/admin   password 密码 ${facts.adminPassword}`],
    ...(facts.readers ? [REAL_CARDS_ROW] : []),
    ['pay without a browser 命令行支付', 'npx tapnpay tap --amount 12.34 --trace'],
    ['is anything wrong? 诊断', 'npx tapnpay doctor'],
    ['data folder 数据目录', facts.dataDir],
  ];
  const lines = rows.map(([label, value]) => `  ${padded(label, LABEL_COLUMNS)}${value}`.trimEnd());
  return `
  Tap & Pay is ready after ${(facts.readyMs / 1000).toFixed(1)} s 系统就绪

${lines.join('\n')}

  This is a laboratory system with test money, not certified by anyone. Ctrl-C stops it.
  本系统仅供实验，使用测试资金，未经任何机构认证。按 Ctrl-C 停止。
`;
}

function untilSignal(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => done());
    }
  });
}
