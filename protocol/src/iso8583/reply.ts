/** Answers to financial requests and reversals. @see Q/CUP 006, messages 0210 and 0430 */
import { DE_39_RESPONSE_CODE } from './fields.ts';
import { type FieldValue, type Iso8583Message, makeMessage, responseMti } from './message.ts';

/** Fields that an answer repeats from its request. */
const ECHOED: readonly number[] = [
  2, 3, 4, 7, 11, 12, 13, 14, 18, 19, 23, 25, 32, 33, 37, 41, 42, 49, 60, 90, 100,
];

/** The answer to `request`: the fields it repeats, field 39 and `more`. Without a MAC. */
export function buildReply(
  request: Iso8583Message,
  responseCode: string,
  more: Iterable<readonly [number, FieldValue | undefined]> = [],
): Iso8583Message {
  return makeMessage(responseMti(request.mti), [
    ...ECHOED.map((number) => [number, request.fields.get(number)] as const),
    [DE_39_RESPONSE_CODE, responseCode],
    ...more,
  ]);
}
