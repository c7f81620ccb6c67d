/** `tapnpay doctor`: each link from the browser to the reader, with the fix for a broken one. */
import { resolve } from 'node:path';
import { firstBroken } from '@tapnpay/protocol/wire';
import { type Command, languageOption, textOption } from '../command.ts';
import { examine } from '../doctor/checks.ts';
import { thisMachine } from '../doctor/machine.ts';
import { examinePlugin } from '../doctor/plugin-checks.ts';
import { machineReport, toldChecks } from '../doctor/report.ts';
import { thesePlaces } from '../system/host-config.ts';
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
  usage: `usage: tapnpay doctor [--data DIR] [--browser-profile DIR] [--lang zh|en] [--json]
Starts the native host of every browser as that browser would, and prints every place it looks in.
--browser-profile looks at a user data directory of Chromium, Chrome or Edge, too.
exits 0 when a payment can be made, 1 when a link is broken. The report holds no secrets.`,
  options: {
    data: { type: 'string' },
    'browser-profile': { type: 'string' },
    lang: { type: 'string' },
  },
  run: async (values) => {
    const language = languageOption(values);
    const dataDir = resolve(textOption(values, 'data') ?? defaultDataDir);
    const { platform, arch } = thisMachine;
    const report = await examine({
      machine: thisMachine,
      dataDir,
      system: findSystem(dataDir),
      examinePlugin: (browsers, versions) =>
        examinePlugin({
          dataDir,
          places: thesePlaces(),
          browsers,
          userDataDir: textOption(values, 'browser-profile') ?? null,
          versions,
          mode: 'live',
        }),
    });
    const isFit = firstBroken(report) === null;
    const text = values['json']
      ? JSON.stringify({ ok: isFit, platform, arch, checks: toldChecks(report) })
      : machineReport(report, { platform, arch }, language);
    process.stdout.write(`${text}\n`);
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
