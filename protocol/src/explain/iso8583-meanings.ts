/** What message types, fields and their values say. @see ISO 8583:1987 §4, Q/CUP 009.1 */
import { bytesToUint, fromHex } from '../bytes/index.ts';
import { fieldName, messageTypeName, responseCodeName } from '../iso8583/index.ts';
import { both } from './build.ts';
import { amountText, currencyName } from './names.ts';
import type { BothLanguages } from './types.ts';

/** Names that the interbank dialect does not have. */
const OTHER_FIELDS: Readonly<Record<number, BothLanguages>> = {
  8: both('Amount, cardholder billing fee', '持卡人扣账手续费'),
  17: both('Date, capture', '受理日期'),
  20: both('PAN extended country code', '主账号扩展国家代码'),
  21: both('Forwarding institution country code', '转发机构国家代码'),
  24: both('Network international identifier', '网络国际标识符'),
  27: both('Authorisation identification response length', '授权标识应答长度'),
  29: both('Amount, settlement fee', '清算费'),
  30: both('Amount, transaction processing fee', '交易处理费'),
  31: both('Amount, settlement processing fee', '清算处理费'),
  34: both('Primary account number, extended', '扩展主账号'),
  40: both('Service restriction code', '服务限制码'),
  46: both('Additional data, ISO use', '附加数据（ISO 保留）'),
  47: both('Additional data, national use', '附加数据（国家保留）'),
  56: both('Reserved, ISO use', 'ISO 保留域'),
  64: both('Message authentication code', '报文鉴别码'),
  95: both('Replacement amounts', '替换金额'),
};

/** In the POS dialect some fields hold other things. @see Q/CUP 009.1 */
const POS_FIELDS: Readonly<Record<number, BothLanguages>> = {
  60: both(
    'Reserved private: type, batch, management code',
    '自定义域：交易类型码、批次号、管理码',
  ),
  61: both('Original message: batch, trace, date', '原始信息域：批次号、流水号、日期'),
  62: both('Reserved private: working keys, terminal data', '自定义域：工作密钥、终端信息'),
  63: both('Reserved private: operator or card scheme', '自定义域：操作员或国际卡组织'),
};

/** The name of a field in a dialect. */
export function fieldLabel(number: number, isPos: boolean): BothLanguages {
  const own = isPos ? POS_FIELDS[number] : undefined;
  const known = own ?? fieldName(number) ?? OTHER_FIELDS[number];
  return known ? both(known.en, known.zh) : both(`Field ${number}`, `域 ${number}`);
}

const CLASSES: Readonly<Record<string, BothLanguages>> = {
  '1': both('Authorisation', '授权类'),
  '2': both('Financial transaction', '金融类'),
  '3': both('File action, batch upload', '文件类（批上送）'),
  '4': both('Reversal', '冲正类'),
  '5': both('Settlement', '对账类'),
  '6': both('Administration, script result', '管理类（脚本结果通知）'),
  '8': both('Network management', '网络管理类'),
};
const FUNCTIONS: Readonly<Record<string, BothLanguages>> = {
  '0': both('request', '请求'),
  '1': both('response', '应答'),
  '2': both('advice', '通知'),
  '3': both('advice response', '通知应答'),
};

/** What a message type says by its digits. @see ISO 8583:1987 table 2 */
export function messageTypeLabel(mti: string): BothLanguages {
  const known = messageTypeName(mti);
  if (known) return both(known.en, known.zh);
  const group = CLASSES[mti.charAt(1)];
  const direction = FUNCTIONS[mti.charAt(2)];
  if (!group || !direction) return both('Unknown message type', '未知的消息类型');
  return both(`${group.en}, ${direction.en}`, `${group.zh}${direction.zh}`);
}

const PROCESSING: Readonly<Record<string, BothLanguages>> = {
  '00': both('purchase', '消费'),
  '01': both('cash withdrawal', '取现'),
  '03': both('pre-authorisation', '预授权'),
  '17': both('void of a cash load', '现金充值撤销'),
  '20': both('refund or void', '退货或撤销'),
  '31': both('balance enquiry', '余额查询'),
  '60': both('load to a designated account', '指定账户圈存'),
  '62': both('load from another account', '非指定账户圈存'),
  '63': both('cash load', '现金充值'),
};
const ENTRY_MODES: Readonly<Record<string, BothLanguages>> = {
  '00': both('unspecified', '未指明'),
  '01': both('keyed in', '手工输入'),
  '02': both('magnetic stripe, track 2', '磁条（二磁道）'),
  '05': both('chip, contact', '接触式 IC 卡'),
  '07': both('chip, contactless', '非接触式 IC 卡'),
  '09': both('magnetic stripe with all tracks', '磁条（全部磁道）'),
  '80': both('fall back from chip to stripe', '芯片降级为磁条'),
  '91': both('contactless, magnetic stripe data', '非接触磁条数据'),
  '95': both('chip, CVV unreliable', 'IC 卡（CVV 不可信）'),
};
const PIN_ENTRY: Readonly<Record<string, BothLanguages>> = {
  '0': both('PIN entry unspecified', '未指明 PIN'),
  '1': both('PIN entered', '有 PIN'),
  '2': both('no PIN', '无 PIN'),
};
const CONDITIONS: Readonly<Record<string, BothLanguages>> = {
  '00': both('normal', '正常提交'),
  '06': both('pre-authorisation', '预授权'),
  '91': both('electronic cash load', '圈存类交易'),
};

