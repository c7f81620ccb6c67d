/** What a status word of a managed card means, in both languages. @see GPCS 2.3.1 table 11-10 */
import { StatusWord } from '../../iso7816/index.ts';

export const SW_6310_MORE_DATA: StatusWord = StatusWord(0x6310);
export const SW_6400_NO_SPECIFIC_DIAGNOSIS: StatusWord = StatusWord(0x6400);
export const SW_6581_MEMORY_FAILURE: StatusWord = StatusWord(0x6581);
export const SW_6881_CHANNEL_NOT_SUPPORTED: StatusWord = StatusWord(0x6881);
export const SW_6999_APPLET_SELECT_FAILED: StatusWord = StatusWord(0x6999);
export const SW_6A84_NOT_ENOUGH_MEMORY: StatusWord = StatusWord(0x6a84);
export const SW_6A89_ALREADY_EXISTS: StatusWord = StatusWord(0x6a89);
export const SW_9484_ALGORITHM_NOT_SUPPORTED: StatusWord = StatusWord(0x9484);
export const SW_9485_INVALID_KEY_CHECK_VALUE: StatusWord = StatusWord(0x9485);

/** One meaning in both languages. */
export type StatusText = { readonly en: string; readonly zh: string };

const TEXTS: readonly (readonly [word: number, en: string, zh: string])[] = [
  [0x9000, 'done', '成功'],
  [0x6283, 'selected; the card is locked', '已选择；卡片已锁定'],
  [0x6300, 'authentication of the host failed', '主机认证失败'],
  [0x6310, 'more entries follow', '还有更多条目'],
  [0x6400, 'no specific diagnosis', '无具体诊断信息'],
  [0x6581, 'memory failure', '存储器故障'],
  [0x6700, 'wrong length', '长度错误'],
  [0x6881, 'logical channel not open or not supported', '逻辑通道未打开或不支持'],
  [0x6982, 'security status not satisfied; the session has ended', '安全状态不满足，会话已结束'],
  [0x6985, 'conditions of use not satisfied', '使用条件不满足'],
  [0x6999, 'the application refused its selection', '应用拒绝被选择'],
  [0x6a80, 'incorrect parameters in the data', '数据域参数错误'],
  [0x6a81, 'function not supported', '不支持该功能'],
  [0x6a82, 'application not found', '未找到应用'],
  [0x6a84, 'not enough memory in the domain', '安全域存储空间不足'],
  [0x6a86, 'incorrect P1 or P2', 'P1 或 P2 错误'],
  [0x6a88, 'referenced data or key not found', '未找到引用的数据或密钥'],
  [0x6a89, 'an object of that identifier exists', '该标识符已存在'],
  [0x6d00, 'instruction not supported', '不支持该指令'],
  [0x6e00, 'class not supported', '不支持该类别'],
  [0x6f00, 'no precise diagnosis', '无精确诊断'],
  [0x9484, 'algorithm not supported', '不支持该算法'],
  [0x9485, 'the key check value is not that of the key', '密钥校验值不符'],
];

/** The meaning of a status word; null when this table has none. */
export function statusWordText(statusWord: StatusWord): StatusText | null {
  const [, en, zh] = TEXTS.find(([word]) => word === statusWord) ?? [];
  return en !== undefined && zh !== undefined ? { en, zh } : null;
}
