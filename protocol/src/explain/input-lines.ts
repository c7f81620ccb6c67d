/** Lines of a paste: what is a prefix, an offset or a remark, and which digits remain. */
import type { Finding, InputLine } from './types.ts';

/** Most lines read of one input. */
export const INPUT_LINES_MAX = 20_000;

/** A name of a value as it is looked up: lower case, letters and digits only, no `tag` in front. */
export function foldName(name: string): string {
  const folded = name.toLowerCase().replace(/[^a-z0-9\u4e00-\u9fff]/g, '');
  const tag = /^tag((?:[0-9a-f]{2}){1,4})$/.exec(folded);
  return tag?.[1] ?? folded;
}

/** Hex digits of one line, not yet whole bytes. */
export type HexPiece = { readonly direction: InputLine['direction']; readonly digits: string };

/** What the lines of a text hold. */
export type LogLines = {
  readonly pieces: readonly HexPiece[];
  readonly named: ReadonlyMap<string, string>;
  readonly findings: readonly Finding[];
};

const COMMAND_WORDS =
  'c-?apdu|command ?apdu|command|cmd|send(?:ing)?|sent|tx|transmit|request|req|out|' +
  '发送|命令|请求|上行';
const RESPONSE_WORDS =
  'r-?apdu|response ?apdu|response|resp|rsp|recv|receive[d]?|rx|answer|reply|in|' +
  '接收|响应|应答|返回|下行';
const ARROW_OUT = '=+>+|-+>+|>+';
const ARROW_IN = '<+=+|<+-+|<+';
/** `A>>`, `R<<`, `Command -->`, `T -> C`, `=>`: a few letters, then the arrow. */
const ARROWED = new RegExp(`^([A-Za-z-]{0,10} ?)(?:(${ARROW_OUT})|(${ARROW_IN})) ?[:：]?`, 'i');
const WORDED = new RegExp(
  `^(?:(${COMMAND_WORDS})|(${RESPONSE_WORDS}))(?:\\s*\\[?\\(?\\d+\\)?\\]?)?(?:\\s*[:=：]+|\\s+)`,
  'i',
);
/** Times, levels and thread names in front of a line. */
const LOG_HEADS = [
  String.raw`\[?\d{4}[-/]\d\d[-/]\d\d[T ]?`,
  String.raw`\[?\d{1,2}:\d\d:\d\d(?:[.,:]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?`,
  String.raw`\[[^\]]{0,40}\]`,
  String.raw`(?:DEBUG|INFO|TRACE|WARN|ERROR|NOTICE|VERBOSE|[DIVWE]/[\w.]+)\b:?`,
  String.raw`#?\d{1,4}[.)](?=\s)`,
  String.raw`[-:|*](?=\s)`,
];
const LOG_HEAD = new RegExp(`^(?:${LOG_HEADS.join('|')})\\s*`);
const NAME = String.raw`[A-Za-z_\u4e00-\u9fff][\w \u4e00-\u9fff()./-]{0,39}?`;
const NAMED = new RegExp(
  String.raw`^["']?(${NAME}|(?:[0-9A-Fa-f]{2}){1,4})["']?\s*(?:=|:|：)\s*(\S.*)$`,
);
/** `9F02 = …` or `9F02: …`, but not the `6F:30:84` of bytes with colons between them. */
const NAMED_TAG = /^((?:[0-9A-Fa-f]{2}){1,3})\s*(?:=\s*|:\s+)((?:[0-9A-Fa-f]{2}\s*)+)$/;

/** Takes the lines apart; never throws. */
export function readLog(lines: readonly string[]): LogLines {
  const kept = lines.slice(0, INPUT_LINES_MAX);
  const dump = readHexDump(kept);
  if (dump) return { pieces: dump.pieces, named: new Map(), findings: [dump.finding] };
  const pieces: HexPiece[] = [];
  const named = new Map<string, string>();
  let foreign = 0;
  for (const line of kept) {
    const read = readLine(line);
    if (read === null) continue;
    if ('digits' in read) pieces.push(read);
    else if ('name' in read) named.set(read.name, read.value);
    else foreign += 1;
  }
  // A text that is not hex as a whole is left to the kinds that read text.
  if (foreign > 0 && pieces.every((piece) => piece.direction === null)) {
    return { pieces: [], named, findings: [] };
  }
  return { pieces, named, findings: foreign > 0 ? [foreignLines(foreign)] : [] };
}

type ReadLine = HexPiece | { readonly name: string; readonly value: string } | { foreign: true };

