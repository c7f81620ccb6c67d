/** Whether our extension is in the profiles of a browser, by what the browser keeps of it there. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parsedJson, readWhole } from './files.ts';
import type { BrowserPlaces } from './places.ts';

const PROFILES_MAX = 64;
const VERSION = /^[0-9]+(?:\.[0-9]+){0,3}/;

/** One profile with the extension in it. */
export type InstalledExtension = { readonly profile: string; readonly version: string };

/** Every profile of the browser that has the extension. */
export function findExtensions(
  { dialect, profiles }: Pick<BrowserPlaces, 'dialect' | 'profiles'>,
  ids: { readonly extensionId?: string; readonly geckoId?: string },
): readonly InstalledExtension[] {
  return profiles.flatMap(foldersIn).flatMap((profile) => {
    const version =
      dialect === 'firefox'
        ? addonVersion(profile, ids.geckoId)
        : crxVersion(profile, ids.extensionId);
    return version === null ? [] : [{ profile, version }];
  });
}

function foldersIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .slice(0, PROFILES_MAX)
      .map((entry) => join(folder, entry.name));
  } catch {
    return [];
  }
}

/** A packed one has a folder for each version; an unpacked one only the browser's own note. */
function crxVersion(profile: string, extensionId: string | undefined): string | null {
  if (extensionId === undefined) return null;
  const versions = foldersIn(join(profile, 'Extensions', extensionId)).flatMap((folder) => {
    const manifest = recordOf(jsonOf(join(folder, 'manifest.json')));
    return typeof manifest['version'] === 'string' ? [manifest['version']] : [];
  });
  const newest = versions
    .filter((version) => VERSION.test(version))
    .sort(byNumbers)
    .at(-1);
  return newest ?? unpackedVersion(profile, extensionId);
}

function unpackedVersion(profile: string, extensionId: string): string | null {
  for (const name of ['Secure Preferences', 'Preferences']) {
    const { extensions } = recordOf(jsonOf(join(profile, name)));
    const { path } = recordOf(recordOf(recordOf(extensions)['settings'])[extensionId]);
    if (typeof path !== 'string' || !existsSync(path)) continue;
    const { version } = recordOf(jsonOf(join(path, 'manifest.json')));
    if (typeof version === 'string') return version;
  }
  return null;
}

/** Firefox notes what it has in one file of the profile. */
function addonVersion(profile: string, geckoId: string | undefined): string | null {
  const { addons } = recordOf(jsonOf(join(profile, 'extensions.json')));
  if (!Array.isArray(addons)) return null;
  for (const addon of addons.map(recordOf)) {
    const { id, version, active } = addon;
    if (id === geckoId && active === true && typeof version === 'string') return version;
  }
  return null;
}

function jsonOf(path: string): unknown {
  const { text } = readWhole(path);
  return text === null ? undefined : parsedJson(text);
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function byNumbers(one: string, other: string): number {
  const [a, b] = [one, other].map((version) => version.split('.').map(Number));
  for (let index = 0; index < 4; index++) {
    const difference = (a?.[index] ?? 0) - (b?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
