/** Spec handles in `@see` lines are those of docs/specs.md. */
import { type Finding, lineAt, sources, type Tree } from './tree.ts';

/** Rule: the text after `@see` begins with a handle that docs/specs.md lists in backquotes. */
export function checkHandles(tree: Tree): readonly Finding[] {
  const specs = tree.files.find((file) => file.path === 'docs/specs.md')?.text ?? '';
  const handles = [...specs.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1] ?? '');
  const judged = sources(tree).filter((file) => !file.path.startsWith('tools/'));
  return judged.flatMap((file) =>
    [...file.text.matchAll(/@see ([^\n*]+)/g)]
      .filter((match) => !isKnown(match[1] ?? '', handles))
      .map((match) => ({
        path: file.path,
        line: lineAt(file.text, match.index),
        message: `"${match[1]?.trim()}" begins with no handle of docs/specs.md`,
      })),
  );
}

function isKnown(text: string, handles: readonly string[]): boolean {
  if (/^(docs|protocol|online|applet|element|agent|cli|vectors)\//.test(text)) return true;
  return handles.some((handle) => text.startsWith(handle));
}
