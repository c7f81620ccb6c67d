/** What is wrong on this machine, link by link, shown on the pay page: the doctor's report. */
import { askDoctor, type Payment, type PaymentState } from '@tapnpay/plugin/engine';
import {
  type CheckState,
  conclusion,
  type DoctorCheck,
  type DoctorReport,
  describeCheck,
  foundWaiting,
  PLUGIN_CHECK_TEXTS,
  pluginFaultCheck,
  reportText,
} from '@tapnpay/protocol/wire';
import { byId, h } from '../shared/dom.ts';
import { language, onLanguage } from '../shared/i18n.ts';
import { copies, elementOf } from './buttons.ts';
import { loadTexts, t } from './texts.ts';

/** Links that nobody can look at without a host. */
const BEHIND_HOST = ['element', 'readerService', 'readers'] as const;
/** Each state's sign; its word stands beside it, for those who do not see it. */
const SIGNS: Readonly<Record<CheckState, string>> = {
  ok: '✓',
  warn: '!',
  broken: '✗',
  unknown: '–',
};

/** What the host found, and in which time. */
type Examination = { readonly report: DoctorReport; readonly tookMs: number };

/** The page's own links, then what the host found behind them. */
export function wholeReport(state: PaymentState, found: Examination | null): DoctorReport {
  const { plugin, error } = state;
  const code = error?.code.replace('TP_', 'ERR_') ?? '';
  const fault = pluginFaultCheck(code, error?.detail ?? '');
  const version = plugin?.extension ?? null;
  const isExtensionWrong = /^ERR_(EXTENSION|VERSION)_/.test(code);
  const extension: DoctorCheck =
    version !== null && !isExtensionWrong
      ? { id: 'extension', state: 'ok', code: null, facts: { version } }
      : {
          id: 'extension',
          state: 'broken',
          code: isExtensionWrong ? code : 'ERR_EXTENSION_MISSING',
          facts: { version: version ?? '', required: plugin?.versions?.extension.required ?? '' },
        };
  if (found !== null) {
    return { checks: [extension, ...hostCheck(state, found), ...withoutExtension(found.report)] };
  }
  const host: DoctorCheck =
    extension.state === 'broken' ? { id: 'host', ...foundWaiting('extension') } : fault;
  const waits = BEHIND_HOST.map((id) => ({ id, ...foundWaiting('host') }));
  return { checks: [extension, host, ...waits] };
}

/** A host that reports does not name itself: that it does so is what there is to say of it. */
function hostCheck({ plugin }: PaymentState, { report, tookMs }: Examination): DoctorCheck[] {
  if (report.checks.some(({ id }) => id === 'host')) return [];
  const facts = { version: plugin?.host?.version ?? '', ms: String(Math.round(tookMs)) };
  return [{ id: 'host', state: 'ok', code: null, facts }];
}

function withoutExtension({ checks }: DoctorReport): readonly DoctorCheck[] {
  return checks.filter(({ id }) => id !== 'extension');
}

let stopListening = (): void => {};

/** Looks at every link and shows what was found, in the language of the page. */
export async function examine(payment: Payment): Promise<void> {
  const place = byId('doctor');
  stopListening();
  place.hidden = false;
  place.replaceChildren(h('p', { role: 'status' }, t('doctorLooks')));
  const askedMs = performance.now();
  const found = await askDoctor();
  const tookMs = performance.now() - askedMs;
  const report = wholeReport(payment.state, found && { report: found, tookMs });
  const show = (): void => place.replaceChildren(...elementsOf(report));
  show();
  stopListening = onLanguage(() => void loadTexts().then(show));
  place.querySelector('h2')?.focus();
}

function elementsOf(report: DoctorReport): readonly HTMLElement[] {
  const head = { language: language(), texts: PLUGIN_CHECK_TEXTS } as const;
  const title = t('doctorTitle');
  const text = reportText(report, { ...head, title });
  const rows = report.checks.map((check) => {
    const { state, name, seen, fix, details } = describeCheck(check, head);
    return h(
      'li',
      { class: state, 'data-check': check.id, 'data-check-state': state },
      h('span', { class: 'sign', 'aria-hidden': 'true' }, SIGNS[state]),
      h('span', { class: 'visually-hidden' }, t(`check_${state}`)),
      h('strong', {}, name),
      h('span', {}, seen),
      ...details.map((line) => h('code', {}, line)),
      fix === null ? null : h('span', { class: 'fix' }, fix),
    );
  });
  return [
    h('h2', { tabindex: '-1' }, title),
    h('p', {}, conclusion(report, head)),
    h('ul', {}, ...rows),
    elementOf({ test: 'copy-report', text: t('copyReport'), act: copies(text) }),
  ];
}
