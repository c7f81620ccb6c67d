/** Small changes to a source text that a test suite must notice, one at a time. */
import { stripTypeScriptTypes } from 'node:module';

/** One change: what stands at an offset, and what takes its place. */
export type Mutant = {
  readonly path: string;
  readonly offset: number;
  readonly before: string;
  readonly after: string;
  readonly line: number;
};

/** One kind of change: where it applies, and what it puts there. */
type Operator = { readonly pattern: RegExp; readonly change: (match: RegExpExecArray) => string };

const swap = (pairs: Readonly<Record<string, string>>) => (match: RegExpExecArray) =>
  pairs[match[0]] ?? '';

/** Applied to code without types, comments and texts: `<` is a comparison there. */
const OPERATORS: readonly Operator[] = [
  { pattern: /===|!==/g, change: swap({ '===': '!==', '!==': '===' }) },
  {
    pattern: /(?<= )(<=|>=|<|>)(?= )/g,
    change: swap({ '<': '<=', '<=': '<', '>': '>=', '>=': '>' }),
  },
  { pattern: /&&|\|\|/g, change: swap({ '&&': '||', '||': '&&' }) },
  { pattern: /\b(true|false)\b/g, change: swap({ true: 'false', false: 'true' }) },
  { pattern: /!(?=[\w(])/g, change: () => '' },
  { pattern: /(?<= )[+-](?= \d)/g, change: swap({ '+': '-', '-': '+' }) },
  { pattern: /(?<= )[&|](?= )/g, change: swap({ '&': '|', '|': '&' }) },
  // What stands after `??` only pleases the compiler where nothing can be missing.
  {
    pattern: /(?<!\?\? )\b(0x[0-9a-f]+|\d+)(n?)\b/g,
    change: ([, digits = '', big = '']) => {
      const next = Number(digits) + 1;
      return `${digits.startsWith('0x') ? `0x${next.toString(16)}` : next}${big}`;
    },
  },
  // A status bit is forgotten, or a step of the transaction is left out.
  { pattern: /\b(markTvr|markTsi)\([^;]*\);/g, change: () => ';' },
  { pattern: /(?<=^ +)yield\* \w+\([^;]*\);/gm, change: () => ';' },
  { pattern: /\b(continue|break);/g, change: swap({ 'continue;': ';', 'break;': ';' }) },
  { pattern: /\?\? /g, change: () => '&& ' },
];

/** Every mutant of a file, in the order of the text. */
export function mutantsOf(path: string, source: string): readonly Mutant[] {
  const code = blanked(stripTypeScriptTypes(source));
  const mutants = OPERATORS.flatMap(({ pattern, change }) =>
    [...code.matchAll(pattern)].map((match) => ({
      path,
      offset: match.index,
      before: match[0],
      after: change(match),
      line: code.slice(0, match.index).split('\n').length,
    })),
  );
  return mutants.toSorted((left, right) => left.offset - right.offset);
}

/** The file as JavaScript with the change in it. */
export function mutatedSource(source: string, mutant: Mutant): string {
  const code = stripTypeScriptTypes(source);
  const end = mutant.offset + mutant.before.length;
  return code.slice(0, mutant.offset) + mutant.after + code.slice(end);
}

/** Comments, texts and imports as blanks, so that offsets stay; `${…}` goes with its text. */
function blanked(code: string): string {
  const parts = [
    /\/\*[\s\S]*?\*\//,
    /\/\/[^\n]*/,
    /^import [^;]*;/m,
    /^export (?:\*|\{)[^;]* from [^;]*;/m,
    /'(?:[^'\\\n]|\\.)*'/,
    /`(?:[^`\\]|\\.)*`/,
    /(?<=[(,=!&|?:;{}[] *)\/(?:\[[^\]\n]*\]|[^/\\\n[]|\\.)+\/[a-z]*/,
  ];
  const pattern = new RegExp(parts.map(({ source }) => source).join('|'), 'gm');
  return code.replace(pattern, (text) => text.replace(/[^\n]/g, ' '));
}
