/** `tapnpay element verify`: what an element signed of a past payment, and whether it is true. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { TapError } from '@tapnpay/protocol/bytes';
import type { AttestedFacts } from '@tapnpay/protocol/wire';
import { type Command, languageOption, textOption, UsageError } from '../command.ts';
import {
  checkEvidence,
  EVIDENCE_BYTES_MAX,
  type EvidenceFault,
  type EvidenceReport,
} from '../payment/evidence.ts';
import { GatewayClient } from '../payment/gateway-client.ts';
import { defaultDataDir, readSystemConfig, urlOf } from '../system/layout.ts';

type Language = 'zh' | 'en';
type Texts = Readonly<Record<Language, string>>;

const USAGE = `usage: tapnpay element verify FILE [--ca FILE] [--lang zh|en] [--json]
       tapnpay element verify --payment ID [--out FILE] [--data DIR] [--lang zh|en] [--json]
FILE is the evidence of a payment, as --out or GET /v1/payments/ID/evidence wrote it; the check
asks nobody. The authority is --ca, or the one of the system in --data. Ends with 1 if it proves
nothing.`;

const FAULTS: Readonly<Record<EvidenceFault, Texts>> = {
  form: { en: 'this is no evidence of a payment', zh: '不是支付证据文件' },
  statement: { en: 'the statement cannot be read', zh: '证明内容无法解读' },
  certificate: { en: 'the certificate cannot be read', zh: '证书无法解读' },
  issuer: {
    en: 'the certificate is not issued by this authority',
    zh: '证书不是由该认证机构签发',
  },
  element: { en: 'the certificate belongs to another element', zh: '证书属于其他安全单元' },
  term: { en: 'the certificate was not valid at that time', zh: '证书在交易时无效' },
  signature: { en: 'the signature is wrong: something was altered', zh: '签名错误：内容被篡改' },
  lifeCycle: { en: 'the application was not operable', zh: '支付应用当时不可操作' },
};

const PROVED: Texts = {
  en: 'proved: the element signed this payment',
  zh: '验证通过：安全单元签署了该支付',
};
const NOT_PROVED: Texts = { en: 'NOT PROVED', zh: '验证失败' };

/** Subcommand `verify` of `tapnpay element`. */
export const elementVerify: Command = {
  summary: {
    en: 'verify offline what an element signed of a past payment',
    zh: '离线验证安全单元对历史支付的签名',
  },
  usage: USAGE,
  options: {
    data: { type: 'string' },
    payment: { type: 'string' },
    out: { type: 'string' },
    ca: { type: 'string' },
    lang: { type: 'string' },
  },
  run: async (values, [file, ...more]) => {
    const paymentId = textOption(values, 'payment');
    if ((file === undefined) === (paymentId === undefined) || more.length > 0) {
      throw new UsageError('element verify takes one FILE, or --payment ID');
    }
    const dataDir = resolve(textOption(values, 'data') ?? defaultDataDir);
    const language = languageOption(values);
    const text = file === undefined ? await fetched(dataDir, paymentId ?? '') : readFile(file);
    const out = textOption(values, 'out');
    if (out !== undefined) writeFileSync(out, text);
    const report = checkEvidence(text, authority(textOption(values, 'ca'), dataDir));
    const isJson = values['json'] === true;
    process.stdout.write(`${isJson ? JSON.stringify(report) : reportText(report, language)}\n`);
    return report.fault === null ? 0 : 1;
  },
};

async function fetched(dataDir: string, paymentId: string): Promise<string> {
  const url = urlOf(readSystemConfig(dataDir), 'gatewayHttp');
  const evidence = await new GatewayClient({ url, dataDir }).evidence(paymentId);
  return `${JSON.stringify(evidence, null, 2)}\n`;
}

/** @throws UsageError; a file that is too long is none of ours. */
function readFile(path: string): string {
  try {
    if (statSync(path).size <= EVIDENCE_BYTES_MAX) return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new UsageError(`${path} cannot be read: ${codeOf(cause)}`);
  }
  throw new UsageError(`${path} is longer than ${EVIDENCE_BYTES_MAX} bytes`);
}

/** The CA that is believed. @throws UsageError. */
function authority(path: string | undefined, dataDir: string): string {
  const from = path ?? join(dataDir, 'gateway', 'ca.pem');
  try {
    return readFileSync(from, 'utf8');
  } catch (cause) {
    throw new UsageError(`no authority in ${from} (${codeOf(cause)}); name one with --ca FILE`);
  }
}

function codeOf(fault: unknown): string {
  if (fault instanceof TapError) return fault.code;
  return fault instanceof Error && 'code' in fault ? String(fault.code) : String(fault);
}

function reportText(report: EvidenceReport, language: Language): string {
  const { fault, facts, authority: fingerprint } = report;
  const end =
    fault === null
      ? PROVED[language]
      : `${NOT_PROVED[language]}: ${FAULTS[fault][language]} (${fault})`;
  const rows = facts === null ? [] : factRows(facts, language);
  const by = language === 'zh' ? '认证机构' : 'authority';
  return [end, ...rows, `  ${by}: ${fingerprint}`].join('\n');
}

function factRows(facts: AttestedFacts, language: Language): readonly string[] {
  const { order } = facts;
  const pin = facts.pinBlockHash;
  const rows: readonly (readonly [Texts, string])[] = [
    [{ en: 'element', zh: '安全单元' }, facts.elementId],
    [{ en: 'code (load file SHA-256)', zh: '程序（装载文件 SHA-256）' }, facts.loadFileHash],
    [{ en: 'life cycle', zh: '生命周期' }, facts.lifeCycle],
    [{ en: 'payment counter', zh: '支付计数器' }, String(facts.counter)],
    [{ en: 'parameter version', zh: '参数版本' }, String(facts.parameterVersion)],
    [{ en: 'channel exporter', zh: '通道绑定值' }, facts.exporter],
    [{ en: 'order', zh: '订单' }, order.orderId],
    [{ en: 'merchant', zh: '商户' }, `${order.merchantName} (${order.merchantId})`],
    [{ en: 'origin', zh: '来源' }, order.origin],
    [
      { en: 'amount, minor units', zh: '金额（最小单位）' },
      `${order.amountMinor} ${order.currency}`,
    ],
    [{ en: 'date and time', zh: '日期时间' }, `20${order.dateYymmdd} ${order.timeHhmmss}`],
    [{ en: 'transaction type (9C)', zh: '交易类型 (9C)' }, order.transactionType],
    [{ en: 'TVR (95)', zh: '终端验证结果 (95)' }, facts.tvr],
    [{ en: 'CVM results (9F34)', zh: '持卡人验证结果 (9F34)' }, facts.cvmResults],
    [{ en: 'field 55 SHA-256', zh: '55 域 SHA-256' }, facts.field55Hash],
    [{ en: 'PIN block SHA-256', zh: 'PIN 块 SHA-256' }, pin ?? '-'],
  ];
  return rows.map(([name, value]) => `  ${name[language]}: ${value}`);
}
