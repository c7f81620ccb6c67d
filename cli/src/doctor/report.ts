/** The doctor's report as text that can be pasted into a question; it holds no secrets. */
import { type Finding, LINK_NAMES, two, type Verdict } from './finding.ts';

export type ReportLanguage = 'zh' | 'en';

const MARKS: Readonly<Record<Verdict, string>> = { ok: 'ok    ', warn: 'warn  ', broken: 'BROKEN' };
/** A link that was not looked at because an earlier one is broken. */
const WAITS = '-     ';
const NAME_COLUMNS = 16;
const INDENT = ' '.repeat(8);

/** What the report says above the links. */
export type ReportFacts = {
  readonly platform: string;
  readonly arch: string;
  readonly findings: readonly Finding[];
};

/** The first link that keeps a payment from being made, or null. */
export function firstBroken(findings: readonly Finding[]): Finding | null {
  return findings.find(({ verdict }) => verdict === 'broken') ?? null;
}

/** Lines for people. */
export function reportText(facts: ReportFacts, language: ReportLanguage): string {
  const { platform, arch, findings } = facts;
  const rows = findings.flatMap(({ link, verdict, seen, fix }) => [
    row({ link, verdict, seen, fix }, language),
    ...(fix ? [`${INDENT}-> ${fix[language]}`] : []),
  ]);
  return [`tapnpay doctor · ${platform} ${arch}`, ...rows, '', conclusion(findings)[language]].join(
    '\n',
  );
}

function row({ link, verdict, seen, fix }: Finding, language: ReportLanguage): string {
  const mark = verdict === 'broken' && !fix ? WAITS : MARKS[verdict];
  return `${mark}  ${padded(LINK_NAMES[link][language], NAME_COLUMNS)}${seen[language]}`;
}

function conclusion(findings: readonly Finding[]): Finding['seen'] {
  const first = firstBroken(findings);
  if (!first) return two('A payment can be made.', '可以支付。');
  const { en, zh } = LINK_NAMES[first.link];
  return two(
    `No payment can be made: the first broken link is "${en}".`,
    `无法支付：首个断开的环节是“${zh}”。`,
  );
}

/** Chinese characters take two columns of a terminal. */
export function padded(text: string, columns: number): string {
  const width = [...text].reduce((sum, character) => sum + (character > '\u2e80' ? 2 : 1), 0);
  return text + ' '.repeat(Math.max(1, columns - width));
}
