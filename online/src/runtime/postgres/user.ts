/** Which system user runs the database: PostgreSQL refuses root, so root lends it to another. */
import { chownSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RuntimeError } from '../errors.ts';

/** A system user by number. */
export type DatabaseUser = { readonly name: string; readonly uid: number; readonly gid: number };

/** Users that root may run the database as, best first. */
const CANDIDATES = ['postgres', '_postgres', 'nobody'];

/**
 * The user for the cluster in `dataDir`: its owner if it exists, else the first candidate.
 * Null: this process is not root and runs the database as itself.
 */
export function chooseUser(clusterDir: string): DatabaseUser | null {
  if (process.getuid?.() !== 0) return null;
  const owner = statSync(clusterDir, { throwIfNoEntry: false });
  if (owner && owner.uid !== 0) {
    return { name: `uid ${owner.uid}`, uid: owner.uid, gid: owner.gid };
  }
  const users = systemUsers();
  for (const name of CANDIDATES) {
    const user = users.find((entry) => entry.name === name);
    if (user) return user;
  }
  throw new RuntimeError(
    'ERR_DATABASE_PATH',
    `PostgreSQL refuses to run as root and this system has none of ${CANDIDATES.join(', ')}; ` +
      'start as an ordinary user or give --database-url',
  );
}

function systemUsers(): readonly DatabaseUser[] {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [name, , uid, gid] = line.split(':');
      if (!name || uid === undefined || gid === undefined) return [];
      return [{ name, uid: Number(uid), gid: Number(gid) }];
    });
}

/** The outermost folder on the way to `path` that `user` may not pass, or null. */
export function unreachableFolder(path: string, user: DatabaseUser): string | null {
  const parent = dirname(path);
  const above = parent === path ? null : unreachableFolder(parent, user);
  if (above !== null) return above;
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats?.isDirectory()) return null;
  return mayEnter(stats, user) ? null : path;
}

function mayEnter(
  stats: { readonly mode: number; readonly uid: number; readonly gid: number },
  user: DatabaseUser,
): boolean {
  if (stats.uid === user.uid) return (stats.mode & 0o100) !== 0;
  if (stats.gid === user.gid) return (stats.mode & 0o010) !== 0;
  return (stats.mode & 0o001) !== 0;
}

/** Makes `user` the owner of a folder and all in it. */
export function giveTo(path: string, user: DatabaseUser): void {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) return;
  chownSync(path, user.uid, user.gid);
  if (!stats.isDirectory()) return;
  for (const name of readdirSync(path)) giveTo(join(path, name), user);
}
