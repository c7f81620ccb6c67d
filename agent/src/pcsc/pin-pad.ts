/** A reader's PIN pad: its features, and the structure by which it is asked to fill a VERIFY. */
import { bytesToUint, concatBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import type { PinPad, PinPadOptions, PinPadResult } from '../readers/card-reader.ts';
import { ReaderError } from '../readers/errors.ts';
import type { PcscRequest, PcscResults } from './messages.ts';

/** Tag of a feature in the answer to CM_IOCTL_GET_FEATURE_REQUEST (PC/SC part 10 §2.2). */
export const FEATURE_VERIFY_PIN_DIRECT = 0x06;
/** Time that a person has at a pad. */
export const PIN_PAD_TIMEOUT_MS = 90_000;
/** Time beyond the pad's own before the way to it is cut. */
const PAD_GRACE_MS = 2_000;
const FEATURES_MAX = 32;

/**
 * Control codes by feature. What does not have the shape tag, 4, code is left out: a reader's own
 * additions are none of ours.
 */
export function parseFeatures(data: Uint8Array): ReadonlyMap<number, number> {
  const features = new Map<number, number>();
  for (let offset = 0; offset + 2 <= data.length && features.size < FEATURES_MAX; ) {
    const [tag = 0, length = 0] = data.subarray(offset, offset + 2);
    const value = data.subarray(offset + 2, offset + 2 + length);
    if (length === 4 && value.length === 4) features.set(tag, bytesToUint(value));
    offset += 2 + length;
  }
  return features;
}

/**
 * PIN_VERIFY_STRUCTURE for a plaintext offline PIN: the pad puts the digits as BCD into a PIN block
 * of format 2 and sends VERIFY 00 20 00 80. Numbers are little-endian.
 * @throws ReaderError `ERR_READER_UNSUPPORTED` for digits outside 4 to 12.
 * @see EMV 4.3 B3 §6.5.12; ISO 9564-1
 */
export function pinVerifyStructure(
  options: PinPadOptions & { readonly timeoutMs: number },
): Uint8Array {
  const { digitsMin, digitsMax } = options;
  if (!(digitsMin >= 4 && digitsMin <= digitsMax && digitsMax <= 12)) {
    throw new ReaderError('ERR_READER_UNSUPPORTED', 'an offline PIN has 4 to 12 digits');
  }
  const seconds = Math.min(255, Math.max(1, Math.ceil(options.timeoutMs / 1000)));
  const verify = fromHex('0020008008' + '20FFFFFFFFFFFFFF');
  return concatBytes(
    // Seconds before the first and after each digit.
    Uint8Array.of(seconds, seconds),
    // Units of bytes, digits from byte 1 of the block, left, BCD.
    Uint8Array.of(0x89),
    // Their number takes 4 bits; the digits have 7 bytes of room.
    Uint8Array.of(0x47),
    // The number stands 4 bits into the block.
    Uint8Array.of(0x04),
    littleEndian((digitsMin << 8) | digitsMax, 2),
    // The person confirms with a key; one message.
    Uint8Array.of(0x02, 0x01),
    littleEndian(options.language === 'zh' ? 0x0804 : 0x0409, 2),
    // First message; no T=1 prologue.
    Uint8Array.of(0x00, 0x00, 0x00, 0x00),
    littleEndian(verify.length, 4),
    verify,
  );
}

function littleEndian(value: number, lengthBytes: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, at) => Math.floor(value / 256 ** at) & 0xff);
}

/** What the pad's status words mean (PC/SC part 10 §2.5.2); others are the card's. */
const PAD_STATUS: Readonly<Record<string, Exclude<PinPadResult['result'], 'verified'>>> = {
  '6400': 'timeout',
  '6401': 'cancelled',
  '6403': 'unusable',
  '6480': 'unusable',
};

/** The pad's or the card's answer; one without a status word is no answer of either. */
export function pinPadResult(answer: Uint8Array): PinPadResult {
  if (answer.length < 2) return { result: 'unusable' };
  const own = answer.length === 2 ? PAD_STATUS[toHex(answer)] : undefined;
  return own === undefined ? { result: 'verified', response: answer } : { result: own };
}

/** Asks the process of the session. */
export type AskNative = <Request extends PcscRequest>(
  request: Request,
  timeoutMs: number,
) => Promise<PcscResults[Request['op']]>;

/** Faults that are the pad's or its driver's own; all others are the card's or the reader's. */
const PAD_FAULTS: Readonly<Record<string, Exclude<PinPadResult['result'], 'verified'>>> = {
  ERR_READER_TIMEOUT: 'timeout',
  ERR_READER_FAULT: 'unusable',
  ERR_CARD_TRANSPORT: 'unusable',
};

/** What a fault at the pad means; only a person's key is "cancelled". @throws every other fault. */
function pinPadFault(fault: unknown): PinPadResult {
  const result = fault instanceof ReaderError ? PAD_FAULTS[fault.code] : undefined;
  if (result === undefined) throw fault;
  return { result };
}

/** The pad of a reader with these features; null without one. */
export function pinPadOf(features: ReadonlyMap<number, number>, ask: AskNative): PinPad | null {
  const code = features.get(FEATURE_VERIFY_PIN_DIRECT);
  if (code === undefined) return null;
  return {
    verifyPlaintextPin: async (options) => {
      const { timeoutMs = PIN_PAD_TIMEOUT_MS } = options;
      const data = toHex(pinVerifyStructure({ ...options, timeoutMs }));
      try {
        // A pad counts its time anew with each digit: the whole of it is counted here.
        const answer = await ask({ op: 'control', code, data }, timeoutMs + PAD_GRACE_MS);
        return pinPadResult(fromHex(answer.data));
      } catch (fault) {
        return pinPadFault(fault);
      }
    },
  };
}
