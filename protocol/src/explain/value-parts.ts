/** Values of several parts: track 2, transaction and terminal types, production life cycle data. */
import { luhnCheckDigit, toHex } from '../bytes/index.ts';
import { both, finding, nodeOf } from './build.ts';
import { lastDayOf } from './names.ts';
import type { BothLanguages, ExplainNode, Fact, Finding } from './types.ts';

type Parts = {
  readonly text?: BothLanguages | null;
  readonly detail?: Fact;
  readonly children?: readonly ExplainNode[];
  readonly findings?: readonly Finding[];
};

/** Track 2 equivalent data: PAN D YYMM service-code discretionary F. @see ISO 7813 */
export function readTrack2(bytes: Uint8Array, offsetBytes: number): Parts {
  const digits = toHex(bytes);
  const match = /^([0-9]{1,19})D([0-9]{4})([0-9]{3})([0-9]*)(F?)$/.exec(digits);
  if (!match) {
    const message = both(
      'no track 2: PAN, D, YYMM, service code',
      '不是磁道 2：主账号、D、年月、服务码',
    );
    return { findings: [finding('error', 'TRACK2', offsetBytes, message)] };
  }
  const [, pan = '', expiryYymm = '', serviceCode = '', discretionary = ''] = match;
  const isGood = luhnCheckDigit(pan.slice(0, -1)) === pan.slice(-1);
  const message = both('the check digit (Luhn) of the PAN is wrong', '主账号校验位（Luhn）错误');
  const expiry = lastDayOf(expiryYymm.slice(2) + expiryYymm.slice(0, 2));
  return {
    text: both(
      `${pan}, valid to ${expiry ?? expiryYymm}, service code ${serviceCode}`,
      `${pan}，有效期至 ${expiry ?? expiryYymm}，服务码 ${serviceCode}`,
    ),
    detail: { pan, luhn: isGood, expiryYymm, validThrough: expiry, serviceCode, discretionary },
    findings: isGood ? [] : [finding('warning', 'PAN_CHECK_DIGIT', offsetBytes, message)],
  };
}

/** First two digits of the processing code; load kinds are PBOC's. @see PBOC3 P13 */
const TRANSACTION_TYPES: Readonly<Record<string, BothLanguages>> = {
  '00': both('purchase', '消费'),
  '01': both('cash', '取现'),
  '02': both('debit adjustment', '借记调整'),
  '03': both('pre-authorisation', '预授权'),
  '09': both('purchase with cashback', '返现消费'),
  '20': both('refund', '退货'),
  '21': both('deposit', '存款'),
  '22': both('credit adjustment', '贷记调整'),
  '30': both('available funds', '可用余额查询'),
  '31': both('balance inquiry', '余额查询'),
  '40': both('transfer', '转账'),
  '60': both('load from the designated account', '指定账户圈存'),
  '62': both('load from another account', '非指定账户圈存'),
  '63': both('load with cash', '现金圈存'),
};

/** Tag 9C. */
export function readTransactionType(bytes: Uint8Array): Parts {
  return { text: TRANSACTION_TYPES[toHex(bytes)] ?? both('other type', '其他类型') };
}

const OWNERS: Readonly<Record<string, BothLanguages>> = {
  '1': both('financial institution', '金融机构'),
  '2': both('merchant', '商户'),
  '3': both('cardholder', '持卡人'),
};
const ATTENDANCE: Readonly<Record<string, BothLanguages>> = {
  '1': both('attended, online only', '有人值守，仅联机'),
  '2': both('attended, offline with online capability', '有人值守，脱机且有联机能力'),
  '3': both('attended, offline only', '有人值守，仅脱机'),
  '4': both('unattended, online only', '无人值守，仅联机'),
  '5': both('unattended, offline with online capability', '无人值守，脱机且有联机能力'),
  '6': both('unattended, offline only', '无人值守，仅脱机'),
};

/** Tag 9F35. @see EMV 4.3 B4 §A1 */
export function readTerminalType(bytes: Uint8Array): Parts {
  const [owner = '', attendance = ''] = toHex(bytes);
  const who = OWNERS[owner];
  const how = ATTENDANCE[attendance];
  if (!who || !how) return { text: both('reserved', '保留') };
  return { text: both(`${how.en}, ${who.en}`, `${how.zh}，${who.zh}`) };
}

/** Names and lengths of card production life cycle data, 42 bytes. */
const CPLC_FIELDS: readonly (readonly [number, string, string])[] = [
  [2, 'IC fabricator', '芯片制造商'],
  [2, 'IC type', '芯片类型'],
  [2, 'Operating system identifier', '操作系统标识'],
  [2, 'Operating system release date', '操作系统发布日期'],
  [2, 'Operating system release level', '操作系统版本'],
  [2, 'IC fabrication date', '芯片制造日期'],
  [4, 'IC serial number', '芯片序列号'],
  [2, 'IC batch identifier', '芯片批号'],
  [2, 'IC module fabricator', '模块制造商'],
  [2, 'IC module packaging date', '模块封装日期'],
  [2, 'ICC manufacturer', '卡片制造商'],
  [2, 'IC embedding date', '嵌入日期'],
  [2, 'IC pre-personaliser', '预个人化商'],
  [2, 'IC pre-personalisation date', '预个人化日期'],
  [4, 'IC pre-personalisation equipment', '预个人化设备'],
  [2, 'IC personaliser', '个人化商'],
  [2, 'IC personalisation date', '个人化日期'],
  [4, 'IC personalisation equipment', '个人化设备'],
];

/**
 * Tag 9F7F. Dates are YDDD; one that is no date is shown as it stands (devnied/EMV-NFC #75).
 * @see GPCS 2.3.1 §H.6
 */
export function readCplc(bytes: Uint8Array, offsetBytes: number): Parts {
  const children: ExplainNode[] = [];
  const detail: Record<string, Fact> = {};
  const findings: Finding[] = [];
  let offset = 0;
  for (const [lengthBytes, en, zh] of CPLC_FIELDS) {
    const part = bytes.subarray(offset, offset + lengthBytes);
    if (part.length < lengthBytes) break;
    const place = { offsetBytes: offsetBytes + offset, bytes: part };
    const isBadDate =
      en.endsWith('date') && !/^[0-9](?:[0-2][0-9]{2}|3[0-6][0-9])$/.test(toHex(part));
    const message = both(
      `${en} ${toHex(part)} is no date YDDD`,
      `${zh} ${toHex(part)} 不是 YDDD 日期`,
    );
    if (isBadDate) findings.push(finding('note', 'CPLC_DATE', place.offsetBytes, message));
    children.push(nodeOf(both(en, zh), place));
    detail[en] = toHex(part);
    offset += lengthBytes;
  }
  const serial = detail['IC serial number'] ?? '?';
  const text = both(`serial number ${serial}`, `序列号 ${serial}`);
  return { text, detail, children, findings };
}
