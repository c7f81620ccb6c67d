/** Names of tags: the dictionary's, and those that only stand in downloads, logs and templates. */
import { DATA_ELEMENTS, type DataElementFormat } from '../emv/data/dictionary.ts';

/** What is known of a tag. */
export type TagName = {
  readonly nameEn: string;
  readonly nameZh: string;
  readonly format: DataElementFormat;
  /** Shortest and longest value in bytes; null when it is not bounded here. */
  readonly lengths: readonly [number, number] | null;
  /** Cardholder data. */
  readonly isSensitive: boolean;
};

/**
 * Tags outside the kernel's dictionary, which must not grow by them: a kernel would take such a
 * tag from a card. Tag, format | English | Chinese.
 */
const MORE = `
06 b | Object identifier (OID) | 对象标识符
30 b | Sequence | 序列
41 n | Country Code and National Data | 国家代码及国内数据
43 b | Card Service Data | 卡服务数据
45 b | Card Image Number (CIN) | 卡映像号
51 b | File reference | 文件引用
52 b | Command to perform | 待执行命令
53 b | Discretionary data | 自定义数据
62 b | File Control Parameters (FCP) Template | 文件控制参数模板
66 b | Card Recognition Data | 卡识别数据
7F49 b | Public key template | 公钥模板
9F0A b | Application Selection Registered Proprietary Data | 应用选择注册专有数据
9F19 b | Token Requestor ID | 令牌请求方标识
9F25 n | Last 4 Digits of PAN | 主账号后四位
9F29 b | Extended Selection | 扩展选择
9F2A b | Kernel Identifier | 内核标识符
9F50 b | Offline Accumulator Balance | 脱机累计余额
9F5B b | Issuer Script Results | 发卡行脚本结果
9F60 b | CVC3 (track 1) | CVC3（磁道1）
9F64 b | Number of ATC digits (track 1) | ATC 位数（磁道1）
9F65 b | Position of CVC3 (track 2) | CVC3 位置（磁道2）
9F67 b | Number of ATC digits (track 2) | ATC 位数（磁道2）
9F6A n | Unpredictable Number (numeric) | 不可预知数（数字）
9F70 b | Card Interface Capabilities | 卡片界面能力
9F71 b | Card Processing Requirements | 卡片处理要求
9F72 b | Consecutive Transaction Limit (International - Country) | 连续脱机交易限制数（国际－国家）
9F73 b | Currency Conversion Factor | 货币转换因子
9F75 n | Cumulative Total Transaction Amount Limit (Dual Currency) | 累计脱机交易金额限制数（双货币）
9F76 n | Secondary Application Currency Code | 第二应用货币代码
9F7E b | Mobile Support Indicator | 移动支持指示器
9F7F b | Card Production Life Cycle Data (CPLC) | 卡片生产周期数据
C0 b | Key Information Data | 密钥信息数据
DF01 b | Application Selection Indicator | 应用选择指示符
DF02 b | CA Public Key Modulus | 认证中心公钥模
DF03 b | CA Public Key Check Sum | 认证中心公钥校验值
DF04 b | CA Public Key Exponent | 认证中心公钥指数
DF05 an | CA Public Key Expiration Date | 认证中心公钥有效期
DF06 b | CA Public Key Hash Algorithm Indicator | 认证中心公钥哈希算法标识
DF07 b | CA Public Key Algorithm Indicator | 认证中心公钥算法标识
DF11 b | Terminal Action Code - Default | 终端行为代码－缺省
DF12 b | Terminal Action Code - Online | 终端行为代码－联机
DF13 b | Terminal Action Code - Denial | 终端行为代码－拒绝
DF14 b | Default DDOL | 缺省动态数据认证数据对象列表
DF15 b | Threshold Value for Biased Random Selection | 偏置随机选择阈值
DF16 n | Maximum Target Percentage for Biased Random Selection | 偏置随机选择的最大目标百分数
DF17 n | Target Percentage for Random Selection | 随机选择的目标百分数
DF18 b | Terminal Online PIN Capability | 终端联机密码支持能力
DF19 n | Contactless Offline Floor Limit | 非接触读写器脱机最低限额
DF20 n | Contactless Transaction Limit | 非接触读写器交易限额
DF21 n | Contactless CVM Required Limit | 读写器持卡人验证方法所需限制
E0 b | Key Information Template | 密钥信息模板
`;

const MORE_NAMES: ReadonlyMap<string, TagName> = new Map(
  MORE.trim()
    .split('\n')
    .map((line) => {
      const [facts = '', nameEn = '', nameZh = ''] = line.split('|').map((part) => part.trim());
      const [tag = '', format = 'b'] = facts.split(' ');
      const row = { nameEn, nameZh, format: format as DataElementFormat };
      return [tag, { ...row, lengths: null, isSensitive: false }];
    }),
);

const UNKNOWN: TagName = {
  nameEn: 'Unknown tag',
  nameZh: '未知标签',
  format: 'b',
  lengths: null,
  isSensitive: false,
};

/** Name, format and length of a tag in upper-case hex. */
export function tagName(tag: string): TagName {
  const element = DATA_ELEMENTS[tag];
  if (!element) return MORE_NAMES.get(tag) ?? UNKNOWN;
  return { ...element, lengths: [element.lengthBytesMin, element.lengthBytes] };
}

/** Whether a tag has a name here. */
export function isKnownTag(tag: string): boolean {
  return tag in DATA_ELEMENTS || MORE_NAMES.has(tag);
}

/** Short names that people write for tags -> the tag. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  tvr: '95',
  tsi: '9B',
  aip: '82',
  afl: '94',
  auc: '9F07',
  iad: '9F10',
  cid: '9F27',
  ac: '9F26',
  arqc: '9F26',
  atc: '9F36',
  un: '9F37',
  pdol: '9F38',
  cdol1: '8C',
  cdol2: '8D',
  ddol: '9F49',
  tdol: '97',
  cvmlist: '8E',
  cvmresults: '9F34',
  cvmr: '9F34',
  ttq: '9F66',
  ctq: '9F6C',
  ada: '9F52',
  iacdefault: '9F0D',
  iacdenial: '9F0E',
  iaconline: '9F0F',
  tacdefault: 'DF11',
  taconline: 'DF12',
  tacdenial: 'DF13',
  terminalcapabilities: '9F33',
  terminaltype: '9F35',
  sdad: '9F4B',
  track2: '57',
  cplc: '9F7F',
};

/** The tag that a folded name stands for (`9f02`, `tvr`, `pdol9f38`), or null. */
export function tagOfName(folded: string): string | null {
  const short = SHORT_NAMES[folded];
  if (short !== undefined) return short;
  const upper = folded.toUpperCase();
  if (/^(?:[0-9A-F]{2}){1,3}$/.test(upper) && isWellFormedTag(upper)) return upper;
  const tail = /^[a-z]+\d?(9f[0-9a-f]{2}|5f[0-9a-f]{2}|df[0-9a-f]{2})$/.exec(folded)?.[1];
  return tail === undefined ? null : tail.toUpperCase();
}

/** Whether hex digits are one whole tag. @see EMV 4.3 B3 Annex B */
export function isWellFormedTag(tag: string): boolean {
  const bytes = tag.match(/../g)?.map((pair) => Number.parseInt(pair, 16)) ?? [];
  const [first = 0, ...more] = bytes;
  if (first === 0x00 || first === 0xff) return false;
  if ((first & 0x1f) !== 0x1f) return more.length === 0;
  return (
    more.length > 0 && more.every((value, at) => ((value & 0x80) !== 0) === at < more.length - 1)
  );
}
