/** Doc pointers `path#symbol` lead somewhere, and no source file is dead. */
import {
  type Finding,
  importsOf,
  isTest,
  lineAt,
  resolveRelative,
  sources,
  type Tree,
} from './tree.ts';

/** Rule: each `path#symbol` in a document names a file with that symbol in it. */
export function checkPointers(tree: Tree): readonly Finding[] {
  const texts = new Map(tree.files.map((file) => [file.path, file.text]));
  const documents = tree.files.filter((file) => file.path.endsWith('.md'));
  return documents.flatMap((file) =>
    [...file.text.matchAll(/`([\w./-]+\.(?:ts|sql|json|mjs))#([\w$]+)`/g)].flatMap((match) => {
      const [, path = '', symbol = ''] = match;
      const text = texts.get(path);
      if (text && new RegExp(`\\b${symbol}\\b`).test(text)) return [];
      const line = lineAt(file.text, match.index);
      const message = text ? `${path} has no ${symbol}` : `${path} does not exist`;
      return [{ path: file.path, line, message }];
    }),
  );
}

/** A file and words of the test in it, as tables of documents name them. */
const TEST_POINTER = /`([\w./-]+\.ts)`: "((?:[^"\\]|\\.)+)"/g;

/**
 * Rule: each `path.ts`: "words" in a document names a test file whose text has the words, so that a
 * coverage table cannot outlive its tests.
 */
export function checkTestPointers(tree: Tree): readonly Finding[] {
  const texts = new Map(tree.files.map((file) => [file.path, oneSpace(file.text)]));
  const documents = tree.files.filter((file) => file.path.endsWith('.md'));
  return documents.flatMap((file) =>
    [...file.text.matchAll(TEST_POINTER)].flatMap((match) => {
      const [, path = '', quoted = ''] = match;
      const words = quoted.replaceAll('\\"', '"');
      const text = texts.get(path);
      if (text?.includes(oneSpace(words))) return [];
      const line = lineAt(file.text, match.index);
      const message = text === undefined ? `${path} does not exist` : `${path} has no "${words}"`;
      return [{ path: file.path, line, message }];
    }),
  );
}

/** Rule: rows that are numbered have no gap, and each names a test. */
export function checkNumberedRows(tree: Tree): readonly Finding[] {
  const documents = tree.files.filter((file) => file.path.endsWith('.md'));
  return documents.flatMap((file) =>
    [...file.text.matchAll(/^\| (\d+)\. .*$/gm)].flatMap(([row, number], index) => {
      const isNext = Number(number) === index + 1;
      if (isNext && row.search(TEST_POINTER) >= 0) return [];
      const line = lineAt(file.text, file.text.indexOf(row));
      const message = isNext ? `row ${number} names no test` : `row ${number} is not ${index + 1}`;
      return [{ path: file.path, line, message }];
    }),
  );
}

/** Test names may be broken over lines and escaped. */
function oneSpace(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll("\\'", "'");
}

/** Rule: a link to a file in a document leads to it. */
export function checkLinks(tree: Tree): readonly Finding[] {
  const paths = new Set(tree.files.map((file) => file.path));
  const documents = tree.files.filter((file) => file.path.endsWith('.md'));
  return documents.flatMap((file) =>
    [...file.text.matchAll(/\]\(((?!https?:)[^)#]+\.(?:md|ts|json))(?:#[^)]*)?\)/g)].flatMap(
      (match) => {
        const target = resolveRelative(file.path, `./${match[1] ?? ''}`) ?? '';
        if (paths.has(target)) return [];
        const line = lineAt(file.text, match.index);
        return [{ path: file.path, line, message: `link to ${match[1]} leads nowhere` }];
      },
    ),
  );
}

/** Files that start something and so need no importer. */
const ENTRIES = [
  /(^|\/)main\.tsx?$/,
  /^(applet|samples\/[a-z]+)\/src\/index\.ts$/,
  // Types of what has none: the compiler finds them by the name that is imported.
  /\.d\.ts$/,
  /^tools\/(check|format|property-seed)\.ts$/,
  /^tests\/mutants\/hook\.ts$/,
  /^agent\/src\/pcsc\/native\.ts$/,
  /^tests\/browser\/(screenshots|first-payment|plugin-idle)\.ts$/,
  /^web\/build\.ts$/,
  /^bench\//,
];

/** Rule: every source file is imported by another, is an entry, or is a test. */
export function checkDeadFiles(tree: Tree): readonly Finding[] {
  const alive = new Set<string>();
  for (const file of sources(tree)) {
    for (const { specifier } of importsOf(file)) {
      const target = resolveRelative(file.path, specifier);
      if (target) alive.add(target);
    }
  }
  for (const file of tree.files) {
    if (!file.path.endsWith('package.json')) continue;
    for (const match of file.text.matchAll(/"\.\/([\w./-]+\.ts)"/g)) {
      alive.add(file.path.replace('package.json', match[1] ?? ''));
    }
  }
  return sources(tree)
    .filter((file) => !isTest(file.path) && !alive.has(file.path))
    .filter((file) => !ENTRIES.some((entry) => entry.test(file.path)))
    .map((file) => ({ path: file.path, line: 1, message: 'nobody imports this file' }));
}
