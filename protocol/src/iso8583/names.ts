/** What fields, message types and response codes are called, in Chinese and English. */

/** A name in both languages; both come from the standards' own texts where these have one. */
export type Iso8583Name = { readonly zh: string; readonly en: string };

/** Number | English | Chinese. @see ISO 8583:1987 table 5, Q/CUP 006 part 2 */
const FIELDS = `
2 | Primary account number | 主账号
3 | Processing code | 交易处理码
4 | Amount, transaction | 交易金额
5 | Amount, settlement | 清算金额
6 | Amount, cardholder billing | 持卡人扣账金额
7 | Transmission date and time | 交易传输时间
9 | Conversion rate, settlement | 清算汇率
10 | Conversion rate, cardholder billing | 持卡人扣账汇率
11 | System trace audit number | 系统跟踪号
12 | Time, local transaction | 受卡方所在地时间
13 | Date, local transaction | 受卡方所在地日期
14 | Date, expiration | 卡有效期
15 | Date, settlement | 清算日期
16 | Date, conversion | 兑换日期
18 | Merchant type | 商户类型
19 | Acquiring institution country code | 收单机构国家代码
22 | Point of service entry mode | 服务点输入方式码
23 | Card sequence number | 卡序列号
25 | Point of service condition code | 服务点条件码
26 | Point of service PIN capture code | 服务点PIN获取码
28 | Amount, transaction fee | 交易费
32 | Acquiring institution identification code | 代理机构标识码
33 | Forwarding institution identification code | 发送机构标识码
35 | Track 2 data | 第二磁道数据
36 | Track 3 data | 第三磁道数据
37 | Retrieval reference number | 检索参考号
38 | Authorisation identification response | 授权标识应答码
39 | Response code | 应答码
41 | Card acceptor terminal identification | 受卡机终端标识码
42 | Card acceptor identification code | 受卡方标识码
43 | Card acceptor name and location | 受卡方名称地址
44 | Additional response data | 附加响应数据
45 | Track 1 data | 第一磁道数据
48 | Additional data, private | 附加数据（私有）
49 | Currency code, transaction | 交易货币代码
50 | Currency code, settlement | 清算货币代码
51 | Currency code, cardholder billing | 持卡人账户货币代码
52 | Personal identification number data | 个人标识码数据
53 | Security related control information | 安全控制信息
54 | Additional amounts | 实际余额
55 | Integrated circuit card data | 基于PBOC借贷记标准的IC卡数据域
57 | Additional transaction data | 附加交易信息
58 | Electronic purse data | IC卡数据域（电子钱包）
59 | Detail inquiring data | 明细查询数据
60 | Reserved (transaction characteristics) | 自定义域（交易特征）
61 | Cardholder authentication information | 持卡人身份认证信息
62 | Switching centre data | 交换中心数据
63 | Financial network data | 金融网络数据
70 | Network management information code | 网络管理信息码
90 | Original data elements | 原始数据元
96 | Message security code (new key) | 报文安全码（新密钥）
100 | Receiving institution identification code | 接收机构标识码
102 | Account identification 1 | 账户标识1
103 | Account identification 2 | 账户标识2
104 | Transaction description | 交易描述
121 | Reserved for the switching centre | 交换中心保留
122 | Reserved for the acquirer | 受理方保留
123 | Reserved for the issuer | 发卡方保留
128 | Message authentication code | 报文鉴别码
`;

/** @see ISO 8583:1987 table 2 */
const MESSAGE_TYPES = `
0200 | Financial transaction request | 金融交易请求
0210 | Financial transaction response | 金融交易应答
0420 | Reversal advice | 冲正通知
0421 | Reversal advice, repeated | 冲正通知（重发）
0430 | Reversal advice response | 冲正通知应答
0800 | Network management request (key) | 网络管理请求（密钥）
0810 | Network management response (key) | 网络管理应答（密钥）
0820 | Network management request | 网络管理请求
0830 | Network management response | 网络管理应答
`;

/** Field 39. @see Q/CUP 006 */
const RESPONSES = `
00 | Approved | 承兑或交易成功
01 | Refer to card issuer | 查发卡行
03 | Invalid merchant | 无效商户
04 | Pick up card | 没收卡
05 | Do not honour | 身份认证失败（不予承兑）
12 | Invalid transaction | 无效交易
13 | Invalid amount | 无效金额
14 | Invalid card number | 无效卡号
25 | Original not found | 找不到原始交易
30 | Format error | 报文格式错误
34 | Suspected fraud | 有作弊嫌疑
38 | PIN tries exceeded, pick up | 超过允许的PIN试输入次数（没收）
40 | Function not supported | 请求的功能尚不支持
41 | Lost card | 挂失卡
43 | Stolen card | 被窃卡
51 | Insufficient funds | 资金不足
54 | Expired card | 过期的卡
55 | Incorrect PIN | 不正确的PIN
57 | Not permitted to cardholder | 不允许持卡人进行的交易
58 | Not permitted to terminal | 不允许终端进行的交易
61 | Exceeds amount limit | 超出金额限制
62 | Restricted card | 受限制的卡
65 | Exceeds count limit | 超出取款次数限制
68 | Response received too late | 发卡行响应超时
75 | PIN tries exceeded | 允许的输入PIN次数超限
90 | Cut-off in process | 正在日终处理
91 | Issuer inoperative | 发卡行不能操作
92 | Institution not found | 金融机构或网络设施找不到
94 | Duplicate transmission | 重复交易
96 | System malfunction | 交换中心系统异常
98 | No answer from issuer | 交换中心收不到发卡方应答
99 | PIN format error | PIN格式错
A0 | MAC verification failed | MAC鉴别失败
`;

function tableOf(text: string): ReadonlyMap<string, Iso8583Name> {
  return new Map(
    text
      .trim()
      .split('\n')
      .map((line) => {
        const [key = '', en = '', zh = ''] = line.split('|').map((part) => part.trim());
        return [key, { zh, en }];
      }),
  );
}

const fieldNames = tableOf(FIELDS);
const messageTypeNames = tableOf(MESSAGE_TYPES);
const responseNames = tableOf(RESPONSES);

/** Name of a field by its number; null for one that the dialect does not have. */
export function fieldName(number: number): Iso8583Name | null {
  return fieldNames.get(String(number)) ?? null;
}

/** Name of a message type by its MTI. */
export function messageTypeName(mti: string): Iso8583Name | null {
  return messageTypeNames.get(mti) ?? null;
}

/** What field 39 says. */
export function responseCodeName(code: string): Iso8583Name | null {
  return responseNames.get(code) ?? null;
}
