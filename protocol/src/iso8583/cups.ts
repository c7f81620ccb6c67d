/** The CUPS interbank dialect: 46-byte header, ASCII fields, 128-bit bitmap. @see Q/CUP 006 */
import { asciiToBytes, byteAt, bytesToLatin1, concatBytes } from '../bytes/index.ts';
import type { Dialect, FieldContent, FieldSpec } from './dialect.ts';
import { Iso8583Error } from './errors.ts';

type Row = readonly [
  number: number,
  nameEn: string,
  nameZh: string,
  content: FieldContent,
  length: number,
  prefixDigits?: 0 | 2 | 3,
  shown?: FieldSpec['shown'],
];

const ROWS: readonly Row[] = [
  [2, 'Primary account number', '主账号', 'n', 19, 2, 'pan'],
  [3, 'Processing code', '交易处理码', 'n', 6],
  [4, 'Amount, transaction', '交易金额', 'n', 12],
  [5, 'Amount, settlement', '清算金额', 'n', 12],
  [7, 'Transmission date and time', '交易传输时间', 'n', 10],
  [9, 'Conversion rate, settlement', '清算汇率', 'n', 8],
  [11, 'Systems trace audit number', '系统跟踪号', 'n', 6],
  [12, 'Time, local transaction', '受卡方所在地时间', 'n', 6],
  [13, 'Date, local transaction', '受卡方所在地日期', 'n', 4],
  [14, 'Date, expiration', '卡有效期', 'n', 4, 0, 'none'],
  [15, 'Date, settlement', '清算日期', 'n', 4],
  [16, 'Date, conversion', '汇率日期', 'n', 4],
  [18, "Merchant's type", '商户类型', 'n', 4],
  [19, 'Merchant country code', '商户国家代码', 'n', 3],
  [22, 'Point of service entry mode', '服务点输入方式码', 'n', 3],
  [23, 'Card sequence number', '卡序列号', 'n', 3],
  [25, 'Point of service condition code', '服务点条件码', 'n', 2],
  [26, 'Point of service PIN capture code', '服务点PIN获取码', 'n', 2],
  [28, 'Amount, transaction fee', '交易费', 'x+n', 9],
  [32, 'Acquiring institution identification code', '受理机构标识码', 'n', 11, 2],
  [33, 'Forwarding institution identification code', '发送机构标识码', 'n', 11, 2],
  [35, 'Track 2 data', '第二磁道数据', 'z', 37, 2, 'none'],
  [36, 'Track 3 data', '第三磁道数据', 'z', 104, 3, 'none'],
  [37, 'Retrieval reference number', '检索参考号', 'an', 12],
  [38, 'Authorization identification response', '授权标识应答码', 'an', 6],
  [39, 'Response code', '应答码', 'an', 2],
  [41, 'Card acceptor terminal identification', '受卡机终端标识码', 'ans', 8],
  [42, 'Card acceptor identification code', '受卡方标识码', 'ans', 15],
  [43, 'Card acceptor name and location', '受卡方名称地址', 'ans', 40],
  [44, 'Additional response data', '附加应答数据', 'ans', 25, 2],
  [45, 'Track 1 data', '第一磁道数据', 'ans', 79, 2, 'none'],
  [48, 'Additional data, private', '附加数据', 'ans', 512, 3],
  [49, 'Currency code, transaction', '交易货币代码', 'an', 3],
  [50, 'Currency code, settlement', '清算货币代码', 'an', 3],
  [52, 'PIN data', '个人标识码数据', 'b', 8, 0, 'none'],
  [53, 'Security related control information', '安全控制信息', 'n', 16],
  [54, 'Additional amounts', '实际余额', 'an', 40, 3],
  [55, 'ICC system related data', '基于PBOC借贷记标准的IC卡数据域', 'b', 255, 3, 'none'],
  [57, 'Additional data, private', '附加交易信息', 'ans', 100, 3],
  [58, 'Account settlement data', '清算账务数据', 'ans', 100, 3],
  [59, 'Detail inquiry data', '明细查询数据', 'ans', 600, 3],
  [60, 'Reserved', '自定义域', 'ans', 100, 3],
  [61, 'Cardholder authentication information', '持卡人身份认证信息', 'ans', 200, 3, 'none'],
  [62, 'Switching data', '交换中心数据', 'ans', 200, 3],
  [63, 'Financial network data', '金融网络数据', 'ans', 512, 3],
  [70, 'Network management information code', '网络管理信息码', 'n', 3],
  [90, 'Original data elements', '原始数据元', 'n', 42],
  // DEVIATION: the public field is b64; a double-length working key needs 16 bytes.
  [96, 'Message security code', '报文安全码', 'b', 16, 0, 'none'],
  [100, 'Receiving institution identification code', '接收机构标识码', 'n', 11, 2],
  [102, 'Account identification 1', '账户标识1', 'ans', 28, 2, 'none'],
  [103, 'Account identification 2', '账户标识2', 'ans', 28, 2, 'none'],
  [121, 'CUPS reserved', '银联处理中心保留', 'ans', 100, 3],
  [122, 'Acquiring institution reserved', '受理机构保留', 'ans', 100, 3],
  [123, 'Issuer reserved', '发卡机构保留', 'ans', 100, 3],
  [128, 'Message authentication code', '报文鉴别码', 'b', 8],
];

