/** Kind `field55`: the chip data of an interchange message, whole or to be built. */
import { concatBytes, fromHex, toHex } from '../bytes/index.ts';
import { encodeTlv } from '../iso7816/tlv.ts';
import { both, finding, givenBytes, requireBytes } from './build.ts';
import { contentFacts } from './content.ts';
import { formatError } from './errors.ts';
import type { Field55Facts } from './facts.ts';
import { readIad } from './iad.ts';
import { tagName, tagOfName } from './tag-names.ts';
import {
  readInputTlv,
  readTlv,
  type TlvReading,
  tlvFindings,
  tlvNodes,
  tlvValues,
} from './tlv-reader.ts';
import type { ExplainContext, Explained, ExplainInput, ExplainModule, Finding } from './types.ts';

/** Subfields that every online purchase carries, in the order in which they are written. */
const MANDATORY = ['9F26', '9F27', '9F10', '9F37', '9F36', '95', '9A', '9C', '9F02', '5F2A', '82'];
const MANDATORY_TERMINAL = ['9F1A', '9F03', '9F33'];
/** Subfields that may be absent. @see Q/CUP 006 */
const OPTIONAL = ['9F34', '9F35', '9F1E', '84', '9F09', '9F41'];
const ALL_MANDATORY = [...MANDATORY, ...MANDATORY_TERMINAL];
const ORDER = [...ALL_MANDATORY, ...OPTIONAL];
/** A sure sign of field 55: a cryptogram with what an issuer needs for it. */
const SIGNS = ['9F26', '9F10', '9F36', '95'];
const CARD_NAMES = ['gpo_response', 'card', 'card_data'];

function detect(input: ExplainInput): number {
  if (
    CARD_NAMES.some((name) => input.values.has(name.replace('_', ''))) &&
    input.values.has('9f37')
  ) {
    return input.values.has('pdol') ? 0.4 : 0.9;
  }
  const bytes = input.bytes;
  if (bytes === null || bytes.length < 30 || input.lines.some((line) => line.direction !== null))
    return 0;
  const { objects, brokenAtBytes } = readInputTlv(input);
  const tags = objects.map((object) => object.tag);
  const signs = SIGNS.filter((tag) => tags.includes(tag)).length;
  if (signs < 2) return 0;
  return (signs / SIGNS.length) * (brokenAtBytes === null ? 0.93 : 0.6);
}

function explainField55({ input }: ExplainContext): Explained {
  const built = buildFromParts(input);
  const bytes =
    built?.bytes ?? givenBytes(input, 'field55', 'f55') ?? requireBytes('field55', input);
  const reading = readTlv(bytes);
  if (reading.objects.length === 0) throw formatError('field55', 0, 'no data object');
  const content = contentFacts(reading.objects, false);
  const tags = reading.objects.map((object) => object.tag);
  const missing = ALL_MANDATORY.filter((tag) => !tags.includes(tag));
  const verdict =
    missing.length === 0
      ? both('complete for a purchase', '消费必备子域齐全')
      : both(`missing ${missing.join(' ')}`, `缺少 ${missing.join(' ')}`);
  const absent = OPTIONAL.filter((tag) => !tags.includes(tag));
  const facts: Field55Facts = {
    ...content,
    field55: toHex(bytes),
    lengthBytes: bytes.length,
    tags,
    mandatoryComplete: missing.length === 0,
    mandatoryMissing: missing,
    optionalAbsent: absent,
    card: built?.card ?? [],
    cardStatusWord: built?.cardStatusWord ?? null,
    derived: built?.derived ?? {},
  };
  return {
    summaryEn: `Field 55: ${tags.length} subfields, ${bytes.length} bytes, ${verdict.en}`,
    summaryZh: `55 域：${tags.length} 个子域，${bytes.length} 字节，${verdict.zh}`,
    facts,
    tree: tlvNodes(reading.objects),
    checks: [],
    findings: [
      ...tlvFindings(reading),
      ...missing.map((tag) => subfield('error', 'F55_MANDATORY_MISSING', tag)),
      ...absent.map((tag) => subfield('note', 'F55_OPTIONAL_ABSENT', tag)),
      ...duplicates(tags),
      ...consistency(reading.objects.length > 0 ? tlvValues(reading.objects) : new Map()),
      ...(built?.findings ?? []),
    ],
  };
}

