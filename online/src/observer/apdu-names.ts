/** Commands and status words in words. @see EMV 4.3 B3 §6, ISO 7816-4 §5.6 */
import { cryptogramTypeOf } from '@tapnpay/protocol/emv/data';
import type { TwoLanguages } from '@tapnpay/protocol/wire';
import { two } from './field.ts';
import { numberAt } from './masked-hex.ts';

type CommandName = { readonly title: string; readonly name: TwoLanguages };

const COMMANDS: Readonly<Record<number, readonly [title: string, en: string, zh: string]>> = {
  22: ['CARD BLOCK', 'Blocks the card', '锁定卡片'],
  24: ['APPLICATION UNBLOCK', 'Unblocks the application', '解锁应用'],
  30: ['APPLICATION BLOCK', 'Blocks the application', '锁定应用'],
  32: ['VERIFY', 'The card checks the PIN', '卡片验证 PIN'],
  36: ['PIN CHANGE/UNBLOCK', 'Changes or unblocks the PIN', '修改或解锁 PIN'],
  130: ['EXTERNAL AUTHENTICATE', 'The card checks its issuer', '卡片认证发卡行'],
  132: ['GET CHALLENGE', 'A random number of the card', '取卡片随机数'],
  136: [
    'INTERNAL AUTHENTICATE',
    'The card signs, which a copy cannot',
    '卡片签名，证明自己不是复制卡',
  ],
  164: ['SELECT', 'Selects a directory or application', '选择目录或应用'],
  168: ['GET PROCESSING OPTIONS', 'The transaction begins', '交易开始，获取处理选项'],
  174: ['GENERATE AC', 'The card makes a cryptogram', '卡片产生应用密文'],
  178: ['READ RECORD', 'Reads a record', '读记录'],
  192: ['GET RESPONSE', 'Fetches the rest of an answer', '取回其余响应数据'],
  202: ['GET DATA', 'Reads one data element', '读取一个数据元'],
  218: ['PUT DATA', 'Writes one data element', '写入一个数据元'],
  220: ['UPDATE RECORD', 'Writes a record', '更新记录'],
};

/** Name of a command by its instruction byte. */
export function commandName(ins: number | null): CommandName {
  const row = ins === null ? undefined : COMMANDS[ins];
  if (row) return { title: row[0], name: two(row[1], row[2]) };
  const title = ins === null ? 'APDU' : `INS ${ins.toString(16).padStart(2, '0').toUpperCase()}`;
  return { title, name: two('Command unknown here', '未知命令') };
}

/** What P1 and P2 ask for. */
export function commandDetail(ins: number | null, command: string): readonly TwoLanguages[] {
  const p1 = numberAt(command, 2) ?? 0;
  const p2 = numberAt(command, 3) ?? 0;
  switch (ins) {
    case 0xb2:
      return [two(`record ${p1} of file ${p2 >> 3}`, `文件 ${p2 >> 3} 的第 ${p1} 条记录`)];
    case 0xae: {
      const type = cryptogramTypeOf(p1);
      return [two(`asks for ${type}`, `请求 ${type}`)];
    }
    case 0xa4:
      return [p2 === 2 ? two('by name, the next', '按名称选择下一个') : two('by name', '按名称')];
    case 0x20:
      return [p2 === 0x80 ? two('plaintext PIN', '明文 PIN') : two('enciphered PIN', '加密 PIN')];
    case 0xca: {
      const tag = command.slice(4, 8);
      return [two(`tag ${tag}`, `标签 ${tag}`)];
    }
    default:
      return [];
  }
}

const STATUS_WORDS: Readonly<Record<string, TwoLanguages>> = {
  '9000': two('OK', '成功'),
  '6283': two('Selected file invalidated: the application is blocked', '所选文件无效：应用已锁定'),
  '6300': two('Authentication failed', '认证失败'),
  '6700': two('Wrong length', '长度错误'),
  '6982': two('Security status not satisfied', '安全状态不满足'),
  '6983': two('PIN blocked', 'PIN 已锁定'),
  '6984': two('Not on this interface: use another one', '此用卡方式不可用，请换一种（如改用插卡）'),
  '6985': two('Conditions of use not satisfied', '使用条件不满足'),
  '6A81': two('Function not supported: the card is blocked', '功能不支持：卡片已锁定'),
  '6A82': two('File or application not found', '找不到文件或应用'),
  '6A83': two('Record not found', '找不到记录'),
  '6A86': two('Wrong P1 P2', 'P1 P2 错误'),
  '6A88': two('Data not found', '找不到数据'),
  '6D00': two('Instruction not supported', '不支持该命令'),
  '6E00': two('Class not supported', '不支持该类别'),
};

/** What a status word says. */
export function statusWordMeaning(statusWord: string): TwoLanguages {
  const known = STATUS_WORDS[statusWord];
  if (known) return known;
  if (statusWord.startsWith('63C')) {
    const left = Number.parseInt(statusWord.slice(3), 16);
    return two(`Wrong PIN, ${left} tries left`, `PIN 错误，还可试 ${left} 次`);
  }
  if (statusWord.startsWith('61')) return two('More data available', '还有响应数据可取');
  if (statusWord.startsWith('6C'))
    return two('Wrong Le, exact length given', 'Le 错误，已给出长度');
  return two('Other status', '其他状态');
}
