/** What `tapnpay agent` prints, in both languages. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  type InstallErrorCode,
  type InstalledPart,
  type InstallTarget,
  type RemovedPart,
  wrapperPath,
} from '@tapnpay/agent';
import { padded, type TwoLanguages } from '@tapnpay/protocol/wire';
import type { Machine } from '../doctor/machine.ts';

type Language = keyof TwoLanguages;

/** Said below the parts. */
export const STATUS_ENDING: TwoLanguages = {
  en: 'Only files were looked at; npx tapnpay doctor also starts the host.',
  zh: '以上只检查了文件；npx tapnpay doctor 还会启动本机程序。',
};

export const STATUS_TITLE: TwoLanguages = {
  en: 'Tap & Pay · browser plug-in on this machine',
  zh: 'Tap & Pay · 本机的浏览器插件',
};

const STATE_COLUMNS = 12;
const PART_COLUMNS = 34;

const PARTS: Readonly<Record<InstalledPart['part'] | 'file', TwoLanguages>> = {
  config: { en: 'configuration', zh: '配置' },
  program: { en: 'native host', zh: '本机程序' },
  manifest: { en: 'registration', zh: '登记' },
  key: { en: 'registry key', zh: '注册表项' },
  policy: { en: 'policy', zh: '策略' },
  file: { en: 'file', zh: '文件' },
};
const INSTALLED: Readonly<Record<InstalledPart['state'], TwoLanguages>> = {
  written: { en: 'written', zh: '已写入' },
  same: { en: 'unchanged', zh: '无变化' },
  other: { en: 'replaced', zh: '已替换' },
  failed: { en: 'FAILED', zh: '失败' },
};
const REMOVED: Readonly<Record<RemovedPart['state'], TwoLanguages>> = {
  removed: { en: 'removed', zh: '已删除' },
  absent: { en: 'was gone', zh: '已不存在' },
  kept: { en: 'KEPT', zh: '保留' },
  failed: { en: 'FAILED', zh: '失败' },
};

/** Something that a person should know after an installation. */
export type InstallNote = { readonly code: string } & TwoLanguages;

const NOTES = {
  NOTE_EXTENSION: {
    en:
      'The extension comes from the pay page; for all users: ' +
      'sudo npx tapnpay agent install --system --extension',
    zh:
      '扩展可从支付页面安装；为所有用户安装：' +
      'sudo npx tapnpay agent install --system --extension',
  },
  NOTE_POLICY: {
    en: 'Chromium takes the extension by itself; Firefox when it is started next.',
    zh: 'Chromium 会自动安装扩展；Firefox 将在下次启动时安装。',
  },
  NOTE_UNSIGNED: {
    en:
      'Firefox takes an add-on only when Mozilla has signed it. Firefox ESR takes ours with ' +
      '--unsigned-addons, and any other one too.',
    zh: 'Firefox 只接受 Mozilla 签名的扩展。Firefox ESR 加上 --unsigned-addons 可安装本扩展，但也会接受任何未签名的扩展。',
  },
  NOTE_PRIVATE: {
    en: 'Only the owner of the data folder can start the host; for others it stays out of reach.',
    zh: '只有数据目录的所有者能启动本机程序，其他用户无法使用。',
  },
  NOTE_REPLACED: {
    en: 'A registration of another system or data folder was replaced.',
    zh: '已替换另一系统或数据目录的登记。',
  },
} as const satisfies Readonly<Record<string, TwoLanguages>>;

/** What follows from an installation that its parts do not say. */
export function installNotes(facts: {
  readonly target: InstallTarget;
  readonly isWithExtension: boolean;
  readonly unsignedAddons: boolean;
  readonly dataDir: string;
  readonly machine: Machine;
  readonly parts: readonly InstalledPart[];
}): readonly InstallNote[] {
  const { target, isWithExtension, unsignedAddons, dataDir, machine, parts } = facts;
  const isFilePolicy = machine.platform === 'linux';
  const program = wrapperPath(dataDir, machine.platform);
  const isReplaced = parts.some(({ state, part }) => state === 'other' && part === 'manifest');
  const codes: readonly (keyof typeof NOTES | false)[] = [
    isReplaced && 'NOTE_REPLACED',
    !isWithExtension && 'NOTE_EXTENSION',
    isWithExtension && isFilePolicy && 'NOTE_POLICY',
    isWithExtension && isFilePolicy && !unsignedAddons && 'NOTE_UNSIGNED',
    target.scope === 'system' && isPrivate(program) && 'NOTE_PRIVATE',
  ];
  return codes.filter((code) => code !== false).map((code) => ({ code, ...NOTES[code] }));
}