function subfield(severity: Finding['severity'], code: string, tag: string): Finding {
  const { nameEn, nameZh } = tagName(tag);
  return finding(
    severity,
    code,
    null,
    both(`${tag} ${nameEn} is not there`, `缺少 ${tag} ${nameZh}`),
  );
}

function duplicates(tags: readonly string[]): readonly Finding[] {
  const twice = tags.filter((tag, index) => tags.indexOf(tag) !== index);
  return [...new Set(twice)].map((tag) =>
    finding('error', 'F55_DUPLICATE', null, both(`${tag} is there twice`, `${tag} 重复出现`)),
  );
}

/** What 9F27 says against what the card says in 9F10. */
function consistency(values: ReadonlyMap<string, Uint8Array>): readonly Finding[] {
  const cid = values.get('9F27');
  const iad = values.get('9F10');
  if (!cid || !iad) return [];
  const said = cidOfIad(iad);
  if (said === null || said === toHex(cid)) return [];
  const message = both(
    `9F27 is ${toHex(cid)}, the card's own results in 9F10 say ${said}`,
    `9F27 为 ${toHex(cid)}，而 9F10 中卡片验证结果表示 ${said}`,
  );
  return [finding('warning', 'F55_CRYPTOGRAM_TYPE', null, message)];
}

/** Cryptogram information data that follow from the CVR. */
function cidOfIad(iad: Uint8Array): string | null {
  const { firstAc, secondAc } = readIad(iad, 0).fact;
  const codes: Readonly<Record<string, string>> = { AAC: '00', TC: '40', ARQC: '80' };
  return codes[secondAc ?? firstAc ?? ''] ?? null;
}

type Built = {
  readonly bytes: Uint8Array;
  readonly derived: Record<string, string>;
  readonly card: Field55Facts['objects'];
  readonly cardStatusWord: string | null;
  readonly findings: readonly Finding[];
};

/**
 * Field 55 of the card's answer and the terminal's values. 9F27 is not in a qPBOC answer and comes
 * from the CVR; DF name from the selected application or 84. @see PBOC3 P12
 */
function buildFromParts(input: ExplainInput): Built | null {
  const card = givenBytes(input, ...CARD_NAMES);
  if (!card) return null;
  const values = tlvValues(cardReading(card).objects);
  for (const name of input.values.keys()) {
    const tag = name.includes('.') ? null : tagOfName(name);
    const value = tag === null ? undefined : givenBytes(input, name);
    if (tag !== null && value) values.set(tag, value);
  }
  const derived: Record<string, string> = {};
  const iad = values.get('9F10');
  const cid = iad ? cidOfIad(iad) : null;
  if (!values.has('9F27') && cid !== null) {
    derived['9F27'] = cid;
    values.set('9F27', fromHex(cid));
  }
  const parts = ORDER.flatMap((tag) => {
    const value = values.get(tag);
    return value ? [encodeTlv(tag, value)] : [];
  });
  const note = both('9F27 follows from the CVR in 9F10', '9F27 由 9F10 中的 CVR 推出');
  const findings =
    derived['9F27'] === undefined ? [] : [finding('note', 'F55_DERIVED', null, note)];
  const reading = cardReading(card);
  const { objects } = contentFacts(reading.objects, false);
  return {
    bytes: concatBytes(...parts),
    derived,
    card: objects,
    cardStatusWord: hasStatus(card) ? toHex(card.subarray(-2)) : null,
    findings: [...findings, ...tlvFindings(reading)],
  };
}

function cardReading(answer: Uint8Array): TlvReading {
  return readTlv(hasStatus(answer) ? answer.subarray(0, -2) : answer);
}

function hasStatus(answer: Uint8Array): boolean {
  return toHex(answer.subarray(-2)) === '9000';
}

/** Field 55. */
export const FIELD55_MODULE: ExplainModule = { kind: 'field55', detect, explain: explainField55 };
