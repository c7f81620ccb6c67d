/**
 * The wire of vpcd, the virtual smart card driver of the vsmartcard project: each message is a
 * length of two bytes and that many bytes. One byte is a word to the card's power, more an APDU.
 */
import { byteAt, bytesToUint, concatBytes, uintToBytes } from '@tapnpay/protocol/bytes';

/** Longest message: the length has two bytes. */
export const VPCD_MESSAGE_BYTES_MAX = 65_535;

/** What the reader's side says. */
export type VpcdMessage =
  | { readonly type: 'powerOff' | 'powerOn' | 'reset' | 'getAtr' }
  | { readonly type: 'apdu'; readonly command: Uint8Array }
  /** A message of no meaning; it wants no answer. */
  | { readonly type: 'unknown'; readonly control: number };

const CONTROLS: Readonly<Record<number, 'powerOff' | 'powerOn' | 'reset' | 'getAtr'>> = {
  0: 'powerOff',
  1: 'powerOn',
  2: 'reset',
  4: 'getAtr',
};

/**
 * A message with its length, as one piece: two pieces on the way are the 44 ms that Nagle and the
 * delayed acknowledgement cost an APDU. A longer answer cannot be said.
 */
export function vpcdFrame(message: Uint8Array): Uint8Array {
  if (message.length > VPCD_MESSAGE_BYTES_MAX) {
    throw new RangeError(`vpcd carries ${VPCD_MESSAGE_BYTES_MAX} bytes, not ${message.length}`);
  }
  return concatBytes(uintToBytes(message.length, 2), message);
}

/** Cuts a stream into messages; what is incomplete is kept, at most one message of it. */
export class VpcdDecoder {
  #rest: Uint8Array = new Uint8Array(0);

  /** Messages that are complete with these bytes. */
  push(bytes: Uint8Array): readonly VpcdMessage[] {
    this.#rest = concatBytes(this.#rest, bytes);
    const messages: VpcdMessage[] = [];
    for (;;) {
      if (this.#rest.length < 2) return messages;
      const end = 2 + bytesToUint(this.#rest.subarray(0, 2));
      if (this.#rest.length < end) return messages;
      messages.push(messageOf(this.#rest.slice(2, end)));
      this.#rest = this.#rest.slice(end);
    }
  }
}

function messageOf(body: Uint8Array): VpcdMessage {
  if (body.length > 1) return { type: 'apdu', command: body };
  const control = body.length === 0 ? -1 : byteAt(body, 0);
  const type = CONTROLS[control];
  return type === undefined ? { type: 'unknown', control } : { type };
}
