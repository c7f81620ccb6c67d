/** A packager file of jPOS (`GenericPackager`, genericpackager.dtd) becomes a dialect. */
import type { Bitmaps, Dialect } from './dialect.ts';
import { DIALECT_BYTES_MAX, defineDialect } from './dialect.ts';
import { type FieldSpec, fieldSpec } from './field-spec.ts';
import { BCD_DIALECT } from './generic.ts';
import { rawHeader } from './header.ts';
import type { Inside } from './inside.ts';
import { JPOS_BITMAPS, JPOS_EMPTY, type JposClass, jposClass } from './jpos-classes.ts';
import { parseXml, specFault, type XmlElement } from './jpos-xml.ts';

/** A dialect whose header is bytes that jPOS does not look into either. */
export type ImportedDialect = Dialect<Uint8Array, Uint8Array>;

const HEADER_BYTES_MAX = 256;
const FIELD_MAX = 192;

/**
 * The dialect of a packager file.
 * @throws Iso8583Error `ERR_ISO8583_SPEC` with `line` and `fieldPath`, for example of an unknown
 *   class; nothing in the file is opened, executed or expanded.
 */
export function importJposPackager(xml: string, name = 'jPOS'): ImportedDialect {
  const root = parseXml(xml);
  if (root.name !== 'isopackager') throw specFault('is no isopackager', { line: root.line });
  const byId = childrenById(root, 'F');
  const [mti, bitmap, third] = [byId.get(0), byId.get(1), byId.get(65)];
  if (!mti || !bitmap) throw specFault('has no fields 0 and 1', { line: root.line });
  const isThirdInOrder = third !== undefined && bitmapOf(third) !== null;
  const highest = Math.max(...byId.keys());
  const fields = new Map<number, FieldSpec>();
  for (const [id, element] of byId) {
    const isField = id >= 2 && !(id === 65 && (isThirdInOrder || highest > 128));
    const spec = isField ? specOf(element, { id, path: `F${id}` }) : null;
    if (spec !== null) fields.set(id, spec);
  }
  return defineDialect({
    name,
    header: rawHeader(integer(root, 'headerLength', { least: 0, most: HEADER_BYTES_MAX }) ?? 0),
    mtiEncoding: mtiEncodingOf(mti),
    versions: '012',
    bitmap: bitmapOf(bitmap) ?? wrongClass(bitmap, 'F1'),
    bitmaps: bitmapsOf(bitmap, highest, isThirdInOrder ? 'threeInOrder' : null),
    messageBytesMax: DIALECT_BYTES_MAX,
    fields,
  });
}

function childrenById(parent: XmlElement, prefix: string): ReadonlyMap<number, XmlElement> {
  const byId = new Map<number, XmlElement>();
  for (const child of parent.children) {
    const { line } = child;
    if (child.name !== 'isofield' && child.name !== 'isofieldpackager') {
      throw specFault(`does not know the element ${child.name}`, { line });
    }
    const id = integer(child, 'id', { least: 0, most: FIELD_MAX });
    if (id === null) throw specFault('a field has no id', { line });
    const fieldPath = `${prefix}${id}`;
    if (byId.has(id)) throw specFault('is there twice', { line, fieldPath });
    byId.set(id, child);
  }
  return byId;
}

function mtiEncodingOf(element: XmlElement): Dialect['mtiEncoding'] {
  const { content } = classOf(element, 'F0');
  if (content === 'ascii' || content === 'bcd' || content === 'ebcdic') return content;
  return wrongClass(element, 'F0');
}

function bitmapOf(element: XmlElement): Dialect['bitmap'] | null {
  return JPOS_BITMAPS[simpleClass(element)] ?? null;
}

/** The length says how many bitmaps there may be: 8, 16 or 24 bytes. */
function bitmapsOf(element: XmlElement, highest: number, third: Bitmaps | null): Bitmaps {
  const length = integer(element, 'length', { least: 8, most: 48 }) ?? 16;
  if (third !== null) return third;
  if (highest > 128) return 'threeTogether';
  if (length <= 8 && highest <= 64) return 'one';
  return length >= 24 ? 'threeTogether' : 'two';
}

