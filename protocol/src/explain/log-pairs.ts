/** Lines of a log as pairs of command and answer, by prefix or by what the bytes look like. */
import { concatBytes, toHex } from '../bytes/index.ts';
import { commandScore } from './apdu-command.ts';
import { isStatusWord } from './status-words.ts';
import type { ExplainInput, InputLine } from './types.ts';

/** Most exchanges of one log. */
export const LOG_EXCHANGES_MAX = 2_000;

/** One command and its answer; either may be missing. */
export type LogPair = { readonly command: InputLine | null; readonly response: InputLine | null };

/** All pairs of an input, in order. */
export function logPairs(input: ExplainInput): readonly LogPair[] {
  const pairs: { command: InputLine | null; response: InputLine | null }[] = [];
  for (const line of wholeLines(input.lines)) {
    if (pairs.length >= LOG_EXCHANGES_MAX) break;
    const open = pairs.at(-1);
    const isWaiting = open !== undefined && open.response === null;
    const direction = line.direction ?? guessDirection(line.bytes, isWaiting);
    if (direction === 'command') pairs.push({ command: line, response: null });
    else if (open && isWaiting) open.response = line;
    else pairs.push({ command: null, response: line });
  }
  return pairs;
}

/** Among lines with a direction, one without is the rest of the line before. */
function wholeLines(lines: readonly InputLine[]): readonly InputLine[] {
  if (lines.every((line) => line.direction === null)) return lines;
  const whole: InputLine[] = [];
  for (const line of lines) {
    const last = whole.at(-1);
    if (line.direction !== null || !last) whole.push(line);
    else whole[whole.length - 1] = { ...last, bytes: concatBytes(last.bytes, line.bytes) };
  }
  return whole;
}

function guessDirection(bytes: Uint8Array, isWaiting: boolean): 'command' | 'response' {
  const endsInStatus = bytes.length >= 2 && isStatusWord(toHex(bytes.subarray(-2)));
  if (isWaiting) return endsInStatus || commandScore(bytes) === 0 ? 'response' : 'command';
  return commandScore(bytes) > 0 || !endsInStatus ? 'command' : 'response';
}

/** How well the lines read as a log: the share of lines that are what their place says. */
export function logScore(input: ExplainInput): number {
  if (input.lines.length < 2) return 0;
  const pairs = logPairs(input);
  const good = pairs.filter(({ command, response }) => {
    const isCommand = command === null || commandScore(command.bytes) > 0;
    const status = response === null ? '9000' : toHex(response.bytes.subarray(-2));
    return isCommand && isStatusWord(status) && (command !== null || response !== null);
  }).length;
  const commands = pairs.filter((pair) => pair.command !== null).length;
  if (commands === 0) return 0;
  const hasPrefixes = input.lines.some((line) => line.direction !== null);
  return (good / pairs.length) * (hasPrefixes ? 0.97 : 0.92);
}
