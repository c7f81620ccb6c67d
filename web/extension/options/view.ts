/** What the options page shows: one card a part, and the doctor with its report. */
import {
  type CheckState,
  conclusion,
  type DoctorReport,
  describeCheck,
  PLUGIN_CHECK_TEXTS,
  pluginFaultCheck,
  type ReaderView,
} from '@tapnpay/protocol/wire';
import { h } from '../../shared/dom.ts';
import { createTranslator, language } from '../../shared/i18n.ts';
import { type GatewayFact, type HostFact, needOf } from './facts.ts';
import { OPTIONS_TEXTS, type OptionsKey } from './texts.ts';

/** What is known; null: it is being asked. */
export type Known = {
  readonly extensionVersion: string;
  readonly host: HostFact | null;
  readonly gatewayOrigins: readonly string[];
  readonly gateways: readonly GatewayFact[] | null;
};

export const t: (key: OptionsKey, values?: Readonly<Record<string, string | number>>) => string =
  createTranslator(OPTIONS_TEXTS);

/** One part of the way of a payment. */
type Part = {
  readonly id: string;
  readonly title: string;
  readonly state: CheckState | 'asking';
  readonly lines: readonly (HTMLElement | string)[];
  /** What to do; null when nothing is to be done. */
  readonly fix?: string | null;
};

const STATE_KEYS = {
  ok: 'stateOk',
  warn: 'stateWarn',
  broken: 'stateBroken',
  unknown: 'stateUnknown',
  asking: 'asking',
} as const satisfies Readonly<Record<Part['state'], OptionsKey>>;

/** All parts in the order in which a payment needs them. */
export function partCards(known: Known): readonly HTMLElement[] {
  return [
    extensionPart(known),
    hostPart(known),
    elementPart(known),
    readersPart(known),
    ...gatewayParts(known),
  ].map(card);
}

function card({ id, title, state, lines, fix = null }: Part): HTMLElement {
  return h(
    'li',
    { class: 'panel part', 'data-test': `part-${id}`, 'data-state': state },
    h('h2', { class: 'part-title' }, title),
    h('span', { class: `chip chip-${state}` }, t(STATE_KEYS[state])),
    h('div', { class: 'part-lines' }, ...lines.map((line) => h('p', {}, line))),
    fix === null ? null : h('p', { class: 'fix' }, h('strong', {}, t('todo')), fix),
  );
}

function extensionPart({ extensionVersion: version, gateways }: Known): Part {
  const { need, latest, required } = needOf('extension', version, gateways ?? []);
  const lines = [t('version', { version })];
  if (need === 'optional') lines.push(t('updateOffered', { latest }));
  if (need === 'forced') lines.push(t('updateForced', { required }));
  return { id: 'extension', title: t('extension'), state: STATE_OF_NEED[need], lines };
}

const STATE_OF_NEED = { ok: 'ok', optional: 'warn', forced: 'broken' } as const;

function hostPart({ host, gateways }: Known): Part {
  const part = { id: 'host', title: t('host') };
  if (host === null) return { ...part, state: 'asking', lines: [] };
  if (host.state === 'lost') {
    const texts = { language: language(), texts: PLUGIN_CHECK_TEXTS };
    const { seen, fix } = describeCheck(pluginFaultCheck(host.code, host.detail), texts);
    const code = h('span', { class: 'mono quiet' }, host.code);
    return { ...part, state: 'broken', lines: [seen, code], fix };
  }
  const { version } = host.hello;
  const { need, latest, required } = needOf('host', version, gateways ?? []);
  const lines = [t('version', { version })];
  if (need === 'optional') lines.push(t('hostUpdateOffered', { latest }));
  if (need === 'forced') lines.push(t('updateForced', { required }));
  return { ...part, state: STATE_OF_NEED[need], lines };
}

const ELEMENT_PARTS = {
  operable: { state: 'ok', key: 'elementOperable' },
  notEnrolled: { state: 'warn', key: 'elementNotEnrolled' },
  locked: { state: 'broken', key: 'elementLocked' },
} as const;

function elementPart({ host }: Known): Part {
  const part = { id: 'element', title: t('element') };
  if (host?.state !== 'there') return { ...part, ...behindHost(host) };
  const { id, state } = host.hello.element;
  const found = ELEMENT_PARTS[state];
  const number = id === null ? [] : [h('span', { class: 'mono quiet' }, `${t('elementId')} ${id}`)];
  return { ...part, state: found.state, lines: [t(found.key), ...number] };
}

function readersPart({ host }: Known): Part {
  const part = { id: 'readers', title: t('readers') };
  if (host?.state !== 'there') return { ...part, ...behindHost(host) };
  const { readers } = host.hello;
  if (readers.length === 0) return { ...part, state: 'warn', lines: [t('readersNone')] };
  const line = ({ name, kind }: ReaderView): string =>
    `${name} · ${t(kind === 'virtual' ? 'readerVirtual' : 'readerReal')}`;
  return { ...part, state: 'ok', lines: readers.map(line) };
}

function behindHost(host: HostFact | null): Pick<Part, 'state' | 'lines'> {
  if (host === null) return { state: 'asking', lines: [] };
  return { state: 'unknown', lines: [t('unknownUntilHost')] };
}

function gatewayParts({ gateways, gatewayOrigins }: Known): readonly Part[] {
  return gatewayOrigins.map((origin, at) => {
    const part = { id: `gateway-${at}`, title: t('gateway') };
    const address = h('span', { class: 'mono' }, origin);
    const gateway = gateways?.find((candidate) => candidate.origin === origin);
    if (gateway === undefined) return { ...part, state: 'asking', lines: [address] };
    if (gateway.state !== 'there') {
      const key = gateway.state === 'down' ? 'gatewayDown' : 'gatewayOther';
      const { reason } = gateway;
      return { ...part, state: 'broken', lines: [address, t(key, { reason })] };
    }
    const { extension, host } = gateway.versions;
    const offers = t('gatewayOffers', { extension: extension.latest, host: host.latest });
    return { ...part, state: 'ok', lines: [address, t('gatewayThere'), offers] };
  });
}

/** The doctor's findings, one row a link, and what they come to. */
export function reportRows(report: DoctorReport): readonly HTMLElement[] {
  const head = { language: language(), texts: PLUGIN_CHECK_TEXTS };
  const rows = report.checks.map((check) => {
    const { state, name, seen, fix, details } = describeCheck(check, head);
    return h(
      'li',
      { class: 'check', 'data-test': `check-${check.id}`, 'data-state': state },
      h('span', { class: `chip chip-${state}` }, t(STATE_KEYS[state])),
      h('strong', {}, name),
      h('span', { class: 'check-seen' }, seen),
      details.length === 0 ? null : h('pre', { class: 'mono details' }, details.join('\n')),
      fix === null ? null : h('p', { class: 'fix' }, h('strong', {}, t('todo')), fix),
    );
  });
  return [
    h('p', { class: 'conclusion', 'data-test': 'conclusion' }, conclusion(report, head)),
    h('ul', { class: 'checks' }, ...rows),
  ];
}
