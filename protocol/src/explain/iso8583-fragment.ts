/** A single field 2 as some hosts send it: one length byte, then BCD. @see ISO 8583:1987 field 2 */
import { toHex } from '../bytes/index.ts';
import { both, finding, nodeOf } from './build.ts';
import type { Explained } from './types.ts';

/** Digits of a card number. */
const PAN_DIGITS_MIN = 12;
const PAN_DIGITS_MAX = 19;

/** Reads the bytes as a lone field 2; null when length and digits do not fit one another. */
export function fragmentOf(bytes: Uint8Array): Explained | null {
  const first = bytes[0];
  if (first === undefined) return null;
  const inBcd = Number(toHex(bytes.subarray(0, 1)));
  const digits = toHex(bytes.subarray(1));
  const isBinary = fits(first, digits);
  if (!isBinary && !fits(inBcd, digits)) return null;
  const size = isBinary ? first : inBcd;
  const value = digits.slice(0, size);
  const encoding = isBinary ? 'binary' : 'bcd';
  const head = { offsetBytes: 0, bytes: bytes.subarray(0, 1) };
  const lengthText = isBinary
    ? both(`${size} digits, a binary number`, `${size} 位，二进制长度`)
    : both(`${size} digits, in BCD`, `${size} 位，BCD 长度`);
  const findings = isBinary
    ? [
        finding(
          'note',
          'ISO8583_BINARY_LENGTH',
          0,
          both(
            'the length is a binary number; the POS dialect writes it in BCD',
            '长度为二进制；银联 POS 报文用 BCD 表示长度',
          ),
        ),
      ]
    : [];
  return {
    summaryEn: `A lone field 2 of ${size} digits`,
    summaryZh: `单独的第 2 域，${size} 位`,
    facts: {
      fragment: {
        field: 2,
        lengthEncoding: encoding,
        lengthByte: toHex(bytes.subarray(0, 1)),
        digits: size,
        pan: value,
        filler: digits.slice(size),
      },
    },
    tree: [
      nodeOf(both('Length', '长度'), head, { text: lengthText }),
      {
        ...nodeOf(both('Primary account number', '主账号'), null, { tag: 'F2', value }),
        offsetBytes: 1,
        lengthBytes: bytes.length - 1,
      },
    ],
    checks: [],
    findings,
  };
}

function fits(size: number, digits: string): boolean {
  if (!(size >= PAN_DIGITS_MIN && size <= PAN_DIGITS_MAX)) return false;
  const isWhole = digits.length === size + (size % 2);
  return isWhole && /^[0-9]+$/.test(digits.slice(0, size));
}
