/** The door: cleans an input, finds its kind, and lets the kind's module explain it. */
import type { CipherProvider } from '../crypto/provider.ts';
import { EMV_KINDS } from './emv-kinds.ts';
import { ExplainError } from './errors.ts';
import { readInput } from './input.ts';
import { OTHER_KINDS } from './other-kinds.ts';
import type {
  ExplainInput,
  ExplainKind,
  ExplainModule,
  ExplainOptions,
  Explanation,
} from './types.ts';

/** Most alternatives named. */
const ALTERNATIVES_MAX = 5;
/** Scores below this are no guess at all. */
const SCORE_MIN = 0.05;
/** A guess that hardly anything else can be. */
const SURE_SCORE = 0.9;

const MODULES: readonly ExplainModule[] = [...EMV_KINDS, ...OTHER_KINDS];

/** A kind and how well the input fits it. */
export type Guess = { readonly kind: ExplainKind; readonly score: number };

/** The kinds that an input may be, the likeliest first. @throws ExplainError of `readInput`. */
export function guessKinds(
  input: string | Uint8Array,
  options: ExplainOptions = {},
): readonly Guess[] {
  return rank(readInput(input, options.keys ?? {}));
}

/**
 * Decodes and judges an input; guesses its kind unless `options.as` names it.
 * @throws ExplainError `ERR_EXPLAIN_*` with the offset when no reading makes sense of it.
 */
export function explain(
  ciphers: CipherProvider,
  input: string | Uint8Array,
  options: ExplainOptions = {},
): Explanation {
  const read = readInput(input, options.keys ?? {});
  const guesses = rank(read);
  if (options.as !== undefined) {
    return run(ciphers, read, options, { guesses, chosen: { kind: options.as, score: 1 } });
  }
  let first: ExplainError | undefined;
  for (const chosen of guesses) {
    try {
      return run(ciphers, read, options, { guesses, chosen });
    } catch (thrown) {
      // A wrong guess: the next likely kind is tried, and the first refusal kept for the caller.
      if (!(thrown instanceof ExplainError) || isAboutValues(thrown, chosen)) throw thrown;
      first ??= thrown;
    }
  }
  throw first ?? new ExplainError('ERR_EXPLAIN_KIND', 'no kind reads this input');
}

/** A sure guess that only lacks a value: naming the value helps more than another reading. */
function isAboutValues(error: ExplainError, chosen: Guess): boolean {
  const codes: readonly string[] = ['ERR_EXPLAIN_MISSING', 'ERR_EXPLAIN_VALUE'];
  return chosen.score >= SURE_SCORE && codes.includes(error.code);
}

function run(
  ciphers: CipherProvider,
  input: ExplainInput,
  options: ExplainOptions,
  choice: { readonly guesses: readonly Guess[]; readonly chosen: Guess },
): Explanation {
  const { kind, score } = choice.chosen;
  const module = MODULES.find((candidate) => candidate.kind === kind);
  if (!module) throw new ExplainError('ERR_EXPLAIN_KIND', `no kind is called ${kind}`, { kind });
  const explained = module.explain({ ciphers, input, options });
  return {
    kind,
    confidence: score,
    ...explained,
    findings: [...input.findings, ...explained.findings],
    alternatives: choice.guesses
      .map((guess) => guess.kind)
      .filter((other) => other !== kind)
      .slice(0, ALTERNATIVES_MAX),
  };
}

function rank(input: ExplainInput): readonly Guess[] {
  return MODULES.map((module) => ({ kind: module.kind, score: module.detect(input) }))
    .filter((guess) => guess.score >= SCORE_MIN)
    .sort((left, right) => right.score - left.score);
}
