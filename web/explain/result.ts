/** What was found, as elements: summary, bytes beside the tree, checks, findings, copying. */
import {
  type ExplainCheck,
  type ExplainKind,
  type Explanation,
  explanationText,
  type Finding,
} from '@tapnpay/protocol/explain';
import { h } from '../shared/dom.ts';
import { language } from '../shared/i18n.ts';
import { BytesView } from './bytes.ts';
import { t } from './texts.ts';
import { NodeTree } from './tree.ts';
import type { Answer } from './work.ts';

/** The answer's elements; `choose` takes another kind for the same input. */
export function resultView(answer: Answer, choose: (kind: ExplainKind) => void): HTMLElement {
  switch (answer.name) {
    case 'nothing':
      return h('p', { class: 'quiet' }, t('nothing'));
    case 'badKeys':
      return h('p', { class: 'refusal' }, t('badKeys', { line: answer.line }));
    case 'refused':
      return h(
        'div',
        { class: 'refusal' },
        h('p', {}, answer.message),
        h(
          'p',
          { class: 'mono quiet' },
          answer.offsetBytes === null
            ? answer.code
            : `${answer.code} · ${t('atByte', { at: answer.offsetBytes })}`,
        ),
      );
    case 'explained':
      return explainedView(answer, choose);
  }
}

function explainedView(
  answer: Extract<Answer, { readonly name: 'explained' }>,
  choose: (kind: ExplainKind) => void,
): HTMLElement {
  const { explanation, pairs } = answer;
  const { findings, checks } = explanation;
  const tree = new NodeTree(explanation.tree, (span) => bytes.mark(span));
  const bytes = new BytesView(pairs, { onByte: (offset) => tree.show(offset) });
  bytes.element.setAttribute('aria-label', t('bytes'));
  const hasBytes = pairs.length > 0;
  return h(
    'div',
    { class: 'explained' },
    summary(explanation, choose),
    findings.length > 0
      ? section('findings', h('ul', { class: 'findings' }, ...findings.map(findingRow)))
      : null,
    checks.length > 0
      ? section('checks', h('ul', { class: 'checks' }, ...checks.map(checkRow)))
      : null,
    h(
      'div',
      { class: hasBytes ? 'decoded' : 'decoded plain' },
      hasBytes ? section('bytes', bytes.element) : null,
      explanation.tree.length > 0 ? section('tree', tree.element) : null,
    ),
    copyButtons(explanation),
  );
}

function section(
  name: 'findings' | 'checks' | 'bytes' | 'tree',
  content: HTMLElement,
): HTMLElement {
  return h('section', { class: `part part-${name}` }, h('h3', {}, t(name)), content);
}

function summary(explanation: Explanation, choose: (kind: ExplainKind) => void): HTMLElement {
  const text = language() === 'zh' ? explanation.summaryZh : explanation.summaryEn;
  const others = explanation.alternatives.map((kind) =>
    h('button', { type: 'button', class: 'small-button mono', onclick: () => choose(kind) }, kind),
  );
  return h(
    'div',
    { class: 'summary' },
    h('p', { class: 'summary-text', 'data-test': 'summary' }, text),
    h(
      'p',
      { class: 'quiet' },
      h('span', { class: 'mono', 'data-test': 'kind' }, explanation.kind),
      ` ${Math.round(explanation.confidence * 100)} %`,
    ),
    others.length > 0
      ? h('div', { class: 'others quiet' }, `${t('alternatives')}: `, ...others)
      : null,
  );
}

function findingRow(finding: Finding): HTMLElement {
  const { severity, code, offsetBytes } = finding;
  const message = language() === 'zh' ? finding.messageZh : finding.messageEn;
  const at =
    offsetBytes === null ? null : h('span', { class: 'quiet' }, t('atByte', { at: offsetBytes }));
  return h(
    'li',
    { class: `finding ${severity}`, 'data-test': code },
    h('span', { class: 'severity' }, t(severity)),
    h('span', { class: 'message' }, message),
    at,
  );
}

const SIGNS = { passed: '✓', failed: '✗', notPossible: '?' } as const;

function checkRow(check: ExplainCheck): HTMLElement {
  const isZh = language() === 'zh';
  const rows: (readonly [string, string])[] = check.steps.map(({ nameEn, nameZh, value }) => [
    isZh ? nameZh : nameEn,
    value,
  ]);
  if (check.expected !== undefined) rows.push([t('expected'), check.expected]);
  if (check.actual !== undefined) rows.push([t('actual'), check.actual]);
  const details = h(
    'details',
    {},
    h(
      'summary',
      {},
      h('span', { class: 'sign', 'aria-hidden': 'true' }, SIGNS[check.result]),
      h('span', { class: 'mono' }, check.name),
      ` ${t(check.result)}`,
    ),
    h(
      'dl',
      {},
      ...rows.flatMap(([name, value]) => [
        h('dt', {}, name),
        h('dd', { class: 'mono' }, value === '' ? '—' : value),
      ]),
    ),
  );
  details.open = check.result === 'failed';
  return h('li', { class: `check ${check.result}`, 'data-test': `check-${check.name}` }, details);
}

function copyButtons(explanation: Explanation): HTMLElement {
  const told = h('span', { class: 'quiet', role: 'status' });
  const copy = (text: string): void => {
    navigator.clipboard.writeText(text).then(
      () => told.replaceChildren(t('copied')),
      () => told.replaceChildren(t('notCopied')),
    );
  };
  return h(
    'div',
    { class: 'copying' },
    h(
      'button',
      {
        type: 'button',
        class: 'small-button',
        'data-test': 'copy-text',
        onclick: () => copy(explanationText(explanation, language())),
      },
      t('copyText'),
    ),
    h(
      'button',
      {
        type: 'button',
        class: 'small-button',
        'data-test': 'copy-json',
        onclick: () => copy(JSON.stringify(explanation, null, 2)),
      },
      t('copyJson'),
    ),
    told,
  );
}
