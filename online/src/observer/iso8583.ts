/** ISO 8583 messages of a trace: each field with its name, place and meaning. */
import {
  CUPS_DIALECT,
  decodeIssuerFacts,
  fieldName,
  messageTypeName,
  responseCodeName,
} from '@tapnpay/protocol/iso8583';
import type { TraceEvent, TraceField, TraceSpan, TwoLanguages } from '@tapnpay/protocol/wire';
import { field, two } from './field.ts';
import { bytesOf, decodeMaskedTlv, isMaskedHex, lengthOf, numberAt } from './masked-hex.ts';
import { amountMeaning, currencyName } from './names.ts';
import { tlvFields, type ValueContext } from './tlv.ts';

const MTI_BYTES = 4;
const BITMAP_BYTES = 8;
const UNKNOWN = two('Field unknown here', '未知域');
const UNKNOWN_MESSAGE = two('Message', '报文');

/** Name of the message of an event. */
export function messageName(event: TraceEvent): TwoLanguages {
  const { MTI: mti, fault } = event.data;
  if (fault !== undefined) return two('No answer came', '没有收到应答');
  return messageTypeName(String(mti)) ?? UNKNOWN_MESSAGE;
}

/** The fields of a message as its party described them. */
export function messageFields(event: TraceEvent, context: ValueContext): readonly TraceField[] {
  const { data } = event;
  const places = placesOf(String(data['raw'] ?? ''));
  const numbers = Object.keys(data)
    .filter((key) => /^F[0-9]{1,3}$/.test(key))
    .map((key) => Number(key.slice(1)))
    .sort((left, right) => left - right);
  const fields = numbers.map((number) => {
    const value = String(data[`F${number}`]);
    const place = places.get(number);
    const icc = number === 55 ? String(data['F55.tlv'] ?? '') : '';
    const objects = icc === '' ? null : decodeMaskedTlv(icc, place?.[1] ?? 0);
    return field(`F${number}`, fieldName(number) ?? UNKNOWN, {
      value,
      meanings: fieldMeanings(number, value, context),
      children: objects ? tlvFields(objects, context, place && 0) : partsOfField(number, value),
      span: place,
    });
  });
  return [...headFields(data, places), ...fields];
}

function headFields(data: TraceEvent['data'], places: Places): readonly TraceField[] {
  const mti = data['MTI'];
  if (mti === undefined) return faultFields(data);
  const name = two('Message type identifier', '报文类型标识符');
  const meaning = messageTypeName(String(mti));
  const meanings = meaning ? [meaning] : [];
  const bitmapPlace = places.get(1);
  const head = field('MTI', name, { value: String(mti), meanings, span: places.get(0) });
  if (!bitmapPlace) return [head];
  const [, start, end] = bitmapPlace;
  const value = bytesOf(String(data['raw']), start, end);
  return [head, field('BMP', two('Bitmap', '位图'), { value, span: bitmapPlace })];
}

function faultFields(data: TraceEvent['data']): readonly TraceField[] {
  if (data['fault'] === undefined) return [];
  const fault = String(data['fault']);
  const meaning =
    fault === 'timeout'
      ? two('Timed out: the end is unknown and will be reversed', '超时：结果未知，将发起冲正')
      : two('The line was down: nothing was sent', '线路中断：报文没有发出');
  return [field('fault', two('Fault', '故障'), { value: fault, meanings: [meaning] })];
}

type Places = ReadonlyMap<number, TraceSpan>;

/** Where each field's content stands; 0 is the MTI, 1 the bitmaps. What cannot be read has none. */
function placesOf(raw: string): Places {
  const places = new Map<number, TraceSpan>();
  if (!isMaskedHex(raw) || lengthOf(raw) < MTI_BYTES + BITMAP_BYTES) return places;
  const isLong = ((numberAt(raw, MTI_BYTES) ?? 0) & 0x80) !== 0;
  const first = MTI_BYTES + (isLong ? 2 : 1) * BITMAP_BYTES;
  places.set(0, [0, 0, MTI_BYTES]);
  places.set(1, [0, MTI_BYTES, first]);
  let offset = first;
  for (let number = 2; number <= 8 * (first - MTI_BYTES); number++) {
    const byte = numberAt(raw, MTI_BYTES + ((number - 1) >> 3)) ?? 0;
    if ((byte & (0x80 >> ((number - 1) % 8))) === 0) continue;
    const spec = CUPS_DIALECT.fields.get(number);
    if (!spec) return places;
    const { lengthBytes } = spec.prefix;
    const length =
      lengthBytes === 0
        ? spec.contentBytesMax
        : asciiNumber(bytesOf(raw, offset, offset + lengthBytes));
    if (length === null || offset + lengthBytes + length > lengthOf(raw)) return places;
    places.set(number, [0, offset + lengthBytes, offset + lengthBytes + length]);
    offset += lengthBytes + length;
  }
  return places;
}

