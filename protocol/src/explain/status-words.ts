/** Status words in words. @see ISO 7816-4 §5.6, EMV 4.3 B3 §6.3.5 */
import { both } from './build.ts';
import type { BothLanguages } from './types.ts';

const ROWS = `
6200|No information given, state unchanged|无信息提供，状态未变
6281|Part of returned data may be corrupted|回送数据可能出错
6282|End of file reached before reading Le bytes|文件长度小于 Le
6283|Selected file invalidated: the application is blocked|所选文件无效：应用已锁定
6284|FCI not formatted as it should be|文件控制信息格式错误
6300|Authentication failed|认证失败
6381|File filled up by the last write|文件已被最后一次写入写满
6400|Execution error, state unchanged|执行错误，状态未变
6581|Memory failure|内存错误
6700|Wrong length|长度错误
6881|Logical channel not supported|不支持逻辑通道
6882|Secure messaging not supported|不支持安全报文
6981|Command incompatible with file structure|命令与文件结构不相容
6982|Security status not satisfied|安全状态不满足
6983|Authentication method blocked: PIN blocked|认证方法锁定：密码已锁定
6984|Referenced data invalidated; of a contactless card: use the other interface|引用数据无效；非接触卡：请换接触界面
6985|Conditions of use not satisfied|使用条件不满足
6986|Command not allowed|命令不允许
6987|Secure messaging data missing|安全报文数据项丢失
6988|Secure messaging data incorrect: wrong MAC|安全报文数据项不正确：MAC 错误
6999|Applet selection failed|应用选择失败
6A80|Wrong data|数据域参数不正确
6A81|Function not supported: the card is blocked|功能不支持：卡片已锁定
6A82|File or application not found|未找到文件或应用
6A83|Record not found|未找到记录
6A84|Not enough memory|存储空间不足
6A85|Lc inconsistent with TLV structure|Lc 与 TLV 结构不一致
6A86|Wrong P1 P2|P1 P2 参数不正确
6A87|Lc inconsistent with P1 P2|Lc 与 P1 P2 不一致
6A88|Referenced data not found|未找到引用数据
6B00|Wrong P1 P2: outside the file|参数错误：偏移超出文件
6D00|Instruction not supported|不支持该指令
6E00|Class not supported|不支持该类别
6F00|No precise diagnosis|未知错误
9000|Success|成功
9302|MAC incorrect (PBOC)|MAC 错误（PBOC）
9303|Application permanently blocked (PBOC)|应用永久锁定（PBOC）
9401|Not enough money (PBOC)|金额不足（PBOC）
9402|Counter at its maximum (PBOC)|交易计数器达到最大值（PBOC）
9403|Key index not supported (PBOC)|密钥索引不支持（PBOC）
9406|No MAC available (PBOC)|所需 MAC 不可用（PBOC）
`;

const TABLE: ReadonlyMap<string, BothLanguages> = new Map(
  ROWS.trim()
    .split('\n')
    .map((row) => {
      const [code = '', en = '', zh = ''] = row.split('|');
      return [code, both(en, zh)];
    }),
);

/** Whether four hex digits are a status word at all. */
export function isStatusWord(hex: string): boolean {
  return /^(?:9[0-9A-F]{3}|6[0-9A-F]{3})$/.test(hex);
}

/** Whether the status word has a meaning of its own here, not only that of its class. */
export function isKnownStatusWord(hex: string): boolean {
  return TABLE.has(hex) || /^(?:61|6C|63C)/.test(hex);
}

/** What a status word (four hex digits) says. */
export function statusWordMeaning(hex: string): BothLanguages {
  const known = TABLE.get(hex);
  if (known) return known;
  const second = Number.parseInt(hex.slice(2), 16);
  if (hex.startsWith('61')) {
    const count = second === 0 ? '256' : String(second);
    return both(`${count} bytes wait for GET RESPONSE`, `还有 ${count} 字节，用 GET RESPONSE 取回`);
  }
  if (hex.startsWith('6C')) {
    return both(`Wrong Le, ${second} is right: repeat`, `Le 错误，正确值为 ${second}，应重发命令`);
  }
  if (hex.startsWith('63C')) {
    const tries = second & 0x0f;
    return both(`Verification failed, ${tries} tries left`, `验证失败，还可试 ${tries} 次`);
  }
  return CLASSES.find(([pattern]) => pattern.test(hex))?.[1] ?? both('Unknown', '未知');
}

const CLASSES: readonly (readonly [RegExp, BothLanguages])[] = [
  [/^62/, both('Warning, state unchanged', '警告，状态未变')],
  [/^63/, both('Warning, state changed', '警告，状态已变')],
  [/^64/, both('Execution error, state unchanged', '执行错误，状态未变')],
  [/^65/, both('Execution error, state changed', '执行错误，状态已变')],
  [/^66/, both('Security issue', '安全问题')],
  [/^6[89AB]/, both('Command refused', '命令被拒绝')],
  [/^6/, both('Error of the card', '卡片错误')],
  [/^9/, both('Answer of the application itself', '应用自定义状态')],
];

/** Class of a status word, as ISO 7816-4 §5.6 divides them. */
export function statusWordCategory(hex: string): 'ok' | 'warning' | 'error' | 'proprietary' {
  if (hex === '9000' || hex.startsWith('61')) return 'ok';
  if (/^6[23]/.test(hex)) return 'warning';
  return hex.startsWith('9') ? 'proprietary' : 'error';
}
