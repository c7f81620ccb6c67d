/** Kind `certificate`: certificates and signatures, RSA and SM2, verified as far as keys go. */
import { byteAt, fromHex, toHex } from '../bytes/index.ts';
import type { EmvRsaPublicKey } from '../emv/data/index.ts';
import { readCommand } from './apdu-command.ts';
import {
  both,
  finding,
  givenBytes,
  givenText,
  isGiven,
  notPossible,
  requireBytes,
} from './build.ts';
import { knownCaKey } from './ca-keys-known.ts';
import { type ChainInput, type LinkInput, verifyChain } from './certificate-chain.ts';
import { isSmData, verifySmChain } from './certificate-chain-sm.ts';
import {
  certificateFields,
  certificateNodes,
  signedDataFields,
  signedDataNodes,
} from './certificate-fields.ts';
import { processingFact, splitByDol } from './content.ts';
import { formatError } from './errors.ts';
import type { CertificateFacts } from './facts.ts';
import { readInputTlv, readTlv, tlvFindings, tlvValues } from './tlv-reader.ts';
import type {
  ExplainCheck,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  ExplainNode,
  Finding,
} from './types.ts';
import { readDol } from './value-lists.ts';

const CERTIFICATE_NAMES = [
  '90',
  '9f46',
  '9f2d',
  '93',
  '9f4b',
  'sdad',
  '9f46start',
  'tag9f46start',
  'issuercertificate',
];
const CERTIFICATE_TAGS = ['90', '9F46', '9F2D', '93', '9F4B'];
const KEY_NAMES = ['capkmodulus', 'capk', 'capkindex', 'issuermodulus', 'iccmodulus', 'camodulus'];
/** Format byte of an opened block -> what it is. */
const OPENED: Readonly<Record<number, 'issuer' | 'static' | 'icc' | 'dynamic'>> = {
  2: 'issuer',
  3: 'static',
  4: 'icc',
  5: 'dynamic',
};

const NOTHING: CertificateFacts = {
  caKey: null,
  pan: null,
  issuer: null,
  icc: null,
  iccPin: null,
  staticData: null,
  dynamicData: null,
  valid: null,
  processing: null,
  pdolValues: {},
  pdolLengthBytes: null,
  gpoCommand: null,
};

function detect(input: ExplainInput): number {
  const has = (name: string) => input.values.has(name);
  if (CERTIFICATE_NAMES.some(has)) return KEY_NAMES.some(has) ? 0.96 : 0.9;
  const bytes = input.bytes;
  if (bytes === null || input.lines.length > 1) return 0;
  if (isOpened(bytes)) return 0.95;
  if (isSmData(bytes)) return 0.92;
  const tags =
    bytes.length > 80 && (bytes[0] === 0x70 || bytes[0] === 0x90)
      ? tlvValues(readInputTlv(input).objects)
      : new Map<string, Uint8Array>();
  return ['90', '9F46', '93'].some((tag) => (tags.get(tag)?.length ?? 0) >= 64) ? 0.3 : 0;
}

function isOpened(bytes: Uint8Array): boolean {
  const isFramed = bytes[0] === 0x6a && bytes.at(-1) === 0xbc;
  return isFramed && bytes.length >= 48 && byteAt(bytes, 1) in OPENED;
}

function explainCertificate(context: ExplainContext): Explained {
  const { input } = context;
  const hasNames = CERTIFICATE_NAMES.some((name) => input.values.has(name));
  if (!hasNames) {
    const bytes = requireBytes('certificate', input);
    if (isOpened(bytes)) return explainOpened(bytes);
    if (isSmData(bytes)) return explainSm(context, { '9F46': bytes });
  }
  const values = certificateValues(input);
  if (!CERTIFICATE_TAGS.some((tag) => values.has(tag))) {
    throw formatError('certificate', 0, 'no certificate or signature');
  }
  const first = values.get('9F46') ?? values.get('90') ?? values.get('93') ?? values.get('9F4B');
  if (first && isSmData(first)) return explainSm(context, Object.fromEntries(values));
  return explainRsa(context, values);
}