function readLine(line: string): ReadLine | null {
  let rest = line.trim();
  if (rest === '' || /^(?:#|\/\/|;|--\s)/.test(rest)) return null;
  for (let head = LOG_HEAD.exec(rest); head && head[0] !== ''; head = LOG_HEAD.exec(rest)) {
    rest = rest.slice(head[0].length);
  }
  const { direction, after } = readDirection(rest);
  const tag = direction === null ? NAMED_TAG.exec(after) : null;
  if (tag?.[1] !== undefined && tag[2] !== undefined) {
    return { name: foldName(tag[1]), value: tag[2].trim() };
  }
  const digits = hexDigits(after);
  if (digits !== null) return digits === '' ? null : { direction, digits };
  const named = direction === null ? NAMED.exec(after) : null;
  if (named?.[1] !== undefined && named[2] !== undefined) {
    return { name: foldName(named[1]), value: named[2].replace(/^["']|["'],?$/g, '').trim() };
  }
  return { foreign: true };
}

function readDirection(text: string): { direction: InputLine['direction']; after: string } {
  const arrow = ARROWED.exec(text);
  const word = WORDED.exec(text);
  if (arrow) {
    const letters = (arrow[1] ?? '').trim();
    const isWord = new RegExp(`^(?:${RESPONSE_WORDS})$`, 'i').test(letters);
    const isOut = arrow[2] !== undefined && !isWord;
    return { direction: isOut ? 'command' : 'response', after: text.slice(arrow[0].length) };
  }
  if (!word) return { direction: null, after: text };
  const after = text.slice(word[0].length).replace(/^(?:-+>|<-+|=+>|<=+)\s*:?/, '');
  return { direction: word[1] === undefined ? 'response' : 'command', after };
}

/** Hex digits of what is left of a line without its remarks; null when it is no hex. */
function hexDigits(text: string): string | null {
  const bare = text
    .replace(/(?:\/\/|#|;\s).*$/, '')
    .replace(/\bT=[01]\b/g, ' ')
    .replace(/\([^()]{0,80}\)/g, ' ')
    .replace(/\b(?:APDU|ATR|SW12|SW1SW2|SW1|SW2|SW|Le|Lc|hex|len(?:gth)?=\d+)\s*[:=]?\s*/gi, ' ')
    .replace(/\[\d+(?: bytes?)?\]/gi, ' ')
    .replace(/0x|\\x/gi, ' ')
    .replace(/\b([0-9A-Fa-f]{2})h\b/g, '$1');
  const digits = bare.replace(/[\s:,.;{}[\]"'|_-]/g, '');
  return /^[0-9A-Fa-f]*$/.test(digits) ? digits : null;
}

type HexDump = { readonly pieces: readonly HexPiece[]; readonly finding: Finding };

/** `0000: 6F 30 84 …  o0.`: every line begins where the one before ended. */
function readHexDump(lines: readonly string[]): HexDump | null {
  const rows = lines.map((line) => line.trim()).filter((line) => line !== '');
  const heads = rows.map((row) =>
    /^(?:0x)?([0-9A-Fa-f]{4,8})(?::\s*|h\s+|\s{2,}|\t)(.+)$/.exec(row),
  );
  const offsets = heads.map((head) => Number.parseInt(head?.[1] ?? 'x', 16));
  if (rows.length === 0 || heads.some((head) => head === null) || offsets[0] !== 0) return null;
  const pieces: HexPiece[] = [];
  for (let index = 0; index < rows.length; index++) {
    const start = offsets[index] ?? 0;
    const next = offsets[index + 1];
    const wanted = next === undefined ? 32 : next - start;
    if (wanted <= 0 || wanted > 32) return null;
    const digits = dumpDigits(heads[index]?.[2] ?? '', wanted, next === undefined);
    if (digits === null) return null;
    pieces.push({ direction: null, digits });
  }
  return { pieces, finding: cleaned('HEX_DUMP', 'offset and text columns', '偏移列和文本列') };
}

function dumpDigits(row: string, wantedBytes: number, isLast: boolean): string | null {
  let digits = '';
  let rest = row;
  for (;;) {
    const group = /^((?:[0-9A-Fa-f]{2}){1,16})(\s+|-|$|(?=\|))/.exec(rest);
    if (!group?.[1]) break;
    digits += group[1];
    rest = rest.slice(group[0].length);
    if (digits.length >= 2 * wantedBytes) break;
    // Two blanks stand before the text column, and in the middle of sixteen bytes.
    if (isLast && (group[2] ?? '').length >= 2 && digits.length !== 16) break;
  }
  if (isLast) return digits === '' ? null : digits;
  return digits.length === 2 * wantedBytes ? digits : null;
}

function cleaned(code: string, en: string, zh: string): Finding {
  return {
    severity: 'note',
    code,
    offsetBytes: null,
    messageEn: `${en} were left out`,
    messageZh: `已去掉${zh}`,
  };
}

function foreignLines(count: number): Finding {
  return cleaned('LINES_LEFT_OUT', `${count} lines without bytes`, ` ${count} 行不含字节的内容`);
}
