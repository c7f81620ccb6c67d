/** The database's files: layout below the data folder, password, first initialisation. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import { RuntimeError } from '../errors.ts';
import { type PostgresBinaries, programPath } from './binaries.ts';
import { chooseUser, type DatabaseUser, unreachableFolder } from './user.ts';

/** Database superuser; also the only role that parties log in as in the embedded default. */
export const DATABASE_ROLE = 'tapnpay';
const PASSWORD_BYTES = 24;
const INITDB_TIMEOUT_MS = 60_000;

/** Where one embedded database lives and as whom it runs. */
export type Cluster = {
  /** `<dataDir>/postgres`, owned by `user`, mode 0700. */
  readonly homeDir: string;
  readonly clusterDir: string;
  readonly logPath: string;
  readonly passwordPath: string;
  readonly user: DatabaseUser | null;
};

/** Where root keeps clusters whose data folder lies behind a folder closed to their user. */
const ROOT_HOME = '/var/lib/tapnpay';

/**
 * Makes the folders, so that the database's user can reach its own and nobody else can.
 * @throws RuntimeError `ERR_DATABASE_PATH` naming the folder that is in the way.
 */
export function prepareFolders(dataDir: string): Cluster {
  const root = resolve(dataDir);
  mkdirSync(root, { recursive: true });
  const link = join(root, 'postgres');
  const user = chooseUser(join(link, 'cluster'));
  const homeDir = user === null ? link : reachableHome(root, user);
  if (!existsSync(homeDir)) mkdirSync(homeDir, { mode: 0o700 });
  const { uid } = statSync(homeDir);
  if (user !== null && uid !== user.uid) chownSync(homeDir, user.uid, user.gid);
  if (user === null && process.getuid && uid !== process.getuid()) {
    throw pathError(homeDir, `belongs to uid ${uid}; start as that user or choose another --data`);
  }
  return {
    homeDir,
    clusterDir: join(homeDir, 'cluster'),
    logPath: join(homeDir, 'postgres.log'),
    passwordPath: join(root, 'postgres-password'),
    user,
  };
}

/**
 * `<dataDir>/postgres`, or, when the way to it is closed to `user` (the home of root is), a folder
 * of ROOT_HOME that `<dataDir>/postgres` then links to.
 */
function reachableHome(root: string, user: DatabaseUser): string {
  const home = join(root, 'postgres');
  const closed = unreachableFolder(root, user);
  if (closed === null) return home;
  if (closed === root) {
    // The data folder is ours: its secrets are files of mode 0600, so others may pass through.
    chmodSync(root, statSync(root).mode | 0o011);
    return home;
  }
  const name = createHash('sha256').update(root).digest('hex').slice(0, 16);
  const elsewhere = join(ROOT_HOME, name);
  try {
    mkdirSync(ROOT_HOME, { recursive: true, mode: 0o755 });
    mkdirSync(elsewhere, { recursive: true, mode: 0o700 });
    const present = lstatSync(home, { throwIfNoEntry: false });
    if (!present) symlinkSync(elsewhere, home);
    else if (!present.isSymbolicLink()) throw pathError(home, 'is no link');
    return realpathSync(home);
  } catch (cause) {
    const why =
      `is closed to user ${user.name}, as whom the database runs because PostgreSQL refuses ` +
      `root, and ${ROOT_HOME} cannot be used instead; choose another folder with --data, ` +
      'start as an ordinary user, or chmod o+x the folder';
    throw pathError(closed, why, cause);
  }
}

/** The role's password, made at the first start. */
export function readOrMakePassword(cluster: Cluster, random: RandomSource): string {
  if (!existsSync(cluster.passwordPath)) {
    const password = toHex(random.bytes(PASSWORD_BYTES));
    const partial = `${cluster.passwordPath}.new`;
    writeFileSync(partial, password, { mode: 0o600 });
    renameSync(partial, cluster.passwordPath);
  }
  return readFileSync(cluster.passwordPath, 'utf8').trim();
}

/**
 * Initialises the cluster unless it exists; whole or not at all.
 * @throws RuntimeError `ERR_DATABASE_INIT` with the program's words, `ERR_DATABASE_VERSION`.
 */
export function initialiseCluster(
  cluster: Cluster,
  binaries: PostgresBinaries,
  password: string,
): void {
  if (existsSync(cluster.clusterDir)) {
    assertVersion(cluster, binaries);
    return;
  }
  const partial = `${cluster.clusterDir}.new`;
  const passwordFile = join(cluster.homeDir, 'password.new');
  rmSync(partial, { recursive: true, force: true });
  rmSync(passwordFile, { force: true });
  writeFileSync(passwordFile, password, { mode: 0o600, flag: 'wx' });
  if (cluster.user) chownSync(passwordFile, cluster.user.uid, cluster.user.gid);
  try {
    const first = runInitdb(cluster, binaries, { partial, passwordFile, locale: 'C.UTF-8' });
    if (first !== null) {
      rmSync(partial, { recursive: true, force: true });
      const second = runInitdb(cluster, binaries, { partial, passwordFile, locale: 'C' });
      if (second !== null) throw new RuntimeError('ERR_DATABASE_INIT', `initdb failed: ${second}`);
    }
  } finally {
    rmSync(passwordFile, { force: true });
  }
  renameSync(partial, cluster.clusterDir);
}

function runInitdb(
  cluster: Cluster,
  binaries: PostgresBinaries,
  choice: { readonly partial: string; readonly passwordFile: string; readonly locale: string },
): string | null {
  const result = spawnSync(
    programPath(binaries, 'initdb'),
    [
      ...['--pgdata', choice.partial],
      ...['--username', DATABASE_ROLE],
      ...['--auth', 'scram-sha-256'],
      ...['--pwfile', choice.passwordFile],
      ...[`--locale=${choice.locale}`, '--encoding=UTF8'],
      '--no-instructions',
    ],
    { ...spawnIdentity(cluster), timeout: INITDB_TIMEOUT_MS, encoding: 'utf8' },
  );
  if (result.error) {
    const text = `cannot run initdb: ${result.error.message}`;
    throw new RuntimeError('ERR_DATABASE_INIT', text, {}, result.error);
  }
  return result.status === 0 ? null : result.stderr.trim().slice(-500);
}

function assertVersion(cluster: Cluster, binaries: PostgresBinaries): void {
  const major = readFileSync(join(cluster.clusterDir, 'PG_VERSION'), 'utf8').trim();
  if (major === String(binaries.major)) return;
  throw new RuntimeError(
    'ERR_DATABASE_VERSION',
    `the database in ${cluster.clusterDir} is of PostgreSQL ${major}, the installed programs are ` +
      `of ${binaries.major}; install the former again, or start with another --data`,
    { found: major, installed: binaries.major },
  );
}

/** Working folder, user and environment of a database program. */
export function spawnIdentity(cluster: Cluster): {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly uid?: number;
  readonly gid?: number;
} {
  const { PATH, SystemRoot, TEMP } = process.env;
  const env = { PATH, SystemRoot, TEMP, LC_ALL: 'C', TZ: 'UTC' };
  const common = { cwd: cluster.homeDir, env };
  return cluster.user ? { ...common, uid: cluster.user.uid, gid: cluster.user.gid } : common;
}

function pathError(folder: string, why: string, cause?: unknown): RuntimeError {
  return new RuntimeError('ERR_DATABASE_PATH', `folder ${folder} ${why}`, { folder }, cause);
}
