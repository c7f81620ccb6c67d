/** The virtual cards' names and what each is there to show, by `WalletCard.purpose`. */

export const CARD_TITLES = {
  debit: { zh: '借记卡', en: 'Debit' },
  travel: { zh: '旅行卡', en: 'Travel' },
  'low-balance': { zh: '余额不足的卡', en: 'Low balance' },
  expired: { zh: '过期的卡', en: 'Expired' },
  blocked: { zh: '已冻结的卡', en: 'Blocked' },
  'pin-blocked': { zh: '密码锁定的卡', en: 'PIN locked' },
  refused: { zh: '被拒绝的卡', en: 'Refused' },
  'insert-only': { zh: '要求插卡的卡', en: 'Wants insertion' },
  'contact-only': { zh: '接触式卡', en: 'Contact only' },
  foreign: { zh: '不受理的卡', en: 'Foreign scheme' },
  'wrong-issuer-key': { zh: '密钥不符的卡', en: 'Wrong key' },
  other: { zh: '虚拟卡', en: 'Virtual card' },
} as const;

export const CARD_PURPOSES = {
  debit: {
    zh: '一切正常，挥卡、插卡都行。挥卡超过 300 元要输密码。',
    en: 'Works either way. A tap above ¥300 asks for the PIN.',
  },
  travel: {
    zh: '另一张正常的卡，应用名称不同，收据上看得出来。',
    en: 'A second good card. Its application has another name: compare the receipts.',
  },
  'low-balance': {
    zh: '账户里钱不够，发卡行答复 51。',
    en: 'Too little money in its account: the issuer answers 51.',
  },
  expired: {
    zh: '已过有效期。终端会发现，付款不会成功。',
    en: 'Past its expiry date. The terminal notices, and the payment is refused.',
  },
  blocked: {
    zh: '已在银行冻结，密码正确也会被拒绝。',
    en: 'Blocked at its bank: refused even with the right PIN.',
  },
  'pin-blocked': {
    zh: '密码输错次数已用完，发卡行答复 75。',
    en: 'No PIN tries are left: the issuer answers 75.',
  },
  refused: {
    zh: '发卡行直接拒绝，答复 05，不说原因。',
    en: 'The issuer just says no: answer 05, without a reason.',
  },
  'insert-only': {
    zh: '挥卡时会要求改为插卡（6984），订单不变。',
    en: 'When tapped it asks to be inserted (6984). The order stays.',
  },
  'contact-only': {
    zh: '没有天线的老卡，只能插卡。',
    en: 'An older card without an antenna: insert it.',
  },
  foreign: {
    zh: '别的卡组织的卡，终端里没有它的应用标识。',
    en: 'Of a scheme that this terminal does not take: no common application.',
  },
  'wrong-issuer-key': {
    zh: '卡里的密钥与银行的不同，密文验证不过，付款被拒绝。',
    en: 'Its chip and its bank hold different keys: the cryptogram does not verify.',
  },
  other: { zh: '一张虚拟卡。', en: 'A virtual card.' },
} as const;

export type CardTextKey = keyof typeof CARD_TITLES;

/** The key of a card's texts; a purpose without texts has the general ones. */
export function cardTextKey(purpose: string): CardTextKey {
  return Object.hasOwn(CARD_TITLES, purpose) ? (purpose as CardTextKey) : 'other';
}
