/** A doctor's report as text in one language: rows for people, and a whole that can be copied. */
import {
  CHECK_CODES,
  CHECK_WAITS,
  type CheckCode,
  type CheckId,
  type CheckState,
  type CheckTexts,
  type CodeText,
  type DoctorCheck,
  type DoctorReport,
  type Found,
  firstBroken,
} from './doctor.ts';
import type { TwoLanguages } from './trace.ts';

/** The languages of all texts. */
export type DoctorLanguage = keyof TwoLanguages;
/** The part of the table that a reader carries: `PLUGIN_CHECK_TEXTS` or `CHECK_TEXTS`. */
export type CheckTextTable = { readonly [Id in CheckId]?: CheckTexts<Id> };

/** One check as a person reads it. */
export type CheckLine = {
  readonly state: CheckState;
  /** The link, with its browser where there are several. */
  readonly name: string;
  readonly seen: string;
  /** What to do; null when nothing is to be done, or another link comes first. */
  readonly fix: string | null;
  /** Every place that was looked at, and a program's last words. */
  readonly details: readonly string[];
};

/** What stands around the checks in the copyable text. */
export type ReportHead = {
  readonly title: string;
  readonly language: DoctorLanguage;
  readonly texts: CheckTextTable;
  /** The last line; when absent, whether a payment can be made. */
  readonly ending?: string;
};

/** Said of a link that waits for another one. */
const WAITS_TEXT: TwoLanguages = {
  en: 'not looked at: fix {link} first',
  zh: '未检查：请先修复“{link}”',
};
/** Facts that are lists, one thing a line. */
const DETAIL_FACTS = ['probed', 'output'] as const;
const MARKS: Readonly<Record<CheckState, string>> = {
  ok: 'ok    ',
  warn: 'warn  ',
  broken: 'BROKEN',
  unknown: '-     ',
};
const NAME_COLUMNS = 32;
const INDENT = ' '.repeat(8);

/** Nothing is wrong. */
export function foundOk(facts: Readonly<Record<string, string>> = {}): Found<never> {
  return { state: 'ok', code: null, facts };
}

/** A link with what is wrong. */
export function foundFault<Id extends CheckId>(
  state: Exclude<CheckState, 'ok'>,
  code: CheckCode<Id>,
  facts: Readonly<Record<string, string>> = {},
): Found<Id> {
  return { state, code, facts };
}

/** A link that was not looked at. */
export function foundWaiting(link: CheckId): Found<never> {
  return { state: 'unknown', code: CHECK_WAITS, facts: { link } };
}

/** A check in words. A code that the table does not know is said as it is. */
export function describeCheck(
  check: DoctorCheck,
  { language, texts }: Pick<ReportHead, 'language' | 'texts'>,
): CheckLine {
  const known = textsOf(check.id, texts);
  const text = textOf(check, known);
  const say = (template: TwoLanguages): string =>
    filled(template[language], check, texts, language);
  const browser = check.facts['browser'];
  const name = known === undefined ? check.id : known.name[language];
  return {
    state: check.state,
    name: browser === undefined ? name : `${name} · ${browser}`,
    seen: text === null ? [check.code, factText(check)].join(' ').trim() : say(text.seen),
    fix: text === null || text.fix === null ? null : say(text.fix),
    details: DETAIL_FACTS.flatMap((fact) => linesOf(check.facts[fact])),
  };
}

/** The whole report, to be shown in a terminal or pasted into a question; it holds no secrets. */
export function reportText(report: DoctorReport, head: ReportHead): string {
  const rows = report.checks.flatMap((check) => {
    const { state, name, seen, fix, details } = describeCheck(check, head);
    return [
      `${MARKS[state]}  ${padded(name, NAME_COLUMNS)}${seen}`,
      ...details.map((line) => `${INDENT}   ${line}`),
      ...(fix === null ? [] : [`${INDENT}-> ${fix}`]),
    ];
  });
  return [head.title, ...rows, '', head.ending ?? conclusion(report, head)].join('\n');
}

/** Whether a payment can be made, and the first link that keeps it from being made. */
export function conclusion(
  report: DoctorReport,
  { language, texts }: Pick<ReportHead, 'language' | 'texts'>,
): string {
  const first = firstBroken(report);
  if (first === null) return language === 'zh' ? '可以支付。' : 'A payment can be made.';
  const { name } = describeCheck(first, { language, texts });
  return language === 'zh'
    ? `无法支付：首个断开的环节是“${name}”。`
    : `No payment can be made: the first broken link is "${name}".`;
}

/** The check of a fault that the browser's side met, by its code; `detail` is the raw text. */
export function pluginFaultCheck(code: string, detail: string): DoctorCheck {
  const isOfExtension = CHECK_CODES.extension.some((known) => known === code);
  return {
    id: isOfExtension ? 'extension' : 'host',
    state: 'broken',
    code,
    facts: detail === '' ? {} : { reason: detail, output: detail },
  };
}

/** Fills a text with blanks to a width; Chinese characters take two columns of a terminal. */
export function padded(text: string, columns: number): string {
  const width = [...text].reduce((sum, character) => sum + (character > '\u2e80' ? 2 : 1), 0);
  return text + ' '.repeat(Math.max(1, columns - width));
}

type AnyTexts = {
  readonly name: TwoLanguages;
  readonly ok: TwoLanguages;
  readonly codes: Readonly<Record<string, CodeText>>;
};

function textsOf(id: string, texts: CheckTextTable): AnyTexts | undefined {
  return Object.hasOwn(texts, id) ? texts[id as CheckId] : undefined;
}

function textOf(
  { code }: DoctorCheck,
  known: AnyTexts | undefined,
): { readonly seen: TwoLanguages; readonly fix: TwoLanguages | null } | null {
  if (code === CHECK_WAITS) return { seen: WAITS_TEXT, fix: null };
  if (known === undefined) return null;
  if (code === null) return { seen: known.ok, fix: null };
  return Object.hasOwn(known.codes, code) ? (known.codes[code] ?? null) : null;
}

function filled(
  template: string,
  { facts }: DoctorCheck,
  texts: CheckTextTable,
  language: DoctorLanguage,
): string {
  return template.replace(/\{(\w+)\}/g, (_, fact: string) => {
    const value = Object.hasOwn(facts, fact) ? (facts[fact] ?? '') : '';
    if (fact !== 'link') return value;
    return textsOf(value, texts)?.name[language] ?? value;
  });
}

function factText({ facts }: DoctorCheck): string {
  const plain = Object.entries(facts).filter(([fact]) => !isDetail(fact));
  return plain.map(([fact, value]) => `${fact}=${value}`).join(' ');
}

function isDetail(fact: string): boolean {
  return DETAIL_FACTS.some((detail) => detail === fact);
}

function linesOf(fact: string | undefined): readonly string[] {
  return fact === undefined || fact === '' ? [] : fact.split('\n');
}