/** Tags of certificates, by name or in the bytes themselves. */
function certificateValues(input: ExplainInput): Map<string, Uint8Array> {
  const values = input.bytes
    ? tlvValues(readInputTlv(input).objects)
    : new Map<string, Uint8Array>();
  const names: Readonly<Record<string, readonly string[]>> = {
    '90': ['90', 'issuer_certificate'],
    '92': ['92', 'issuer_remainder'],
    '9F32': ['9F32', 'issuer_key_exponent'],
    '9F46': ['9F46', '9F46start', 'tag9F46start', 'icc_certificate'],
    '9F48': ['9F48'],
    '9F47': ['9F47'],
    '9F2D': ['9F2D'],
    '9F2E': ['9F2E'],
    '9F2F': ['9F2F'],
    '93': ['93'],
    '9F4B': ['9F4B', 'sdad'],
    '5A': ['5A'],
  };
  for (const [tag, aliases] of Object.entries(names)) {
    const value = givenBytes(input, ...aliases);
    if (value) values.set(tag, value);
  }
  return values;
}

/** A block that somebody has opened already. */
function explainOpened(bytes: Uint8Array): Explained {
  const kind = OPENED[byteAt(bytes, 1)];
  if (kind === 'static' || kind === 'dynamic') {
    const fact = signedDataFields(bytes, kind);
    const facts = { ...NOTHING, [kind === 'static' ? 'staticData' : 'dynamicData']: fact };
    return openedAnswer(facts, signedDataNodes(bytes, fact), []);
  }
  const type = kind === 'issuer' ? 'issuer' : 'icc';
  const fact = certificateFields(bytes, type, { remainder: undefined, exponent: undefined });
  const needed = fact.remainderNeededBytes ?? 0;
  const tags = type === 'issuer' ? '92, 9F32' : '9F48, 9F47';
  const findings: Finding[] = [];
  if (needed > 0) {
    const tag = tags.split(',')[0] ?? '';
    const length = fact.keyLengthBytes;
    const message = both(
      `the key is not complete: ${needed} of its ${length} bytes stand in ${tag}`,
      `公钥不完整：${length} 字节中的 ${needed} 字节在 ${tag} 中`,
    );
    findings.push(finding('warning', 'KEY_INCOMPLETE', 15, message));
  }
  const message = both(`the hash covers ${tags}, which were not given`, `哈希覆盖 ${tags}，未给出`);
  findings.push(finding('note', 'HASH_NOT_CHECKED', bytes.length - 21, message));
  return openedAnswer({ ...NOTHING, [type]: fact }, certificateNodes(bytes, fact), findings);
}

function openedAnswer(
  facts: CertificateFacts,
  tree: readonly ExplainNode[],
  findings: readonly Finding[],
): Explained {
  const fact = facts.issuer ?? facts.icc;
  const what = fact ? both(`${fact.type} certificate`, '证书') : both('signed data', '签名数据');
  const check = notPossible('hash', both('data beyond the block are missing', '缺少块外数据'));
  const length = fact?.keyLengthBytes;
  const day = fact?.validThrough;
  return {
    summaryEn: `Opened ${what.en}${fact ? `, key of ${length} bytes, valid to ${day}` : ''}`,
    summaryZh: `已恢复的${what.zh}${fact ? `，公钥 ${length} 字节，有效期至 ${day}` : ''}`,
    facts,
    tree,
    checks: [check],
    findings,
  };
}

/** The CA key by its bytes, or a known one by RID and index. */
function caKeyOf(
  input: ExplainInput,
  values: ReadonlyMap<string, Uint8Array>,
): { readonly key: EmvRsaPublicKey; readonly fact: CertificateFacts['caKey'] } | null {
  const [rid = '', index = ''] = (givenText(input, 'capk') ?? '').toUpperCase().split('/');
  const aid = givenText(input, 'aid', '84', '4F')?.toUpperCase().slice(0, 10);
  const fact = {
    rid: givenText(input, 'capk_rid', 'rid')?.toUpperCase() ?? (rid || (aid ?? '')),
    index:
      givenText(input, 'capk_index', 'ca_index')?.toUpperCase() ??
      (index || toHex(values.get('8F') ?? new Uint8Array(0))),
  };
  const modulus = givenBytes(input, 'capk_modulus', 'ca_modulus');
  const exponent = givenBytes(input, 'capk_exponent', 'ca_exponent') ?? Uint8Array.of(3);
  if (modulus) return { key: { modulus, exponent }, fact: { ...fact, source: 'given' } };
  const known = knownCaKey(fact.rid, fact.index);
  if (!known) return null;
  const key = { modulus: fromHex(known.modulus), exponent: fromHex(known.exponent) };
  return { key, fact: { ...fact, source: known.use } };
}