/** `313233` -> 123. */
function asciiNumber(hex: string): number | null {
  return /^(?:3[0-9])+$/.test(hex) ? Number(hex.replace(/3(.)/g, '$1')) : null;
}

const ENTRY: Readonly<Record<string, TwoLanguages>> = {
  '05': two('chip card, contacts', '接触式芯片卡'),
  '07': two('chip card, contactless', '非接触式芯片卡'),
};
const PIN_ENTRY: Readonly<Record<string, TwoLanguages>> = {
  '1': two('with PIN', '含 PIN'),
  '2': two('without PIN', '不含 PIN'),
};
const PROCESSING: Readonly<Record<string, TwoLanguages>> = {
  '00': two('purchase', '消费'),
  '20': two('refund', '退货'),
};

/** What a field's value says. */
function fieldMeanings(
  number: number,
  value: string,
  context: ValueContext,
): readonly TwoLanguages[] {
  const known = (meaning: TwoLanguages | null | undefined): readonly TwoLanguages[] =>
    meaning ? [meaning] : [];
  switch (number) {
    case 3:
      return known(PROCESSING[value.slice(0, 2)]);
    case 4:
      return known(amountMeaning(value, context.currency));
    case 7:
      return known(dateTime(value));
    case 22:
      return [...known(ENTRY[value.slice(0, 2)]), ...known(PIN_ENTRY[value.slice(2)])];
    case 25:
      return known(value === '00' ? two('normal presentment', '正常提交') : null);
    case 39:
      return known(responseCodeName(value));
    case 49:
      return known(currencyName(value));
    case 52:
    case 35:
    case 14:
    case 128:
      return [two('Hidden: only its length is logged', '不显示：日志只记录长度')];
    default:
      return [];
  }
}

function dateTime(value: string): TwoLanguages | null {
  const parts = /^(..)(..)(..)(..)(..)$/.exec(value)?.slice(1);
  if (!parts) return null;
  const [month, day, ...time] = parts;
  const text = `${month}-${day} ${time.join(':')} (UTC+8)`;
  return two(text, text);
}

/** Inner parts of fields that have some. */
function partsOfField(number: number, value: string): readonly TraceField[] {
  if (number === 57) return issuerFactFields(value);
  if (number !== 90 || value.length !== 42) return [];
  const part = (key: string, name: TwoLanguages, start: number, end: number): TraceField =>
    field(key, name, { value: value.slice(start, end) });
  return [
    part('90.1', two('Original message type', '原始报文类型'), 0, 4),
    part('90.2', two('Original trace number', '原始系统跟踪号'), 4, 10),
    part('90.3', two('Original transmission time', '原始传输时间'), 10, 20),
    part('90.4', two('Original acquirer', '原始代理机构'), 20, 31),
    part('90.5', two('Original forwarder', '原始发送机构'), 31, 42),
  ];
}

function issuerFactFields(value: string): readonly TraceField[] {
  try {
    const { arqcVerified, ledgerEntryId, reason } = decodeIssuerFacts(value);
    const verdict =
      arqcVerified === null
        ? two('not looked at', '未检查')
        : arqcVerified
          ? two('right', '正确')
          : two('wrong', '错误');
    const ledger = two("Issuer's ledger entry", '发卡行账务分录');
    return [
      field('AV', two("The issuer's word on the ARQC", '发卡行对 ARQC 的验证'), {
        meanings: [verdict],
      }),
      ...(ledgerEntryId === null ? [] : [field('LE', ledger, { value: ledgerEntryId })]),
      ...(reason ? [field('RS', two('Why it refused', '拒绝原因'), { value: reason })] : []),
    ];
  } catch {
    // Another system's use of the field.
    return [];
  }
}
