/** The virtual cards' names, what each is there to show by `WalletCard.purpose`, their order. */

/** In the order in which the pages list them: those that pay first, then those that are refused. */
export const CARD_TITLES = {
  debit: { zh: '借记卡', en: 'Debit' },
  travel: { zh: '旅行卡', en: 'Travel' },
  'contact-only': { zh: '接触式卡', en: 'Contact only' },
  'insert-only': { zh: '要求插卡的卡', en: 'Wants insertion' },
  'low-balance': { zh: '余额不足的卡', en: 'Low balance' },
  expired: { zh: '过期的卡', en: 'Expired' },
  blocked: { zh: '已冻结的卡', en: 'Blocked' },
  'pin-blocked': { zh: '密码锁定的卡', en: 'PIN locked' },
  refused: { zh: '被拒绝的卡', en: 'Refused' },
  'wrong-issuer-key': { zh: '密钥不符的卡', en: 'Wrong key' },
  foreign: { zh: '不受理的卡', en: 'Not accepted' },
  other: { zh: '虚拟卡', en: 'Virtual card' },
} as const;

export const CARD_PURPOSES = {
  debit: {
    zh: '一切正常，挥卡、插卡均可；挥卡超过 300 元需输密码。',
    en: 'Works either way. A tap above ¥300 asks for the PIN.',
  },
  travel: {
    zh: '另一张正常的卡，应用名称不同，凭证上可以看到。',
    en: 'A second good card. Its application has another name: compare the receipts.',
  },
  'contact-only': {
    zh: '没有天线的老式卡，只能插卡。',
    en: 'An older card without an antenna: it can only be inserted.',
  },
  'insert-only': {
    zh: '挥卡时会要求改为插卡（状态字 6984），订单不变。',
    en: 'When tapped, it asks to be inserted (6984). The order stays the same.',
  },
  'low-balance': {
    zh: '账户余额不足，发卡行应答 51。',
    en: 'Too little money in its account: the issuer answers 51.',
  },
  expired: {
    zh: '已过有效期，终端会检查出来，付款被拒绝。',
    en: 'Past its expiry date. The terminal notices, and the payment is refused.',
  },
  blocked: {
    zh: '已被银行冻结，密码正确也会被拒绝。',
    en: 'Blocked by its bank: refused even with the right PIN.',
  },
  'pin-blocked': {
    zh: '密码错误次数已超限，发卡行应答 75。',
    en: 'No PIN tries are left: the issuer answers 75.',
  },
  refused: {
    zh: '发卡行直接拒绝，应答 05，不说明原因。',
    en: 'The issuer simply refuses: it answers 05 and gives no reason.',
  },
  'wrong-issuer-key': {
    zh: '卡里的密钥与发卡行的不同，应用密文验证失败，付款被拒绝。',
    en: 'Its chip and its bank hold different keys: the cryptogram does not verify.',
  },
  foreign: {
    zh: '其他卡组织的卡，终端没有共同的应用，不受理。',
    en: 'From another card scheme: the terminal shares no application with it.',
  },
  other: { zh: '一张虚拟卡。', en: 'A virtual card.' },
} as const;

export type CardTextKey = keyof typeof CARD_TITLES;

/** The key of a card's texts; a purpose without texts has the general ones. */
export function cardTextKey(purpose: string): CardTextKey {
  return Object.hasOwn(CARD_TITLES, purpose) ? (purpose as CardTextKey) : 'other';
}

const ORDER = Object.keys(CARD_TITLES);

/** Cards in the order of their titles; the agent's own order is that of their names. */
export function inOrder<Card extends { readonly purpose: string }>(
  cards: readonly Card[],
): readonly Card[] {
  const place = ({ purpose }: Card): number => ORDER.indexOf(cardTextKey(purpose));
  return cards.toSorted((left, right) => place(left) - place(right));
}
