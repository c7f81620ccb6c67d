/**
 * The links between a browser and the host: the file by which it finds the host, as this browser
 * reads it, the extension in its profiles, and the policy that installs the extension.
 */
import { join } from 'node:path';
import {
  CHECK_WAITS,
  type Found,
  foundFault,
  foundOk,
  type OfferedVersion,
  PluginVersionError,
  type PluginVersions,
  type UpdateNeed,
  updateNeed,
} from '@tapnpay/protocol/wire';
import { findExtensions } from '../install/extension.ts';
import {
  type JudgedManifest,
  judgeManifest,
  MANIFEST_FILE,
  type WantedHost,
} from '../install/manifest.ts';
import type { BrowserPlaces } from '../install/places.ts';
import { seePolicy } from '../install/policy.ts';
import { hostKey, type RunRegistry, readKey, runRegistry } from '../install/registry.ts';

/** How a browser came to this machine; the packaged ones live in a sandbox of their own. */
export type Packaging = 'system' | 'snap' | 'flatpak';

/** A browser as far as its registrations go. */
export type CheckedBrowser = {
  readonly places: BrowserPlaces;
  readonly packaging: Packaging;
  /** Firefox of a 64-bit Fedora reads another library folder; other builds never do. */
  readonly isLib64: boolean;
};

/** What is looked for, and where a registration may lie that this browser does not read. */
export type RegistrationFacts = {
  readonly browser: CheckedBrowser;
  readonly wanted: WantedHost;
  /** All browsers' places on this machine. */
  readonly everywhere: readonly BrowserPlaces[];
  readonly runRegistry?: RunRegistry;
};

/** What the browser makes of it: the fault, or the program it would start. */
export type Registration = { readonly found: Found<'manifest'>; readonly program: string | null };

/** Said of a place where nothing is. */
const ABSENT = 'ENOENT';

type Probed = { readonly where: string; readonly judged: JudgedManifest | null };

/** Reads the registrations of one browser in its own order, every place told. */
export async function checkRegistration(facts: RegistrationFacts): Promise<Registration> {
  const { browser, wanted } = facts;
  const { name, dialect } = browser.places;
  const probed = await probe(facts);
  const lines = probed.map(({ where, judged }) => `${where}: ${verdictOf(judged)}`);
  const named = { browser: name, probed: lines.join('\n') };
  if (browser.packaging !== 'system') {
    const sandboxed = { ...named, kind: browser.packaging };
    return {
      found: foundFault('warn', 'ERR_BROWSER_SANDBOXED', sandboxed),
      program: null,
    };
  }
  const judged = chosen(dialect, probed);
  if (judged !== null) {
    const { program, ...found } = judged;
    return { found: { ...found, facts: { ...named, ...found.facts } }, program };
  }
  const elsewhere = facts.everywhere
    .flatMap((places) => foldersOf(places))
    .map((folder) => join(folder, MANIFEST_FILE))
    .find((path) => judgeManifest(path, dialect, wanted)?.program != null);
  const found: Found<'manifest'> =
    elsewhere === undefined
      ? foundFault('warn', 'ERR_MANIFEST_MISSING', named)
      : foundFault('broken', 'ERR_MANIFEST_ELSEWHERE', { ...named, path: elsewhere });
  return { found, program: null };
}

/** Chromium takes the first file that is there; Firefox goes on after one that it cannot use. */
function chosen(
  dialect: BrowserPlaces['dialect'],
  probed: readonly Probed[],
): JudgedManifest | null {
  const present = probed.flatMap(({ judged }) => (judged === null ? [] : [judged]));
  const usable = present.find(({ state }) => state !== 'broken');
  return (dialect === 'firefox' ? usable : undefined) ?? present[0] ?? null;
}

function verdictOf(judged: JudgedManifest | null): string {
  return judged === null ? ABSENT : (judged.code ?? 'ok');
}

