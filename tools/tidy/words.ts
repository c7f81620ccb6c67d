/** Words and constructs that the tree does not use, each with the reason. */
import { type Finding, isTest, lineAt, sources, type Tree } from './tree.ts';

type Ban = {
  readonly pattern: RegExp;
  readonly why: string;
  readonly where: (path: string) => boolean;
};

const isPureRoom = (path: string): boolean =>
  (path.startsWith('protocol/src/') || path.startsWith('applet/')) && !isTest(path);
const isSource = (path: string): boolean => !path.startsWith('tools/tidy');
const isProduct = (path: string): boolean => isSource(path) && !isTest(path);

const BANS: readonly Ban[] = [
  { pattern: /\bexport default\b/g, why: 'named exports only', where: isSource },
  {
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bperformance\.now\(/g,
    why: 'pure rooms take clock and random from outside',
    where: isPureRoom,
  },
  { pattern: /\bBuffer\b/g, why: 'bytes are Uint8Array in pure rooms', where: isPureRoom },
  { pattern: /\bMath\.random\(/g, why: 'not secure and not owned by a seed', where: isProduct },
  { pattern: /\bas any\b|: any\b/g, why: 'any switches the checker off', where: isSource },
  { pattern: /@ts-(ignore|nocheck|expect-error)/g, why: 'fix the type', where: isSource },
  { pattern: /\b(TODO|FIXME|XXX|HACK)\b(?! #\d)/g, why: 'needs an issue number', where: isSource },
  {
    pattern: /\b(innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML)\b/g,
    why: 'text is text, never markup',
    where: isProduct,
  },
  { pattern: /\b(test|it|describe)\.(only|todo)\b/g, why: 'no parked tests', where: isSource },
  {
    pattern: /\bas (Pan|Stan|AmountMinor|KeyCheckValue|StatusWord)\b/g,
    why: 'only constructors brand',
    where: (path) => isProduct(path) && !/bytes\/values\.ts|iso7816\/status-word\.ts/.test(path),
  },
];

/** Rule: banned words. */
export function checkWords(tree: Tree): readonly Finding[] {
  return sources(tree).flatMap((file) =>
    BANS.filter((ban) => ban.where(file.path)).flatMap((ban) =>
      [...file.text.matchAll(ban.pattern)].map((match) => ({
        path: file.path,
        line: lineAt(file.text, match.index),
        message: `${match[0]}: ${ban.why}`,
      })),
    ),
  );
}

/** Rule: clear keys and PINs are opened only where design section 5 says that they may be. */
export function checkHeads(tree: Tree): readonly Finding[] {
  return sources(tree)
    .filter((file) => !file.text.trimStart().startsWith('/**') && !file.text.startsWith('#!'))
    .map((file) => ({ path: file.path, line: 1, message: 'a file opens with its purpose' }));
}
