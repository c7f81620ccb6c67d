/** Kind `statusWord`: two bytes SW1 SW2. @see ISO 7816-4 §5.6 */
import { toHex } from '../bytes/index.ts';
import { both, nodeOf, requireBytes } from './build.ts';
import { formatError } from './errors.ts';
import type { StatusWordFacts } from './facts.ts';
import {
  isKnownStatusWord,
  isStatusWord,
  statusWordCategory,
  statusWordMeaning,
} from './status-words.ts';
import type { ExplainContext, Explained, ExplainInput, ExplainModule } from './types.ts';

function detect(input: ExplainInput): number {
  if (input.bytes?.length !== 2) return 0;
  const hex = toHex(input.bytes);
  if (!isStatusWord(hex)) return 0;
  return isKnownStatusWord(hex) ? 0.9 : 0.6;
}

function explainStatusWord({ input }: ExplainContext): Explained {
  const bytes = requireBytes('statusWord', input);
  const statusWord = toHex(bytes);
  if (!isStatusWord(statusWord)) {
    throw formatError('statusWord', 0, `${statusWord.slice(0, 8)} is not 6xxx or 9xxx`);
  }
  const meaning = statusWordMeaning(statusWord);
  const facts: StatusWordFacts = {
    statusWord,
    category: statusWordCategory(statusWord),
    meaningEn: meaning.en,
    meaningZh: meaning.zh,
  };
  return {
    summaryEn: `${statusWord}: ${meaning.en}`,
    summaryZh: `${statusWord}：${meaning.zh}`,
    facts,
    tree: [nodeOf(both('Status word', '状态字'), { offsetBytes: 0, bytes }, { text: meaning })],
    checks: [],
    findings: [],
  };
}

/** A status word. */
export const STATUS_WORD_MODULE: ExplainModule = {
  kind: 'statusWord',
  detect,
  explain: explainStatusWord,
};
