/** What readers and older protocols put between command and answer. @see ISO 7816-4 §5.3.4 */
import { concatBytes } from '../../bytes/index.ts';
import type { CommandApdu, ResponseApdu } from '../../iso7816/index.ts';

/** GET RESPONSE for one answer. */
export const GET_RESPONSES_MAX = 256;
const INS_C0_GET_RESPONSE = 0xc0;

/**
 * Runs steps over a card that answers 61xx (fetch the rest) and 6Cxx (ask again with that length);
 * a MAC does not cover Le, so that the wrapped command goes out again as it was (report 5).
 */
export function* overTransport<Result>(
  steps: Generator<CommandApdu, Result, ResponseApdu>,
): Generator<CommandApdu, Result, ResponseApdu> {
  let state = steps.next();
  while (!state.done) {
    const command = state.value;
    let answer = yield command;
    if (answer.statusWord >> 8 === 0x6c) {
      answer = yield { ...command, le: wantedBytes(answer) };
    }
    const parts = [answer.data];
    for (let left = GET_RESPONSES_MAX; answer.statusWord >> 8 === 0x61 && left > 0; left--) {
      const header = { cla: command.cla & 0x03, ins: INS_C0_GET_RESPONSE, p1: 0, p2: 0 };
      answer = yield { ...header, le: wantedBytes(answer) };
      parts.push(answer.data);
    }
    state = steps.next({ data: concatBytes(...parts), statusWord: answer.statusWord });
  }
  return state.value;
}

function wantedBytes({ statusWord }: ResponseApdu): number {
  return statusWord & 0xff || 256;
}
