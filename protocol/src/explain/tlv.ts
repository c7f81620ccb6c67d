/** Kind `tlv`: data objects, as deep as they go. */
import { bytesToUint } from '../bytes/index.ts';
import { requireBytes } from './build.ts';
import { contentFacts } from './content.ts';
import { formatError } from './errors.ts';
import type { TlvFacts } from './facts.ts';
import { isKnownTag } from './tag-names.ts';
import {
  allObjects,
  readInputTlv,
  readTlv,
  type TlvReading,
  tlvFindings,
  tlvNodes,
} from './tlv-reader.ts';
import type { ExplainContext, Explained, ExplainInput, ExplainModule } from './types.ts';

/** How well bytes read as data objects: the share of known tags, less when reading breaks. */
export function tlvScore(bytes: Uint8Array): number {
  return bytes.length < 3 ? 0 : readingScore(readTlv(bytes));
}

function readingScore(reading: TlvReading): number {
  const all = allObjects(reading.objects);
  if (all.length === 0) return 0;
  const known = all.filter((object) => isKnownTag(object.tag)).length / all.length;
  const isWhole = reading.brokenAtBytes === null;
  const isPadded = reading.findings.length > 0;
  return known * (isWhole ? (isPadded ? 0.6 : 0.8) : 0.45) * (all.length === 1 ? 0.9 : 1);
}

function detect(input: ExplainInput): number {
  if (input.bytes === null || input.lines.some((line) => line.direction !== null)) return 0;
  const first = input.bytes[0] ?? 0;
  // A template of templates is a sure sign even when its inside is strange.
  const isTemplate = [0x6f, 0x70, 0x77, 0x61].includes(first) && input.bytes.length > 8;
  const reading = readInputTlv(input);
  const isNested = reading.objects.some((object) => (object.children?.length ?? 0) > 0);
  const score = input.bytes.length < 3 ? 0 : readingScore(reading);
  return Math.max(score, isTemplate && isNested ? 0.5 : 0);
}

function explainTlv({ input }: ExplainContext): Explained {
  const bytes = requireBytes('tlv', input);
  const reading = readInputTlv(input);
  if (reading.objects.length === 0) {
    const [found] = reading.findings.filter((each) => each.severity === 'error');
    const isIndefinite = bytes.length > 1 && bytesToUint(bytes.subarray(1, 2)) === 0x80;
    const why = isIndefinite ? 'indefinite length is not allowed' : 'no data object';
    throw formatError('tlv', found?.offsetBytes ?? 0, why);
  }
  const content = contentFacts(reading.objects, false);
  const facts: TlvFacts = {
    ...content,
    lengthBytes: bytes.length,
    complete: reading.brokenAtBytes === null,
    brokenAtBytes: reading.brokenAtBytes,
  };
  const count = content.primitiveCount;
  return {
    summaryEn: `TLV: ${count} values in ${bytes.length} bytes`,
    summaryZh: `TLV：${bytes.length} 字节中有 ${count} 个值`,
    facts,
    tree: tlvNodes(reading.objects),
    checks: [],
    findings: tlvFindings(reading),
  };
}

/** Data objects. */
export const TLV_MODULE: ExplainModule = { kind: 'tlv', detect, explain: explainTlv };
