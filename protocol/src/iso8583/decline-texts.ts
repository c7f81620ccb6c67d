/**
 * What field 39 means to people: the cardholder, the merchant, the acquirer's operator, and what to
 * do about it. Names of the codes are in `names.ts`. A cardholder is never told in front of others
 * that a card is wanted, and never which check failed.
 * @see Q/CUP 006 (field 39)
 */
import type { Iso8583Name } from './names.ts';

/**
 * `none`: nothing, it was approved. `enterPinAgain`, `useOtherCard`, `insertCard`: the cardholder
 * can go on at once. `askIssuer`: only the card's bank can help. `keepCard`: do not return the
 * card. `tryLater`: the same again after a while. `fixRequest`: it was the acquirer's mistake.
 * `awaitOutcome`: the answer says nothing of the payment, whose outcome is being found out.
 */
export type DeclineAction =
  | 'none'
  | 'enterPinAgain'
  | 'useOtherCard'
  | 'insertCard'
  | 'askIssuer'
  | 'keepCard'
  | 'tryLater'
  | 'fixRequest'
  | 'awaitOutcome';

/** Texts of one code. */
export type DeclineTexts = {
  readonly action: DeclineAction;
  readonly cardholder: Iso8583Name;
  readonly merchant: Iso8583Name;
  readonly operator: Iso8583Name;
};

/** Code and action, then cardholder, merchant, operator: Chinese | English. */
const TEXTS = `
00 none
支付成功。 | Payment approved.
交易成功。 | Approved.
承兑。 | Approved.

01 askIssuer
支付未成功，请联系发卡银行。 | Not paid: please contact your bank.
请顾客联系发卡行或换卡。 | Ask for another card; the holder may call the bank.
发卡行要求查询后再处理。 | The issuer asks to be called.

03 fixRequest
支付未成功，商户暂不能受理。 | Not paid: the shop cannot take cards at present.
商户号无效，请联系收单机构。 | Your merchant number is not valid: call your acquirer.
商户未登记或已停用（F42）。 | The merchant (field 42) is unknown or closed.

04 keepCard
支付未成功，请联系发卡银行。 | Not paid: please contact your bank.
请勿退还卡片，并联系收单机构。 | Do not return the card; call your acquirer.
发卡行要求没收卡片。 | The issuer wants the card picked up.

05 useOtherCard
支付未成功，请换卡或联系发卡银行。 | Not paid: use another card or contact your bank.
发卡行不予承兑，请顾客换卡。 | The issuer says no: ask for another card.
不予承兑；原因见 F57 或发卡行。 | Do not honour; field 57 or the issuer knows why.

12 fixRequest
支付未成功，请重新发起。 | Not paid: please start again.
交易与原交易不符或不被允许。 | It does not fit its original, or is not allowed.
无效交易或无效的关联交易。 | Invalid transaction, or invalid in its original's state.

13 fixRequest
支付未成功，金额无效。 | Not paid: the amount is not valid.
请检查金额。 | Check the amount.
无效金额（F4）。 | Invalid amount (field 4).

14 useOtherCard
支付未成功，请换卡。 | Not paid: use another card.
卡号无效，请顾客换卡。 | The card number is not valid: ask for another card.
无此卡号或账户已销户。 | No such card, or its account is closed.

25 fixRequest
操作未成功，找不到原交易。 | Not done: the payment it speaks of was not found.
找不到原交易，请核对后重试。 | The original was not found: check and try again.
F90 所指交易不存在。 | What field 90 names does not exist.

30 fixRequest
支付未成功，请稍后再试。 | Not paid: please try again later.
报文格式错误，请联系收单机构。 | Format error: call your acquirer.
报文缺少域或域格式错误。 | A field is missing or malformed.

34 askIssuer
支付未成功，请联系发卡银行。 | Not paid: please contact your bank.
请顾客联系发卡行。 | The holder must call the bank.
发卡行怀疑有作弊。 | The issuer suspects fraud.

38 keepCard
支付未成功，请联系发卡银行。 | Not paid: please contact your bank.
密码次数超限，请勿退还卡片。 | PIN tries exceeded: do not return the card.
PIN 试输次数超限，没收卡。 | PIN tries exceeded, pick up the card.

40 fixRequest
该卡不支持此项操作。 | This card does not offer that.
该功能尚不支持。 | This function is not supported.
请求的功能尚不支持。 | Function not supported.

41 keepCard
支付未成功，请联系发卡银行。 | Not paid: please contact your bank.
请勿退还卡片，并联系收单机构。 | Do not return the card; call your acquirer.
已挂失的卡。 | Reported lost.

43 keepCard
支付未成功，请联系发卡银行。 | Not paid: please contact your bank.
请勿退还卡片，并联系收单机构。 | Do not return the card; call your acquirer.
被窃的卡。 | Reported stolen.

51 useOtherCard
余额不足，请换卡。 | Not enough funds: use another card.
余额不足，请顾客换卡。 | Not enough funds: ask for another card.
可用余额（含信用额度、扣除冻结）不足。 | Balance and credit line, without holds, are too low.

54 useOtherCard
卡已过期，请换卡。 | The card has expired: use another one.
卡已过期，请顾客换卡。 | The card has expired: ask for another one.
卡过期，或有效期与发卡行不符。 | Expired, or not the expiry that the issuer has.

55 enterPinAgain
密码不正确，请重新输入。 | Wrong PIN: please try again.
密码不正确，请顾客重新输入。 | Wrong PIN: let the holder try again.
PIN 错误，或需要 PIN 而未输入。 | Wrong PIN, or one is needed and was not entered.

57 useOtherCard
该卡不支持此项交易，请换卡。 | The card cannot be used for this: use another one.
该卡不支持此项交易，请顾客换卡。 | Not for this card: ask for another one.
不允许持卡人进行的交易。 | Not permitted to the cardholder.

58 fixRequest
支付未成功，商户不支持此项交易。 | Not paid: the shop cannot do this.
终端不允许此项交易，请联系收单机构。 | Not for this terminal: call your acquirer.
不允许终端进行的交易。 | Not permitted to the terminal.

61 insertCard
超出限额，请插卡输入密码或换卡。 | Above a limit: insert the card and enter the PIN, or use another.
超出单笔或当日限额。 | Above the limit of one payment or of the day.
超出金额限制（单笔、当日或免密）。 | Exceeds an amount limit: single, day, or without PIN.

62 askIssuer
卡已受限，请联系发卡银行。 | The card is restricted: please contact your bank.
卡已受限，请顾客换卡。 | The card is restricted: ask for another one.
发卡行已锁定该卡。 | The issuer has blocked the card.

64 fixRequest
操作未成功，金额与原交易不符。 | Not done: the amount does not fit the payment.
金额与原交易不符或退货超额。 | The amount does not fit its original, or refunds exceed it.
原始金额错误。 | Amount does not match the original.

65 tryLater
已超出当日次数，请换卡或明日再试。 | Used too often today: use another card, or try tomorrow.
超出当日次数，请顾客换卡。 | Too many payments today: ask for another card.
超出次数限制。 | Exceeds the count limit.

68 awaitOutcome
正在确认支付结果，请勿重复支付。 | The outcome is being checked: please do not pay again.
结果未知，正在自动查证或冲正。 | Unknown: it is confirmed or reversed by itself.
发卡行应答超时。 | The response was received too late.

75 askIssuer
密码错误次数过多，请联系发卡银行。 | Too many wrong PINs: please contact your bank.
密码次数超限，请顾客换卡。 | PIN tries exceeded: ask for another card.
允许的 PIN 次数超限；由发卡行解锁。 | PIN tries exceeded; the issuer unblocks.

90 tryLater
系统正在日切，请稍后再试。 | The day is being closed: try again in a moment.
正在日终处理，请稍后重试。 | Cut-off in process: try again in a moment.
正在日终处理。 | Cut-off in process.

91 tryLater
发卡银行暂不可用，请稍后再试。 | Your bank cannot be reached: try again later.
发卡行不能操作，请稍后重试或换卡。 | The issuer is away: try later or another card.
发卡行未签到或线路中断。 | The issuer is signed off or its line is down.

92 useOtherCard
该卡暂不能使用，请换卡。 | This card cannot be used here: use another one.
找不到发卡机构，请顾客换卡。 | No way to the issuer: ask for another card.
BIN 表中没有该机构的路由。 | The BIN table has no route for the card.

94 awaitOutcome
正在确认支付结果，请勿重复支付。 | The outcome is being checked: please do not pay again.
重复交易，以首笔结果为准。 | A duplicate: the first one counts.
跟踪号已用于另一报文，或凭证已入账。 | The trace number has another body, or the TC is booked.

96 tryLater
系统繁忙，请稍后再试。 | The system is busy: try again later.
系统异常，请稍后重试。 | System malfunction: try again later.
交换中心或发卡行系统异常。 | Malfunction at the switch or the issuer.

98 awaitOutcome
正在确认支付结果，请勿重复支付。 | The outcome is being checked: please do not pay again.
结果未知，正在自动查证或冲正。 | Unknown: it is confirmed or reversed by itself.
收不到发卡方应答。 | No answer from the issuer.

99 enterPinAgain
密码未能验证，请重新输入。 | The PIN could not be checked: please try again.
请顾客重新输入密码。 | Let the holder enter the PIN again.
PIN 格式错或密钥不同步。 | PIN block format error, or keys out of step.

A0 awaitOutcome
正在确认支付结果，请勿重复支付。 | The outcome is being checked: please do not pay again.
报文鉴别失败，正在自动处理。 | Message authentication failed: it is dealt with by itself.
MAC 鉴别失败，请重新签到。 | Wrong MAC: sign on again.
`;

