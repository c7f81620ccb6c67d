/** Kind `apduLog`: a session of commands and answers, told as a transaction. */
import { toHex } from '../bytes/index.ts';
import { both, finding, givenBytes, isGiven, nodeOf } from './build.ts';
import { CRYPTOGRAM_MODULE } from './cryptogram.ts';
import { ExplainError, formatError } from './errors.ts';
import type { ApduLogFacts, LogCryptogramFact } from './facts.ts';
import { authenticateLog } from './log-authentication.ts';
import { type LogPair, logPairs, logScore } from './log-pairs.ts';
import { bestCandidate, type Story, tellStory } from './log-story.ts';
import { SCRIPT_MODULE } from './script.ts';
import type {
  BothLanguages,
  ExplainCheck,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  Finding,
} from './types.ts';

function detect(input: ExplainInput): number {
  if (input.lines.length === 0) return namedPair(input) ? 0.6 : 0;
  return logScore(input);
}

/** `command` and `response` as fields of one object. */
function namedPair(input: ExplainInput): LogPair | null {
  if (!input.values.has('command') || !input.values.has('response')) return null;
  try {
    const command = givenBytes(input, 'command');
    const response = givenBytes(input, 'response');
    if (!command || !response) return null;
    return {
      command: { direction: 'command', bytes: command, offsetBytes: 0 },
      response: { direction: 'response', bytes: response, offsetBytes: command.length },
    };
  } catch (thrown) {
    // Fields of these names that are no hex belong to another kind.
    if (thrown instanceof ExplainError) return null;
    throw thrown;
  }
}

function explainApduLog(context: ExplainContext): Explained {
  const { ciphers, input } = context;
  const named = input.lines.length === 0 ? namedPair(input) : null;
  const pairs = named ? [named] : logPairs(input);
  if (pairs.length === 0) throw formatError('apduLog', 0, 'no command and no answer');
  const story = tellStory(pairs);
  const isReadable = story.exchanges.some(
    (each) => each.command !== null || each.response !== null,
  );
  if (!isReadable) throw formatError('apduLog', 0, 'no line is a command or an answer');
  const authentication = authenticateLog(ciphers, input, story);
  const cryptograms = story.cryptograms.map((each, at) => ({
    ...each,
    cryptogram: each.cryptogram ?? authentication.cryptograms.get(at) ?? null,
  }));
  const outcome = outcomeOf(story);
  const next = nextCommandOf(story);
  const facts: ApduLogFacts = {
    exchanges: story.exchanges,
    candidates: story.candidates,
    fci: story.fci,
    selectedAid: story.selectedAid,
    processing: story.processing,
    records: story.records,
    getData: story.getData,
    dataAuthentication: authentication.fact,
    cryptograms,
    issuerAuthentication: story.issuerAuthentication,
    outcome,
    nextCommand: next?.command ?? null,
  };
  const oda =
    authentication.tree.length === 0
      ? []
      : [
          nodeOf(both('Offline data authentication', '脱机数据认证'), null, {
            value: authentication.fact.method ?? '',
            children: authentication.tree,
          }),
        ];
  return {
    ...summaryOf(facts),
    facts,
    tree: [...story.tree, ...oda],
    checks: [
      ...authentication.checks,
      ...cryptogramChecks(context, story, cryptograms),
      ...scriptChecks(context, story, cryptograms),
    ],
    findings: [...story.findings, ...authentication.findings, ...outcomeFindings(outcome, next)],
  };
}

/** The last cryptogram decides. @see EMV 4.3 B3 §10.11 */
function outcomeOf(story: Story): ApduLogFacts['outcome'] {
  const last = story.cryptograms.at(-1);
  switch (last?.type) {
    case 'TC':
      return 'approved';
    case 'AAC':
      return 'declined';
    case 'ARQC':
      return 'onlineRequested';
    default:
      return 'unfinished';
  }
}

const OUTCOMES: Readonly<Record<ApduLogFacts['outcome'], BothLanguages>> = {
  approved: both('approved by the card', '卡片批准'),
  declined: both('declined by the card', '卡片拒绝'),
  onlineRequested: both('the card asks for the issuer', '卡片请求联机'),
  unfinished: both('no cryptogram in this log', '此日志中没有应用密文'),
};

function outcomeFindings(outcome: ApduLogFacts['outcome'], next: Next | null): readonly Finding[] {
  const findings = [finding('note', 'LOG_OUTCOME', null, OUTCOMES[outcome])];
  if (next) {
    const message = both(
      `next: ${next.command} (${next.why.en})`,
      `下一条命令：${next.command}（${next.why.zh}）`,
    );
    findings.push(finding('note', 'LOG_NEXT', null, message));
  }
  return findings;
}

type Next = { readonly command: string; readonly why: BothLanguages };

