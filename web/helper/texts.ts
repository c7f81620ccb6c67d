/** Every text of the agent's pages but those of the cards, in both languages. */

export const HELPER_TEXTS = {
  product: { zh: '有卡支付', en: 'Tap & Pay' },
  helper: { zh: '支付助手', en: 'Payment helper' },
  sandbox: { zh: '沙箱', en: 'Sandbox' },
  testMoney: { zh: '测试资金', en: 'test money' },
  switchLanguage: { zh: 'English', en: '中文' },
  switchLanguageLabel: { zh: 'Switch to English', en: '切换到中文' },
  close: { zh: '关闭窗口', en: 'Close window' },
  cancel: { zh: '取消', en: 'Cancel' },
  tryAgain: { zh: '立即重试', en: 'Try again now' },

  loading: { zh: '正在连接支付助手…', en: 'Connecting to the helper…' },
  offline: { zh: '与支付助手的连接已断开', en: 'The connection to the helper was lost' },
  offlineHint: {
    zh: '正在自动重连。请确认终端里的程序仍在运行。',
    en: 'Trying again by itself. Check that the program in the terminal is still running.',
  },
  offlineTruth: {
    zh: '如果已经挥卡或插卡，是否扣款以支付页面为准，请勿重复支付。',
    en: 'If you had presented your card, look at the pay page before you pay again.',
  },
  gone: { zh: '支付页面已关闭', en: 'The pay page is closed' },
  goneHint: {
    zh: '此窗口只服务于那个页面，不再需要了。',
    en: 'This window was there for that page and is no longer needed.',
  },
  broken: { zh: '支付助手已停止', en: 'The payment helper stopped' },
  brokenHint: {
    zh: '请回到支付页面：那里会说明原因和下一步。',
    en: 'Go back to the pay page: it says why and what to do next.',
  },
  idle: { zh: '暂无待付款项', en: 'No payment is waiting' },
  idleHint: {
    zh: '在支付页面点击“银行卡支付”后，这里会显示金额，由您确认。',
    en: 'Press “Pay … by card” on a pay page: the amount then appears here for you to confirm.',
  },
  idleOpenerHint: {
    zh: '已与支付页面配对，正在等待付款请求。',
    en: 'Paired with the pay page. Waiting for its payment request.',
  },

  pairingTitle: { zh: '配对这个浏览器', en: 'Pair this browser' },
  pairingWhy: {
    zh: '只需配对一次。未配对的浏览器不能使用本机的支付助手。',
    en: 'You do this once. A browser that is not paired cannot use the helper on this computer.',
  },
  pairingWhere: {
    zh: '请输入启动系统的终端里显示的配对码。',
    en: 'Type the code shown in the terminal where you started the system.',
  },
  pairingLabel: { zh: '配对码', en: 'Pairing code' },
  pairingForOrigin: { zh: '请求配对的支付页面', en: 'Pay page to be paired' },
  pairingOk: { zh: '配对', en: 'Pair' },
  pairingBusy: { zh: '正在核对…', en: 'Checking…' },
  pairingIncomplete: {
    zh: '配对码共 8 位，请输入完整。',
    en: 'Type all 8 characters of the code.',
  },
  pairingWrong: {
    zh: '配对码不正确，请与终端里显示的核对后再试。',
    en: 'That is not the code. Compare it with the terminal and try again.',
  },
  pairingTries: {
    zh: '输错次数过多，请一分钟后再试。',
    en: 'Too many wrong codes. Wait a minute, then try again.',
  },
  pairingOrigin: {
    zh: '支付助手不信任打开此窗口的网站，已拒绝配对。请从商户的支付页面重新打开。',
    en: 'The helper does not trust the site that opened this window. Start again from the shop.',
  },
  pairingNeeded: { zh: '这个浏览器尚未配对。', en: 'This browser is not paired yet.' },
  pairingOther: { zh: '配对未成功，请重试。', en: 'Pairing did not work. Please try again.' },
  pairingAway: {
    zh: '支付助手没有响应。请确认它正在运行，然后重试。',
    en: 'The helper does not answer. Check that it is running, then try again.',
  },
  pairingDone: { zh: '配对成功', en: 'Paired' },

  amount: { zh: '金额', en: 'Amount' },
  merchant: { zh: '收款商户', en: 'Merchant' },
  shopOrigin: { zh: '商户网站', en: 'Shop' },
  gatewayOrigin: { zh: '支付页面', en: 'Pay page' },
  connecting: { zh: '正在建立安全通道…', en: 'Opening the secure channel…' },
  connectingHint: {
    zh: '金额和商户以网关签名的订单为准。',
    en: 'Amount and merchant come from the order that the gateway signed.',
  },
  consentTitle: { zh: '确认这笔付款？', en: 'Pay this amount?' },
  consentHint: {
    zh: '确认后再挥卡或插卡，现在不会扣款。',
    en: 'You present your card next. Nothing is charged before that.',
  },
  consentRealHint: {
    zh: '确认后，您在读卡器上出示的卡会被要求为这笔金额生成支付密文。此前不会扣款。',
    en: `After you confirm, the card you present at a reader is asked for a payment cryptogram for \
this amount. Nothing is charged before that.`,
  },
  confirm: { zh: '确认付款', en: 'Confirm' },

  consentLoadTitle: { zh: '确认圈存这笔金额？', en: 'Load this amount onto your card?' },
  consentLoadHint: {
    zh: '圈存会把这笔金额从您的银行账户转入卡里的电子现金。确认后再插卡，现在不会扣款。',
    en: `The amount moves from your bank account into the e-cash on your card. You insert the card \
next. Nothing is charged before that.`,
  },
  consentLoadRealHint: {
    zh: '圈存会把这笔金额从您的银行账户转入卡里的电子现金。确认后，您插入读卡器的卡会被要求为此生成支付密文。此前不会扣款。',
    en: `The amount moves from your bank account into the e-cash on your card. After you confirm, \
the card you insert is asked for a payment cryptogram for it. Nothing is charged before that.`,
  },
  confirmLoad: { zh: '确认圈存', en: 'Confirm load' },
  merchantOfLoad: { zh: '圈存商户', en: 'Load by' },
  stripLoad: { zh: '圈存 · {merchant}', en: 'Load · {merchant}' },
  loadContactOnly: { zh: '圈存只能插卡。', en: 'A load takes an inserted card only.' },
  pinForLoad: { zh: '圈存 {amount} 到卡里的电子现金', en: 'Load {amount} onto your card' },

  preparing: { zh: '正在准备…', en: 'Getting ready…' },
  consentBalanceTitle: { zh: '向此页面显示电子现金余额？', en: 'Show your e-cash balance?' },
  consentBalanceWho: {
    zh: '{origin} 的页面想查看您卡里的电子现金余额。不会扣款。',
    en: 'The page of {origin} wants to see the e-cash balance of your card. Nothing is charged.',
  },
  consentBalanceHint: {
    zh: '同意后再挥卡或插卡。页面只会得到余额和隐去中间数字的卡号。',
    en: `You present your card next. The page is told the balance and the masked card number, \
nothing else.`,
  },
  confirmBalance: { zh: '同意查看', en: 'Show balance' },
  consentTokenTitle: { zh: '生成动态令牌？', en: 'Make a token with your card?' },
  consentTokenWho: {
    zh: '{origin} 的页面请求用您的卡生成动态令牌。不会扣款。',
    en: 'The page of {origin} asks for a token of your card. Nothing is charged.',
  },
  consentTokenHint: {
    zh: '令牌如同一次性密码，会交给此页面，可用于登录或签署上面的内容。请只在您自己发起时同意，然后插卡。',
    en: `A token is a one-time password: the page gets it, to log you in or to sign what is shown \
above. Agree only if you started this. You insert your card next.`,
  },
  tokenSigns: { zh: '您的卡将签署', en: 'Your card signs' },
  tokenChallenge: { zh: '挑战码', en: 'Challenge' },
  confirmToken: { zh: '同意生成', en: 'Make token' },
  stripToken: { zh: '动态令牌', en: 'Token' },
  stripBalance: { zh: '查看余额', en: 'Balance' },
  stripNoCharge: { zh: '不扣款', en: 'No charge' },
  takeOutFirstBalanceHint: {
    zh: '每次查看余额都要重新挥卡或插卡。',
    en: 'Each look at a balance needs a fresh tap or insertion.',
  },

  presentEither: { zh: '请挥卡或插卡', en: 'Tap or insert your card' },
  presentContact: { zh: '请插卡', en: 'Insert your card' },
  presentContactless: { zh: '请挥卡', en: 'Tap your card' },
  takeOutFirst: { zh: '请先取出读卡器里的卡', en: 'Take the card out first' },
  takeOutFirstHint: {
    zh: '每笔付款都要重新挥卡或插卡，留在读卡器里的卡不会被扣款。',
    en: 'Every payment needs a fresh tap or insertion: a card left in is never charged.',
  },
  againRemoved: {
    zh: '卡片移开过早，未扣款。请重新挥卡或插卡。',
    en: 'The card was taken away too soon. Nothing was charged: present it again.',
  },
  againContact: {
    zh: '这张卡要求插卡交易，未扣款。请改为插卡。',
    en: 'This card asks to be inserted. Nothing was charged: please insert it.',
  },
  againOther: {
    zh: '未能读取卡片，未扣款。请重新挥卡或插卡。',
    en: 'The card could not be read. Nothing was charged: present it again.',
  },
  contactOnlyAmount: { zh: '这笔付款只能插卡。', en: 'This payment takes an inserted card only.' },
  attempt: { zh: '第 {attempt} 次', en: 'Attempt {attempt}' },
  secondsLeft: { zh: '剩余 {seconds} 秒', en: '{seconds} s left' },
  secondsLeftSpoken: { zh: '还剩 {seconds} 秒', en: '{seconds} seconds left' },
  timeIsUp: { zh: '时间到', en: 'Time is up' },

  simulator: { zh: '模拟读卡器', en: 'Simulated reader' },
  simulatorHint: {
    zh: '先选一张虚拟卡，再挥卡或插卡。',
    en: 'Choose a virtual card, then tap or insert it.',
  },
  chooseCard: { zh: '选择虚拟卡', en: 'Choose a virtual card' },
  noCards: {
    zh: '还没有虚拟卡。请重启系统，启动时会自动制卡。',
    en: 'There are no virtual cards yet. Restart the system: it makes them when it starts.',
  },
  tap: { zh: '挥卡', en: 'Tap' },
  insert: { zh: '插卡', en: 'Insert' },
  takeAway: { zh: '取走卡片', en: 'Take card away' },
  gestureTakeOut: { zh: '请先取走读卡器上的卡。', en: 'Take the card off the reader first.' },
  gestureChoose: { zh: '请先选一张卡。', en: 'Choose a card first.' },
  gestureNoAntenna: {
    zh: '这张卡没有天线，不能挥卡。',
    en: 'This card has no antenna to tap with.',
  },
  gestureNoContacts: {
    zh: '这张卡没有触点，不能插卡。',
    en: 'This card has no contacts to insert.',
  },
  gestureInsertAsked: { zh: '这次只能插卡。', en: 'Only an inserted card is taken now.' },
  gestureTapAsked: { zh: '这次只能挥卡。', en: 'Only a tapped card is taken now.' },
  liftEarly: { zh: '提前移开：在第几条命令之前', en: 'Remove before command no.' },
  liftOff: { zh: '留空：不提前移开', en: 'Empty: the card stays' },
  liftAfter: {
    zh: '在第 {number} 条命令之前移开（挥卡时通常是 {command}）',
    en: 'Removed before command {number} (when tapped, usually {command})',
  },
  liftAfterFirst: {
    zh: '在第 1 条命令之前移开',
    en: 'Removed before the first command',
  },
  liftWrong: { zh: '请输入 1 到 255 之间的数。', en: 'Enter a number from 1 to 255.' },

  realReaders: { zh: '本机读卡器', en: 'Readers of this computer' },
  realReadersNone: {
    zh: '未找到读卡器。接上后会自动出现。',
    en: 'No reader found. One that you plug in appears by itself.',
  },
  realReaderCard: { zh: '有卡', en: 'Card in' },
  realReaderEmpty: { zh: '无卡', en: 'No card' },
  serviceNoLibrary: {
    zh: '这台电脑没有 PC/SC 组件，无法使用真实读卡器。虚拟卡不受影响。',
    en: 'This computer has no PC/SC library for card readers. Virtual cards work all the same.',
  },
  serviceDown: {
    zh: '读卡器服务（PC/SC）没有运行。启动后会自动连接。',
    en: 'The card reader service (PC/SC) is not running. It is found once you start it.',
  },
  serviceDenied: {
    zh: '读卡器服务（PC/SC）拒绝当前用户访问，请管理员授权（polkit）。',
    en: 'The card reader service (PC/SC) refuses you. An administrator can allow it (polkit).',
  },
  serviceOther: {
    zh: '读卡器服务没有响应，正在自动重试。',
    en: 'The card reader service does not answer. Trying again by itself.',
  },
  faultCardMute: {
    zh: '卡片没有响应。请取出，检查芯片朝向后重新出示。',
    en: 'The card does not answer. Take it out, check which way the chip faces, present it again.',
  },
  faultCardProtocol: {
    zh: '读卡器与这张卡无法通信。请取出并换一张卡。',
    en: 'The reader cannot talk to this card. Take it out and use another one.',
  },
  faultReaderInUse: {
    zh: '读卡器正被另一个程序使用。请关闭该程序，取出卡片后重新出示。',
    en: 'Another program is using the reader. Close it, take the card out and present it again.',
  },
  faultOther: {
    zh: '未能读取卡片，未扣款。请取出后重新出示。',
    en: 'The card could not be read. Nothing was charged: take it out and present it again.',
  },
  errorManyCards: {
    zh: '检测到多张卡。请全部取出，然后只出示一张。',
    en: 'There is more than one card. Take them all out, then present one card only.',
  },

  readingContactless: { zh: '读卡中，请勿移开', en: 'Reading, hold still' },
  readingContact: { zh: '读卡中，请勿拔卡', en: 'Reading, leave the card in' },
  readingHint: { zh: '通常不到一秒。', en: 'This takes about a second.' },

  pinTitle: { zh: '请输入密码', en: 'Enter your PIN' },
  pinLabel: { zh: '银行卡密码', en: 'Card PIN' },
  pinCount: { zh: '已输入 {count} 位', en: '{count} digits entered' },
  pinFor: { zh: '向 {merchant} 支付 {amount}', en: '{amount} to {merchant}' },
  pinSafe: {
    zh: '密码在本窗口内加密，只有安全单元能解密，支付页面看不到。',
    en: 'Encrypted here for the secure element. The pay page never sees it.',
  },
  pinSandbox: { zh: '测试卡的密码是 123456', en: 'Test cards have the PIN 123456' },
  pinOk: { zh: '确定', en: 'OK' },
  pinBackspace: { zh: '退格', en: 'Delete last digit' },
  pinPad: { zh: '密码键盘', en: 'PIN pad' },
  pinTooShort: { zh: '密码至少 4 位。', en: 'A PIN has at least 4 digits.' },
  pinFull: { zh: '密码最多 12 位。', en: 'A PIN has at most 12 digits.' },
  pinNotSealed: {
    zh: '密码未能加密，没有发送。请取消后重新付款。',
    en: 'The PIN could not be encrypted and was not sent. Cancel and pay again.',
  },
  pinNotSent: {
    zh: '连接中断，密码没有发送。请重新输入。',
    en: 'The connection was lost and the PIN was not sent. Enter it again.',
  },

  authorisingContact: { zh: '处理中，请勿拔卡', en: 'Processing, keep the card in' },
  authorisingContactless: { zh: '正在等待银行答复', en: 'Waiting for the bank' },
  authorisingHint: {
    zh: '付款已送往银行，现在不能取消。',
    en: 'The payment is on its way to the bank and can no longer be cancelled.',
  },
  stillWorking: {
    zh: '仍在处理，比平时慢一些，请稍候。',
    en: 'Still working. This takes longer than usual, please wait.',
  },
  removeCard: { zh: '请取回卡片', en: 'Remove your card' },
  removeCardHint: { zh: '卡片已无需停留，可以取回。', en: 'The card is no longer needed.' },

  endApproved: { zh: '交易成功', en: 'Approved' },
  endApprovedHint: { zh: '交易凭证在支付页面上。', en: 'The receipt is on the pay page.' },
  endDeclined: { zh: '交易被拒绝', en: 'Declined' },
  endDeclinedHint: {
    zh: '请回到支付页面，换一张卡再试。',
    en: 'Go back to the pay page to try another card.',
  },
  endUnknown: { zh: '结果确认中', en: 'Result not known yet' },
  endUnknownHint: {
    zh: '正在向银行核实，请勿重复支付。支付页面会显示最终结果。',
    en: 'We are checking with your bank. Do not pay again yet: the pay page will show the result.',
  },
  endCancelled: { zh: '已取消', en: 'Cancelled' },
  endCancelledHint: { zh: '未扣款。', en: 'Nothing was charged.' },
  endFailed: { zh: '付款已中断', en: 'The payment stopped' },
  endFailedHint: {
    zh: '是否扣款以支付页面为准，请先查看再决定是否重新支付。',
    en: 'The pay page shows whether anything was charged. Look there before you pay again.',
  },
  endRead: { zh: '已显示余额', en: 'Balance shown' },
  endReadHint: { zh: '请回到原页面查看。未扣款。', en: 'The page has it. Nothing was charged.' },
  endNotRead: { zh: '没有显示余额', en: 'The balance was not shown' },
  endMade: { zh: '已生成动态令牌', en: 'Token made' },
  endNotMade: { zh: '没有生成动态令牌', en: 'No token was made' },
  closingIn: { zh: '窗口将在 {seconds} 秒后关闭', en: 'Closes in {seconds} s' },
  stayOpen: { zh: '保持打开', en: 'Keep open' },
  mayClose: { zh: '可以关闭此页面了。', en: 'You can close this page.' },

  reasonCallBank: {
    zh: '发卡行拒绝了交易，请联系发卡行。',
    en: 'Your bank refused. Please contact it.',
  },
  reasonCardUnknown: { zh: '无效卡号。', en: 'The bank does not know this card number.' },
  reasonCardBlocked: { zh: '卡片已被冻结或挂失。', en: 'The card is blocked.' },
  reasonFunds: { zh: '余额不足。', en: 'Insufficient funds.' },
  reasonExpired: { zh: '卡已过期。', en: 'The card has expired.' },
  reasonPinWrong: { zh: '密码错误。', en: 'Wrong PIN.' },
  reasonPinTries: { zh: '密码错误次数超限。', en: 'Too many wrong PINs.' },
  reasonPinMissing: { zh: '未输入密码。', en: 'No PIN was entered.' },
  reasonLimit: { zh: '超出卡片的交易限额。', en: 'Above the limit of this card.' },
  reasonBankAway: { zh: '暂时无法连接银行。', en: 'The bank cannot be reached at the moment.' },
  reasonYouCancelled: { zh: '您已取消。', en: 'You cancelled.' },
  reasonCardTimeout: { zh: '未在规定时间内挥卡或插卡。', en: 'No card was presented in time.' },
  reasonUserTimeout: { zh: '未在规定时间内确认。', en: 'It was not confirmed in time.' },
  reasonPinTimeout: { zh: '未在规定时间内输入密码。', en: 'No PIN was entered in time.' },
  reasonCardRemoved: { zh: '卡片移开过早。', en: 'The card was taken away too soon.' },
  reasonNoPurse: { zh: '这张卡没有电子现金。', en: 'This card has no e-cash.' },
  reasonUseContact: { zh: '这张卡需要插卡。', en: 'This card has to be inserted.' },
  reasonNotAccepted: { zh: '不支持此卡。', en: 'This card is not accepted here.' },
  reasonCardRefused: { zh: '卡片拒绝了交易。', en: 'The card itself refused.' },
  reasonTerminal: {
    zh: '终端检查后拒绝了这张卡。',
    en: 'The terminal checked this card and refused.',
  },
  reasonChannel: { zh: '安全通道中断。', en: 'The secure channel was lost.' },
  reasonElement: { zh: '安全单元没有响应。', en: 'The secure element did not answer.' },
  reasonBusy: {
    zh: '另一笔付款或余额查询正在进行，请等它结束。',
    en: 'Another payment or reading is under way: let it end first.',
  },

  errorCardInUse: {
    zh: '这张卡正被另一个程序使用，请稍候或换一张卡。',
    en: 'Another program is using this card. Wait, or choose another one.',
  },
  errorCardUnknown: {
    zh: '这张虚拟卡已不存在，请换一张卡。',
    en: 'This virtual card no longer exists. Choose another one.',
  },
  errorCardInterface: {
    zh: '这张卡不支持这种用卡方式，请换一种。',
    en: 'This card cannot be presented this way. Use the other one.',
  },
  errorNoPayment: { zh: '这次操作已经结束。', en: 'This has already ended.' },
  errorTooLate: {
    zh: '付款已送往银行，现在不能取消。',
    en: 'The payment is on its way to the bank and can no longer be cancelled.',
  },
  errorHelperGone: {
    zh: '与本机支付助手程序的连接已断开。',
    en: 'The connection to the helper program on this computer is lost.',
  },
  errorOther: { zh: '操作未成功，请重试。', en: 'That did not work. Please try again.' },

  walletTitle: { zh: '虚拟卡包', en: 'Virtual wallet' },
  walletSubtitle: {
    zh: '这里是模拟器：卡是虚拟卡，钱是测试资金。选一张卡，挥卡或插卡，看看结果。',
    en: 'A simulator: virtual cards, test money. Tap or insert one and see what it does.',
  },
  cards: { zh: '卡片', en: 'Cards' },
  readerTitle: { zh: '读卡器', en: 'Reader' },
  readerEmpty: { zh: '读卡器上没有卡', en: 'No card on the reader' },
  readerContact: { zh: '已插入：{card}', en: 'Inserted: {card}' },
  readerContactless: { zh: '感应区内：{card}', en: 'On the reader: {card}' },
  chosen: { zh: '已选：{card}', en: 'Chosen: {card}' },
  validThru: { zh: '有效期', en: 'VALID THRU' },
  counter: { zh: '交易计数器', en: 'Transaction counter' },
  counterLabel: { zh: '交易计数器（ATC）{count}', en: 'Transaction counter (ATC) {count}' },
  pan: { zh: '卡号', en: 'Number' },
  interfacesBoth: { zh: '挥卡 · 插卡', en: 'Tap · insert' },
  interfacesContact: { zh: '仅插卡', en: 'Insert only' },
  interfacesContactless: { zh: '仅挥卡', en: 'Tap only' },
  paymentTitle: { zh: '待付款项', en: 'Payment' },
  testCard: { zh: '测试卡', en: 'TEST CARD' },
  bank: { zh: '沙箱银行', en: 'Sandbox Bank' },
} as const;

/** Keys of these texts. */
export type HelperKey = keyof typeof HELPER_TEXTS;
