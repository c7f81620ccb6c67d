/** Every text of the explainer's page, in both languages. */
import { createTranslator } from '../shared/i18n.ts';

const TEXTS = {
  title: { zh: '报文与卡片数据解析', en: 'Explain card and line data' },
  subtitle: {
    zh: '粘贴十六进制、日志或 JSON：识别类型、逐字节解析、校验并指出错误',
    en: 'Paste hex, a log or JSON: it is recognised, decoded byte by byte, verified and judged',
  },
  privacy: {
    zh: '全部在本页面内计算，任何数据都不会离开浏览器',
    en: 'Everything is computed in this page; nothing you paste leaves it',
  },
  language: { zh: 'English', en: '中文' },
  input: { zh: '数据', en: 'Data' },
  inputHelp: {
    zh: '空格、偏移、“=>”等日志前缀均可；多个有名字的值请用 JSON',
    en: 'Spaces, offsets and log prefixes such as => are fine; several named values as JSON',
  },
  kind: { zh: '类型', en: 'Kind' },
  guess: { zh: '自动识别', en: 'Guess' },
  keys: { zh: '密钥和参数（每行一个 名称=值）', en: 'Keys and values (one NAME=VALUE a line)' },
  keysHelp: {
    zh: '例如 tmk、mak、pik、kbpk、bdk、imkAc、pan、psn',
    en: 'such as tmk, mak, pik, kbpk, bdk, imkAc, pan, psn',
  },
  unmask: { zh: '显示完整卡号', en: 'Show whole card numbers' },
  clear: { zh: '清空', en: 'Clear' },
  examples: { zh: '示例', en: 'Examples' },
  result: { zh: '结果', en: 'Result' },
  nothing: { zh: '尚无内容', en: 'Nothing yet' },
  alternatives: { zh: '也可能是', en: 'May also be' },
  bytes: { zh: '字节', en: 'Bytes' },
  tree: { zh: '解析', en: 'Decoded' },
  checks: { zh: '校验', en: 'Checks' },
  findings: { zh: '发现', en: 'Findings' },
  passed: { zh: '通过', en: 'passed' },
  failed: { zh: '不通过', en: 'failed' },
  notPossible: { zh: '无法校验', en: 'not possible' },
  expected: { zh: '应为', en: 'expected' },
  actual: { zh: '实为', en: 'actual' },
  error: { zh: '错误', en: 'error' },
  warning: { zh: '警告', en: 'warning' },
  note: { zh: '提示', en: 'note' },
  atByte: { zh: '第 {at} 字节', en: 'byte {at}' },
  copyText: { zh: '复制文本', en: 'Copy as text' },
  copyJson: { zh: '复制 JSON', en: 'Copy as JSON' },
  copied: { zh: '已复制', en: 'Copied' },
  notCopied: { zh: '浏览器不允许复制', en: 'The browser does not allow copying' },
  badKeys: {
    zh: '密钥栏第 {line} 行不是“名称=值”',
    en: 'Line {line} of the keys is no NAME=VALUE',
  },
  footer: {
    zh: '实验室工具，未经 EMVCo、PCI 或银联认证。请勿粘贴真实密钥。',
    en: 'A laboratory tool, not certified by EMVCo, PCI or UnionPay. Do not paste live keys.',
  },
} as const;

export type TextKey = keyof typeof TEXTS;
export const t: ReturnType<typeof createTranslator<typeof TEXTS>> = createTranslator(TEXTS);
