/**
 * Managed policies that install our extension from the gateway's update channel. Other people's
 * policies stay as they are, and in force: of two files that set the same list, Chromium takes the
 * last one only, so that ours goes into the list that is there.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InstallError } from './errors.ts';
import { parsedJson, readWhole } from './files.ts';
import type { BrowserPlaces } from './places.ts';

/** Which extension from where, as the gateway's versions document says. */
export type ExtensionSource = {
  readonly extensionId: string;
  readonly geckoId: string;
  /** Chromium's update manifest. */
  readonly updateManifest: string;
  /** Firefox's add-on. */
  readonly xpi: string;
  /** Lets Firefox ESR take an add-on that Mozilla has not signed: every one, not ours alone. */
  readonly unsignedAddons: boolean;
};

/** Name of our file among the policies of Chromium's family. */
export const POLICY_FILE = 'tapnpay.json';
const FORCELIST = 'ExtensionInstallForcelist';
const SIGNATURES = 'xpinstall.signatures.required';
const INDENT_DEFAULT = 2;
const FILES_MAX = 256;
/** A longer file of policies is not kept to be given back, and so not touched. */
export const POLICY_CHARACTERS_MAX = 262_144;

type Policies = Readonly<Record<string, unknown>>;

/** A file of policies as it is and as it should be. */
export type PolicyChange = {
  readonly path: string;
  /** Null: there was none. */
  readonly before: string | null;
  readonly after: string;
  readonly mode: number;
};

/**
 * What to write so that a browser gets the extension; `after` is `before` when it gets it already.
 * @param distribution Firefox's own file, which it ignores as soon as the system's is there.
 * @throws InstallError `ERR_INSTALL_POLICY` when a file of others cannot be understood.
 */
export function policyChange(
  policy: NonNullable<BrowserPlaces['policy']>,
  source: ExtensionSource,
  distribution: string | null = null,
): PolicyChange {
  const isFolder = policy.kind === 'folder';
  const path = isFolder ? forcelistFile(policy.path) : policy.path;
  const { text, value } = readPolicies(path, isFolder ? null : distribution);
  const next = isFolder ? withForced(value, source) : withAddon(value, source);
  if (text === null) return { path, before: null, after: printed(next, null), mode: 0o644 };
  const after = sameJson(value, next) ? text : printed(next, text);
  return { path, before: text, after, mode: statSync(path).mode & 0o777 };
}

/**
 * The policies without what `after` has more than `before`; null when nothing is left of them.
 * @throws InstallError `ERR_INSTALL_POLICY`.
 */
export function policyWithout(
  { path, kind }: { readonly path: string; readonly kind: 'folder' | 'file' },
  now: string,
  source: Pick<ExtensionSource, 'extensionId' | 'geckoId' | 'unsignedAddons'>,
): string | null {
  const value = asPolicies(parsedJson(now));
  if (value === null) throw unreadable(path, 'no JSON');
  const next = kind === 'folder' ? withoutForced(value, source) : withoutAddon(value, source);
  return Object.keys(next).length === 0 ? null : printed(next, now);
}

/** What a browser's policies say of our extension now. */
export type PolicyView =
  | { readonly state: 'none'; readonly path: string }
  | { readonly state: 'there'; readonly path: string; readonly url: string }
  | { readonly state: 'unreadable' | 'noJson'; readonly path: string; readonly reason: string };

/** Looks as the browser does: the last file with the list counts. */
export function seePolicy(
  policy: NonNullable<BrowserPlaces['policy']>,
  ids: Pick<ExtensionSource, 'extensionId' | 'geckoId'>,
): PolicyView {
  const path = policy.kind === 'folder' ? forcelistFile(policy.path, 'tolerant') : policy.path;
  const read = readWhole(path);
  if (read.text === null) {
    if (read.reason === 'ENOENT' || read.reason === 'ENOTDIR') return { state: 'none', path };
    return { state: 'unreadable', path, reason: read.reason };
  }
  const value = asPolicies(parsedJson(read.text));
  if (value === null) return { state: 'noJson', path, reason: 'no JSON' };
  const url = policy.kind === 'folder' ? forcedUrl(value, ids) : addonUrl(value, ids);
  return url === null ? { state: 'none', path } : { state: 'there', path, url };
}

/** The last file that sets the list, or ours where none does. */
function forcelistFile(folder: string, mood: 'strict' | 'tolerant' = 'strict'): string {
  const own = join(folder, POLICY_FILE);
  if (!existsSync(folder)) return own;
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  if (names.length > FILES_MAX) throw unreadable(folder, `over ${FILES_MAX} files`);
  const holders = names.sort().flatMap((name) => {
    const path = join(folder, name);
    const { text } = readWhole(path);
    if (text === null || !text.includes(FORCELIST)) return [];
    const value = asPolicies(parsedJson(text));
    // With comments or commas too many it may count for the browser, and cannot be changed by us.
    if (value === null && name !== POLICY_FILE && mood === 'strict')
      throw unreadable(path, 'no JSON');
    return value !== null && FORCELIST in value ? [path] : [];
  });
  return holders.at(-1) ?? own;
}