function linkOf(
  values: ReadonlyMap<string, Uint8Array>,
  tags: readonly [certificate: string, remainder: string, exponent: string],
): LinkInput | null {
  const certificate = values.get(tags[0]);
  if (!certificate) return null;
  const remainder = values.get(tags[1]);
  return {
    certificate,
    remainder: remainder && remainder.length > 0 ? remainder : undefined,
    exponent: values.get(tags[2]),
  };
}

function explainRsa(context: ExplainContext, values: ReadonlyMap<string, Uint8Array>): Explained {
  const { ciphers, input } = context;
  const ca = caKeyOf(input, values);
  const given = (name: string): EmvRsaPublicKey | null => {
    const modulus = givenBytes(input, `${name}_modulus`);
    const exponent = givenBytes(input, `${name}_exponent`) ?? Uint8Array.of(3);
    return modulus ? { modulus, exponent } : null;
  };
  const pan = values.get('5A');
  const chain: ChainInput = {
    caKey: ca?.key ?? null,
    issuerKey: given('issuer'),
    iccKey: given('icc'),
    issuer: linkOf(values, ['90', '92', '9F32']),
    icc: linkOf(values, ['9F46', '9F48', '9F47']),
    iccPin: linkOf(values, ['9F2D', '9F2F', '9F2E']),
    staticSignature: values.get('93') ?? null,
    dynamicSignature: values.get('9F4B') ?? null,
    staticData: givenBytes(input, 'static_data') ?? null,
    terminalData: givenBytes(input, 'ddol_data', 'terminal_data', 'un_9F37', '9F37', 'un') ?? null,
    combined: null,
    pan: pan ? toHex(pan).replace(/F+$/, '') : (givenText(input, 'pan') ?? null),
    dateYymmdd: dateOf(input),
  };
  const result = verifyChain(ciphers, chain);
  const { checks, tree, findings, ...facts } = result;
  const valid = verdictOf(checks);
  const all: CertificateFacts = {
    ...NOTHING,
    ...facts,
    caKey: ca?.fact ?? null,
    pan: chain.pan,
    valid,
  };
  return {
    ...summaryOf(all, checks),
    facts: all,
    tree,
    checks,
    findings: [...findings, ...assumedExponents(input)],
  };
}

/** Keys that were given without their exponent. */
function assumedExponents(input: ExplainInput): readonly Finding[] {
  const names: readonly (readonly [modulus: string, exponents: readonly string[]])[] = [
    ['capk_modulus', ['capk_exponent', 'ca_exponent']],
    ['issuer_modulus', ['issuer_exponent']],
    ['icc_modulus', ['icc_exponent']],
  ];
  return names
    .filter(([modulus, exponents]) => isGiven(input, modulus) && !isGiven(input, ...exponents))
    .map(([modulus]) => {
      const message = both(
        `${modulus}: no exponent was given, 03 is taken`,
        `${modulus}：未给出指数，按 03 处理`,
      );
      return finding('note', 'KEY_EXPONENT_ASSUMED', null, message);
    });
}

function verdictOf(checks: readonly ExplainCheck[]): boolean | null {
  if (checks.some((check) => check.result === 'failed')) return false;
  return checks.every((check) => check.result === 'passed') ? true : null;
}

/** `date` as YYYY-MM-DD, YYYYMMDD or YYMMDD. */
function dateOf(input: ExplainInput): string | null {
  const digits = (givenText(input, 'date', '9A') ?? '').replace(/[^0-9]/g, '');
  return digits.length === 8 ? digits.slice(2) : digits.length === 6 ? digits : null;
}

