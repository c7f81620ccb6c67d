/** Sizes: a file of at most 800 lines, a function of 70, a line of 100 characters. */
import { type Finding, isTest, type SourceFile, sources, type Tree } from './tree.ts';

const FILE_LINES_MAX = 800;
const FUNCTION_LINES_MAX = 70;
const LINE_CHARACTERS_MAX = 100;
/** A function or method head at the start of a line, up to its opening brace at the line's end. */
const FUNCTION_HEAD = new RegExp(
  '^(\\s*)(?:export )?(?:async )?' +
    '(?:function\\b|(?:static |private |public )?(?:async )?\\*?#?[a-zA-Z]+\\().*\\{$',
);

/** Rule: sizes. Of tests only the file counts: their titles are sentences. */
export function checkSizes(tree: Tree): readonly Finding[] {
  return sources(tree).flatMap((file) => [
    ...checkFile(file),
    ...(isTest(file.path) ? [] : [...checkLines(file), ...checkFunctions(file)]),
  ]);
}

function checkFile(file: SourceFile): readonly Finding[] {
  const lines = file.text.split('\n').length - 1;
  if (lines <= FILE_LINES_MAX) return [];
  return [{ path: file.path, line: lines, message: `${lines} lines, ${FILE_LINES_MAX} allowed` }];
}

function checkLines(file: SourceFile): readonly Finding[] {
  return file.text.split('\n').flatMap((text, index) => {
    const isLongLiteral = /[0-9A-F]{64}|https?:\/\//.test(text);
    if (text.length <= LINE_CHARACTERS_MAX || isLongLiteral) return [];
    return [{ path: file.path, line: index + 1, message: `line of ${text.length} characters` }];
  });
}

function checkFunctions(file: SourceFile): readonly Finding[] {
  const lines = file.text.split('\n');
  return lines.flatMap((text, index) => {
    const indent = FUNCTION_HEAD.exec(text)?.[1];
    if (indent === undefined || /^\s*(if|for|while|switch|catch)\b/.test(text)) return [];
    const end = lines.findIndex((line, at) => at > index && line.startsWith(`${indent}}`));
    const length = end - index + 1;
    if (length <= FUNCTION_LINES_MAX) return [];
    return [{ path: file.path, line: index + 1, message: `function of ${length} lines` }];
  });
}
