/**
 * What was written where, so that removing takes away that and nothing else. The record is written
 * before the files: after a kill in the middle, too much is known rather than too little.
 */
import { dirname, join } from 'node:path';
import {
  booleanShape,
  checkShape,
  countShape,
  listShape,
  nullableShape,
  objectShape,
  oneOfShape,
  type Shape,
  textShape,
} from '@tapnpay/protocol/wire';
import { InstallError } from './errors.ts';
import { makeFolder, missingFolders, parsedJson, putFile, readWhole, takeFile } from './files.ts';
import { POLICY_CHARACTERS_MAX } from './policy.ts';

const RECORD_FILE = 'installed.json';
const PATH_CHARACTERS_MAX = 4_096;
const ENTRIES_MAX = 256;
const FOLDERS_MAX = 1_024;

/** For whom a file is: this user, all users, one user data directory of its own, or the host. */
export type RecordScope = 'user' | 'system' | 'profile' | 'host';

/** A file that we wrote alone. */
export type FileEntry = {
  readonly scope: RecordScope;
  readonly path: string;
  /** SHA-256 of its text, hex: what has changed since is not ours any more. */
  readonly digest: string;
};

/** A file of policies into which we wrote. */
export type PolicyEntry = {
  readonly path: string;
  readonly kind: 'folder' | 'file';
  /** As it was; null: there was none. */
  readonly before: string | null;
  readonly mode: number;
  readonly digest: string;
  readonly extensionId: string;
  readonly geckoId: string;
  readonly unsignedAddons: boolean;
};

/** A key of the registry of Windows. */
export type KeyEntry = { readonly scope: RecordScope; readonly key: string };

export type InstallRecord = {
  readonly files: readonly FileEntry[];
  readonly policies: readonly PolicyEntry[];
  readonly keys: readonly KeyEntry[];
  /** Folders that were not there before. */
  readonly folders: readonly string[];
};

export const EMPTY_RECORD: InstallRecord = { files: [], policies: [], keys: [], folders: [] };

const path = textShape(PATH_CHARACTERS_MAX);
const digest = textShape(64, /^[0-9a-f]{64}$/);
const scope = oneOfShape('user', 'system', 'profile', 'host');
const recordShape: Shape<InstallRecord> = objectShape<InstallRecord>({
  files: listShape(objectShape<FileEntry>({ scope, path, digest }), ENTRIES_MAX),
  policies: listShape(
    objectShape<PolicyEntry>({
      path,
      kind: oneOfShape('folder', 'file'),
      before: nullableShape(textShape(POLICY_CHARACTERS_MAX)),
      mode: countShape(0o777),
      digest,
      extensionId: textShape(32),
      geckoId: textShape(80),
      unsignedAddons: booleanShape,
    }),
    ENTRIES_MAX,
  ),
  keys: listShape(objectShape<KeyEntry>({ scope, key: path }), ENTRIES_MAX),
  folders: listShape(path, FOLDERS_MAX),
});

function recordPath(dataDir: string): string {
  return join(dataDir, 'agent', RECORD_FILE);
}

/** What is installed from this data folder. @throws InstallError `ERR_INSTALL_RECORD`. */
export function readRecord(dataDir: string): InstallRecord {
  const file = recordPath(dataDir);
  const read = readWhole(file);
  if (read.text === null) {
    if (read.reason === 'ENOENT' || read.reason === 'ENOTDIR') return EMPTY_RECORD;
    throw badRecord(file, read.reason);
  }
  try {
    return checkShape(recordShape, parsedJson(read.text), RECORD_FILE);
  } catch (cause) {
    throw badRecord(file, 'of another form', cause);
  }
}

/** Keeps the record, or removes it when nothing is installed. @throws InstallError. */
export function writeRecord(dataDir: string, record: InstallRecord): void {
  const file = recordPath(dataDir);
  const isEmpty = record.files.length + record.policies.length + record.keys.length === 0;
  if (isEmpty) {
    takeFile(file);
    return;
  }
  makeFolder(join(dataDir, 'agent'));
  putFile(file, `${JSON.stringify(record, null, 2)}\n`, 0o600);
}

/** The record with this entry in the place of an older one of the same path. */
export function withFile(record: InstallRecord, entry: FileEntry): InstallRecord {
  const files = record.files.filter(({ path }) => path !== entry.path);
  return withFoldersOf(entry.path, { ...record, files: [...files, entry] });
}

/** The same for policies. */
export function withPolicy(record: InstallRecord, entry: PolicyEntry): InstallRecord {
  const policies = record.policies.filter(({ path }) => path !== entry.path);
  return withFoldersOf(entry.path, { ...record, policies: [...policies, entry] });
}

/** Folders that will be made for a file are ours from then on. */
function withFoldersOf(path: string, record: InstallRecord): InstallRecord {
  const missing = missingFolders(dirname(path));
  return { ...record, folders: [...new Set([...record.folders, ...missing])] };
}

/** The same for a key of the registry. */
export function withKey(record: InstallRecord, entry: KeyEntry): InstallRecord {
  const keys = record.keys.filter(({ key }) => key !== entry.key);
  return { ...record, keys: [...keys, entry] };
}

function badRecord(file: string, reason: string, cause?: unknown): InstallError {
  const message = `${file} cannot be read (${reason}); it says what was installed`;
  return new InstallError('ERR_INSTALL_RECORD', message, { path: file, reason }, cause);
}
