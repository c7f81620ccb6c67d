/** The explainer's page: a form, and below it what was found. It asks no server for anything. */
import '../shared/design.css';
import './explain.css';
import { EXPLAIN_KINDS, type ExplainKind } from '@tapnpay/protocol/explain';
import { byId, h } from '../shared/dom.ts';
import { language, onLanguage, setLanguage } from '../shared/i18n.ts';
import { EXAMPLES } from './examples.ts';
import { resultView } from './result.ts';
import { t } from './texts.ts';
import { answerOf, type Request } from './work.ts';

/** After the last key press. */
const DELAY_MS = 200;
let request: Request = { text: '', kind: '', keys: '', unmask: false };
let timer: ReturnType<typeof setTimeout> | undefined;

/** Takes a change; typing waits a little, a choice does not. */
function change(part: Partial<Request>, delayMs = 0): void {
  request = { ...request, ...part };
  clearTimeout(timer);
  timer = setTimeout(drawResult, delayMs);
}

/** Draws everything anew; the focus stays where it was. */
function draw(): void {
  const focused = document.activeElement?.id ?? '';
  document.title = `${t('title')} · Tap & Pay`;
  byId('page').replaceChildren(
    header(),
    form(),
    h(
      'section',
      { class: 'panel result', 'aria-labelledby': 'result-title' },
      h('h2', { id: 'result-title' }, t('result')),
      h('div', { id: 'result', role: 'status', 'aria-live': 'polite' }),
    ),
    h('footer', { class: 'quiet' }, t('footer')),
  );
  if (focused !== '') document.getElementById(focused)?.focus();
  drawResult();
}

function drawResult(): void {
  const answer = answerOf(request);
  byId('result').replaceChildren(
    resultView(answer, (kind) => {
      request = { ...request, kind };
      draw();
    }),
  );
}

function header(): HTMLElement {
  const other = language() === 'zh' ? 'en' : 'zh';
  return h(
    'header',
    { class: 'top' },
    h(
      'div',
      { class: 'top-text' },
      h('h1', {}, t('title')),
      h('p', { class: 'quiet' }, t('subtitle')),
    ),
    h('span', { class: 'badge private', 'data-test': 'privacy' }, t('privacy')),
    h(
      'button',
      {
        type: 'button',
        id: 'language',
        class: 'small-button',
        'data-test': 'language',
        lang: other === 'zh' ? 'zh-CN' : 'en',
        onclick: () => setLanguage(other),
      },
      t('language'),
    ),
  );
}

function form(): HTMLElement {
  return h(
    'div',
    { class: 'panel form' },
    dataField(),
    h('div', { class: 'side' }, ...sideFields()),
    examples(),
  );
}

function dataField(): HTMLElement {
  const field = h('textarea', {
    id: 'data',
    class: 'mono',
    rows: 9,
    spellcheck: 'false',
    autocomplete: 'off',
    'aria-describedby': 'data-help',
  });
  field.value = request.text;
  field.addEventListener('input', () => change({ text: field.value }, DELAY_MS));
  return h(
    'div',
    { class: 'field data' },
    h('label', { for: 'data' }, t('input')),
    field,
    h('p', { id: 'data-help', class: 'quiet help' }, t('inputHelp')),
  );
}

function sideFields(): readonly HTMLElement[] {
  const kind = h('select', { id: 'kind' }, h('option', { value: '' }, t('guess')));
  for (const name of EXPLAIN_KINDS) kind.append(h('option', { value: name }, name));
  kind.value = request.kind;
  kind.addEventListener('change', () => change({ kind: kind.value as ExplainKind | '' }));
  const keys = h('textarea', {
    id: 'keys',
    class: 'mono',
    rows: 3,
    spellcheck: 'false',
    autocomplete: 'off',
    'aria-describedby': 'keys-help',
  });
  keys.value = request.keys;
  keys.addEventListener('input', () => change({ keys: keys.value }, DELAY_MS));
  const unmask = h('input', { id: 'unmask', type: 'checkbox', checked: request.unmask });
  unmask.addEventListener('change', () => change({ unmask: unmask.checked }));
  return [
    h('div', { class: 'field' }, h('label', { for: 'kind' }, t('kind')), kind),
    h(
      'div',
      { class: 'field' },
      h('label', { for: 'keys' }, t('keys')),
      keys,
      h('p', { id: 'keys-help', class: 'quiet help' }, t('keysHelp')),
    ),
    h('div', { class: 'choice' }, unmask, h('label', { for: 'unmask' }, t('unmask'))),
  ];
}

function examples(): HTMLElement {
  const take = (part: Pick<Request, 'text' | 'keys'>): void => {
    request = { ...request, ...part, kind: '' };
    draw();
  };
  const buttons = EXAMPLES.map(({ id, name, input, keys }) =>
    h(
      'button',
      {
        type: 'button',
        id: `example-${id}`,
        class: 'small-button',
        onclick: () => take({ text: input, keys }),
      },
      name[language()],
    ),
  );
  const clear = h(
    'button',
    {
      type: 'button',
      id: 'clear',
      class: 'small-button',
      onclick: () => take({ text: '', keys: '' }),
    },
    t('clear'),
  );
  const group = h('div', { class: 'examples', role: 'group' }, ...buttons, clear);
  group.setAttribute('aria-label', t('examples'));
  return group;
}

onLanguage(draw);
draw();