/** What a terminal would send after the last exchange; null when the session is complete. */
function nextCommandOf(story: Story): Next | null {
  const last = story.exchanges.at(-1);
  if (last?.nextCommand) {
    return { command: last.nextCommand, why: both('the status word asks for it', '状态字要求') };
  }
  if (
    last?.command?.corrected &&
    last.response?.statusWord !== '9000' &&
    story.selectedAid !== null
  ) {
    return {
      command: last.command.corrected,
      why: both('the same, well formed', '同一命令的正确形式'),
    };
  }
  if (story.cryptograms.length > 0) return null;
  if (story.selectedAid === null) {
    const best = bestCandidate(story.candidates);
    if (!best?.select) return null;
    return {
      command: best.select,
      why: both('the candidate of highest priority', '优先级最高的应用'),
    };
  }
  if (story.processing === null) {
    const pdol = story.fci?.pdol;
    if (pdol) return null;
    return { command: '80A8000002830000', why: both('the card has no PDOL', '卡片没有 PDOL') };
  }
  const read = new Set(story.records.map((each) => `${each.sfi}.${each.record}`));
  const unread = (story.processing.afl?.commands ?? []).find((command) => {
    const record = Number.parseInt(command.slice(4, 6), 16);
    const sfi = Number.parseInt(command.slice(6, 8), 16) >> 3;
    return !read.has(`${sfi}.${record}`);
  });
  return unread === undefined
    ? null
    : { command: unread, why: both('the next record of the AFL', 'AFL 中的下一条记录') };
}

/** Each cryptogram verified when keys were given beside the log. */
function cryptogramChecks(
  context: ExplainContext,
  story: Story,
  cryptograms: readonly LogCryptogramFact[],
): readonly ExplainCheck[] {
  return cryptograms.flatMap((each) => {
    const checks = verifyOne(context, story, each);
    return checks.map((check) => ({ ...check, name: `${check.name}${each.generateAc}` }));
  });
}

function verifyOne(
  context: ExplainContext,
  story: Story,
  fact: LogCryptogramFact,
): readonly ExplainCheck[] {
  const values = cardValues(context, story, fact);
  const isFirst = fact.generateAc === 1;
  const answer = isFirst ? (story.issuerAuthentication?.data ?? '') : '';
  values.delete('8a');
  if (answer.length === 20) values.set('91', answer).set('arc', answer.slice(16));
  const input: ExplainInput = { text: '', bytes: null, lines: [], values, findings: [] };
  if (CRYPTOGRAM_MODULE.detect(input) === 0) return [];
  try {
    const { checks } = CRYPTOGRAM_MODULE.explain({ ...context, input });
    return checks.filter((check) => check.name !== 'arpc' || answer.length === 20);
  } catch (thrown) {
    // Data that the version needs are not in the log; the cryptogram is then shown unverified.
    if (thrown instanceof ExplainError) return [];
    throw thrown;
  }
}

/** What the log holds for one cryptogram, beside the keys that were given. */
function cardValues(
  context: ExplainContext,
  story: Story,
  fact: LogCryptogramFact,
): Map<string, string> {
  const values = new Map(context.input.values);
  const add = (name: string, value: string | null | undefined) => {
    if (value !== null && value !== undefined) values.set(name, value);
  };
  for (const [tag, value] of Object.entries(fact.values)) add(tag.toLowerCase(), value);
  add('82', story.processing?.aip);
  add('9f36', fact.atc);
  add('9f10', fact.iad);
  add('9f26', fact.cryptogram);
  add('9f27', fact.cid);
  const track = toHex(story.values.get('57') ?? new Uint8Array(0)).split('D')[0];
  const pan = story.values.get('5A');
  const psn = story.values.get('5F34');
  if (pan || track) add('pan', pan ? toHex(pan).replace(/F+$/, '') : track);
  if (psn) add('psn', toHex(psn));
  return values;
}

/** MACs of script commands, over the ATC and the first cryptogram of the session. */
function scriptChecks(
  context: ExplainContext,
  story: Story,
  cryptograms: readonly LogCryptogramFact[],
): readonly ExplainCheck[] {
  const [first] = cryptograms;
  if (!first || !isGiven(context.input, 'imk_mac', 'udk_mac', 'sk_mac')) return [];
  const checks: ExplainCheck[] = [];
  for (const { command } of story.exchanges) {
    const values = cardValues(context, story, first);
    values.set('command', command?.hex ?? '');
    const input: ExplainInput = { text: '', bytes: null, lines: [], values, findings: [] };
    if (!command || SCRIPT_MODULE.detect(input) === 0) continue;
    const { checks: made } = SCRIPT_MODULE.explain({ ...context, input });
    checks.push(...made.map((check) => ({ ...check, name: `scriptMac${checks.length + 1}` })));
  }
  return checks;
}

function summaryOf(facts: ApduLogFacts): Pick<Explained, 'summaryEn' | 'summaryZh'> {
  const count = facts.exchanges.length;
  const aid = facts.selectedAid === null ? '' : ` ${facts.selectedAid},`;
  const { method, signature } = facts.dataAuthentication;
  const oda = method === null ? '' : ` ${method} ${signature},`;
  const outcome = OUTCOMES[facts.outcome];
  return {
    summaryEn: `${count} exchanges:${aid}${oda} ${outcome.en}`,
    summaryZh: `${count} 次交互：${aid}${oda} ${outcome.zh}`,
  };
}

/** A session of a card. */
export const APDU_LOG_MODULE: ExplainModule = {
  kind: 'apduLog',
  detect,
  explain: explainApduLog,
};
