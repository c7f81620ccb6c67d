/** From what stands in the form to what is shown: explains, masks, finds the bytes. */
import { errorBody, fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  type ExplainInput,
  type ExplainKind,
  type Explanation,
  explain,
  maskExplanation,
  readInput,
} from '@tapnpay/protocol/explain';
import { browserCiphers } from './ciphers.ts';

/** What the person has put in. */
export type Request = {
  readonly text: string;
  readonly kind: ExplainKind | '';
  /** `NAME=VALUE` lines. */
  readonly keys: string;
  readonly unmask: boolean;
};

/** What is shown. */
export type Answer =
  | { readonly name: 'nothing' }
  | { readonly name: 'badKeys'; readonly line: number }
  | {
      readonly name: 'refused';
      readonly code: string;
      readonly message: string;
      readonly offsetBytes: number | null;
    }
  | {
      readonly name: 'explained';
      readonly explanation: Explanation;
      /** Two characters a byte; empty when the input is no one run of bytes. */
      readonly pairs: readonly string[];
    };

/** Explains what was put in; never throws for anything that was pasted. */
export function answerOf(request: Request): Answer {
  if (request.text.trim() === '') return { name: 'nothing' };
  const keys: Record<string, string> = {};
  for (const [index, line] of request.keys.split('\n').entries()) {
    if (line.trim() === '') continue;
    const match = /^\s*([^=:]+?)\s*[=:]\s*(\S.*?)\s*$/.exec(line);
    if (!match?.[1] || !match[2]) return { name: 'badKeys', line: index + 1 };
    keys[match[1]] = match[2];
  }
  try {
    const options = request.kind === '' ? { keys } : { keys, as: request.kind };
    const explanation = explain(browserCiphers, request.text, options);
    const input = readInput(request.text, keys);
    const hex = bytesOf(explanation, input);
    if (request.unmask) return { name: 'explained', explanation, pairs: pairsOf(hex) };
    // The bytes are masked together with what was read of them.
    const whole = { ...explanation, facts: { ...explanation.facts, shownBytes: hex } };
    const { facts, ...masked } = maskExplanation(whole, input);
    const { shownBytes, ...rest } = facts;
    const pairs = pairsOf(String(shownBytes));
    return { name: 'explained', explanation: { ...masked, facts: rest }, pairs };
  } catch (thrown) {
    const { code, message, data } = errorBody(thrown);
    const offset = data['offsetBytes'];
    return {
      name: 'refused',
      code,
      message,
      offsetBytes: typeof offset === 'number' ? offset : null,
    };
  }
}

function pairsOf(hex: string): readonly string[] {
  return hex.match(/../g) ?? [];
}

/** Names of values that are the input itself. */
const MAIN_VALUES = ['frame', 'mab', 'message', 'field62withlen', 'field62', 'response', 'fci'];

/** The bytes that the tree's offsets count, as hex. */
function bytesOf(explanation: Explanation, input: ExplainInput): string {
  if (explanation.kind === 'keyBlock') {
    return toHex(Uint8Array.from(input.text.trim(), (letter) => letter.charCodeAt(0) & 0xff));
  }
  if (input.bytes !== null) return toHex(input.bytes);
  for (const name of MAIN_VALUES) {
    const value = input.values.get(name)?.replace(/\s/g, '');
    if (value && /^(?:[0-9A-Fa-f]{2})+$/.test(value)) return toHex(fromHex(value));
  }
  return '';
}
