/** What is odd or wrong about a frame as a whole, and how sure its reading is. */
import { both, finding } from './build.ts';
import type { Reading } from './iso8583-decode.ts';
import { fieldLabel } from './iso8583-meanings.ts';
import type { BothLanguages, Finding } from './types.ts';

/** How surely the bytes are a message, 0 to 1. */
export function explainedWorth(reading: Reading): number {
  const { framing, stop, trailing, fields, bitmap } = reading;
  const hasFrame = framing.tpdu !== null || framing.headerKind === 'cups';
  const isClean = fields.length > 0 && fields.every((field) => field.isClean);
  const isWhole = stop === null && trailing.length === 0;
  const isMacLeftOut = stop !== null && stop.presentBytes === 0 && stop.why === 'truncated';
  if (isWhole && isClean) return hasFrame ? 0.95 : fields.length >= 3 ? 0.9 : 0.6;
  if (hasFrame && fields.length > 0) return 0.8;
  if (isMacLeftOut && isClean && fields.length >= 3) return 0.85;
  if (stop !== null && fields.length >= 5 && isClean) return 0.6;
  return bitmap.fieldNumbers.length > 0 && fields.length > 2 && isClean ? 0.3 : 0.1;
}

/** Length, header, end and dialect of the frame. */
export function readingFindings(reading: Reading, bytes: Uint8Array): readonly Finding[] {
  return [...lengthFindings(reading), ...dialectFindings(reading), ...endFindings(reading, bytes)];
}

function lengthFindings({ framing }: Reading): readonly Finding[] {
  const { length } = framing;
  if (length === null || length.unit === 'bytes') return [];
  const { hex, value, actualBytes } = length;
  const texts: Readonly<Record<Exclude<typeof length.unit, 'bytes'>, BothLanguages>> = {
    hexDigits: both(
      `length ${hex} (${value}) counts hex digits; ${actualBytes} bytes follow`,
      `长度 ${hex}（${value}）数的是十六进制位数；其后实为 ${actualBytes} 字节`,
    ),
    bytesWithItself: both(
      `length ${hex} (${value}) counts its own two bytes as well; ${actualBytes} follow`,
      `长度 ${hex}（${value}）包含了自身两个字节；其后为 ${actualBytes} 字节`,
    ),
    bcdBytes: both(
      `length ${hex} is written in BCD; the standard frame has a binary number`,
      `长度 ${hex} 为 BCD；标准报文用二进制`,
    ),
    wrong: both(
      `length ${hex} says ${value} bytes, ${actualBytes} follow`,
      `长度 ${hex} 表示 ${value} 字节，其后实为 ${actualBytes} 字节`,
    ),
  };
  const code = `ISO8583_LENGTH_${length.unit.replace(/[A-Z]/g, (letter) => `_${letter}`)}`;
  return [finding('error', code.toUpperCase(), 0, texts[length.unit])];
}

function dialectFindings({ format, framing, bitmap, fields }: Reading): readonly Finding[] {
  const found: Finding[] = [];
  if (format.name === 'bcd' || (framing.headerKind === 'private' && framing.tpdu !== null)) {
    const about = both(
      'a private dialect: fields or header are not those of the UnionPay POS dialect',
      '自定义报文：域或报文头与银联 POS 规范不同',
    );
    found.push(finding('warning', 'ISO8583_PRIVATE_DIALECT', framing.mtiOffset, about));
  }
  if (format.counts === 'bytes') {
    const about = both('lengths count bytes, not digits', '变长域长度按字节而非位数计');
    found.push(finding('warning', 'ISO8583_LENGTH_COUNTS_BYTES', bitmap.offsetBytes, about));
  }
  if (bitmap.fieldNumbers.includes(65)) {
    const about = both('bit 65 announces a third bitmap', '第 65 位表示还有第三位元表');
    found.push(finding('error', 'ISO8583_THIRD_BITMAP', bitmap.offsetBytes + 8, about));
  }
  const f22 = fields.find(({ number }) => number === 22);
  if (format.name === 'unionPayPos' && f22?.filler?.side === 'front') {
    const about = both(
      'field 22 stands right; the POS dialect fills it on the right',
      '第 22 域右对齐；银联 POS 规范为左对齐右补零',
    );
    found.push(finding('note', 'ISO8583_ALIGNMENT', f22.offsetBytes, about));
  }
  return found;
}

function endFindings(reading: Reading, bytes: Uint8Array): readonly Finding[] {
  const { stop, trailing, trailingOffset, format } = reading;
  if (trailing.length > 0) {
    const about = both(
      `${trailing.length} bytes follow the last field`,
      `最后一个域之后还有 ${trailing.length} 个字节`,
    );
    return [finding('error', 'ISO8583_TRAILING', trailingOffset, about)];
  }
  if (stop === null) return [];
  const { field, offsetBytes, presentBytes, neededBytes, why } = stop;
  const name = fieldLabel(field, format.name === 'unionPayPos');
  if (why === 'unknownField') {
    const about = both(
      `field ${field} is not defined in this dialect; ${presentBytes} bytes are left unread`,
      `此报文规范未定义域 ${field}；剩余 ${presentBytes} 字节未解析`,
    );
    return [finding('error', 'ISO8583_UNKNOWN_FIELD', offsetBytes, about)];
  }
  if (why === 'badLength') {
    const about = both(
      `field ${field} has a length that is no number or too large`,
      `域 ${field} 的长度不是数字或超过上限`,
    );
    return [finding('error', 'ISO8583_FIELD_LENGTH', offsetBytes, about)];
  }
  const isMacLeftOut = presentBytes === 0 && (field === 64 || field === 128);
  if (isMacLeftOut) {
    const about = both(
      `bit ${field} is set but the message ends before the MAC: it was cut off for computing`,
      `位 ${field} 已置位，但报文在 MAC 之前结束：MAC 已去掉（用于计算）`,
    );
    return [finding('note', 'ISO8583_MAC_LEFT_OUT', bytes.length, about)];
  }
  const short = neededBytes - presentBytes;
  const about = both(
    `field ${field} (${name.en}) needs ${neededBytes} bytes, ${presentBytes} are there: ` +
      `the message is ${short} bytes short`,
    `域 ${field}（${name.zh}）需要 ${neededBytes} 字节，只有 ${presentBytes} 字节：` +
      `报文缺 ${short} 字节`,
  );
  return [finding('error', 'ISO8583_TRUNCATED', offsetBytes, about)];
}
