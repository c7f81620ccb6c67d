/** Network management messages: sign-on, sign-off, echo, key reset. @see Q/CUP 006, 0800/0820 */
import { fromHex, KeyCheckValue, toHex } from '../bytes/index.ts';
import { fault } from './errors.ts';
import {
  DE_39_RESPONSE_CODE,
  DE_48_ADDITIONAL_DATA,
  DE_53_SECURITY_CONTROL,
  DE_70_NETWORK_MANAGEMENT_CODE,
  DE_96_NEW_KEY,
} from './fields.ts';
import {
  type Iso8583Message,
  makeMessage,
  requireBytes,
  requireText,
  responseMti,
  textField,
} from './message.ts';

/** Field 70. */
export const NetworkCode = {
  signOn: '001',
  signOff: '002',
  keyReset: '101',
  echo: '301',
} as const;
export type NetworkCode = (typeof NetworkCode)[keyof typeof NetworkCode];

/** Which working key a key reset carries. */
export type WorkingKey = 'pin' | 'mac';

/** Field 53 of a key reset: key (1 PIN, 2 MAC), then 6 for double length. */
const KEY_CONTROL: Readonly<Record<WorkingKey, string>> = {
  pin: '1600000000000000',
  mac: '2600000000000000',
};

/** Identity of one network management message. */
export type NetworkIdentity = {
  readonly stan: string;
  /** MMDDhhmmss. */
  readonly transmission: string;
  /** Field 33: who sends it. */
  readonly institution: string;
};

/** 0820: sign-on, sign-off or echo. */
export function buildNetworkRequest(
  identity: NetworkIdentity,
  code: Exclude<NetworkCode, '101'>,
): Iso8583Message {
  return makeMessage('0820', [...identityFields(identity), [DE_70_NETWORK_MANAGEMENT_CODE, code]]);
}

/** A working key on its way to a member. */
export type KeyReset = {
  readonly key: WorkingKey;
  /** First 4 bytes of zeros enciphered under the key, hex. */
  readonly kcv: string;
  /** The double-length key, 3DES-ECB under the line's zone master key, hex. */
  readonly enciphered: string;
};

/** 0800/101: one new working key. */
export function buildKeyReset(identity: NetworkIdentity, reset: KeyReset): Iso8583Message {
  return makeMessage('0800', [
    ...identityFields(identity),
    [DE_48_ADDITIONAL_DATA, `NK${reset.kcv}`],
    [DE_53_SECURITY_CONTROL, KEY_CONTROL[reset.key]],
    [DE_70_NETWORK_MANAGEMENT_CODE, NetworkCode.keyReset],
    [DE_96_NEW_KEY, fromHex(reset.enciphered)],
  ]);
}

/** The key of an 0800/101. @throws Iso8583Error `ERR_ISO8583_FIELD`, `ERR_ISO8583_MISSING`. */
export function decodeKeyReset(message: Iso8583Message): KeyReset {
  const control = requireText(message, DE_53_SECURITY_CONTROL);
  const key = (['pin', 'mac'] as const).find((name) => KEY_CONTROL[name] === control);
  if (!key) throw fault('ERR_ISO8583_FIELD', at('F53'), 'names no working key');
  const match = /^NK([0-9A-F]{8})$/.exec(requireText(message, DE_48_ADDITIONAL_DATA));
  if (!match?.[1]) throw fault('ERR_ISO8583_FIELD', at('F48'), 'holds no check value');
  const enciphered = toHex(requireBytes(message, DE_96_NEW_KEY));
  return { key, kcv: KeyCheckValue(match[1]), enciphered };
}

/** The answer to a network management request. */
export function buildNetworkReply(request: Iso8583Message, responseCode: string): Iso8583Message {
  const echoed = [7, 11, 33, DE_53_SECURITY_CONTROL, DE_70_NETWORK_MANAGEMENT_CODE];
  return makeMessage(responseMti(request.mti), [
    ...echoed.map((number) => [number, textField(request, number)] as const),
    [DE_39_RESPONSE_CODE, responseCode],
  ]);
}

/** China Standard Time, the clock of every CUPS member, has had one offset since 1991. */
const LOCAL_OFFSET_MS = 8 * 3_600_000;

/** Field 7 of an instant, MMDDhhmmss. */
export function transmissionDateTime(nowMs: number): string {
  const digits = new Date(nowMs + LOCAL_OFFSET_MS).toISOString().replace(/[^0-9]/g, '');
  return digits.slice(4, 14);
}

function identityFields(identity: NetworkIdentity): readonly (readonly [number, string])[] {
  return [
    [7, identity.transmission],
    [11, identity.stan],
    [33, identity.institution],
  ];
}

function at(fieldPath: string): { fieldPath: string; offsetBytes: number } {
  return { fieldPath, offsetBytes: 0 };
}