function readPolicies(
  path: string,
  distribution: string | null,
): { readonly text: string | null; readonly value: Policies } {
  const read = readWhole(path);
  if (read.text !== null) {
    const value = asPolicies(parsedJson(read.text));
    if (value === null) throw unreadable(path, 'no JSON');
    if (read.text.length > POLICY_CHARACTERS_MAX) throw unreadable(path, 'too long');
    return { text: read.text, value };
  }
  if (read.reason !== 'ENOENT' && read.reason !== 'ENOTDIR') throw unreadable(path, read.reason);
  if (distribution === null) return { text: null, value: {} };
  const inherited = readWhole(distribution);
  if (inherited.text === null) return { text: null, value: {} };
  return { text: null, value: asPolicies(parsedJson(inherited.text)) ?? {} };
}

function withForced(value: Policies, source: ExtensionSource): Policies {
  const { extensionId, updateManifest } = source;
  const others = forcedOthers(value, extensionId);
  return { ...value, [FORCELIST]: [...others, `${extensionId};${updateManifest}`] };
}

function withoutForced(value: Policies, { extensionId }: { extensionId: string }): Policies {
  const { [FORCELIST]: _, ...rest } = value;
  const others = forcedOthers(value, extensionId);
  return others.length === 0 ? rest : { ...value, [FORCELIST]: others };
}

function forcedOthers(value: Policies, extensionId: string): readonly unknown[] {
  return listOf(value[FORCELIST]).filter((entry) => !isOfExtension(entry, extensionId));
}

function forcedUrl(value: Policies, { extensionId }: { extensionId: string }): string | null {
  const entry = listOf(value[FORCELIST]).find((each) => isOfExtension(each, extensionId));
  return typeof entry === 'string' ? entry.slice(extensionId.length + 1) : null;
}

function isOfExtension(entry: unknown, extensionId: string): boolean {
  return typeof entry === 'string' && entry.split(';')[0] === extensionId;
}

/** Firefox's file has all below `policies`. */
function withAddon(value: Policies, source: ExtensionSource): Policies {
  const { geckoId, xpi, unsignedAddons } = source;
  const policies = recordOf(value['policies']);
  const settings = recordOf(policies['ExtensionSettings']);
  const addon = { installation_mode: 'normal_installed', install_url: xpi };
  const preferences = recordOf(policies['Preferences']);
  const signatures = { [SIGNATURES]: { Value: false, Status: 'locked' } };
  return {
    ...value,
    policies: {
      ...policies,
      ExtensionSettings: { ...settings, [geckoId]: addon },
      ...(unsignedAddons ? { Preferences: { ...preferences, ...signatures } } : {}),
    },
  };
}

function withoutAddon(
  value: Policies,
  { geckoId, unsignedAddons }: Pick<ExtensionSource, 'geckoId' | 'unsignedAddons'>,
): Policies {
  const policies = recordOf(value['policies']);
  const { [geckoId]: _addon, ...settings } = recordOf(policies['ExtensionSettings']);
  const preferences = { ...recordOf(policies['Preferences']) };
  if (unsignedAddons) delete preferences[SIGNATURES];
  const { ExtensionSettings: _settings, Preferences: _preferences, ...others } = policies;
  const left = {
    ...others,
    ...(Object.keys(settings).length > 0 ? { ExtensionSettings: settings } : {}),
    ...(Object.keys(preferences).length > 0 ? { Preferences: preferences } : {}),
  };
  const { policies: _policies, ...rest } = value;
  return Object.keys(left).length === 0 ? rest : { ...value, policies: left };
}

function addonUrl(value: Policies, { geckoId }: { geckoId: string }): string | null {
  const settings = recordOf(recordOf(value['policies'])['ExtensionSettings']);
  const { install_url: url } = recordOf(settings[geckoId]);
  return typeof url === 'string' ? url : null;
}

function asPolicies(value: unknown): Policies | null {
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isRecord ? (value as Policies) : null;
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return asPolicies(value) ?? {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function sameJson(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** In the indentation that the file has. */
function printed(value: Policies, like: string | null): string {
  const indent = /^[{\s]*?\n([ \t]+)"/.exec(like ?? '')?.[1] ?? INDENT_DEFAULT;
  return `${JSON.stringify(value, null, indent)}\n`;
}

function unreadable(path: string, reason: string): InstallError {
  const message = `the policies in ${path} are left as they are: ${reason}`;
  return new InstallError('ERR_INSTALL_POLICY', message, { path, reason });
}
