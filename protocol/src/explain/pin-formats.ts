/** Clear PIN blocks of formats 0 to 3, made and taken apart. @see ISO 9564-1 §9.3 */
import { fromHex, toHex, xorBytes } from '../bytes/index.ts';
import { both } from './build.ts';
import type { BothLanguages } from './types.ts';

/** Formats that fit 8 bytes. */
export type ShortFormat = 0 | 1 | 2 | 3;

/** A clear block taken apart. */
export type PinReading = {
  readonly format: ShortFormat;
  /** The block with the PAN taken out of it. */
  readonly pinField: string;
  readonly panField: string | null;
  readonly pin: string | null;
  /** What is wrong, and at which byte; null when it decodes. */
  readonly fault: { readonly offsetBytes: number; readonly why: BothLanguages } | null;
};

const BLOCK_DIGITS = 16;
const PIN_DIGITS_MIN = 4;
const PIN_DIGITS_MAX = 12;

/** `0000` and the 12 digits of the PAN that stand before its check digit. */
export function panFieldOf(pan: string): string {
  return pan.slice(0, -1).slice(-12).padStart(BLOCK_DIGITS, '0');
}

/** Whether the format mixes the PAN in. */
export function usesPan(format: ShortFormat): boolean {
  return format === 0 || format === 3;
}

/**
 * The clear block; `filler` are the digits behind the PIN, which formats 1 and 3 want random.
 * PIN and PAN are checked by the caller.
 */
export function makeBlock(
  format: ShortFormat,
  pin: string,
  parts: { readonly pan: string; readonly filler: string },
): { readonly pinField: string; readonly block: Uint8Array } {
  const filler = format === 0 || format === 2 ? 'F'.repeat(BLOCK_DIGITS) : parts.filler;
  const head = `${format}${pin.length.toString(16).toUpperCase()}${pin}`;
  const pinField = `${head}${filler.slice(0, BLOCK_DIGITS - head.length)}`;
  const field = fromHex(pinField.padEnd(BLOCK_DIGITS, 'F'));
  return {
    pinField: toHex(field),
    block: usesPan(format) ? xorBytes(field, fromHex(panFieldOf(parts.pan))) : field,
  };
}

/** Takes a clear block apart as one format. */
export function readBlock(
  format: ShortFormat,
  block: Uint8Array,
  pan: string | undefined,
): PinReading {
  const panField = usesPan(format) && pan !== undefined ? panFieldOf(pan) : null;
  const field = toHex(panField === null ? block : xorBytes(block, fromHex(panField)));
  const fault = faultOf(format, field);
  const size = Number.parseInt(field.charAt(1), 16);
  const pin = fault === null ? field.slice(2, 2 + size) : null;
  return { format, pinField: field, panField, pin, fault };
}

function faultOf(format: ShortFormat, field: string): PinReading['fault'] {
  if (field.charAt(0) !== String(format)) {
    const why = `the first half byte is ${field.charAt(0)}, format ${format} has ${format}`;
    const zh = `第一个半字节为 ${field.charAt(0)}，格式 ${format} 应为 ${format}`;
    return { offsetBytes: 0, why: both(why, zh) };
  }
  const size = Number.parseInt(field.charAt(1), 16);
  if (size < PIN_DIGITS_MIN || size > PIN_DIGITS_MAX) {
    const why = both(`a PIN of ${size} digits is not possible`, `PIN 长度不可能为 ${size} 位`);
    return { offsetBytes: 0, why };
  }
  const pin = field.slice(2, 2 + size);
  const bad = pin.search(/[^0-9]/);
  if (bad >= 0) {
    const why = both('a half byte of the PIN is no digit', 'PIN 中有非数字的半字节');
    return { offsetBytes: 1 + (bad >> 1), why };
  }
  const fill = field.slice(2 + size);
  const allowed = format === 1 ? /^[0-9A-F]*$/ : format === 3 ? /^[A-F]*$/ : /^F*$/;
  if (allowed.test(fill)) return null;
  const offset = 1 + ((size + [...fill].findIndex((digit) => !allowed.test(digit))) >> 1);
  const why = both('the filler behind the PIN is wrong', 'PIN 之后的填充不正确');
  return { offsetBytes: Math.min(7, offset), why };
}
