/**
 * `tapnpay agent`: registers the native messaging host with the browsers of this machine, and the
 * extension by policy; removes both again; says which part is there.
 */
import { dirname, join, resolve } from 'node:path';
import { type InstallTarget, installHost, readRecord, uninstallHost } from '@tapnpay/agent';
import { CHECK_TEXTS, firstBroken, type PluginVersions, reportText } from '@tapnpay/protocol/wire';
import {
  type Command,
  languageOption,
  type OptionValues,
  textOption,
  UsageError,
} from '../command.ts';
import { type Browser, findBrowsers } from '../doctor/browser.ts';
import { type Machine, thisMachine } from '../doctor/machine.ts';
import { examinePlugin } from '../doctor/plugin-checks.ts';
import { toldChecks } from '../doctor/report.ts';
import { buildPages } from '../system/build.ts';
import { hostConfigOf, hostEntry, thesePlaces, versionsOf } from '../system/host-config.ts';
import { defaultDataDir, readSystemConfig } from '../system/layout.ts';
import {
  installedText,
  installNotes,
  removedText,
  STATUS_ENDING,
  STATUS_TITLE,
} from './agent-texts.ts';

const USAGE = `usage: tapnpay agent install   [--system [--extension [--unsigned-addons]]]
                               [--browser-profile DIR] [--root DIR]
       tapnpay agent uninstall [--system [--extension]] [--browser-profile DIR]
       tapnpay agent status    [--browser-profile DIR] [--root DIR]
       all: [--data DIR] [--lang zh|en] [--json]
install registers the native host with Chromium, Chrome, Edge and Firefox of this user; the system
must be running. --system registers for all users (as root); --browser-profile registers with one
user data directory of Chromium, Chrome or Edge (DIR/NativeMessagingHosts), and nothing else.
--extension also has managed browsers install the extension from the gateway's update channel;
policies of others stay. --unsigned-addons lets Firefox ESR take add-ons that Mozilla has not
signed: all of them. --root writes the machine's folders below DIR, for packages.
uninstall removes exactly what install wrote; with --extension only the policy.
status looks at files only; tapnpay doctor also starts the host. No browser needs a restart.`;

export const agent: Command = {
  summary: {
    en: 'install, remove or look at the native host and extension of the browsers',
    zh: '安装、卸载或查看浏览器的本机程序和扩展',
  },
  usage: USAGE,
  options: {
    data: { type: 'string' },
    system: { type: 'boolean' },
    extension: { type: 'boolean' },
    'unsigned-addons': { type: 'boolean' },
    'browser-profile': { type: 'string' },
    root: { type: 'string' },
    lang: { type: 'string' },
  },
  run: async (values, positionals) => {
    const [action, ...rest] = positionals;
    if (rest.length > 0) throw new UsageError(`agent ${action} takes no ${rest.join(' ')}`);
    const options = agentOptions(values);
    switch (action) {
      case 'install':
        return await install(options);
      case 'uninstall':
        return await uninstall(options);
      case 'status':
        return await status(options);
      default:
        throw new UsageError('write agent install, agent uninstall or agent status');
    }
  },
};

/** What the options say, checked. */
type AgentOptions = {
  readonly dataDir: string;
  readonly target: InstallTarget;
  readonly isWithExtension: boolean;
  readonly unsignedAddons: boolean;
  readonly root: string;
  readonly language: 'zh' | 'en';
  readonly isJson: boolean;
};

function agentOptions(values: OptionValues): AgentOptions {
  const profile = textOption(values, 'browser-profile');
  const isSystem = values['system'] === true;
  const isWithExtension = values['extension'] === true;
  if (profile !== undefined && isSystem) {
    throw new UsageError('--browser-profile is for one user, --system for all: choose one');
  }
  if (isWithExtension && !isSystem) {
    throw new UsageError('--extension writes a policy for all users: add --system');
  }
  if (values['unsigned-addons'] === true && !isWithExtension) {
    throw new UsageError('--unsigned-addons belongs to --system --extension');
  }
  return {
    dataDir: resolve(textOption(values, 'data') ?? defaultDataDir),
    target:
      profile === undefined
        ? { scope: isSystem ? 'system' : 'user' }
        : { scope: 'profile', userDataDir: resolve(profile) },
    isWithExtension,
    unsignedAddons: values['unsigned-addons'] === true,
    root: rootOption(values),
    language: languageOption(values),
    isJson: values['json'] === true,
  };
}

