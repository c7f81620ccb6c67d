/** Ledger rows and facts of the secure channel as fields. */
import type { TraceEvent, TraceField, TwoLanguages } from '@tapnpay/protocol/wire';
import { bitMeanings } from './bits.ts';
import { field, two } from './field.ts';
import { clearBytes } from './masked-hex.ts';
import { amountMeaning, currencyName } from './names.ts';
import { partsOf } from './values.ts';

const COLUMNS: Readonly<Record<string, TwoLanguages>> = {
  transaction: two('Transaction', '交易'),
  entryId: two('Entry', '分录号'),
  account: two('Account', '账户'),
  currency: two('Currency', '货币'),
  amountMinor: two('Amount, minor units', '金额（最小单位）'),
  direction: two('Direction', '方向'),
  elementId: two('Secure element', '安全单元'),
  protocol: two('Protocol', '协议'),
  mutual: two('Certificates on both sides', '双向证书'),
  merchantName: two('Merchant', '商户'),
  terminalId: two('Terminal', '终端'),
  origin: two('Origin of the shop', '商户来源'),
  interface: two('Interface', '用卡方式'),
  applicationLabel: two('Application', '应用'),
  panMasked: two('Card number, masked', '卡号（已屏蔽）'),
  panSequenceNumber: two('PAN sequence number', '主账号序列号'),
  trackTwoDigits: two('Track 2 equivalent data, digits', '磁道 2 等价数据位数'),
  chipDataBytes: two('Chip data (field 55), bytes', '芯片数据（55 域）字节数'),
  pinBlockBytes: two('PIN block (ISO 9564-1 format 4), bytes', 'PIN 块（ISO 9564-1 格式 4）字节数'),
  pinKsn: two('Key serial number of the PIN key', 'PIN 密钥序列号'),
  signatureBytes: two("The element's signature, bytes", '安全单元签名字节数'),
  paymentId: two('Payment', '支付流水号'),
  result: two('Result', '结果'),
  outcome: two('Outcome', '结果'),
  responseCode: two('Response code', '应答码'),
  issuerAuthenticationData: two('Issuer authentication data (91)', '发卡行认证数据（91）'),
  scripts: two('Issuer scripts', '发卡行脚本数'),
  scriptResults: two('Script results', '脚本结果'),
  secondType: two('Kind of the second cryptogram', '第二个密文的类型'),
  second: two('Second cryptogram', '第二个密文'),
  tvr: two('Terminal verification results (95)', '终端验证结果（95）'),
  tsi: two('Transaction status information (9B)', '交易状态信息（9B）'),
};
/** Columns that hold the value of a tag. */
const TAGS: Readonly<Record<string, string>> = { tvr: '95', tsi: '9B' };

const TRANSACTIONS: Readonly<Record<string, TwoLanguages>> = {
  captured: two('the order is paid', '订单已付'),
  sale: two('purchase', '消费'),
  saleVoid: two('void of a purchase', '消费撤销'),
  refund: two('refund', '退货'),
  completionAdvice: two('completion of a pre-authorisation', '预授权完成'),
  completionVoid: two('void of a completion', '预授权完成撤销'),
  offlineSaleAdvice: two('electronic cash payment', '电子现金消费'),
  reversal: two('reversal', '冲正'),
  reversed: two('reversal', '冲正'),
};

const CHANNEL_NAMES: Readonly<Record<string, TwoLanguages>> = {
  handshake: two('TLS handshake with the secure element', '与安全单元的 TLS 握手'),
  signedOrder: two('The order, signed by the gateway', '网关签名的订单'),
  payment: two('The sealed payment arrives', '收到封装好的支付数据'),
  authorisation: two("The issuer's answer for the card", '发卡行的应答，交给卡片'),
  completion: two('How the card ended it', '卡片的最终结果'),
  result: two('The final word', '网关的最终结果'),
};

/** What was said in the channel. */
export function channelName(title: string): TwoLanguages {
  return CHANNEL_NAMES[title] ?? two(title, title);
}

/** A ledger row by the party that wrote it. */
export function ledgerName(event: TraceEvent): TwoLanguages {
  const isDebit = String(event.data['amountMinor']).startsWith('-');
  const account = accountName(String(event.data['account']));
  const side = isDebit ? two('out of', '转出') : two('into', '转入');
  return two(`${side.en} ${account.en}`, `${side.zh}:${account.zh}`);
}

const ACCOUNTS: readonly (readonly [RegExp, TwoLanguages])[] = [
  [/^card-/, two("the cardholder's account", '持卡人账户')],
  [/^ecash-/, two("the issuer's record of the purse", '电子现金影子账户')],
  [/^owed-/, two('what the cardholder owes', '持卡人欠款')],
  [/^difference-/, two('electronic cash differences', '电子现金差额')],
  [/^clearing-/, two('interbank clearing', '银行间清算')],
  [/^opening-/, two('opening balances', '期初余额')],
  [/clearing/i, two('clearing of payers', '付款方清算')],
  [/merchant|payable/i, two("the merchant's claim", '应付商户款')],
];

function accountName(account: string): TwoLanguages {
  return ACCOUNTS.find(([pattern]) => pattern.test(account))?.[1] ?? two(account, account);
}

/** The named values of an event, in its order. */
export function rowFields(event: TraceEvent): readonly TraceField[] {
  const { data } = event;
  const currency = String(data['currency'] ?? '');
  return Object.entries(data)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => {
      const text = String(value);
      return field(key, COLUMNS[key] ?? two(key, key), {
        value: text,
        meanings: meaningsOf({ key, text, currency }),
        children: key === 'issuerAuthenticationData' ? issuerAuthentication(text) : [],
      });
    });
}

function meaningsOf(column: {
  readonly key: string;
  readonly text: string;
  readonly currency: string;
}): readonly TwoLanguages[] {
  const { key, text, currency } = column;
  const known = (meaning: TwoLanguages | null): readonly TwoLanguages[] =>
    meaning ? [meaning] : [];
  if (key === 'amountMinor') return known(amountMeaning(text, currency));
  if (key === 'transaction') return known(TRANSACTIONS[text] ?? null);
  if (key === 'currency') return known(currencyName(text));
  if (key === 'account') return [accountName(text)];
  if (key === 'direction') {
    return [text === 'sent' ? two('from here', '发出') : two('to here', '收到')];
  }
  const tag = TAGS[key];
  const bytes = tag === undefined ? null : clearBytes(text);
  return tag !== undefined && bytes ? (bitMeanings(tag, bytes) ?? []) : [];
}

function issuerAuthentication(text: string): readonly TraceField[] {
  const bytes = clearBytes(text);
  return bytes ? partsOf('91', bytes) : [];
}