/** The texts of values by field number. */
const VALUE_TEXTS: Readonly<Record<number, (value: string) => BothLanguages | null>> = {
  3: (value) => PROCESSING[value.slice(0, 2)] ?? null,
  22: (value) => entryMode(value),
  25: (value) => CONDITIONS[value] ?? null,
  26: (value) => both(`up to ${Number(value)} PIN digits`, `PIN 最多 ${Number(value)} 位`),
  39: (value) => responseCodeName(value),
  49: (value) => currencyName(value),
  53: (value) => securityControl(value),
};

function entryMode(value: string): BothLanguages | null {
  const mode = ENTRY_MODES[value.slice(0, 2)];
  const pin = PIN_ENTRY[value.charAt(2)];
  return mode && pin ? both(`${mode.en}; ${pin.en}`, `${mode.zh}；${pin.zh}`) : null;
}

/** @see Q/CUP 009.1, field 53 */
function securityControl(value: string): BothLanguages | null {
  const format = value.startsWith('1')
    ? both('PIN block without PAN', 'PIN 块不带主账号')
    : value.startsWith('2')
      ? both('PIN block with PAN', 'PIN 块带主账号')
      : null;
  if (format === null) return null;
  const isDouble = value.charAt(1) === '6';
  return both(
    `${format.en}; ${isDouble ? 'double' : 'single'}-length keys`,
    `${format.zh}；${isDouble ? '双倍长' : '单倍长'}密钥`,
  );
}

/** What a value says, in words; null for plain ones. */
export function fieldText(
  number: number,
  value: string,
  message: { readonly isPos: boolean; readonly currency: string | undefined },
): BothLanguages | null {
  if (number === 4 && /^[0-9]{12}$/.test(value)) return both(amountText(value, message.currency));
  if (number === 60 && message.isPos) return posReserved(value);
  return VALUE_TEXTS[number]?.(value) ?? null;
}

/** 60.1 type, 60.2 batch, 60.3 management code. @see Q/CUP 009.1 */
function posReserved(value: string): BothLanguages | null {
  const match = /^([0-9]{2})([0-9]{6})([0-9]{3})?/.exec(value);
  if (!match) return null;
  const [, type = '', batch = '', code] = match;
  const codeEn = code === undefined ? '' : `, management code ${code}`;
  const codeZh = code === undefined ? '' : `，管理码 ${code}`;
  return both(`type ${type}, batch ${batch}${codeEn}`, `类型码 ${type}，批次号 ${batch}${codeZh}`);
}

/** One part of the interbank header. */
type HeaderPart = readonly [name: BothLanguages, lengthBytes: number];

/** Parts of the 46-byte header in order. @see Q/CUP 006, message header */
export const CUPS_HEADER_PARTS: readonly HeaderPart[] = [
  [both('Header length', '报文头长度'), 1],
  [both('Version', '头标识和版本号'), 1],
  [both('Total length', '整个报文长度'), 4],
  [both('Destination station', '目的标识'), 11],
  [both('Source station', '源标识'), 11],
  [both('Reserved', '保留使用'), 3],
  [both('Batch number', '批次号'), 1],
  [both('Transaction information', '交易信息'), 8],
  [both('User information', '用户信息'), 1],
  [both('Reject code', '拒绝码'), 5],
];

/** TPDU addresses in words. */
export function tpduText(tpduHex: string): BothLanguages {
  const destination = tpduHex.slice(2, 6);
  const source = tpduHex.slice(6);
  return both(`to ${destination}, from ${source}`, `目的地址 ${destination}，源地址 ${source}`);
}

/** Whether the POS header's reserved digits say what they should. */
export function posHeaderText(headerHex: string): BothLanguages {
  const kind = headerHex.slice(0, 2);
  const version = headerHex.slice(2, 4);
  const byte = bytesToUint(fromHex(headerHex.slice(4, 6)));
  const state = byte >> 4;
  const request = byte & 0x0f;
  return both(
    `application type ${kind}, version ${version}, terminal state ${state}, request ${request}`,
    `应用类别 ${kind}，软件总版本号 ${version}，终端状态 ${state}，处理要求 ${request}`,
  );
}
