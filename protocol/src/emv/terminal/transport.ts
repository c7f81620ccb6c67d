/** T=0 procedures above a transmit request: 61xx by GET RESPONSE, 6Cxx by another Le. */
import { concatBytes } from '../../bytes/index.ts';
import {
  type CommandApdu,
  type ResponseApdu,
  SW_6E00_CLASS_NOT_SUPPORTED,
} from '../../iso7816/index.ts';
import { KernelError } from './errors.ts';
import type { Kernel, KernelAnswer } from './types.ts';

/** Most GET RESPONSE commands after one command; a short answer needs one or two. */
export const GET_RESPONSES_MAX = 16;

/**
 * One command with its whole answer, whatever the reader leaves to the terminal. Cards that answer
 * at once (T=1) pass straight through. `count` runs before every command on the wire.
 * @throws KernelError `ERR_CARD_LIMIT`, `ERR_KERNEL_ANSWER`.
 * @see EMV 4.3 B1 §9.3.1; tomkp/emv #82, OpenSC/OpenSC #632
 */
export function* transmitApdu(command: CommandApdu, count: () => void): Kernel<ResponseApdu> {
  let response = yield* exchangeWithLeRetry(command, count);
  if (high(response) !== 0x61) return response;
  const parts = [response.data];
  for (let round = 0; high(response) === 0x61; round++) {
    if (round === GET_RESPONSES_MAX) {
      throw new KernelError('ERR_CARD_LIMIT', `61xx more than ${GET_RESPONSES_MAX} times`);
    }
    response = yield* getResponse(command.cla, low(response), count);
    parts.push(response.data);
  }
  return { data: concatBytes(...parts), statusWord: response.statusWord };
}

function* exchangeWithLeRetry(command: CommandApdu, count: () => void): Kernel<ResponseApdu> {
  const response = yield* exchange(command, count);
  if (high(response) !== 0x6c) return response;
  return yield* exchange({ ...command, le: leOf(low(response)) }, count);
}

/**
 * GET RESPONSE for exactly the announced length: Le 00 after 6126 brings 6C26 (pcsc-sharp #28).
 * QUIRK: some cards want the class of the command instead of 00 (GlobalPlatformPro #15).
 */
function* getResponse(cla: number, announced: number, count: () => void): Kernel<ResponseApdu> {
  const command = { cla: 0x00, ins: 0xc0, p1: 0x00, p2: 0x00, le: leOf(announced) };
  const response = yield* exchangeWithLeRetry(command, count);
  if (response.statusWord !== SW_6E00_CLASS_NOT_SUPPORTED || cla === 0x00) return response;
  return yield* exchangeWithLeRetry({ ...command, cla }, count);
}

function* exchange(command: CommandApdu, count: () => void): Kernel<ResponseApdu> {
  count();
  return responseOf(yield { kind: 'transmit', command });
}

/** The driver's answer APDU. @throws KernelError `ERR_KERNEL_ANSWER` when it is none. */
export function responseOf(answer: KernelAnswer): ResponseApdu {
  if (typeof answer === 'object' && answer !== null && 'statusWord' in answer) {
    if (answer.data instanceof Uint8Array) return answer;
  }
  throw new KernelError('ERR_KERNEL_ANSWER', 'driver did not give a response APDU');
}

function high(response: ResponseApdu): number {
  return response.statusWord >> 8;
}

function low(response: ResponseApdu): number {
  return response.statusWord & 0xff;
}

function leOf(announced: number): number {
  return announced === 0 ? 256 : announced;
}
