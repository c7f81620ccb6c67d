/** What `tap` prints for people: outcome first, then the hops, APDUs when asked for. */
import type { ApduRecord } from '@tapnpay/agent';
import { formatAmount } from '@tapnpay/protocol/bytes';
import type {
  HopName,
  TraceDocument,
  TraceField,
  TraceHop,
  TraceItem,
  TwoLanguages,
} from '@tapnpay/protocol/wire';
import type { TapDocument } from './document.ts';

const HOP_ZH: Readonly<Record<HopName, string>> = {
  order: '下单',
  ask: '发起',
  channel: '安全通道',
  tap: '读卡',
  check: '终端检查',
  cryptogram: '应用密文',
  seal: '封装',
  request: '请求',
  route: '转接',
  decide: '发卡行决定',
  return: '应答',
  finish: '卡片完成',
  confirm: '确认',
  tell: '通知',
};

const OUTCOME: Readonly<Record<TapDocument['outcome'], string>> = {
  approved: 'APPROVED 交易成功',
  declined: 'DECLINED 交易被拒绝',
  unknown: 'UNKNOWN, do not pay again 结果确认中，请勿重复支付',
  cancelled: 'CANCELLED, nothing was charged 已取消，未扣款',
};

/** A receipt-like summary. */
export function summaryText(document: TapDocument): string {
  const { card, issuer, cryptogram } = document;
  const code = document.responseCode === null ? '' : ` (${document.responseCode})`;
  const rows: [string, string | null][] = [
    [
      'amount 金额',
      `${formatAmount(BigInt(document.amountMinor), document.currency)} ${document.currency}`,
    ],
    ['reason 原因', document.reason],
    ['resolved 结果', document.resolution],
    ['card 卡', card && `${card.label} ${card.panMasked}`],
    ['order 订单', `${document.orderId} ${document.orderStatus}`],
    ['payment 支付', document.paymentId],
    ['ARQC', cryptogram.arqc && `${cryptogram.arqc} verified by issuer: ${issuer.arqcVerified}`],
    ['ARPC', cryptogram.arpc],
    [cryptogram.secondType ?? 'second AC', cryptogram.second],
    ['TVR / TSI / CVM', `${document.tvr} / ${document.tsi} / ${document.cvmResults}`],
    ['data authentication', document.dataAuthentication],
    [
      'channel',
      document.channel && `${document.channel.protocol}, mutual ${document.channel.mutual}`,
    ],
    ['time', `${document.totalMs} ms`],
  ];
  const shown = rows.filter(([, value]) => value !== null);
  return [
    `${OUTCOME[document.outcome]}${code}`,
    ...shown.map(([name, value]) => `  ${name.padEnd(20)} ${value}`),
  ].join('\n');
}

/** The 14 hops on a time line, with their masked facts. */
export function traceText(document: TapDocument, apdus: readonly ApduRecord[]): string {
  const hops = document.hops.map(({ n, name, party, ms, facts }) => {
    const when = ms === null ? '      -' : `${String(ms).padStart(5)} ms`;
    const told = Object.entries(facts).map(([key, value]) => `${key}=${value}`);
    const label = `${name} ${HOP_ZH[name]}`;
    const row = [String(n).padStart(2), `${when} `, label.padEnd(18), party ?? '', ...told];
    return row.join(' ').trimEnd();
  });
  const exchanges = apdus.flatMap(({ number, command, response }) => [
    `${String(number).padStart(3)} => ${command}`,
    `    <= ${response}`,
  ]);
  return ['', 'hops 路径', ...hops, '', 'card 卡片 (masked 已屏蔽)', ...exchanges].join('\n');
}

/** In which languages a trace is printed. */
export type TraceLanguage = 'zh' | 'en' | 'both';

const STATUS: Readonly<Record<Exclude<TraceHop['status'], 'passed'>, TwoLanguages>> = {
  notReached: { zh: '未到达', en: 'not reached' },
  notApplicable: { zh: '不适用', en: 'not applicable' },
};
const KINDS: Readonly<Record<TraceItem['kind'], string>> = {
  apdu: 'APDU',
  iso8583: '8583',
  hsm: 'HSM',
  ledger: 'LEDGER',
  channel: 'TLS',
};
const FIELD_INDENT = 14;

/** The whole trace, decoded: hops, and in them APDUs, messages, HSM commands and ledger rows. */
export function decodedTraceText(trace: TraceDocument, language: TraceLanguage = 'both'): string {
  const rows = trace.hops.flatMap((hop) => [
    hopRow(hop, language),
    ...hop.items.flatMap((item) => itemRows(item, language)),
  ]);
  return ['', ...rows, `total ${Math.round(trace.totalMs)} ms`].join('\n');
}

function hopRow(hop: TraceHop, language: TraceLanguage): string {
  const { n, status, party, ms, facts } = hop;
  const label = language === 'en' ? hop.hop : `${hop.hop} ${HOP_ZH[hop.hop]}`;
  if (status !== 'passed') {
    const why = say(STATUS[status], language);
    return `${String(n).padStart(2)}        -  ${label.padEnd(18)} ${why}`;
  }
  const when = `${String(Math.round(ms ?? 0)).padStart(6)} ms`;
  const told = Object.entries(facts).map(([key, value]) => `${key}=${value}`);
  return [String(n).padStart(2), when, label.padEnd(18), party ?? '', ...told].join(' ').trimEnd();
}

function itemRows(item: TraceItem, language: TraceLanguage): readonly string[] {
  const { kind, party, ms, title, raw, fields } = item;
  const name = say(item.name, language);
  const head = `${ms.toFixed(1).padStart(9)}  ${KINDS[kind].padEnd(6)} ${party}: ${title}  ${name}`;
  const marks = kind === 'apdu' ? ['=> ', '<= '] : ['', ''];
  const pad = ' '.repeat(FIELD_INDENT);
  return [
    head,
    ...raw.map((text, index) => `${pad}${marks[index] ?? ''}${text}`),
    ...fields.flatMap((field) => fieldRows(field, language, FIELD_INDENT)),
  ];
}

function fieldRows(field: TraceField, language: TraceLanguage, indent: number): readonly string[] {
  const { key, name, value, meanings, children } = field;
  const said = meanings.map((meaning) => say(meaning, language));
  // One short meaning stands beside its value, several below it.
  const [only] = said.length === 1 ? said : [];
  const row = [key, say(name, language), ...(value === null ? [] : ['=', value])].join(' ');
  const pad = ' '.repeat(indent);
  const below = said.length > 1 ? said.map((text) => `${pad}    · ${text}`) : [];
  return [
    only === undefined ? pad + row : `${pad}${row}  · ${only}`,
    ...below,
    ...children.flatMap((child) => fieldRows(child, language, indent + 2)),
  ];
}

function say({ zh, en }: TwoLanguages, language: TraceLanguage): string {
  if (language === 'zh' || zh === en) return zh;
  return language === 'en' ? en : `${en} ${zh}`;
}
