/** What TLV data mean together: directories, selection, processing options, key downloads. */
import { byteAt, bytesToLatin1, toHex } from '../bytes/index.ts';
import { byteHex } from './build.ts';
import type {
  CandidateFact,
  CaPublicKeyFact,
  ContentFacts,
  DolFact,
  FciFact,
  LogEntryFact,
  ObjectFact,
  ProcessingFact,
} from './facts.ts';
import { isPrintableAscii, readableText } from './gbk.ts';
import { tagName } from './tag-names.ts';
import { allObjects, type TlvObject, tlvValues } from './tlv-reader.ts';
import { readValue } from './value.ts';
import { readFlags } from './value-bits.ts';
import { readAfl, readDol } from './value-lists.ts';

const DOL_TAGS = ['9F38', '8C', '8D', '97', '9F49', '9F4F', 'DF4F', 'DF14'];

/** All facts of TLV data; `isGpo` says that a template 80 is AIP and AFL. */
export function contentFacts(objects: readonly TlvObject[], isGpo: boolean): ContentFacts {
  const all = allObjects(objects);
  return {
    objects: all.map(objectFact),
    primitiveCount: all.filter((object) => object.children === null).length,
    dols: all
      .filter((object) => DOL_TAGS.includes(object.tag))
      .map((object) => readDol(object.tag, object.value, 0).fact),
    candidates: all.filter((object) => object.tag === '61').map(candidateOf),
    fci: fciOf(all),
    processing: processingOf(all, isGpo),
    caPublicKeys: caPublicKeys(objects),
  };
}

/** No facts, for an input without data objects. */
export const NO_CONTENT: ContentFacts = {
  objects: [],
  primitiveCount: 0,
  dols: [],
  candidates: [],
  fci: null,
  processing: null,
  caPublicKeys: [],
};

function objectFact(object: TlvObject): ObjectFact {
  const { nameEn, nameZh } = tagName(object.tag);
  return {
    tag: object.tag,
    nameEn,
    nameZh,
    offsetBytes: object.offsetBytes,
    lengthBytes: object.value.length,
    depth: object.depth,
    constructed: object.children !== null,
    value: toHex(object.value),
    text: object.reading.text?.en ?? null,
  };
}

function textOf(value: Uint8Array | undefined): string | null {
  return value ? readableText(value) : null;
}

function candidateOf(object: TlvObject): CandidateFact {
  const values = tlvValues([object]);
  const aid = values.get('4F');
  const indicator = values.get('87')?.[0];
  const rank = (indicator ?? 0) & 0x0f;
  return {
    aid: aid ? toHex(aid) : null,
    label: textOf(values.get('50')),
    preferredName: textOf(values.get('9F12')),
    priority: rank === 0 ? null : rank,
    needsConfirmation: ((indicator ?? 0) & 0x80) !== 0,
    select: aid ? selectCommand(aid) : null,
  };
}

/** SELECT by name. @see EMV 4.3 B1 §11.3 */
export function selectCommand(name: Uint8Array): string {
  return `00A40400${byteHex(name.length)}${toHex(name)}00`;
}

function fciOf(all: readonly TlvObject[]): FciFact | null {
  const template = all.find((object) => object.tag === '6F');
  if (!template) return null;
  const values = tlvValues([template]);
  const name = values.get('84');
  const rank = (values.get('87')?.[0] ?? 0) & 0x0f;
  const pdol = values.get('9F38');
  return {
    dfName: name ? toHex(name) : null,
    dfNameText: name && name.length > 0 && isPrintableAscii(name) ? bytesToLatin1(name) : null,
    label: textOf(values.get('50')),
    preferredName: textOf(values.get('9F12')),
    priority: rank === 0 ? null : rank,
    directorySfi: values.get('88')?.[0] ?? null,
    languages: bytesToLatin1(values.get('5F2D') ?? new Uint8Array(0)).match(/[ -~]{2}/g) ?? [],
    issuerCodeTable: values.get('9F11')?.[0] ?? null,
    logEntry: logEntryOf(values.get('9F4D')),
    loadLogEntry: logEntryOf(values.get('DF4D')),
    pdol: pdol ? readDol('9F38', pdol, 0).fact : null,
  };
}

function logEntryOf(value: Uint8Array | undefined): LogEntryFact | null {
  if (!value || value.length < 2) return null;
  return { sfi: byteAt(value, 0), records: byteAt(value, 1) };
}

function processingOf(all: readonly TlvObject[], isGpo: boolean): ProcessingFact | null {
  const [first] = all;
  if (first?.tag === '80' && (isGpo || looksLikeGpo(first.value))) {
    return processingFact('80', first.value.subarray(0, 2), first.value.subarray(2));
  }
  const template = all.find((object) => object.tag === '77');
  const values = template ? tlvValues([template]) : new Map<string, Uint8Array>();
  const aip = values.get('82');
  return aip ? processingFact('77', aip, values.get('94')) : null;
}

/** AIP and whole, lawful AFL entries; a format 1 cryptogram has neither. */
export function looksLikeGpo(value: Uint8Array): boolean {
  if (value.length < 6 || (value.length - 2) % 4 !== 0 || byteAt(value, 1) !== 0) return false;
  return readAfl(value.subarray(2), 0).findings.length === 0;
}

/** AIP and AFL as facts. */
export function processingFact(
  format: string,
  aip: Uint8Array,
  afl: Uint8Array | undefined,
): ProcessingFact {
  return {
    format,
    aip: toHex(aip),
    aipBits: readFlags('82', aip, 0)?.bits ?? [],
    afl: afl && afl.length > 0 ? readAfl(afl, 0).fact : null,
  };
}

/** Each 9F06 begins a key of a download: RID, 9F22 index, DF05 expiry. @see Q/CUP 009.1 */
function caPublicKeys(objects: readonly TlvObject[]): readonly CaPublicKeyFact[] {
  const keys: CaPublicKeyFact[] = [];
  for (const { tag, value } of objects) {
    if (tag === '9F06') keys.push({ rid: toHex(value), index: null, expiry: null });
    const last = keys.at(-1);
    if (!last) continue;
    if (tag === '9F22') keys[keys.length - 1] = { ...last, index: toHex(value) };
    if (tag === 'DF05') keys[keys.length - 1] = { ...last, expiry: dateOf(value) };
  }
  return keys.filter((key) => key.index !== null);
}

function dateOf(value: Uint8Array): string | null {
  const { detail } = readValue('DF05', value, { offsetBytes: 0 });
  return detail !== null && typeof detail === 'object' && 'date' in detail
    ? String(detail['date'])
    : null;
}

/** A DOL's values for facts, when `data` is as long as the list. */
export function splitByDol(
  dol: DolFact,
  data: Uint8Array,
): readonly { readonly tag: string; readonly value: Uint8Array; readonly offsetBytes: number }[] {
  let offsetBytes = 0;
  const parts: { tag: string; value: Uint8Array; offsetBytes: number }[] = [];
  for (const { tag, lengthBytes } of dol.entries) {
    if (offsetBytes + lengthBytes > data.length) break;
    parts.push({ tag, value: data.subarray(offsetBytes, offsetBytes + lengthBytes), offsetBytes });
    offsetBytes += lengthBytes;
  }
  return parts;
}
