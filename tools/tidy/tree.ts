/** What tidy rules look at: the files of the project as text, with their imports. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/** A file of the tree; `path` is relative to the root with forward slashes. */
export type SourceFile = { readonly path: string; readonly text: string };
/** One broken rule at one place. */
export type Finding = { readonly path: string; readonly line: number; readonly message: string };
/** The files that rules judge. */
export type Tree = { readonly files: readonly SourceFile[] };

const SKIPPED = new Set(['node_modules', '.git', '.types', '.tapnpay', 'dist', 'screenshots']);
const WANTED = /\.(tsx?|mjs|md|json|sql)$/;

/** Reads every source, document and configuration file below `root`. */
export function readTree(root: string): Tree {
  const files: SourceFile[] = [];
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (SKIPPED.has(entry.name)) continue;
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory()) visit(path);
      else if (WANTED.test(entry.name)) {
        files.push({ path, text: readFileSync(join(root, path), 'utf8') });
      }
    }
  };
  visit('.');
  return { files };
}

/** The TypeScript files. */
export function sources(tree: Tree): readonly SourceFile[] {
  return tree.files.filter((file) => /\.tsx?$/.test(file.path));
}

/** True for tests and their helpers, which may use more than the code they test. */
export function isTest(path: string): boolean {
  return /\.test(-[a-z-]+)?\.tsx?$/.test(path) || path.startsWith('tests/');
}

/** An import or re-export of a file. */
export type Import = { readonly specifier: string; readonly line: number };

/** Static and dynamic imports with a literal specifier. */
export function importsOf(file: SourceFile): readonly Import[] {
  const found: Import[] = [];
  const pattern = /(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)'([^']+)'/gm;
  for (const match of file.text.matchAll(pattern)) {
    found.push({ specifier: match[1] ?? '', line: lineAt(file.text, match.index) });
  }
  return found;
}

/** One-based line of an offset. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** The path an import of `from` resolves to when it is relative, else undefined. */
export function resolveRelative(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return posix.normalize(posix.join(posix.dirname(from), specifier));
}
