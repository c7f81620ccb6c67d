/**
 * Registers the host with the browsers of this user, of all users, or of one user data directory,
 * and takes away again exactly what it wrote.
 */
import { chownSync, existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ErrorBody, errorBody } from '@tapnpay/protocol/bytes';
import { type HostConfig, hostConfigPath } from '../native/config.ts';
import { InstallError } from './errors.ts';
import { digestOf, makeFolder, putFile, readWhole } from './files.ts';
import { type HostIdentity, MANIFEST_FILE, manifestText } from './manifest.ts';
import {
  type BrowserPlaces,
  browserPlaces,
  type InstallScope,
  type PlaceFacts,
  profileFolder,
} from './places.ts';
import { type ExtensionSource, type PolicyChange, policyChange, policyWithout } from './policy.ts';
import {
  type FileEntry,
  type InstallRecord,
  type PolicyEntry,
  type RecordScope,
  readRecord,
  withFile,
  withKey,
  withPolicy,
  writeRecord,
} from './record.ts';
import { hostKey, putKey, type RunRegistry, runRegistry } from './registry.ts';
import {
  assertLastingPlace,
  cacheFolder,
  hostFolder,
  type WrapperFacts,
  wrapperPath,
  wrapperText,
} from './wrapper.ts';

/** For whom: this user, all users, or a user data directory of Chromium's family. */
export type InstallTarget =
  | { readonly scope: InstallScope }
  | { readonly scope: 'profile'; readonly userDataDir: string };

export type InstallRequest = {
  readonly config: HostConfig;
  readonly target: InstallTarget;
  readonly places: PlaceFacts;
  /** The interpreter and the host's program; both absolute. */
  readonly nodePath: string;
  readonly entry: string;
  /** For all users only: the extension too, by policy. */
  readonly extension?: Omit<ExtensionSource, 'extensionId' | 'geckoId'> | null;
  /** Firefox's own policies, which stop to count when the system's file comes. */
  readonly distribution?: string | null;
  readonly runRegistry?: RunRegistry;
};

/** What became of one part. */
export type InstalledPart = {
  readonly part: 'config' | 'program' | 'manifest' | 'key' | 'policy';
  /** The browser that it is for; null: for all. */
  readonly browser: string | null;
  readonly path: string;
  /** `other`: written over the registration of another system or program. */
  readonly state: 'written' | 'same' | 'other' | 'failed';
  readonly error: ErrorBody | null;
};

/** Only the host's own files count as a whole: a browser that refuses leaves the others served. */
export async function installHost(request: InstallRequest): Promise<readonly InstalledPart[]> {
  const { config, nodePath, entry, places } = request;
  assertLastingPlace(nodePath, entry);
  const work = new Work(config.dataDir, request.runRegistry ?? runRegistry);
  const program = wrapperPath(config.dataDir, places.platform);
  const configPath = hostConfigPath(config.dataDir);
  const wrapper: WrapperFacts = {
    ...{ platform: places.platform, nodePath, entry, configPath },
    cacheDir: cacheFolder(config.dataDir),
  };
  work.putOwn('config', configPath, { text: `${JSON.stringify(config, null, 2)}\n`, mode: 0o600 });
  work.putOwn('program', program, { text: wrapperText(wrapper), mode: 0o755 });
  const { extensionId, geckoId } = config;
  const identity = { extensionId, geckoId, program };
  await work.register(request, identity);
  if (request.extension && request.target.scope === 'system') {
    const source = { ...request.extension, extensionId, geckoId };
    for (const browser of browserPlaces(places)) {
      work.putPolicy(browser, source, request.distribution ?? null);
    }
  }
  return work.parts;
}

type NewFile = { readonly text: string; readonly mode: number };
type PartName = Pick<InstalledPart, 'part' | 'browser'> & { readonly scope: RecordScope };

type PolicyFacts = {
  readonly policy: NonNullable<BrowserPlaces['policy']>;
  readonly change: PolicyChange;
  readonly source: ExtensionSource;
};

/** One installation: parts done, and the record kept ahead of them. */
class Work {
  readonly #dataDir: string;
  readonly #run: RunRegistry;
  readonly #parts: InstalledPart[] = [];
  #record: InstallRecord;

  constructor(dataDir: string, run: RunRegistry) {
    this.#dataDir = dataDir;
    this.#run = run;
    this.#record = readRecord(dataDir);
  }

  get parts(): readonly InstalledPart[] {
    return this.#parts;
  }