type Place = { readonly id: number; readonly path: string };

/** Null for a field that takes no bytes. */
function specOf(element: XmlElement, { id, path }: Place): FieldSpec | null {
  if (JPOS_EMPTY.includes(simpleClass(element))) return null;
  const { line } = element;
  const known = classOf(element, path);
  const given = integer(element, 'length', { least: 0, most: 999_999 });
  if (given === null) throw specFault('has no length', { line, fieldPath: path });
  const max = lengthOf(known, given);
  if (max < 1 || (known.alphabet === 'x+n' && max < 2)) {
    throw specFault(`cannot have length ${given}`, { line, fieldPath: path });
  }
  const isTrack = known.alphabet === 'n' && (path === 'F35' || path === 'F36');
  const isOfMessage = path === `F${id}`;
  return fieldSpec({
    ...known,
    number: id,
    fieldPath: path,
    // Tracks are declared as numbers although they have a separator.
    alphabet: isTrack ? 'z' : known.alphabet,
    counts: 'units',
    max,
    align: element.attributes.get('pad') === 'true' ? 'right' : 'left',
    filler: '0',
    visibility: isOfMessage ? (BCD_DIALECT.fields.get(id)?.visibility ?? 'hidden') : 'hidden',
    inside: element.name === 'isofieldpackager' ? insideOf(element, path) : null,
    // jPOS accepts an empty field of variable length.
    ...(known.prefixDigits > 0 ? { min: 0 } : {}),
  });
}

/** What a prefix can say and a message can hold; longer ones are cut by jPOS's own files, too. */
function lengthOf({ prefixDigits, prefixEncoding, content }: JposClass, given: number): number {
  const isBinary = prefixEncoding === 'binary';
  const sayable = isBinary ? 256 ** Math.min(2, prefixDigits - 1) - 1 : 10 ** prefixDigits - 1;
  const isHex = content === 'hex' || content === 'ebcdicHex';
  const room = DIALECT_BYTES_MAX / (isHex ? 2 : 1) - 64;
  return Math.min(given, room, prefixDigits === 0 ? given : sayable);
}

/** The parts of a field. A bitmap among them speaks of part 1 with its first bit. */
function insideOf(element: XmlElement, path: string): Inside | null {
  const fields: FieldSpec[] = [];
  let bitmap: Dialect['bitmap'] | null = null;
  for (const [id, child] of childrenById(element, `${path}.`)) {
    const own = bitmapOf(child);
    if (own !== null) bitmap = own;
    const spec = own === null ? specOf(child, { id, path: `${path}.${id}` }) : null;
    if (spec !== null) fields.push(spec);
  }
  fields.sort((left, right) => left.number - right.number);
  return fields.length === 0 ? null : { kind: 'fields', fields, bitmap, firstNumber: 1 };
}

function classOf(element: XmlElement, fieldPath: string): JposClass {
  return jposClass(simpleClass(element)) ?? wrongClass(element, fieldPath);
}

function simpleClass(element: XmlElement): string {
  const name = element.attributes.get('class') ?? '';
  return name.slice(name.lastIndexOf('.') + 1);
}

function wrongClass(element: XmlElement, fieldPath: string): never {
  const name = (element.attributes.get('class') ?? '').replace(/[^\w.$]/g, '?').slice(0, 80);
  throw specFault(`the class ${name || 'without a name'} is not known`, {
    line: element.line,
    fieldPath,
  });
}

function integer(
  element: XmlElement,
  attribute: string,
  { least, most }: { readonly least: number; readonly most: number },
): number | null {
  const text = element.attributes.get(attribute);
  if (text === undefined) return null;
  const value = Number(text);
  if (/^[0-9]{1,6}$/.test(text) && value >= least && value <= most) return value;
  throw specFault(`${attribute} is not ${least} to ${most}`, { line: element.line });
}
