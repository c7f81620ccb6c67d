/** An explanation as text for a terminal or a letter: tree with offsets, checks, findings. */
import type { ExplainCheck, ExplainNode, Explanation, Finding } from './types.ts';

/** Language of summaries, texts and messages; names stand in both. */
export type ExplainLanguage = 'zh' | 'en';

/** Longest value printed on one line; the rest is in `--json`. */
const VALUE_CHARACTERS_MAX = 96;

const WORDS = {
  kind: { en: 'kind', zh: '类型' },
  alternatives: { en: 'may also be', zh: '也可能是' },
  checks: { en: 'Checks', zh: '校验' },
  findings: { en: 'Findings', zh: '发现' },
  atByte: { en: 'at byte', zh: '第' },
  byteEnd: { en: '', zh: '字节' },
  expected: { en: 'expected', zh: '应为' },
  actual: { en: 'actual', zh: '实为' },
  passed: { en: 'passed', zh: '通过' },
  failed: { en: 'FAILED', zh: '不通过' },
  notPossible: { en: 'not possible', zh: '无法校验' },
  error: { en: 'error', zh: '错误' },
  warning: { en: 'warning', zh: '警告' },
  note: { en: 'note', zh: '提示' },
} as const;

/** Lines for a terminal, without a line break at the end. */
export function explanationText(explanation: Explanation, language: ExplainLanguage): string {
  const word = (key: keyof typeof WORDS): string => WORDS[key][language];
  const { kind, confidence, alternatives, tree, checks, findings } = explanation;
  const lines = [
    language === 'zh' ? explanation.summaryZh : explanation.summaryEn,
    `${word('kind')}: ${kind} (${confidence.toFixed(2)})`,
  ];
  if (alternatives.length > 0) lines.push(`${word('alternatives')}: ${alternatives.join(', ')}`);
  if (tree.length > 0) lines.push('', ...tree.flatMap((node) => nodeLines(node, 0, language)));
  if (checks.length > 0) {
    lines.push('', `${word('checks')}:`);
    for (const check of checks) lines.push(...checkLines(check, language));
  }
  if (findings.length > 0) {
    lines.push('', `${word('findings')}:`);
    for (const finding of findings) lines.push(findingLine(finding, language));
  }
  return lines.join('\n');
}

function nodeLines(node: ExplainNode, depth: number, language: ExplainLanguage): readonly string[] {
  const place = node.offsetBytes === null ? '' : `${node.offsetBytes}+${node.lengthBytes ?? 0}`;
  const isShared = node.nameZh === node.nameEn;
  const names = isShared ? node.nameEn : `${node.nameZh} ${node.nameEn}`;
  const head = [node.tag, names].filter((part) => part !== undefined && part !== '').join(' ');
  const said = (language === 'zh' ? (node.textZh ?? node.text) : node.text) ?? '';
  const value = node.children.length > 0 && node.value.length > 32 ? '' : shortened(node.value);
  const isSame = said === '' || said === node.value;
  const rest = [value, isSame ? '' : said].filter((part) => part !== '').join('  ');
  const tail = rest === '' ? '' : `: ${rest}`;
  const line = `${place.padStart(9)}  ${'  '.repeat(depth)}${head}${tail}`;
  return [line, ...node.children.flatMap((child) => nodeLines(child, depth + 1, language))];
}

function shortened(value: string): string {
  if (value.length <= VALUE_CHARACTERS_MAX) return value;
  return `${value.slice(0, VALUE_CHARACTERS_MAX)}…`;
}

function checkLines(check: ExplainCheck, language: ExplainLanguage): readonly string[] {
  const sign = { passed: '✓', failed: '✗', notPossible: '?' }[check.result];
  const lines = [`  ${sign} ${check.name}: ${WORDS[check.result][language]}`];
  for (const { nameEn, nameZh, value } of check.steps) {
    const name = language === 'zh' ? nameZh : nameEn;
    lines.push(`      ${name}${value === '' ? '' : `: ${shortened(value)}`}`);
  }
  if (check.expected !== undefined) {
    lines.push(`      ${WORDS.expected[language]}: ${shortened(check.expected)}`);
  }
  if (check.actual !== undefined) {
    lines.push(`      ${WORDS.actual[language]}: ${shortened(check.actual)}`);
  }
  return lines;
}

function findingLine(finding: Finding, language: ExplainLanguage): string {
  const { severity, code, offsetBytes } = finding;
  const at =
    offsetBytes === null
      ? ''
      : ` ${WORDS.atByte[language]} ${offsetBytes} ${WORDS.byteEnd[language]}`.trimEnd();
  const message = language === 'zh' ? finding.messageZh : finding.messageEn;
  return `  ${WORDS[severity][language]}${at}: ${message} [${code}]`;
}