/** The dialect between acquirer, CUPS and issuer. */
export const CUPS: Dialect = {
  name: 'CUPS',
  fields: new Map(ROWS.map((row) => [row[0], fieldSpec(row)])),
};

function fieldSpec(row: Row): FieldSpec {
  const [number, nameEn, nameZh, content, length, prefixDigits = 0, shown = 'all'] = row;
  return { number, nameEn, nameZh, content, length, prefixDigits, shown };
}

/** Bytes of the header before the message type. */
export const CUPS_HEADER_BYTES = 46;

/** Facts of the header; its own lengths are computed. @see Q/CUP 006, message header */
export type CupsHeader = {
  /** Institution identification codes, 11 digits. */
  readonly destination: string;
  readonly source: string;
  /** Five digits, 00000 unless the centre rejects the message. */
  readonly rejectCode?: string;
};

/** Header: length 2E, version 02, total length n4, destination and source 11, and the rest zero. */
export function encodeCupsHeader(header: CupsHeader, messageBytes: number): Uint8Array {
  const total = String(CUPS_HEADER_BYTES + messageBytes).padStart(4, '0');
  const { destination, source, rejectCode = '00000' } = header;
  if (total.length > 4) throw headerError(2, 'the message is longer than 9999 bytes');
  for (const [offset, id] of [
    [6, destination],
    [17, source],
  ] as const) {
    if (!/^[0-9]{11}$/.test(id)) throw headerError(offset, 'an institution has 11 digits');
  }
  return concatBytes(
    Uint8Array.of(CUPS_HEADER_BYTES, 0x02),
    asciiToBytes(total + destination + source),
    new Uint8Array(3),
    Uint8Array.of(0),
    asciiToBytes('00000000'),
    Uint8Array.of(0),
    asciiToBytes(rejectCode),
  );
}

/** @throws Iso8583Error `ERR_ISO8583_HEADER` with `offsetBytes`. */
export function decodeCupsHeader(frame: Uint8Array): CupsHeader {
  if (frame.length < CUPS_HEADER_BYTES) {
    throw headerError(frame.length, `${frame.length} bytes are shorter than the header`);
  }
  if (byteAt(frame, 0) !== CUPS_HEADER_BYTES) throw headerError(0, 'header length is not 46');
  const text = bytesToLatin1(frame.subarray(2, 28));
  if (!/^[0-9]{26}$/.test(text)) throw headerError(2, 'length and institutions are not digits');
  const total = Number(text.slice(0, 4));
  if (total !== frame.length) {
    throw headerError(2, `total length ${total} but ${frame.length} bytes came`);
  }
  const rejectCode = bytesToLatin1(frame.subarray(41, 46));
  if (!/^[0-9]{5}$/.test(rejectCode)) throw headerError(41, 'reject code is not digits');
  return { destination: text.slice(4, 15), source: text.slice(15, 26), rejectCode };
}

function headerError(offsetBytes: number, why: string): Iso8583Error {
  return new Iso8583Error('ERR_ISO8583_HEADER', `header, byte ${offsetBytes}: ${why}`, {
    fieldPath: 'header',
    offsetBytes,
  });
}
