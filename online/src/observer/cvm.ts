/** Cardholder verification in words. @see EMV 4.3 B3 §C3 */
import { CVM_METHOD_MASK } from '@tapnpay/protocol/emv/data';
import type { TwoLanguages } from '@tapnpay/protocol/wire';
import { two } from './field.ts';

const METHODS: Readonly<Record<number, TwoLanguages>> = {
  0: two('Fail CVM processing', '持卡人验证失败'),
  1: two('Plaintext PIN by the card', '脱机密码（卡片验证明文 PIN）'),
  2: two('Enciphered PIN online', '联机密码（加密 PIN）'),
  3: two('Plaintext PIN by the card and signature', '脱机密码（卡片验证明文 PIN）加签名'),
  4: two('Enciphered PIN by the card', '脱机密码（卡片验证加密 PIN）'),
  5: two('Enciphered PIN by the card and signature', '脱机密码（卡片验证加密 PIN）加签名'),
  30: two('Signature', '签名'),
  31: two('No CVM required', '无需持卡人验证'),
  32: two("Cardholder's identity document", '出示持卡人证件'),
  63: two('No CVM performed', '未执行持卡人验证'),
};
const CONDITIONS: readonly TwoLanguages[] = [
  two('always', '总是'),
  two('unattended cash', '无人值守现金'),
  two('not cash and not cashback', '非现金且非返现'),
  two('if the terminal supports it', '终端支持时'),
  two('manual cash', '人工现金'),
  two('with cashback', '返现时'),
  two('under amount X', '低于金额 X'),
  two('over amount X', '高于金额 X'),
  two('under amount Y', '低于金额 Y'),
  two('over amount Y', '高于金额 Y'),
];
const RESULTS: readonly TwoLanguages[] = [
  two('result unknown (the issuer checks)', '结果未知（由发卡行验证）'),
  two('failed', '失败'),
  two('successful', '成功'),
];
const OTHER = two('reserved', '保留');

/** Method of a rule's first byte. */
export function cvmMethod(code: number): TwoLanguages {
  return METHODS[code & CVM_METHOD_MASK] ?? OTHER;
}

export function cvmCondition(condition: number): TwoLanguages {
  return CONDITIONS[condition] ?? OTHER;
}

export function cvmResult(result: number): TwoLanguages {
  return RESULTS[result] ?? OTHER;
}
