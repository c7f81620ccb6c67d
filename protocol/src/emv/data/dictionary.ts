/** The data dictionary: English names of EMV Book 3, Chinese names of PBOC, format and length. */
import type { DolFormat } from '../../iso7816/index.ts';

/** Formats of EMV data elements. @see EMV 4.3 B3 §4.3 */
export type DataElementFormat = 'n' | 'cn' | 'b' | 'an' | 'ans' | 'a';
/** Who gives the value. */
export type DataElementSource = 'icc' | 'terminal' | 'issuer';

/** One row of the dictionary; `lengthBytes` is the largest length, `lengthBytesMin` the least. */
export type DataElement = {
  readonly tag: string;
  readonly nameEn: string;
  readonly nameZh: string;
  readonly format: DataElementFormat;
  readonly lengthBytesMin: number;
  readonly lengthBytes: number;
  readonly source: DataElementSource;
  /** Cardholder data: logs and traces show only its length. */
  readonly isSensitive: boolean;
};

/** Tag, format, length in bytes, source (`!` after it: cardholder data) | English | Chinese. */
const TABLE = `
42 n 3 icc | Issuer Identification Number (IIN) | 发卡行标识代码
4F b 5-16 icc | Application Dedicated File (ADF) Name | 应用专用文件名称
50 ans 1-16 icc | Application Label | 应用标签
56 ans 0-76 icc! | Track 1 Data | 磁道1数据
57 b 0-19 icc! | Track 2 Equivalent Data | 磁道2等价数据
5A cn 1-10 icc! | Application Primary Account Number (PAN) | 应用主账号
5F20 ans 0-26 icc! | Cardholder Name | 持卡人姓名
5F24 n 3 icc | Application Expiration Date | 应用失效日期
5F25 n 3 icc | Application Effective Date | 应用生效日期
5F28 n 2 icc | Issuer Country Code | 发卡行国家代码
5F2A n 2 terminal | Transaction Currency Code | 交易货币代码
5F2D an 2-8 icc | Language Preference | 首选语言
5F30 n 2 icc | Service Code | 服务码
5F34 n 1 icc | Application PAN Sequence Number | 应用主账号序列号
5F36 n 1 terminal | Transaction Currency Exponent | 交易货币指数
5F50 ans 0-255 icc | Issuer URL | 发卡行网址
5F53 b 0-34 icc! | International Bank Account Number (IBAN) | 国际银行账号
5F54 an 8-11 icc | Bank Identifier Code (BIC) | 银行识别代码
5F55 a 2 icc | Issuer Country Code (alpha2 format) | 发卡行国家代码（两字母）
5F56 a 3 icc | Issuer Country Code (alpha3 format) | 发卡行国家代码（三字母）
5F57 n 1 terminal | Account Type | 账户类型
61 b 0-252 icc | Application Template | 应用模板
6F b 0-252 icc | File Control Information (FCI) Template | 文件控制信息模板
70 b 0-252 icc | READ RECORD Response Message Template | 读记录响应模板
71 b 0-128 issuer | Issuer Script Template 1 | 发卡行脚本模板1
72 b 0-128 issuer | Issuer Script Template 2 | 发卡行脚本模板2
73 b 0-252 icc | Directory Discretionary Template | 目录自定义模板
77 b 0-252 icc | Response Message Template Format 2 | 响应报文模板格式2
80 b 0-252 icc | Response Message Template Format 1 | 响应报文模板格式1
81 b 4 terminal | Amount, Authorised (Binary) | 授权金额（二进制）
82 b 2 icc | Application Interchange Profile | 应用交互特征
83 b 0-252 terminal | Command Template | 命令模板
84 b 5-16 icc | Dedicated File (DF) Name | 专用文件名称
86 b 0-261 issuer | Issuer Script Command | 发卡行脚本命令
87 b 1 icc | Application Priority Indicator | 应用优先指示器
88 b 1 icc | Short File Identifier (SFI) | 短文件标识符
89 an 6 issuer | Authorisation Code | 授权码
8A an 2 issuer | Authorisation Response Code | 授权响应码
8C b 0-252 icc | Card Risk Management Data Object List 1 (CDOL1) | 卡片风险管理数据对象列表1
8D b 0-252 icc | Card Risk Management Data Object List 2 (CDOL2) | 卡片风险管理数据对象列表2
8E b 10-252 icc | Cardholder Verification Method (CVM) List | 持卡人验证方法列表
8F b 1 icc | Certification Authority Public Key Index | 认证中心公钥索引（卡片）
90 b 64-248 icc | Issuer Public Key Certificate | 发卡行公钥证书
91 b 8-16 issuer | Issuer Authentication Data | 发卡行认证数据
92 b 0-248 icc | Issuer Public Key Remainder | 发卡行公钥余数
93 b 64-248 icc | Signed Static Application Data | 签名的静态应用数据
94 b 4-252 icc | Application File Locator (AFL) | 应用文件定位器
95 b 5 terminal | Terminal Verification Results | 终端验证结果
97 b 0-252 icc | Transaction Certificate Data Object List (TDOL) | 交易证书数据对象列表
98 b 20 terminal | Transaction Certificate (TC) Hash Value | 交易证书哈希值
99 b 0-12 terminal! | Transaction Personal Identification Number (PIN) Data | 交易个人密码数据
9A n 3 terminal | Transaction Date | 交易日期
9B b 2 terminal | Transaction Status Information | 交易状态信息
9C n 1 terminal | Transaction Type | 交易类型
9D b 5-16 icc | Directory Definition File (DDF) Name | 目录定义文件名称
A5 b 0-252 icc | File Control Information (FCI) Proprietary Template | 文件控制信息专用模板
9F01 n 6 terminal | Acquirer Identifier | 收单行标识
9F02 n 6 terminal | Amount, Authorised (Numeric) | 授权金额
9F03 n 6 terminal | Amount, Other (Numeric) | 其他金额
9F04 b 4 terminal | Amount, Other (Binary) | 其他金额（二进制）
9F05 b 1-32 icc | Application Discretionary Data | 应用自定义数据
9F06 b 5-16 terminal | Application Identifier (AID) - terminal | 应用标识符（终端）
9F07 b 2 icc | Application Usage Control | 应用用途控制
9F08 b 2 icc | Application Version Number | 应用版本号（卡片）
9F09 b 2 terminal | Application Version Number | 应用版本号（终端）
9F0B ans 27-45 icc! | Cardholder Name Extended | 持卡人姓名扩展
9F0D b 5 icc | Issuer Action Code - Default | 发卡行行为代码－缺省
9F0E b 5 icc | Issuer Action Code - Denial | 发卡行行为代码－拒绝
9F0F b 5 icc | Issuer Action Code - Online | 发卡行行为代码－联机
9F10 b 0-32 icc | Issuer Application Data | 发卡行应用数据
9F11 n 1 icc | Issuer Code Table Index | 发卡行代码表索引
9F12 ans 1-16 icc | Application Preferred Name | 应用首选名称
9F13 b 2 icc | Last Online Application Transaction Counter (ATC) Register | 上次联机应用交易计数器寄存器
9F14 b 1 icc | Lower Consecutive Offline Limit | 连续脱机交易下限
9F15 n 2 terminal | Merchant Category Code | 商户类别码
9F16 ans 15 terminal | Merchant Identifier | 商户标识
9F17 b 1 icc | Personal Identification Number (PIN) Try Counter | 密码尝试计数器
9F18 b 4 issuer | Issuer Script Identifier | 发卡行脚本标识
9F1A n 2 terminal | Terminal Country Code | 终端国家代码
9F1B b 4 terminal | Terminal Floor Limit | 终端最低限额
9F1C an 8 terminal | Terminal Identification | 终端标识
9F1D b 1-8 terminal | Terminal Risk Management Data | 终端风险管理数据
9F1E an 8 terminal | Interface Device (IFD) Serial Number | 接口设备序列号
9F1F ans 0-54 icc! | Track 1 Discretionary Data | 磁道1自定义数据
9F20 cn 0-16 icc! | Track 2 Discretionary Data | 磁道2自定义数据
9F21 n 3 terminal | Transaction Time | 交易时间
9F22 b 1 terminal | Certification Authority Public Key Index | 认证中心公钥索引（终端）
9F23 b 1 icc | Upper Consecutive Offline Limit | 连续脱机交易上限
9F24 an 29 icc | Payment Account Reference (PAR) | 支付账户参考号
9F26 b 8 icc | Application Cryptogram | 应用密文
9F27 b 1 icc | Cryptogram Information Data | 密文信息数据
9F2D b 64-248 icc | ICC PIN Encipherment Public Key Certificate | IC卡密码加密公钥证书
9F2E b 1-3 icc | ICC PIN Encipherment Public Key Exponent | IC卡密码加密公钥指数
9F2F b 0-248 icc | ICC PIN Encipherment Public Key Remainder | IC卡密码加密公钥余数
9F32 b 1-3 icc | Issuer Public Key Exponent | 发卡行公钥指数
9F33 b 3 terminal | Terminal Capabilities | 终端性能
9F34 b 3 terminal | Cardholder Verification Method (CVM) Results | 持卡人验证方法结果
9F35 n 1 terminal | Terminal Type | 终端类型
9F36 b 2 icc | Application Transaction Counter (ATC) | 应用交易计数器
9F37 b 4 terminal | Unpredictable Number | 不可预知数
9F38 b 0-252 icc | Processing Options Data Object List (PDOL) | 处理选项数据对象列表
9F39 n 1 terminal | Point-of-Service (POS) Entry Mode | 销售点输入方式
9F3A b 4 terminal | Amount, Reference Currency | 参考货币金额
9F3B n 2-8 icc | Application Reference Currency | 应用参考货币
9F3C n 2 terminal | Transaction Reference Currency Code | 交易参考货币代码
9F3D n 1 terminal | Transaction Reference Currency Exponent | 交易参考货币指数
9F40 b 5 terminal | Additional Terminal Capabilities | 附加终端性能
9F41 n 2-4 terminal | Transaction Sequence Counter | 交易序列计数器
9F42 n 2 icc | Application Currency Code | 应用货币代码
9F43 n 1-4 icc | Application Reference Currency Exponent | 应用参考货币指数
9F44 n 1 icc | Application Currency Exponent | 应用货币指数
9F45 b 2 icc | Data Authentication Code | 数据认证码
9F46 b 64-248 icc | Integrated Circuit Card (ICC) Public Key Certificate | IC卡公钥证书
9F47 b 1-3 icc | Integrated Circuit Card (ICC) Public Key Exponent | IC卡公钥指数
9F48 b 0-248 icc | Integrated Circuit Card (ICC) Public Key Remainder | IC卡公钥余数
9F49 b 0-252 icc | Dynamic Data Authentication Data Object List (DDOL) | 动态数据认证数据对象列表
9F4A b 0-252 icc | Static Data Authentication Tag List | 静态数据认证标签列表
9F4B b 64-248 icc | Signed Dynamic Application Data | 签名的动态应用数据
9F4C b 2-8 icc | ICC Dynamic Number | IC卡动态数
9F4D b 2 icc | Log Entry | 日志入口
9F4E ans 0-20 terminal | Merchant Name and Location | 商户名称
9F4F b 0-252 icc | Log Format | 日志格式
9F51 n 2 icc | Application Currency Code (card risk management) | 应用货币代码（卡片风险管理）
9F52 b 2-4 icc | Application Default Action (ADA) | 应用缺省行为
9F53 b 1 icc | Consecutive Transaction Limit (International) | 连续脱机交易限制数（国际－货币）
9F54 n 6 icc | Cumulative Total Transaction Amount Limit | 累计脱机交易金额限制数
9F55 b 1 icc | Geographic Indicator | 地理指示器
9F56 b 1 icc | Issuer Authentication Indicator | 发卡行认证指示位
9F57 n 2 icc | Issuer Country Code (card risk management) | 发卡行国家代码（卡片风险管理）
9F58 b 1 icc | Lower Consecutive Offline Limit (card check) | 连续脱机交易下限（卡片检查）
9F59 b 1 icc | Upper Consecutive Offline Limit (card check) | 连续脱机交易上限（卡片检查）
9F5A ans 0-255 icc | Issuer URL 2 | 发卡行网址2
9F5C n 6 icc | Cumulative Total Transaction Amount Upper Limit | 累计脱机交易金额上限
9F5D n 6 icc | Available Offline Spending Amount | 可用脱机消费金额
9F61 an 0-40 icc! | Cardholder Identification Number | 持卡人证件号
9F62 an 1 icc | Cardholder Identification Type | 持卡人证件类型
9F63 b 16 icc | Product Identification Information | 卡产品标识信息
9F66 b 4 terminal | Terminal Transaction Qualifiers (TTQ) | 终端交易属性
9F68 b 4 icc | Card Additional Processes | 卡片附加处理
9F69 b 8-16 icc | Card Authentication Related Data | 卡片认证相关数据
9F6B n 6 icc | Card CVM Limit | 卡片持卡人验证方法限额
9F6C b 2 icc | Card Transaction Qualifiers (CTQ) | 卡片交易属性
9F6D n 6 icc | Electronic Cash Reset Threshold | 电子现金重置阈值
9F6E b 4 icc | Form Factor Indicator | 卡片形式标识
9F74 an 6 icc | Electronic Cash Issuer Authorisation Code | 电子现金发卡行授权码
9F77 n 6 icc | Electronic Cash Balance Limit | 电子现金余额上限
9F78 n 6 icc | Electronic Cash Single Transaction Limit | 电子现金单笔交易限额
9F79 n 6 icc | Electronic Cash Balance | 电子现金余额
9F7A n 1 terminal | Electronic Cash Terminal Support Indicator | 电子现金终端支持指示器
9F7B n 6 terminal | Electronic Cash Terminal Transaction Limit | 电子现金终端交易限额
9F7C b 0-20 terminal | Merchant Custom Data | 商户自定义数据
9F7D b 0-16 icc | Application Specific Data | 应用特有数据
BF0C b 0-222 icc | File Control Information (FCI) Issuer Discretionary Data | 文件控制信息发卡行自定义数据
DF31 b 5-20 terminal | Issuer Script Results | 发卡行脚本结果
DF4D b 2 icc | Load Log Entry | 圈存日志入口
DF4F b 0-252 icc | Load Log Format | 圈存日志格式
DF60 b 1 terminal | Extended Application Indicator (CAPP) | 扩展应用指示器
DF61 b 1 icc | Segmented Deduction Indicator | 分段扣费标识
DF62 n 6 icc | Segmented Deduction Credit Limit | 分段扣费抵扣限额
DF63 n 6 icc | Segmented Deduction Credited Amount | 分段扣费已抵扣额
DF69 b 1 terminal | SM Algorithm Support Indicator | 国密算法支持指示器
DF71 n 2 icc | Second Electronic Cash Currency Code | 第二币种电子现金货币代码
DF76 n 6 icc | Second Electronic Cash Reset Threshold | 第二币种电子现金重置阈值
DF77 n 6 icc | Second Electronic Cash Balance Limit | 第二币种电子现金余额上限
DF78 n 6 icc | Second Electronic Cash Single Transaction Limit | 第二币种电子现金单笔交易限额
DF79 n 6 icc | Second Electronic Cash Balance | 第二币种电子现金余额
`;

