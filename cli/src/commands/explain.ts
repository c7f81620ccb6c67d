/** `tapnpay explain`: decodes and judges what an engineer pastes; nothing leaves the machine. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import {
  EXPLAIN_CHARACTERS_MAX,
  EXPLAIN_KINDS,
  type ExplainKind,
  type Explanation,
  explain as explainInput,
  explanationText,
  maskExplanation,
  readInput,
} from '@tapnpay/protocol/explain';
import { nodeCiphers } from '@tapnpay/protocol/node';
import {
  type Command,
  languageOption,
  type OptionValues,
  textOption,
  UsageError,
} from '../command.ts';

const USAGE = `usage: tapnpay explain [--as KIND] [--key NAME=HEX]... [--lang zh|en]
                       [--json] [--unmask] [HEX | FILE | -]
Reads hex in any dress (spaces, offsets, log prefixes), JSON with named values, or a file of bytes.
Without input or with - it reads standard input. KIND is guessed unless given:
  ${EXPLAIN_KINDS.slice(0, 12).join(' ')}
  ${EXPLAIN_KINDS.slice(12).join(' ')}
--key gives a key or value by name: tmk, mak, pik, kbpk, bdk, imkAc, pan, psn, 9F02 and so on.
Card numbers are masked unless --unmask is given. Exits 0 when all is well, 1 when a check failed,
something is against the standard or the input is impossible, 2 on wrong usage.`;

export const explain: Command = {
  summary: {
    en: 'decode and judge card, line and key data; say what is wrong and where',
    zh: '解析并校验卡片、报文和密钥数据，指出错误及其位置',
  },
  usage: USAGE,
  options: {
    as: { type: 'string' },
    key: { type: 'string', multiple: true },
    lang: { type: 'string' },
    unmask: { type: 'boolean' },
  },
  run: async (values, positionals) => {
    const language = languageOption(values);
    const keys = keyOptions(values);
    const as = kindOption(values);
    const input = readSource(positionals);
    const options = as === undefined ? { keys } : { keys, as };
    const whole = explainInput(nodeCiphers, input, options);
    const isMasked = values['unmask'] !== true;
    const shown = isMasked ? maskExplanation(whole, readInput(input, keys)) : whole;
    const text = values['json']
      ? JSON.stringify({ ...shown, masked: isMasked, ok: isWell(whole) })
      : explanationText(shown, language);
    process.stdout.write(`${text}\n`);
    return isWell(whole) ? 0 : 1;
  },
};

/** Whether nothing failed and nothing is against the standard. */
function isWell({ checks, findings }: Explanation): boolean {
  return (
    checks.every(({ result }) => result !== 'failed') &&
    findings.every(({ severity }) => severity !== 'error')
  );
}

function kindOption(values: OptionValues): ExplainKind | undefined {
  const asked = textOption(values, 'as');
  if (asked === undefined) return undefined;
  const kind = EXPLAIN_KINDS.find((known) => known.toLowerCase() === asked.toLowerCase());
  if (kind !== undefined) return kind;
  throw new UsageError(`--as takes one of ${EXPLAIN_KINDS.join(', ')}, not ${asked}`);
}

function keyOptions(values: OptionValues): Readonly<Record<string, string>> {
  const given: unknown = values['key'];
  const keys: Record<string, string> = {};
  for (const text of Array.isArray(given) ? given.map(String) : []) {
    const at = text.indexOf('=');
    // The value stays out of the message: it may be a key.
    if (at < 1 || at === text.length - 1) throw new UsageError('--key takes NAME=HEX');
    keys[text.slice(0, at)] = text.slice(at + 1);
  }
  return keys;
}

/** What was pasted: arguments, one file, or standard input. */
function readSource(positionals: readonly string[]): string | Uint8Array {
  const [first, ...rest] = positionals;
  if (first === undefined && process.stdin.isTTY) {
    throw new UsageError('explain takes HEX, a FILE or - for standard input');
  }
  if (first === undefined || (first === '-' && rest.length === 0)) return textOrBytes(0);
  if (rest.length === 0 && isFile(first)) return textOrBytes(first);
  const looksLikePath = rest.length === 0 && /^[.~]?[\w.-]*\/[\w./-]+$|\.\w{2,5}$/.test(first);
  if (looksLikePath && !/^[0-9A-Fa-f\s]+$/.test(first)) {
    throw new UsageError(`there is no file ${first}`);
  }
  return positionals.join(' ');
}

function isFile(path: string): boolean {
  return path.length < 1_000 && existsSync(path) && statSync(path).isFile();
}

/** Text when the source is text, else its bytes. */
function textOrBytes(source: string | number): string | Uint8Array {
  const isTooLong =
    typeof source === 'string' && statSync(source).size > 4 * EXPLAIN_CHARACTERS_MAX;
  if (isTooLong) throw new UsageError(`${source} is too long to explain`);
  const bytes = readFileSync(source);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they mark a file of bytes.
    if (!/[\u0000-\u0008\u000e-\u001f]/.test(text)) return text;
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown;
    // No UTF-8: a file of bytes.
  }
  return new Uint8Array(bytes);
}
