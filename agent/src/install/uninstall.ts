/** Takes away what an installation wrote: by its record, and only what nobody has changed since. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type ErrorBody, errorBody } from '@tapnpay/protocol/bytes';
import { digestOf, putFile, readWhole, takeEmptyFolders, takeFile } from './files.ts';
import type { InstalledPart, InstallTarget } from './install.ts';
import { MANIFEST_FILE } from './manifest.ts';
import { profileFolder } from './places.ts';
import { policyWithout } from './policy.ts';
import {
  type FileEntry,
  type InstallRecord,
  type KeyEntry,
  type PolicyEntry,
  readRecord,
  writeRecord,
} from './record.ts';
import { type RunRegistry, runRegistry, takeKey } from './registry.ts';
import { cacheFolder } from './wrapper.ts';

export type UninstallRequest = {
  readonly dataDir: string;
  readonly target: InstallTarget;
  /** `policy`: only the extension's policies of all users. */
  readonly only?: 'policy' | undefined;
  readonly runRegistry?: RunRegistry;
};

/** What became of one part. `kept`: changed by somebody else since, or still needed. */
export type RemovedPart = {
  readonly part: InstalledPart['part'] | 'file';
  readonly path: string;
  readonly state: 'removed' | 'absent' | 'kept' | 'failed';
  readonly error: ErrorBody | null;
};

/**
 * What cannot be removed is told, and stays recorded.
 * @throws InstallError `ERR_INSTALL_RECORD`.
 */
export async function uninstallHost(request: UninstallRequest): Promise<readonly RemovedPart[]> {
  const removal = new Removal(request.dataDir);
  const { target } = request;
  const isPolicyOnly = request.only === 'policy';
  if (!isPolicyOnly) {
    await removal.takeKeys(({ scope }) => scope === target.scope, request.runRegistry);
    removal.takeFiles((entry) => isOfTarget(entry, target));
  }
  if (target.scope === 'system') removal.takePolicies();
  if (!removal.isNeeded) {
    removal.takeFiles(({ scope }) => scope === 'host');
    rmSync(cacheFolder(request.dataDir), { recursive: true, force: true });
  }
  removal.takeFolders();
  return removal.parts;
}

function isOfTarget({ scope, path }: FileEntry, target: InstallTarget): boolean {
  if (target.scope !== 'profile') return scope === target.scope;
  return path === join(profileFolder(target.userDataDir), MANIFEST_FILE);
}

class Removal {
  readonly #dataDir: string;
  readonly #parts: RemovedPart[] = [];
  #record: InstallRecord;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    this.#record = readRecord(dataDir);
  }

  get parts(): readonly RemovedPart[] {
    return this.#parts;
  }

  /** Whether a browser can still find the host. */
  get isNeeded(): boolean {
    const { files, keys } = this.#record;
    return keys.length > 0 || files.some(({ scope }) => scope !== 'host');
  }

  takeFiles(isWanted: (entry: FileEntry) => boolean): void {
    for (const entry of this.#record.files.filter(isWanted)) {
      const part = entry.path.endsWith(MANIFEST_FILE) ? 'manifest' : 'file';
      const state = this.#tell(part, entry.path, () => takeIfSame(entry));
      if (state === 'failed') continue;
      const files = this.#record.files.filter((file) => file !== entry);
      this.#keep({ ...this.#record, files });
    }
  }

  async takeKeys(
    isWanted: (entry: KeyEntry) => boolean,
    run: RunRegistry = runRegistry,
  ): Promise<void> {
    for (const entry of this.#record.keys.filter(isWanted)) {
      const error = await takeKey(run, entry.key).then(() => null, errorBody);
      const state = error === null ? 'removed' : 'failed';
      this.#parts.push({ part: 'key', path: entry.key, state, error });
      if (error !== null) continue;
      this.#keep({ ...this.#record, keys: this.#record.keys.filter((key) => key !== entry) });
    }
  }

  /** Of the folders that came with us, those that nobody uses by now. */
  takeFolders(): void {
    takeEmptyFolders(this.#record.folders);
  }

  takePolicies(): void {
    for (const entry of this.#record.policies) {
      const state = this.#tell('policy', entry.path, () => giveBack(entry));
      if (state === 'failed') continue;
      const policies = this.#record.policies.filter((policy) => policy !== entry);
      this.#keep({ ...this.#record, policies });
    }
  }

  #tell(
    part: RemovedPart['part'],
    path: string,
    take: () => RemovedPart['state'],
  ): RemovedPart['state'] {
    let state: RemovedPart['state'] = 'failed';
    let error: ErrorBody | null = null;
    try {
      state = take();
    } catch (fault) {
      error = errorBody(fault);
    }
    this.#parts.push({ part, path, state, error });
    return state;
  }

  #keep(record: InstallRecord): void {
    this.#record = record;
    writeRecord(this.#dataDir, record);
  }
}

/** Another program's registration under our name is not ours to remove. */
function takeIfSame({ path, digest }: FileEntry): RemovedPart['state'] {
  const { text } = readWhole(path);
  if (text === null && !existsSync(path)) return 'absent';
  if (text === null || digestOf(text) !== digest) return 'kept';
  takeFile(path);
  return 'removed';
}

/** To the byte what was there first; where others have written since, all but ours. */
function giveBack(entry: PolicyEntry): RemovedPart['state'] {
  const { path, before, digest } = entry;
  const { text } = readWhole(path);
  if (text === null && !existsSync(path)) return 'absent';
  const isUntouched = text !== null && digestOf(text) === digest;
  const next = isUntouched ? before : policyWithout(entry, text ?? '', entry);
  if (next !== null) {
    putFile(path, next, entry.mode);
    return 'removed';
  }
  if (before === null) {
    takeFile(path);
  } else {
    putFile(path, '{}\n', entry.mode);
  }
  return 'removed';
}