/** Tag (upper-case hex) -> its dictionary row. @see EMV 4.3 B3 Annex A; PBOC3 P5 */
export const DATA_ELEMENTS: Readonly<Record<string, DataElement>> = Object.fromEntries(
  TABLE.trim()
    .split('\n')
    .map((line) => {
      const row = rowOf(line);
      return [row.tag, row];
    }),
);

function rowOf(line: string): DataElement {
  const [facts = '', nameEn = '', nameZh = ''] = line.split('|').map((part) => part.trim());
  const [tag = '', format = '', length = '', source = ''] = facts.split(' ');
  const [least = '', most = least] = length.split('-');
  return {
    tag,
    nameEn,
    nameZh,
    format: format as DataElementFormat,
    lengthBytesMin: Number(least),
    lengthBytes: Number(most),
    source: source.replace('!', '') as DataElementSource,
    isSensitive: source.endsWith('!'),
  };
}

/** How a DOL fits the value of `tag`; a tag we do not know is treated as binary. */
export function dolFormatOf(tag: string): DolFormat {
  const format = DATA_ELEMENTS[tag]?.format;
  return format === 'n' || format === 'cn' ? format : 'other';
}

/** Whether `value` has a length that the dictionary allows for `tag`; unknown tags always have. */
export function isDataElementLength(tag: string, value: Uint8Array): boolean {
  const element = DATA_ELEMENTS[tag];
  if (!element) return true;
  return value.length >= element.lengthBytesMin && value.length <= element.lengthBytes;
}
