/** Kind `bitmap`: which fields a bitmap says are there. @see ISO 8583:1987 §4.3 */
import { fromHex, toHex } from '../bytes/index.ts';
import { both, finding, givenText, nodeOf } from './build.ts';
import { ExplainError } from './errors.ts';
import { bitsOf } from './iso8583-decode.ts';
import { mtiAt } from './iso8583-frame.ts';
import { fieldLabel } from './iso8583-meanings.ts';
import type { ExplainContext, Explained, ExplainInput, ExplainModule, Finding } from './types.ts';

export const BITMAP_KIND: ExplainModule = { kind: 'bitmap', detect, explain };

/** Most bitmaps of one input. */
const BITMAPS_MAX = 64;

/** A bitmap with the message type that may stand before it. */
type Pasted = {
  readonly mti: string | null;
  readonly bytes: Uint8Array;
  readonly offsetBytes: number;
};

function detect(input: ExplainInput): number {
  if (givenText(input, 'bitmap') !== undefined) return 0.9;
  const pasted = pastedOf(input);
  if (pasted === null) return 0;
  if (pasted.every(({ mti }) => mti !== null)) return 0.92;
  const isAsSaid = pasted.every(({ bytes }) => (bitsOf(bytes)[0] === 1) === bytes.length > 8);
  if (pasted.length > 1) return isAsSaid ? 0.6 : 0.2;
  const isLong = pasted.some(({ bytes }) => bytes.length > 8);
  return isLong ? (isAsSaid ? 0.3 : 0.1) : 0.22;
}

/** Every line as a bitmap of 8, 16 or 24 bytes; null when one is none. */
function pastedOf(input: ExplainInput): readonly Pasted[] | null {
  const given = givenText(input, 'bitmap');
  if (given !== undefined) {
    const digits = given.replace(/[\s:-]/g, '');
    if (!/^(?:[0-9A-Fa-f]{16}){1,3}$/.test(digits)) return null;
    return [{ mti: null, bytes: fromHex(digits), offsetBytes: 0 }];
  }
  const lines = input.lines.slice(0, BITMAPS_MAX);
  const read = lines.map(({ bytes, offsetBytes }) => bitmapIn(bytes, offsetBytes));
  return read.length > 0 && read.every((one) => one !== null) ? read : null;
}

function bitmapIn(bytes: Uint8Array, offsetBytes: number): Pasted | null {
  const text = String.fromCharCode(...bytes.subarray(0, 64));
  // Hex characters of a bitmap, pasted as their bytes.
  if (/^(?:[0-9A-Fa-f]{16}){1,2}$/.test(text)) {
    return { mti: null, bytes: fromHex(text), offsetBytes };
  }
  if ([8, 16, 24].includes(bytes.length)) return { mti: null, bytes, offsetBytes };
  const type = mtiAt(bytes, 0);
  const head = type?.encoding === 'ascii' ? 4 : 2;
  if (type === null || ![8, 16, 24].includes(bytes.length - head)) return null;
  return { mti: type.mti, bytes: bytes.subarray(head), offsetBytes: offsetBytes + head };
}

function explain({ input }: ExplainContext): Explained {
  const pasted = pastedOf(input);
  if (pasted === null) {
    throw new ExplainError('ERR_EXPLAIN_FORMAT', 'a bitmap has 8, 16 or 24 bytes', {
      kind: 'bitmap',
      offsetBytes: Math.min(24, input.bytes?.length ?? 0),
    });
  }
  const read = pasted.map((one) => ({ ...one, bits: bitsOf(one.bytes) }));
  return {
    summaryEn: read.map(({ bits }) => `fields ${bits.join(', ')}`).join('; '),
    summaryZh: read.map(({ bits }) => `域 ${bits.join('、')}`).join('；'),
    facts: {
      bitmaps: read.map((one) => ({
        mti: one.mti,
        value: toHex(one.bytes),
        lengthBytes: one.bytes.length,
        bits: one.bits,
        fields: one.bits.filter((bit) => !isAnnouncement(bit)),
        secondaryPresent: one.bits.includes(1),
        secondaryFollows: one.bits.includes(1) && one.bytes.length < 16,
      })),
    },
    tree: read.map((one) => ({
      ...nodeOf(both('Bitmap', '位元表'), one, { text: both(one.bits.join(' ')) }),
      children: one.bits.map((bit) => bitNode(bit, one)),
    })),
    checks: [],
    findings: read.flatMap(bitmapFindings),
  };
}

/** Bits that say that another bitmap follows. */
function isAnnouncement(bit: number): boolean {
  return bit === 1 || bit === 65;
}

function bitNode(bit: number, { bytes, offsetBytes }: Pasted): Explained['tree'][number] {
  const index = (bit - 1) >> 3;
  const at = { offsetBytes: offsetBytes + index, bytes: bytes.subarray(index, index + 1) };
  const name = isAnnouncement(bit)
    ? both('another bitmap follows', '其后还有位元表')
    : fieldLabel(bit, false);
  return nodeOf(name, at, { tag: `F${bit}` });
}

function bitmapFindings({ bytes, offsetBytes }: Pasted): readonly Finding[] {
  const bits = bitsOf(bytes);
  const found: Finding[] = [];
  if (bits.includes(1) && bytes.length < 16) {
    const about = both(
      'bit 1 is set: a second bitmap (8 bytes, 16 hex characters) follows and is not here',
      '第 1 位已置位：其后应有第二位元表（8 字节，即 16 个十六进制字符），此处没有',
    );
    found.push(finding('warning', 'BITMAP_SECOND_MISSING', offsetBytes, about));
  }
  if (!bits.includes(1) && bytes.length > 8) {
    const about = both(
      'bit 1 is not set: the second 8 bytes are no bitmap',
      '第 1 位未置位：后 8 字节不是位元表',
    );
    found.push(finding('warning', 'BITMAP_SECOND_NOT_ANNOUNCED', offsetBytes, about));
  }
  return found;
}
