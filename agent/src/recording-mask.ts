/**
 * A recorded session without its cardholder, of the same lengths: a kernel that reads the replay
 * finds every data object in its place. A PAN becomes a sandbox PAN, the same wherever it stands.
 */
import { asciiToBytes, byteAt, fromHex, luhnCheckDigit, toHex } from '@tapnpay/protocol/bytes';
import { decodeTlv, type Tlv } from '@tapnpay/protocol/iso7816';
import { INS_WITH_ACCOUNT, INS_WITH_PIN } from './apdu-trace.ts';

/** One exchange in hex; no response when it ended with a fault. */
export type RecordedExchange = {
  readonly command: string;
  readonly response?: string;
  readonly fault?: string;
};

const SANDBOX_BIN = '629999';
/** Track 2 as BCD: PAN, separator, expiry, service code, discretionary data. @see ISO 7813 */
const TRACK_2 = /^([0-9]{12,19})D([0-9]{0,7})([0-9]*)(F?)$/;
const PAN = /^([0-9]{12,19})F*$/;
const TRACK_2_TAGS: ReadonlySet<string> = new Set(['57', '9F6B']);
const TAG_PAN = '5A';
const TEXT_X = 0x58;
const TEXT_0 = 0x30;
/**
 * Data that is overwritten whole, and with what: names and identity numbers as text of that kind;
 * track 1, discretionary data, PIN data; and what holds the PAN under a public key, the card's own
 * certificates, which no longer verify after that.
 */
const OVERWRITTEN: Readonly<Record<string, number>> = {
  '5F20': TEXT_X,
  '9F0B': TEXT_X,
  '9F61': TEXT_0,
  '56': TEXT_0,
  '9F1F': TEXT_0,
  '9F20': 0,
  '99': 0,
  '9F46': 0,
  '9F2D': 0,
};

/** The session with its secrets replaced; the number of exchanges and all lengths stay. */
export function maskExchanges(exchanges: readonly RecordedExchange[]): RecordedExchange[] {
  const pans = new Map<string, string>();
  for (const { response } of exchanges) {
    for (const pan of pansIn(response)) {
      if (!pans.has(pan)) pans.set(pan, sandboxPan(pan.length, pans.size));
    }
  }
  const hide = (hex: string): string => replaceDigits(hex, pans);
  return exchanges.map(({ command, response, fault }) => ({
    command: hide(maskPinCommand(command)),
    ...(response === undefined ? {} : { response: hide(maskAnswer(command, response, pans)) }),
    ...(fault === undefined ? {} : { fault }),
  }));
}

/** Sandbox PAN number `index` of a length, its last digit by Luhn. @see ISO 7812 */
export function sandboxPan(digits: number, index: number): string {
  const body = SANDBOX_BIN + String(index).padStart(digits - SANDBOX_BIN.length - 1, '0');
  return body + luhnCheckDigit(body);
}

function maskPinCommand(command: string): string {
  const ins = Number.parseInt(command.slice(2, 4), 16);
  if (!INS_WITH_PIN.has(ins)) return command;
  return command.slice(0, 10) + '0'.repeat(Math.max(0, command.length - 10));
}

/** Every PAN that an answer names. */
function pansIn(response: string | undefined): readonly string[] {
  const objects = objectsOf(response);
  return (objects ?? []).flatMap(({ tag, value }) => {
    const digits = toHex(value);
    if (tag === TAG_PAN) return PAN.exec(digits)?.slice(1, 2) ?? [];
    if (TRACK_2_TAGS.has(tag)) return TRACK_2.exec(digits)?.slice(1, 2) ?? [];
    if (tag !== '56') return [];
    const track1 = String.fromCharCode(...value);
    return /^B([0-9]{12,19})\^/.exec(track1)?.slice(1, 2) ?? [];
  });
}

/** Primitive objects of an answer; null when it is no TLV. */
function objectsOf(response: string | undefined): readonly Tlv[] | null {
  if (response === undefined || response.length < 4) return [];
  try {
    return primitives(decodeTlv(fromHex(response.slice(0, -4))));
  } catch {
    return null;
  }
}

function primitives(objects: readonly Tlv[]): readonly Tlv[] {
  return objects.flatMap((object) => (object.children ? primitives(object.children) : [object]));
}

function maskAnswer(command: string, response: string, pans: ReadonlyMap<string, string>): string {
  const objects = objectsOf(response);
  if (objects === null) {
    const ins = Number.parseInt(command.slice(2, 4), 16);
    if (!INS_WITH_ACCOUNT.has(ins)) return response;
    return '0'.repeat(response.length - 4) + response.slice(-4);
  }
  const bytes = fromHex(response);
  for (const object of objects) {
    const value = maskedValue(object, pans);
    if (value !== null) bytes.set(value, valueOffset(bytes, object));
  }
  return toHex(bytes);
}

/** Null: the value stays. */
function maskedValue({ tag, value }: Tlv, pans: ReadonlyMap<string, string>): Uint8Array | null {
  const fill = OVERWRITTEN[tag];
  if (fill !== undefined) return new Uint8Array(value.length).fill(fill);
  // What has not the shape of a PAN or a track is none of its parts.
  if (tag === TAG_PAN) return PAN.test(toHex(value)) ? null : new Uint8Array(value.length);
  if (!TRACK_2_TAGS.has(tag)) return null;
  const [, pan = '', plain = '', discretionary = '', end = ''] = TRACK_2.exec(toHex(value)) ?? [];
  if (pan === '') return new Uint8Array(value.length);
  const masked = `${pans.get(pan) ?? pan}D${plain}${'0'.repeat(discretionary.length)}${end}`;
  return fromHex(masked);
}

/** Where the value stands: after the tag and a length of one byte or more. */
function valueOffset(bytes: Uint8Array, { tag, offsetBytes }: Tlv): number {
  const length = offsetBytes + tag.length / 2;
  const first = byteAt(bytes, length);
  return length + 1 + (first > 0x80 ? first & 0x7f : 0);
}

/** The PANs wherever else they stand, as digits at any half byte or as text. */
function replaceDigits(hex: string, pans: ReadonlyMap<string, string>): string {
  let hidden = hex;
  for (const [pan, sandbox] of pans) {
    hidden = hidden.replaceAll(pan, sandbox);
    hidden = hidden.replaceAll(toHex(asciiToBytes(pan)), toHex(asciiToBytes(sandbox)));
  }
  return hidden;
}