async function probe({ browser, wanted, runRegistry: run }: RegistrationFacts): Promise<Probed[]> {
  const { places } = browser;
  const judge = (path: string) => judgeManifest(path, places.dialect, wanted);
  if (places.registry === null) {
    return foldersRead(browser).map((folder) => {
      const where = join(folder, MANIFEST_FILE);
      return { where, judged: judge(where) };
    });
  }
  const keys = [places.registry.user, places.registry.system].map(hostKey);
  return await Promise.all(
    keys.map(async (key) => {
      const path = await readKey(run ?? runRegistry, key);
      if (path === null) return { where: key, judged: null };
      return { where: `${key} -> ${path}`, judged: judge(path) };
    }),
  );
}

/** Folders that this browser reads, in its order. */
function foldersRead({ places, isLib64 }: CheckedBrowser): readonly string[] {
  const folders = foldersOf(places);
  if (places.kind !== 'firefox') return folders;
  return folders.filter((folder) => {
    const isOfLibrary = /\/usr\/lib(?:64)?\//.exec(folder)?.[0];
    return isOfLibrary === undefined || isOfLibrary === (isLib64 ? '/usr/lib64/' : '/usr/lib/');
  });
}

function foldersOf({ folders }: BrowserPlaces): readonly string[] {
  return [...folders.user, ...folders.system];
}

/** Whether the extension is in a profile of this browser, and new enough. */
export function checkExtension(
  places: BrowserPlaces,
  wanted: WantedHost,
  offered: PluginVersions['extension'] | null,
): Found<'extension'> {
  const browser = places.name;
  const found = findExtensions(places, wanted);
  const first = found[0];
  if (first === undefined) return foundFault('warn', 'ERR_EXTENSION_MISSING', { browser });
  const { version } = first;
  const probed = found.map(({ profile, version: each }) => `${profile}: ${each}`).join('\n');
  return judgeExtension({ browser, version, probed }, offered);
}

function judgeExtension(
  facts: { readonly browser: string; readonly version: string; readonly probed: string },
  offered: OfferedVersion | null,
): Found<'extension'> {
  if (offered === null) return foundOk(facts);
  const { latest, required } = offered;
  switch (needOf(facts.version, offered)) {
    case 'forced':
      return foundFault('broken', 'ERR_EXTENSION_OUTDATED', { ...facts, required });
    case 'optional':
      return foundFault('warn', 'ERR_EXTENSION_UPDATE', { ...facts, latest });
    case 'ok':
      return foundOk(facts);
  }
}

/** What is no version of ours is too old. */
function needOf(version: string, offered: OfferedVersion): UpdateNeed {
  try {
    return updateNeed(version, offered);
  } catch (fault) {
    if (fault instanceof PluginVersionError) return 'forced';
    throw fault;
  }
}

/** Whether the policies of a browser install our extension from our gateway; null: they may not. */
export function checkPolicy(
  { policy, name, dialect }: BrowserPlaces,
  wanted: WantedHost,
  install: PluginVersions['install'] | null,
): Found<'policy'> {
  const browser = name;
  if (policy === null || wanted.extensionId === undefined || wanted.geckoId === undefined) {
    return { state: 'unknown', code: CHECK_WAITS, facts: { browser, link: 'versions' } };
  }
  const { extensionId, geckoId } = wanted;
  const view = seePolicy(policy, { extensionId, geckoId });
  const facts = { browser, path: view.path };
  switch (view.state) {
    case 'none':
      return foundFault('warn', 'ERR_POLICY_MISSING', facts);
    case 'noJson':
      return foundFault('broken', 'ERR_POLICY_JSON', facts);
    case 'unreadable':
      return foundFault('broken', 'ERR_POLICY_UNREADABLE', { ...facts, reason: view.reason });
    case 'there': {
      const expected = dialect === 'firefox' ? install?.xpi : install?.updateManifest;
      if (expected === undefined || expected === view.url) return foundOk(facts);
      return foundFault('warn', 'ERR_POLICY_OTHER_SYSTEM', { ...facts, url: view.url });
    }
  }
}
