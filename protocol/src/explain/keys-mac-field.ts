/** The MAC of a message that was explained as a message, when its key is given. */
import { bytesToLatin1, toHex } from '../bytes/index.ts';
import { x99Mac } from '../crypto/index.ts';
import { CUPS_DIALECT, decodeMessage, Iso8583Error, macBlock } from '../iso8583/index.ts';
import { both, comparison, isGiven, step } from './build.ts';
import type { Reading } from './iso8583-decode.ts';
import { decipheredKey, givenKey } from './keys-given.ts';
import { isMac, MAC_ALGORITHM_NAMES, MAC_ALGORITHMS, macTarget } from './keys-mac-algorithms.ts';
import type { ExplainCheck, ExplainContext } from './types.ts';

const KEY_NAMES = ['mak', 'tak', 'macKey'];
const CIPHER_NAMES = ['makCipher', 'takCipher', 'encMak', 'encTak'];

/**
 * Field 64 of a POS frame or 128 of an interbank one; null without a key or without the field.
 * @throws ExplainError `ERR_EXPLAIN_VALUE` for a malformed key.
 */
export function messageMacCheck(
  { input }: ExplainContext,
  bytes: Uint8Array,
  reading: Reading,
): ExplainCheck | null {
  if (!isGiven(input, ...KEY_NAMES, ...CIPHER_NAMES)) return null;
  const key = givenKey(input, KEY_NAMES) ?? decipheredKey(input, CIPHER_NAMES);
  if (key === null) return null;
  if (reading.format.name === 'cups') return interbankCheck(key.clear, bytes, reading);
  const field = reading.fields.find(({ number }) => number === 64);
  const target =
    field && (macTarget(bytesToLatin1(field.content)) ?? macTarget(toHex(field.content)));
  if (!field || !target) return null;
  const data = bytes.subarray(reading.framing.mtiOffset, field.offsetBytes);
  const usable = MAC_ALGORITHM_NAMES.filter((name) =>
    MAC_ALGORITHMS[name].keyBytes.includes(key.clear.length),
  );
  const name =
    usable.find((one) => isMac(MAC_ALGORITHMS[one].compute(key.clear, data), target)) ??
    'unionPayEcb';
  const computed = MAC_ALGORITHMS[name].compute(key.clear, data);
  const actual = computed.full.slice(0, target.length);
  return comparison('mac', { expected: target, actual }, [
    ...key.steps,
    step(both('algorithm', '算法'), MAC_ALGORITHMS[name].name.en),
    ...computed.steps,
  ]);
}

/** @see Q/CUP 006, message authentication: named fields joined by blanks, CBC-MAC */
function interbankCheck(key: Uint8Array, bytes: Uint8Array, reading: Reading): ExplainCheck | null {
  const field = reading.fields.find(({ number }) => number === 128);
  if (!field) return null;
  const start = reading.framing.mtiOffset - (reading.framing.header?.length ?? 0);
  try {
    const block = macBlock(decodeMessage(CUPS_DIALECT, bytes.subarray(start)));
    const actual = toHex(x99Mac(key, block));
    return comparison('mac', { expected: toHex(field.content), actual }, [
      step(both('MAC block', 'MAC 块'), bytesToLatin1(block)),
    ]);
  } catch (thrown) {
    if (!(thrown instanceof Iso8583Error)) throw thrown;
    const why = both(`the block cannot be made: ${thrown.message}`, '无法组成 MAC 块');
    return { name: 'mac', result: 'notPossible', steps: [step(why, '')] };
  }
}