function rootOption(values: OptionValues): string {
  const root = textOption(values, 'root');
  return root === undefined ? '' : resolve(root);
}

async function install(options: AgentOptions): Promise<number> {
  const system = readSystemConfig(options.dataDir);
  const versions = await versionsOf(system);
  const { updateManifest, xpi } = versions.install;
  const { unsignedAddons, target, language } = options;
  const config = hostConfigOf(system, versions);
  // The host that is registered is of these sources, however old the last build is.
  await buildPages();
  const parts = await installHost({
    config,
    target,
    places: thesePlaces(options.root),
    nodePath: process.execPath,
    entry: hostEntry(),
    extension: options.isWithExtension ? { updateManifest, xpi, unsignedAddons } : null,
    distribution: firefoxDistribution(thisMachine, await findBrowsers(thisMachine)),
  });
  const isWhole = parts.every(({ state }) => state !== 'failed');
  const notes = installNotes({ ...options, dataDir: config.dataDir, machine: thisMachine, parts });
  print(options, {
    document: { ok: isWhole, extensionId: config.extensionId, parts, notes },
    text: installedText(parts, notes, language),
  });
  return isWhole ? 0 : 1;
}

/** Firefox's own policies lie beside its program. */
function firefoxDistribution(machine: Machine, browsers: readonly Browser[]): string | null {
  const firefox = browsers.find(
    ({ kind, packaging }) => kind === 'firefox' && packaging === 'system',
  );
  if (firefox === undefined || machine.platform !== 'linux') return null;
  const folder = dirname(machine.realPath(firefox.path));
  const path = join(folder, 'distribution/policies.json');
  return machine.exists(path) ? path : null;
}

async function uninstall(options: AgentOptions): Promise<number> {
  const { dataDir, target, language } = options;
  const only = options.isWithExtension ? 'policy' : undefined;
  const parts = await uninstallHost({ dataDir, target, only });
  const isWhole = parts.every(({ state }) => state !== 'failed');
  const { files, policies, keys } = readRecord(dataDir);
  const left = [...files, ...policies].map(({ path }) => path);
  const remaining = [...left, ...keys.map(({ key }) => key)];
  print(options, {
    document: { ok: isWhole, parts, remaining },
    text: removedText(parts, remaining, language),
  });
  return isWhole ? 0 : 1;
}

/** Each part apart; nothing is started. */
async function status(options: AgentOptions): Promise<number> {
  const { dataDir, target, language } = options;
  const versions = await versionsIfRunning(dataDir);
  const report = await examinePlugin({
    dataDir,
    places: thesePlaces(options.root),
    browsers: await findBrowsers(thisMachine),
    userDataDir: target.scope === 'profile' ? target.userDataDir : null,
    versions,
    mode: 'files',
  });
  const manifests = report.checks.filter(({ id }) => id === 'manifest');
  const isThere = manifests.some(({ state }) => state === 'ok');
  const isWhole = isThere && firstBroken(report) === null;
  const title = STATUS_TITLE[language];
  const ending = STATUS_ENDING[language];
  print(options, {
    document: { ok: isWhole, gateway: versions !== null, checks: toldChecks(report) },
    text: reportText(report, { title, language, texts: CHECK_TEXTS, ending }),
  });
  return isWhole ? 0 : 1;
}

async function versionsIfRunning(dataDir: string): Promise<PluginVersions | null> {
  const system = readSystemConfig(dataDir);
  return await versionsOf(system).catch(() => null);
}

function print(
  { isJson }: AgentOptions,
  { document, text }: { readonly document: object; readonly text: string },
): void {
  process.stdout.write(isJson ? `${JSON.stringify(document)}\n` : `${text}\n`);
}
