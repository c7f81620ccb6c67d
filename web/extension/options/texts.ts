/** Texts of the extension's options page that the doctor's table does not hold. */
export const OPTIONS_TEXTS = {
  product: { zh: '有卡支付', en: 'Tap & Pay' },
  subtitle: { zh: '浏览器扩展', en: 'Browser extension' },
  switchLanguage: { zh: 'English', en: '中文' },
  switchLanguageLabel: { zh: 'Switch to English', en: '切换到中文' },

  title: { zh: '各部分状态', en: 'State of every part' },
  intro: {
    zh: '付款要经过下面每一部分。扩展只在列出的支付网关上工作，不读取其他网站。',
    en: `A payment passes through each of these parts. The extension works on the gateways listed \
here only and sees no other site.`,
  },
  asking: { zh: '正在检查…', en: 'Checking…' },
  asked: { zh: '检查完毕', en: 'Checked' },
  stateOk: { zh: '正常', en: 'OK' },
  stateWarn: { zh: '请留意', en: 'Look at this' },
  stateBroken: { zh: '有故障', en: 'Broken' },
  stateUnknown: { zh: '未知', en: 'Unknown' },
  todo: { zh: '怎么办：', en: 'What to do: ' },

  extension: { zh: '支付插件（浏览器扩展）', en: 'Payment plug-in (extension)' },
  host: { zh: '支付助手（本机程序）', en: 'Payment helper (native host)' },
  element: { zh: '安全单元', en: 'Secure element' },
  readers: { zh: '读卡器', en: 'Card readers' },
  gateway: { zh: '支付网关', en: 'Payment gateway' },
  version: { zh: '版本 {version}', en: 'Version {version}' },
  updateOffered: {
    zh: '可更新到 {latest}；浏览器会自动更新。',
    en: '{latest} is offered; the browser updates by itself.',
  },
  updateForced: {
    zh: '需要 {required} 或更高版本才能付款。',
    en: 'Payments need {required} or later.',
  },
  hostUpdateOffered: { zh: '可更新到 {latest}。', en: '{latest} is offered.' },
  hostMissing: { zh: '没有应答', en: 'No answer' },
  unknownUntilHost: {
    zh: '支付助手应答后才能知道。',
    en: 'Not known before the payment helper answers.',
  },
  elementOperable: { zh: '可用', en: 'Ready' },
  elementLocked: { zh: '已被运营方锁定', en: 'Locked by its operator' },
  elementNotEnrolled: { zh: '尚未登记', en: 'Not enrolled yet' },
  elementId: { zh: '编号', en: 'Number' },
  readersNone: { zh: '没有读卡器', en: 'There is no reader' },
  readerVirtual: { zh: '模拟', en: 'simulated' },
  readerReal: { zh: '真实', en: 'real' },
  gatewayThere: { zh: '应答正常', en: 'It answers.' },
  gatewayOffers: {
    zh: '提供支付插件 {extension}、支付助手 {host}',
    en: 'It offers plug-in {extension} and helper {host}.',
  },
  gatewayDown: { zh: '没有应答（{reason}）', en: 'No answer ({reason})' },
  gatewayOther: {
    zh: '应答的内容无法识别（{reason}）',
    en: 'What it answers is not understood ({reason})',
  },
  again: { zh: '重新检查', en: 'Check again' },

  doctorTitle: { zh: '诊断', en: 'Doctor' },
  doctorIntro: {
    zh: '从浏览器到网关逐个环节实测一遍，指出断开的环节和修复方法。不会付款，也不会读卡。',
    en: `Tries every link from the browser to the gateway, names the broken one and how to mend it.\
 It pays nothing and reads no card.`,
  },
  doctorRun: { zh: '运行诊断', en: 'Run the doctor' },
  doctorRunning: { zh: '正在诊断…', en: 'The doctor is looking…' },
  doctorDone: { zh: '诊断完毕。', en: 'The doctor is done.' },
  reportLabel: { zh: '诊断报告（文本）', en: 'The report as text' },
  copy: { zh: '复制报告', en: 'Copy the report' },
  copied: { zh: '已复制', en: 'Copied' },
  notCopied: {
    zh: '浏览器不允许复制。请选中文本后手动复制。',
    en: 'The browser does not allow copying: select the text and copy it yourself.',
  },
} as const;

export type OptionsKey = keyof typeof OPTIONS_TEXTS;