/** For a code that nobody told us of: safe to show, and safe to do. */
const UNKNOWN = `
支付未成功，请换卡或联系发卡银行。 | Not paid: use another card or contact your bank.
发卡行拒绝，请顾客换卡。 | The issuer says no: ask for another card.
未登记的应答码。 | A response code that is not in our table.
`;

function pairOf(line: string | undefined): Iso8583Name {
  const [zh = '', en = ''] = (line ?? '').split('|').map((part) => part.trim());
  return { zh, en };
}

function textsOf(action: DeclineAction, lines: readonly string[]): DeclineTexts {
  const [cardholder, merchant, operator] = lines;
  return {
    action,
    cardholder: pairOf(cardholder),
    merchant: pairOf(merchant),
    operator: pairOf(operator),
  };
}

const table: ReadonlyMap<string, DeclineTexts> = new Map(
  TEXTS.trim()
    .split('\n\n')
    .map((block) => {
      const [head = '', ...lines] = block.split('\n');
      const [code = '', action = ''] = head.split(' ');
      return [code, textsOf(action as DeclineAction, lines)] as const;
    }),
);
const unknown = textsOf('useOtherCard', UNKNOWN.trim().split('\n'));

/** The codes of the table. */
export const DECLINE_CODES: readonly string[] = [...table.keys()];

/** What a code means to people; a code that is not in the table gets texts that are always safe. */
export function declineTexts(code: string): DeclineTexts {
  return table.get(code) ?? unknown;
}
