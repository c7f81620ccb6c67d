/** APDUs as people may see them: PAN, tracks, names and PIN data are masked, the rest is hex. */
import { maskPan, TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  type CardChannel,
  decodeCommand,
  decodeResponse,
  decodeTlv,
  encodeTlv,
  type ResponseApdu,
  statusWordHex,
  type Tlv,
} from '@tapnpay/protocol/iso7816';

/** One exchange for a trace; both texts are masked. */
export type ApduRecord = {
  readonly number: number;
  readonly command: string;
  /** Data and status word, or the code of the fault. */
  readonly response: string;
};

/** Data that is the PAN as its digits: first six and last four stay. */
const PAN_TAGS: ReadonlySet<string> = new Set(['5A']);
/**
 * Data that is hidden whole: tracks and their discretionary data, cardholder name and identity
 * number, PIN data, and the card's certificate, whose recovered text holds the PAN.
 */
const HIDDEN_TAGS: ReadonlySet<string> = new Set([
  ...['56', '57', '9F6B', '9F1F', '9F20', '5F20', '9F0B', '9F61', '99', '9F46', '9F2D'],
]);
/** VERIFY and PIN CHANGE: their data holds a PIN. */
export const INS_WITH_PIN: ReadonlySet<number | undefined> = new Set([0x20, 0x24]);
/**
 * Commands whose answers hold PAN or track 2: READ RECORD, GPO of a contactless card, and the rest
 * of either by GET RESPONSE.
 */
export const INS_WITH_ACCOUNT: ReadonlySet<number | null> = new Set([0xb2, 0xa8, 0xc0]);

/** Reports each exchange, masked, after its answer. */
export function traceCard(card: CardChannel, onApdu: (record: ApduRecord) => void): CardChannel {
  let number = 0;
  return {
    transmit: async (command) => {
      number += 1;
      const shown = { number, command: maskCommand(command) };
      try {
        const answer = await card.transmit(command);
        onApdu({ ...shown, response: maskResponse(command, answer) });
        return answer;
      } catch (fault) {
        const code = fault instanceof TapError ? fault.code : 'ERR_CARD_TRANSPORT';
        onApdu({ ...shown, response: code });
        throw fault;
      }
    },
  };
}

/** A command without PIN data. */
export function maskCommand(wire: Uint8Array): string {
  if (!INS_WITH_PIN.has(wire[1])) return toHex(wire);
  return toHex(wire.subarray(0, 5)) + stars(Math.max(0, wire.length - 5));
}

/** An answer without cardholder data; unreadable ones are hidden where an account could be. */
export function maskResponse(command: Uint8Array, wire: Uint8Array): string {
  let response: ResponseApdu;
  try {
    response = decodeResponse(wire);
  } catch {
    return stars(wire.length);
  }
  return maskData(insOf(command), response.data) + statusWordHex(response.statusWord);
}

function insOf(command: Uint8Array): number | null {
  try {
    return decodeCommand(command).ins;
  } catch {
    return null;
  }
}

function maskData(ins: number | null, data: Uint8Array): string {
  if (data.length === 0) return '';
  try {
    const objects = decodeTlv(data);
    // Filler and odd lengths are shown as they came whenever nothing in them is hidden.
    if (!holdsHidden(objects)) return toHex(data);
    return objects.map(maskObject).join('');
  } catch {
    return INS_WITH_ACCOUNT.has(ins) ? stars(data.length) : toHex(data);
  }
}

function holdsHidden(objects: readonly Tlv[]): boolean {
  return objects.some(
    ({ tag, children }) =>
      HIDDEN_TAGS.has(tag) || PAN_TAGS.has(tag) || (children && holdsHidden(children)) === true,
  );
}

function maskObject(object: Tlv): string {
  const { tag, value, children } = object;
  const header = toHex(encodeTlv(tag, value)).slice(0, -2 * value.length || undefined);
  if (children) return header + children.map(maskObject).join('');
  if (PAN_TAGS.has(tag)) return header + maskDigits(value);
  return header + (HIDDEN_TAGS.has(tag) ? stars(value.length) : toHex(value));
}

function maskDigits(value: Uint8Array): string {
  const digits = toHex(value);
  const number = digits.replace(/F+$/, '');
  return maskPan(number) + digits.slice(number.length);
}

function stars(lengthBytes: number): string {
  return '**'.repeat(lengthBytes);
}
