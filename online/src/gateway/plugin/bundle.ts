/** The built extension as files in memory, and the archive of them that browsers take. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { GatewayError } from '../errors.ts';
import { PublisherError } from './errors.ts';

/** Files of one extension at most, and their bytes together. */
export const BUNDLE_FILES_MAX = 500;
export const BUNDLE_BYTES_MAX = 16_777_216;
/** Folders in folders. */
const DEPTH_MAX = 8;
/** Names that mean the same on every system; a dot file is never part of an extension. */
const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/;

/** Path inside the extension, with slashes -> content. */
export type ExtensionFiles = ReadonlyMap<string, Uint8Array>;

/**
 * Reads the built bundle.
 * @throws GatewayError `ERR_PLUGIN_MISSING`; PublisherError `ERR_PLUGIN_BUNDLE` for a link, a
 * strange name, or too much of it.
 */
export function readBundle(directory: string): ExtensionFiles {
  const files = new Map<string, Uint8Array>();
  let bytes = 0;
  const walk = (below: string, depth: number): void => {
    if (depth > DEPTH_MAX) throw bundleError('has too many levels of folders', below);
    for (const entry of readdirSync(join(directory, below), { withFileTypes: true })) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (!NAME.test(entry.name)) throw bundleError('has a name that is not portable', path);
      if (entry.isDirectory()) {
        walk(path, depth + 1);
        continue;
      }
      if (!entry.isFile()) throw bundleError('has something that is no file', path);
      const content = new Uint8Array(readFileSync(join(directory, path)));
      bytes += content.length;
      files.set(path, content);
      if (files.size > BUNDLE_FILES_MAX) throw bundleError('has too many files', path);
      if (bytes > BUNDLE_BYTES_MAX) throw bundleError('is too large', path);
    }
  };
  try {
    walk('', 0);
  } catch (fault) {
    const isMissing = fault instanceof Error && 'code' in fault && fault.code === 'ENOENT';
    if (!isMissing) throw fault;
  }
  if (files.size > 0) return files;
  throw new GatewayError('ERR_PLUGIN_MISSING', 'the extension is not built');
}

/**
 * A ZIP archive of the files: the same files make the same bytes, on every machine and day.
 * The date is local by the format: noon of its first day, which every time zone has.
 */
export function archiveOf(files: ExtensionFiles): Uint8Array {
  const sorted = [...files].sort(([left], [right]) => (left < right ? -1 : 1));
  const mtime = new Date(1980, 0, 1, 12);
  return zipSync(Object.fromEntries(sorted), { level: 9, mtime });
}

function bundleError(why: string, path: string): PublisherError {
  return new PublisherError('ERR_PLUGIN_BUNDLE', `the built extension ${why}`, { path });
}