/** Whether a folder on the way keeps other users out. */
function isPrivate(path: string): boolean {
  if (process.platform === 'win32') return false;
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return true;
  }
  return false;
}

/** One row a part, then what to know. */
export function installedText(
  parts: readonly InstalledPart[],
  notes: readonly InstallNote[],
  language: Language,
): string {
  const rows = parts.flatMap(({ part, browser, path, state, error }) => [
    row([INSTALLED[state][language], partName(part, browser, language), path]),
    ...errorRows(error, language),
  ]);
  const said = notes.map((note) => note[language]);
  return [...rows, ...(said.length > 0 ? ['', ...said] : [])].join('\n');
}

/** One row a part, then what is still installed. */
export function removedText(
  parts: readonly RemovedPart[],
  remaining: readonly string[],
  language: Language,
): string {
  const rows = parts.flatMap(({ part, path, state, error }) => [
    row([REMOVED[state][language], PARTS[part][language], path]),
    ...errorRows(error, language),
  ]);
  if (parts.length === 0) rows.push(NOTHING[language]);
  const kept = remaining.length === 0 ? [] : ['', REMAINING[language], ...remaining.map(indented)];
  return [...rows, ...kept].join('\n');
}

const NOTHING: TwoLanguages = { en: 'nothing was installed here', zh: '没有已安装的内容' };
const REMAINING: TwoLanguages = {
  en: 'Still installed (other options of this command remove it):',
  zh: '仍然保留（可用本命令的其他选项删除）：',
};

function partName(part: InstalledPart['part'], browser: string | null, language: Language): string {
  const name = PARTS[part][language];
  return browser === null ? name : `${name} · ${browser}`;
}

function row([state, part, path]: readonly [string, string, string]): string {
  return `${padded(state, STATE_COLUMNS)}${padded(part, PART_COLUMNS)}${path}`.trimEnd();
}

const FIXES: Readonly<Record<InstallErrorCode, TwoLanguages>> = {
  ERR_INSTALL_DENIED: {
    en: 'run it as its owner; for all users: sudo npx tapnpay agent install --system',
    zh: '请以该目录所有者的身份运行；为所有用户安装：sudo npx tapnpay agent install --system',
  },
  ERR_INSTALL_FILE: {
    en: 'see what stands at that path, and whether the disk is full',
    zh: '请检查该路径上的内容，以及磁盘是否已满',
  },
  ERR_INSTALL_PLACE: {
    en: 'install from a checkout that stays where it is',
    zh: '请从位置固定的代码目录安装',
  },
  ERR_INSTALL_POLICY: {
    en: 'mend that file, or add the policy to it yourself; it was not touched',
    zh: '请修正该文件，或自行添加策略；文件未被改动',
  },
  ERR_INSTALL_RECORD: {
    en: 'move agent/installed.json of the data folder away; then install, and remove by hand',
    zh: '请移走数据目录下的 agent/installed.json，重新安装，其余手动删除',
  },
  ERR_INSTALL_REGISTRY: {
    en: 'type that line as the owner of the key',
    zh: '请以该注册表项所有者的身份执行该命令',
  },
  ERR_INSTALL_PLATFORM: {
    en: "set it with the system's device management (a profile, or group policy)",
    zh: '请通过系统的设备管理（描述文件或组策略）设置',
  },
};

function errorRows(error: InstalledPart['error'], language: Language): readonly string[] {
  if (error === null) return [];
  const indent = ' '.repeat(STATE_COLUMNS);
  const { code, message } = error;
  const fix = Object.hasOwn(FIXES, code) ? FIXES[code as InstallErrorCode] : null;
  const told = `${indent}${message} (${code})`;
  return fix === null ? [told] : [told, `${indent}-> ${fix[language]}`];
}

function indented(path: string): string {
  return `  ${path}`;
}
