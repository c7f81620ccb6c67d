/** Every text of the look inside, in both languages. */
import { createTranslator } from '../shared/i18n.ts';

const TEXTS = {
  title: { zh: '交易过程', en: 'Look inside' },
  subtitle: {
    zh: '一笔支付从下单到通知的十四步',
    en: 'One payment, from order to receipt, in fourteen hops',
  },
  sandbox: { zh: '沙箱 · 测试资金', en: 'Sandbox · test money' },
  language: { zh: 'English', en: '中文' },
  loading: { zh: '正在读取各方日志…', en: 'Reading the logs of all parties…' },
  notFound: { zh: '没有这笔订单的记录', en: 'No party has logged this order' },
  notFoundHelp: {
    zh: '订单号可能有误，或日志已清除。只有沙箱环境才记录交易过程。',
    en: 'The order number may be wrong, or its logs are gone. Only a sandbox keeps them.',
  },
  failed: { zh: '读取失败', en: 'It could not be read' },
  failedHelp: {
    zh: '查看服务没有应答。请确认系统仍在运行，然后重试。',
    en: 'The observer does not answer. Check that the system still runs, then try again.',
  },
  retry: { zh: '重试', en: 'Try again' },
  refresh: { zh: '刷新', en: 'Refresh' },
  exportJson: { zh: '导出 JSON', en: 'Export JSON' },
  exportApdu: { zh: '导出 APDU 文本', en: 'Export APDU text' },
  order: { zh: '订单号', en: 'Order' },
  total: { zh: '总耗时', en: 'Total' },
  active: { zh: '系统处理', en: 'Machines at work' },
  cardRead: { zh: '读卡方式', en: 'Card read by' },
  contact: { zh: '插卡', en: 'contacts' },
  contactless: { zh: '挥卡', en: 'contactless' },
  answer: { zh: '应答码', en: 'Response code' },
  outcome: { zh: '结果', en: 'Outcome' },
  'outcome.approved': { zh: '交易成功', en: 'Approved' },
  'outcome.declined': { zh: '交易被拒绝', en: 'Declined' },
  'outcome.unknown': { zh: '结果未知', en: 'Unknown' },
  'outcome.reversed': { zh: '已冲正', en: 'Reversed' },
  'outcome.cancelled': { zh: '已取消', en: 'Cancelled' },
  'outcome.open': { zh: '尚未完成', en: 'Not finished' },
  show: { zh: '只看', en: 'Show only' },
  'kind.apdu': { zh: 'APDU 命令', en: 'APDUs' },
  'kind.iso8583': { zh: '8583 报文', en: 'ISO 8583' },
  'kind.hsm': { zh: '加密机命令', en: 'HSM commands' },
  'kind.ledger': { zh: '账务分录', en: 'Ledger rows' },
  'kind.channel': { zh: '安全通道', en: 'Channel' },
  openAll: { zh: '全部展开', en: 'Open all hops' },
  closeAll: { zh: '全部收起', en: 'Close all hops' },
  hops: { zh: '十四步', en: 'Fourteen hops' },
  path: { zh: '路径', en: 'Path' },
  time: { zh: '时间', en: 'Time' },
  waiting: { zh: '等待 {time}', en: 'waiting {time}' },
  'lane.card': { zh: '卡片', en: 'Card' },
  'lane.element': { zh: '安全单元', en: 'Element' },
  'lane.helper': { zh: '页面', en: 'Page' },
  'lane.shop': { zh: '商户', en: 'Shop' },
  'lane.gateway': { zh: '网关', en: 'Gateway' },
  'lane.switch': { zh: '转接', en: 'Switch' },
  'lane.issuer': { zh: '发卡行', en: 'Issuer' },
  notReached: { zh: '未到达', en: 'not reached' },
  notApplicable: { zh: '不适用', en: 'not applicable' },
  notApplicableHelp: {
    zh: '挥卡交易收到 0210 应答即为最终结果，卡片不再参与。',
    en: 'A contactless payment is final at the 0210: the card takes no further part.',
  },
  notReachedHelp: { zh: '这笔支付没有走到这一步。', en: 'The payment did not get here.' },
  nothingOfKind: { zh: '这一步没有所选类型的内容。', en: 'Nothing of the chosen kinds here.' },
  noItems: { zh: '这一步没有更多记录。', en: 'Nothing more was logged for this hop.' },
  items: { zh: '{count} 项', en: '{count} items' },
  oneItem: { zh: '1 项', en: '1 item' },
  facts: { zh: '要点', en: 'Facts' },
  raw: { zh: '原始数据', en: 'On the wire' },
  command: { zh: '命令', en: 'Command' },
  response: { zh: '响应', en: 'Response' },
  bytes: { zh: '{count} 字节', en: '{count} bytes' },
  decoded: { zh: '解析', en: 'Decoded' },
  masked: { zh: '** 为已屏蔽的字节', en: '** is a masked byte' },
  copy: { zh: '复制', en: 'Copy' },
  copied: { zh: '已复制', en: 'Copied' },
  footer: {
    zh: '本系统仅供实验，未经任何机构认证。卡号、磁道、PIN 与密钥在写入日志前已屏蔽。',
    en: 'A laboratory, not certified by anyone. The logs mask card numbers, PINs and keys.',
  },
  'party.shop': { zh: '商户', en: 'shop' },
  'party.agent': { zh: '支付助手', en: 'helper' },
  'party.tap': { zh: '卡片', en: 'card' },
  'party.card': { zh: '卡片', en: 'card' },
  'party.element': { zh: '安全单元', en: 'secure element' },
  'party.gateway': { zh: '网关', en: 'gateway' },
  'party.switch': { zh: '转接中心', en: 'switch' },
  'party.issuer': { zh: '发卡行', en: 'issuer' },
  'why.order': {
    zh: '商户向网关下单：金额、币种，只付一次',
    en: 'Amount and currency, to be paid once',
  },
  'why.ask': {
    zh: '页面只传递订单号，金额和商户都不由它决定',
    en: 'The page passes an order id and nothing else',
  },
  'why.channel': {
    zh: 'TLS 1.3 双向证书，安全单元由此收到网关签名的订单',
    en: 'TLS 1.3, certificates on both sides; the signed order arrives',
  },
  'why.tap': {
    zh: '选择应用、获取处理选项、读记录',
    en: 'SELECT, GET PROCESSING OPTIONS, READ RECORD',
  },
  'why.check': {
    zh: '脱机数据认证、处理限制、持卡人验证、风险管理',
    en: 'Data authentication, restrictions, cardholder verification, risk',
  },
  'why.cryptogram': {
    zh: '卡片为这笔交易产生应用密文 ARQC',
    en: 'The card makes its ARQC over this very transaction',
  },
  'why.seal': {
    zh: '卡数据与 55 域签名后经安全通道送出',
    en: 'Card data and field 55, signed, leave through the channel',
  },
  'why.request': {
    zh: '先落库（此后不会丢单），再发出 0200',
    en: 'Stored durably first, then the 0200',
  },
  'why.route': {
    zh: '按卡 BIN 找到发卡行，转换 PIN 块与 MAC',
    en: 'Finds the issuer by BIN; PIN block and MAC for its line',
  },
  'why.decide': {
    zh: '验证应用密文、PIN、卡状态和余额，然后记账',
    en: 'Checks cryptogram, PIN, card and balance, then posts',
  },
  'why.return': { zh: '0210 应答，带应答码与 ARPC', en: '0210 with response code and ARPC' },
  'why.finish': {
    zh: '卡片验证发卡行，产生第二个应用密文',
    en: 'The card checks its issuer and makes the second cryptogram',
  },
  'why.confirm': {
    zh: '卡片给出 TC 则入账，批准后仍给出 AAC 则冲正',
    en: 'A TC captures the payment; an AAC reverses it',
  },
  'why.tell': {
    zh: '签名通知商户，页面显示交易凭证',
    en: 'A signed notification to the shop, a receipt on the page',
  },
} as const;

/** A text of the page by its key. */
export const t: ReturnType<typeof createTranslator<typeof TEXTS>> = createTranslator(TEXTS);

/** Keys of the page's texts. */
export type TextKey = keyof typeof TEXTS;

/** The text of a key that is made at run time; the part itself when there is none. */
export function textOf(prefix: string, part: string): string {
  const key = `${prefix}.${part}`;
  return key in TEXTS ? t(key as TextKey) : part;
}