function summaryOf(
  facts: CertificateFacts,
  checks: readonly ExplainCheck[],
): Pick<Explained, 'summaryEn' | 'summaryZh'> {
  const words = {
    passed: both('valid', '有效'),
    failed: both('invalid', '无效'),
    notPossible: both('not checked', '未验证'),
  };
  const en = checks.map((check) => `${check.name} ${words[check.result].en}`).join(', ');
  const zh = checks.map((check) => `${check.name} ${words[check.result].zh}`).join('，');
  const ca = facts.caKey ? ` (CA ${facts.caKey.rid}/${facts.caKey.index})` : '';
  return { summaryEn: `${en}${ca}`, summaryZh: `${zh}${ca}` };
}

/** Clear data and signatures: nothing is recovered by RSA. @see PBOC3 P17 */
function explainSm(
  context: ExplainContext,
  given: Readonly<Record<string, Uint8Array>>,
): Explained {
  const { ciphers, input } = context;
  const icc = given['9F46'] ?? null;
  const isIssuer = icc !== null && icc[0] === 0x12;
  const pan = given['5A'];
  const result = verifySmChain(ciphers, {
    caKey: pointOf(input, 'sm_ca_key', 'capk_modulus', 'ca_key'),
    issuerKey: pointOf(input, 'issuer_key', 'issuer_modulus'),
    iccKey: pointOf(input, 'icc_key', 'icc_modulus'),
    issuer: given['90'] ?? (isIssuer ? icc : null),
    icc: isIssuer ? null : icc,
    staticSignature: given['93'] ?? null,
    dynamicSignature: given['9F4B'] ?? null,
    staticData: givenBytes(input, 'static_data') ?? null,
    terminalData: givenBytes(input, 'ddol_data', 'terminal_data', '9F37', 'un') ?? null,
    combined: null,
    pan: pan ? toHex(pan).replace(/F+$/, '') : (givenText(input, 'pan') ?? null),
    dateYymmdd: dateOf(input),
  });
  const { checks, tree, findings, ...links } = result;
  const facts: CertificateFacts = {
    ...NOTHING,
    ...smProcessing(input),
    ...links,
    pan: given['5A'] ? toHex(given['5A']) : (givenText(input, 'pan') ?? null),
    valid: verdictOf(checks),
  };
  const { summaryEn, summaryZh } = summaryOf(facts, checks);
  return {
    summaryEn: `SM2 card: ${summaryEn}`,
    summaryZh: `国密 SM2 卡：${summaryZh}`,
    facts,
    tree,
    checks,
    findings: [...findings, ...answerFindings(input)],
  };
}

/** A point x ‖ y, also with 04 in front. */
function pointOf(input: ExplainInput, ...names: readonly string[]): Uint8Array | null {
  const key = givenBytes(input, ...names);
  if (key?.length === 65 && key[0] === 0x04) return key.slice(1);
  return key?.length === 64 ? key : null;
}

/** What is odd about the answer to GPO that stands beside the certificates. */
function answerFindings(input: ExplainInput): readonly Finding[] {
  const response = givenBytes(input, 'gpo_response');
  return response ? tlvFindings(readTlv(response)) : [];
}

/** PDOL values and AFL around the certificates: which algorithm the terminal offered. */
function smProcessing(input: ExplainInput): Partial<CertificateFacts> {
  const pdolBytes = givenBytes(input, 'pdol', '9F38');
  const commandBytes = givenBytes(input, 'gpo_command');
  const response = givenBytes(input, 'gpo_response');
  const dol = pdolBytes ? readDol('9F38', pdolBytes, 0).fact : null;
  const command = commandBytes ? readCommand(commandBytes, 0) : null;
  const template = command ? readTlv(command.data).objects[0] : undefined;
  const parts = dol && template ? splitByDol(dol, template.value) : [];
  const objects = response ? readTlv(response).objects : [];
  const [first] = objects;
  const values = tlvValues(objects);
  const aip = first?.tag === '80' ? first.value.subarray(0, 2) : values.get('82');
  const afl = first?.tag === '80' ? first.value.subarray(2) : values.get('94');
  return {
    pdolLengthBytes: dol?.totalLengthBytes ?? null,
    gpoCommand: command?.fact ?? null,
    pdolValues: Object.fromEntries(parts.map(({ tag, value }) => [tag, toHex(value)])),
    processing: aip ? processingFact(first?.tag ?? '77', aip, afl) : null,
  };
}

/** Certificates and signatures. */
export const CERTIFICATE_MODULE: ExplainModule = {
  kind: 'certificate',
  detect,
  explain: explainCertificate,
};
