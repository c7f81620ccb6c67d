/** `tapnpay doctor`: each link from the browser to the reader, with the fix for a broken one. */
import { resolve } from 'node:path';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';
import { examine } from '../doctor/checks.ts';
import { thisMachine } from '../doctor/machine.ts';
import { firstBroken, type ReportLanguage, reportText } from '../doctor/report.ts';
import {
  defaultDataDir,
  type Ports,
  readSystemConfig,
  type SystemConfig,
} from '../system/layout.ts';

const PORTS: readonly (keyof Ports)[] = [
  ...(['gatewayHttp', 'gatewayTls', 'switch', 'hsmGateway', 'hsmSwitch', 'hsmIssuer'] as const),
  ...(['shop', 'agent', 'observer'] as const),
];

export const doctor: Command = {
  summary: {
    en: 'find the broken link between browser and reader, and how to fix it',
    zh: '逐个检查从浏览器到读卡器的各个环节，指出故障和修复方法',
  },
  usage: `usage: tapnpay doctor [--data DIR] [--lang zh|en] [--json]
exits 0 when a payment can be made, 1 when a link is broken. The report holds no secrets.`,
  options: { data: { type: 'string' }, lang: { type: 'string' } },
  run: async (values) => {
    const language = languageOption(values);
    const dataDir = resolve(textOption(values, 'data') ?? defaultDataDir);
    const { platform, arch } = thisMachine;
    const system = findSystem(dataDir);
    const findings = await examine({ machine: thisMachine, dataDir, system });
    const isFit = firstBroken(findings) === null;
    const report = values['json']
      ? JSON.stringify({ ok: isFit, platform, arch, links: findings })
      : reportText({ platform, arch, findings }, language);
    process.stdout.write(`${report}\n`);
    return isFit ? 0 : 1;
  },
};

function findSystem(dataDir: string): SystemConfig | null {
  try {
    const system = readSystemConfig(dataDir);
    // One that an older version wrote has other ports.
    return PORTS.every((name) => Number.isInteger(system.ports[name])) ? system : null;
  } catch {
    // The data folder's own check says so.
    return null;
  }
}

/** `--lang`, else what the terminal's locale says. */
function languageOption(values: OptionValues): ReportLanguage {
  const asked = textOption(values, 'lang');
  if (asked === 'zh' || asked === 'en') return asked;
  if (asked !== undefined) throw new UsageError(`--lang takes zh or en, not ${asked}`);
  const locale = process.env['LC_ALL'] ?? process.env['LANG'] ?? '';
  return locale.startsWith('zh') ? 'zh' : 'en';
}