  /** A file of the data folder. @throws InstallError: without it nothing works. */
  putOwn(part: 'config' | 'program', path: string, file: NewFile): void {
    const state = this.#put({ part, browser: null, scope: 'host' }, path, file);
    giveToOwner(this.#dataDir, [dirname(path), path]);
    this.#parts.push({ part, browser: null, path, state, error: null });
  }

  async register(request: InstallRequest, identity: HostIdentity): Promise<void> {
    const { target, places } = request;
    if (target.scope === 'profile') {
      const path = join(profileFolder(target.userDataDir), MANIFEST_FILE);
      this.#manifest({ part: 'manifest', browser: 'Chromium', scope: 'profile' }, path, {
        dialect: 'chromium',
        identity,
      });
      return;
    }
    for (const browser of browserPlaces(places)) {
      const name = { part: 'manifest', browser: browser.name, scope: target.scope } as const;
      const facts = { dialect: browser.dialect, identity };
      for (const folder of foldersOf(browser, target.scope, places)) {
        this.#manifest(name, join(folder, MANIFEST_FILE), facts);
      }
      if (browser.registry !== null) await this.#key(browser, target.scope, facts);
    }
  }

  #manifest(
    name: PartName,
    path: string,
    { dialect, identity }: { dialect: BrowserPlaces['dialect']; identity: HostIdentity },
  ): void {
    const file = { text: manifestText(dialect, identity), mode: 0o644 };
    this.#try(name, path, () => this.#put(name, path, file));
  }

  /** Windows: the manifest lies in our folder, and a key names it. */
  async #key(
    browser: BrowserPlaces,
    scope: InstallScope,
    facts: { dialect: BrowserPlaces['dialect']; identity: HostIdentity },
  ): Promise<void> {
    const path = join(hostFolder(this.#dataDir), `${facts.dialect}-${MANIFEST_FILE}`);
    this.#manifest({ part: 'manifest', browser: browser.name, scope: 'host' }, path, facts);
    const key = hostKey(browser.registry?.[scope] ?? '');
    this.#keep(withKey(this.#record, { scope, key }));
    let error: ErrorBody | null = null;
    await putKey(this.#run, key, path).catch((fault: unknown) => {
      error = errorBody(fault);
    });
    const state = error === null ? 'written' : 'failed';
    this.#parts.push({ part: 'key', browser: browser.name, path: key, state, error });
  }

  putPolicy(browser: BrowserPlaces, source: ExtensionSource, distribution: string | null): void {
    const { policy } = browser;
    if (policy === null) {
      const text = `policies of ${browser.name} are no files here; its management sets them`;
      this.#fail('policy', browser.name, new InstallError('ERR_INSTALL_PLATFORM', text));
      return;
    }
    const name = { part: 'policy', browser: browser.name, scope: 'system' } as const;
    this.#try(name, policy.path, (tell) => {
      const change = policyChange(policy, source, distribution);
      tell(change.path);
      const entry = this.#policyEntry({ policy, change, source });
      this.#keep(withPolicy(this.#record, entry));
      if (change.before === change.after) return 'same';
      makeFolder(dirname(change.path));
      putFile(change.path, change.after, change.mode);
      return 'written';
    });
  }

  /** What is given back later: what stood there before we came, however often we came. */
  #policyEntry({ policy, change, source }: PolicyFacts): PolicyEntry {
    const { path, before, after, mode } = change;
    const { kind } = policy;
    const old = this.#record.policies.find((entry) => entry.path === path);
    const isUntouched = before !== null && old?.digest === digestOf(before);
    const isFirst = old === undefined && before !== after;
    const others = () => (before === null ? null : policyWithout({ path, kind }, before, source));
    return {
      ...{ path, kind, mode },
      before: isUntouched ? old.before : isFirst ? before : others(),
      digest: digestOf(after),
      extensionId: source.extensionId,
      geckoId: source.geckoId,
      unsignedAddons: source.unsignedAddons,
    };
  }

  /** Writes a file, its record first. */
  #put({ scope }: PartName, path: string, { text, mode }: NewFile): InstalledPart['state'] {
    const entry: FileEntry = { scope, path, digest: digestOf(text) };
    const known = this.#record.files.find((file) => file.path === path);
    const now = readWhole(path).text;
    this.#keep(withFile(this.#record, entry));
    if (now === text && (statSync(path).mode & 0o777) === mode) return 'same';
    makeFolder(dirname(path));
    putFile(path, text, mode);
    return now === null || known?.digest === digestOf(now) ? 'written' : 'other';
  }

  #try(
    { part, browser }: PartName,
    path: string,
    put: (tell: (path: string) => void) => InstalledPart['state'],
  ): void {
    let where = path;
    try {
      const state = put((told) => {
        where = told;
      });
      this.#parts.push({ part, browser, path: where, state, error: null });
    } catch (fault) {
      this.#parts.push({ part, browser, path: where, state: 'failed', error: errorBody(fault) });
    }
  }

  #fail(part: InstalledPart['part'], browser: string, fault: InstallError): void {
    this.#parts.push({ part, browser, path: '', state: 'failed', error: errorBody(fault) });
  }

  #keep(record: InstallRecord): void {
    this.#record = record;
    writeRecord(this.#dataDir, record);
    giveToOwner(this.#dataDir, [join(this.#dataDir, 'agent')]);
  }
}

/** Folders into which a registration goes; a library folder that the machine has not is none. */
function foldersOf(
  browser: BrowserPlaces,
  scope: InstallScope,
  { root }: PlaceFacts,
): readonly string[] {
  const lib64 = join(root, '/usr/lib64');
  return browser.folders[scope].filter(
    (folder) => !folder.startsWith(`${lib64}/`) || existsSync(lib64),
  );
}

/** Written by root for all users, the data folder stays its owner's. */
function giveToOwner(dataDir: string, paths: readonly string[]): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(dataDir);
  if (uid === 0) return;
  for (const path of paths) chownSync(path, uid, gid);
}
