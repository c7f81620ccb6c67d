/** The extension's options page: how every part is, and the doctor with a report to copy. */
import { after, type Browser } from '@tapnpay/plugin/extension';
import {
  type DoctorReport,
  gatewayOriginsOf,
  PLUGIN_CHECK_TEXTS,
  reportText,
} from '@tapnpay/protocol/wire';
import '../../shared/design.css';
import '../../helper/helper.css';
import '../extension.css';
import './options.css';
import { markIcon } from '../../helper/icons.ts';
import { byId, h } from '../../shared/dom.ts';
import { language, onLanguage, setLanguage } from '../../shared/i18n.ts';
import { askGateway, askHost, type HostExamination, wholeReport } from './facts.ts';
import type { OptionsKey } from './texts.ts';
import { type Known, partCards, reportRows, t } from './view.ts';

declare const chrome: Browser;

const { version } = chrome.runtime.getManifest();
const gatewayOrigins = gatewayOriginsOf(chrome.runtime.getManifest());
let known: Known = { extensionVersion: version, host: null, gatewayOrigins, gateways: null };
let report: DoctorReport | null = null;
let reportTime = '';
let isExamining = false;
/** Answers of an earlier round come to nothing. */
let round = 0;

function ask(wish: 'hello' | 'doctor'): Promise<HostExamination> {
  const { runtime } = chrome;
  const nowMs = (): number => performance.now();
  return askHost({ runtime, after, origin: location.origin, nowMs }, wish);
}

async function look(): Promise<void> {
  round += 1;
  const own = round;
  const learn = (facts: Partial<Known>): void => {
    if (own !== round) return;
    known = { ...known, ...facts };
    draw();
  };
  learn({ host: null, gateways: null });
  await Promise.all([
    ask('hello').then(({ host }) => learn({ host })),
    Promise.all(gatewayOrigins.map((origin) => askGateway(origin, fetch))).then((gateways) =>
      learn({ gateways }),
    ),
  ]);
  if (own === round) say('asked');
}

async function examine(): Promise<void> {
  if (isExamining) return;
  isExamining = true;
  say('doctorRunning');
  draw();
  const [examination, gateways] = await Promise.all([
    ask('doctor'),
    Promise.all(gatewayOrigins.map((origin) => askGateway(origin, fetch))),
  ]);
  round += 1;
  known = { ...known, host: examination.host, gateways };
  report = wholeReport({ extensionVersion: version, examination, gateways });
  reportTime = new Date().toISOString();
  isExamining = false;
  draw();
  say('doctorDone');
}

async function copy(): Promise<void> {
  const text = byId('report-text');
  try {
    await navigator.clipboard.writeText(wholeText());
    say('copied');
  } catch {
    // The browser's policy may close the clipboard: the text stands there, selected.
    if (text instanceof HTMLTextAreaElement) text.select();
    say('notCopied');
  }
}

function wholeText(): string {
  if (report === null) return '';
  const title = `Tap & Pay ${version} · ${reportTime} · ${navigator.userAgent}`;
  return reportText(report, { title, language: language(), texts: PLUGIN_CHECK_TEXTS });
}

/** A sentence for the eye and for the screen reader. */
function say(key: OptionsKey): void {
  byId('status').textContent = t(key);
  const note = document.getElementById('note');
  if (note !== null && key !== 'asked') note.textContent = t(key);
}

function draw(): void {
  const focused = document.activeElement?.id ?? '';
  document.title = `${t('product')} · ${t('title')}`;
  drawHeader();
  byId('content').replaceChildren(statusSection(), doctorSection());
  if (focused !== '') document.getElementById(focused)?.focus();
}

function press(facts: {
  readonly id: string;
  readonly key: OptionsKey;
  readonly kind?: string;
  readonly isDisabled?: boolean;
  readonly act: () => void;
}): HTMLElement {
  const { id, key, kind = '', isDisabled = false, act } = facts;
  const attributes = { type: 'button', id: `do-${id}`, class: kind, 'data-test': id };
  return h('button', { ...attributes, 'aria-disabled': isDisabled, onclick: act }, t(key));
}

function drawHeader(): void {
  const next = language() === 'zh' ? 'en' : 'zh';
  const switcher = press({
    id: 'language',
    key: 'switchLanguage',
    kind: 'bare',
    act: () => setLanguage(next),
  });
  switcher.setAttribute('aria-label', t('switchLanguageLabel'));
  switcher.lang = next === 'en' ? 'en' : 'zh-CN';
  byId('bar').replaceChildren(
    markIcon(),
    h(
      'div',
      { class: 'bar-words' },
      h('strong', {}, t('product')),
      h('span', { class: 'quiet small' }, `${t('subtitle')} · ${t('version', { version })}`),
    ),
    switcher,
  );
}

function statusSection(): HTMLElement {
  const again = press({ id: 'again', key: 'again', act: () => void look() });
  return h(
    'section',
    { 'aria-labelledby': 'state-title' },
    h('h1', { id: 'state-title' }, t('title')),
    h('p', { class: 'quiet' }, t('intro')),
    h('ul', { class: 'parts' }, ...partCards(known)),
    again,
  );
}

function doctorSection(): HTMLElement {
  const run = press({
    id: 'doctor',
    key: isExamining ? 'doctorRunning' : 'doctorRun',
    kind: 'primary',
    isDisabled: isExamining,
    act: () => void examine(),
  });
  return h(
    'section',
    { 'aria-labelledby': 'doctor-title' },
    h('h2', { id: 'doctor-title' }, t('doctorTitle')),
    h('p', { class: 'quiet' }, t('doctorIntro')),
    run,
    h('p', { id: 'note', class: 'quiet' }),
    ...(report === null ? [] : [...reportRows(report), ...textParts()]),
  );
}

function textParts(): readonly HTMLElement[] {
  const text = h('textarea', {
    id: 'report-text',
    class: 'mono report-text',
    readonly: true,
    rows: 12,
    spellcheck: 'false',
    'data-test': 'report-text',
  });
  text.value = wholeText();
  return [
    h('label', { class: 'small', for: 'report-text' }, t('reportLabel')),
    text,
    press({ id: 'copy', key: 'copy', act: () => void copy() }),
  ];
}

onLanguage(draw);
draw();
void look();
