/** Command and response APDUs, short and extended. @see ISO 7816-4 §5 */
import { byteAt, bytesToUint, concatBytes, toHex, uintToBytes } from '../bytes/index.ts';
import { Iso7816Error } from './errors.ts';
import { StatusWord } from './status-word.ts';

/** Most data bytes of a short command. */
export const APDU_DATA_BYTES_MAX = 255;

/** A command; `le` is the number of bytes wanted, 256 (or 65536 extended) for "all". */
export type CommandApdu = {
  readonly cla: number;
  readonly ins: number;
  readonly p1: number;
  readonly p2: number;
  readonly data?: Uint8Array;
  readonly le?: number;
};

/** An answer: data and its status word. */
export type ResponseApdu = { readonly data: Uint8Array; readonly statusWord: StatusWord };

/** Wire form of a command; extended only when data or Le need it. */
export function encodeCommand(command: CommandApdu): Uint8Array {
  const data = command.data ?? new Uint8Array(0);
  const header = Uint8Array.of(command.cla, command.ins, command.p1, command.p2);
  const le = command.le;
  if (data.length > 65535 || (le !== undefined && (le < 1 || le > 65536))) {
    throw new Iso7816Error('ERR_APDU_LENGTH', `Lc ${data.length} or Le ${le} is out of range`);
  }
  if (data.length <= APDU_DATA_BYTES_MAX && (le ?? 0) <= 256) {
    const lc = data.length === 0 ? [] : [data.length];
    return concatBytes(
      header,
      Uint8Array.from(lc),
      data,
      Uint8Array.from(le === undefined ? [] : [le % 256]),
    );
  }
  const lc =
    data.length === 0
      ? new Uint8Array(1)
      : concatBytes(Uint8Array.of(0), uintToBytes(data.length, 2));
  const tail = le === undefined ? new Uint8Array(0) : uintToBytes(le % 65536, 2);
  return concatBytes(header, lc, data, tail);
}

/** Command of its wire form. @throws Iso7816Error `ERR_APDU_LENGTH` with the offset. */
export function decodeCommand(wire: Uint8Array): CommandApdu {
  if (wire.length < 4) {
    throw new Iso7816Error('ERR_APDU_LENGTH', `command of ${wire.length} bytes has no header`, {
      offsetBytes: wire.length,
    });
  }
  const header = {
    cla: byteAt(wire, 0),
    ins: byteAt(wire, 1),
    p1: byteAt(wire, 2),
    p2: byteAt(wire, 3),
  };
  const body = wire.subarray(4);
  if (body.length === 0) return header;
  const first = byteAt(body, 0);
  if (body.length === 1) return { ...header, le: first === 0 ? 256 : first };
  if (first === 0 && body.length >= 3) return { ...header, ...decodeExtendedBody(body) };
  const rest = body.length - 1 - first;
  if (rest !== 0 && rest !== 1) throw lengthError(first, body.length - 1);
  const data = body.slice(1, 1 + first);
  if (rest === 0) return { ...header, data };
  const last = byteAt(body, body.length - 1);
  return { ...header, data, le: last === 0 ? 256 : last };
}

function decodeExtendedBody(body: Uint8Array): Pick<CommandApdu, 'data' | 'le'> {
  const value = bytesToUint(body.subarray(1, 3));
  if (body.length === 3) return { le: value === 0 ? 65536 : value };
  const rest = body.length - 3 - value;
  if (rest !== 0 && rest !== 2) throw lengthError(value, body.length - 3);
  const data = body.slice(3, 3 + value);
  if (rest === 0) return { data };
  const le = bytesToUint(body.subarray(body.length - 2));
  return { data, le: le === 0 ? 65536 : le };
}

function lengthError(lc: number, present: number): Iso7816Error {
  return new Iso7816Error('ERR_APDU_LENGTH', `Lc ${lc} but ${present} bytes follow`, {
    offsetBytes: 4,
  });
}

/** Wire form of an answer. */
export function encodeResponse(response: ResponseApdu): Uint8Array {
  return concatBytes(response.data, uintToBytes(response.statusWord, 2));
}

/** Answer of its wire form. @throws Iso7816Error `ERR_APDU_LENGTH` below two bytes. */
export function decodeResponse(wire: Uint8Array): ResponseApdu {
  if (wire.length < 2) {
    throw new Iso7816Error('ERR_APDU_LENGTH', `answer of ${wire.length} bytes has no status word`, {
      offsetBytes: 0,
    });
  }
  return {
    data: wire.slice(0, -2),
    statusWord: StatusWord(bytesToUint(wire.subarray(wire.length - 2))),
  };
}

/** Short text of a command for traces: `00A40400 0E …` without its data. */
export function commandHeaderText(command: CommandApdu): string {
  return toHex(Uint8Array.of(command.cla, command.ins, command.p1, command.p2));
}
