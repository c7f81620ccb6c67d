/** Builders of single commands, in clear. @see GPCS 2.3.1 §11 */
import { fromHex } from '../../bytes/index.ts';
import { type CommandApdu, encodeTlv } from '../../iso7816/index.ts';
import {
  AID_BYTES_MAX,
  CLA_GLOBALPLATFORM,
  CLA_ISO,
  DELETE_80_WITH_RELATED,
  INS_70_MANAGE_CHANNEL,
  INS_A4_SELECT,
  INS_CA_GET_DATA,
  INS_E4_DELETE,
  INS_F0_SET_STATUS,
  limitFault,
  TAG_4F_AID,
  TAG_D0_KEY_IDENTIFIER,
  TAG_D2_KEY_VERSION_NUMBER,
} from '../data/index.ts';

/** An AID in hex as bytes; its length is for the card to judge (report 8). */
export function aidBytes(aid: string): Uint8Array {
  const bytes = fromHex(aid);
  if (bytes.length > AID_BYTES_MAX) throw limitFault('AID bytes', bytes.length, AID_BYTES_MAX);
  return bytes;
}

/** SELECT by name or the first bytes of one; an empty name selects the issuer's domain. */
export function selectCommand(
  aid: string,
  options: { readonly isNext?: boolean; readonly channel?: number } = {},
): CommandApdu {
  const header = { cla: CLA_ISO | (options.channel ?? 0), ins: INS_A4_SELECT, p1: 0x04 };
  const data = aidBytes(aid);
  const body = data.length > 0 ? { data, le: 256 } : { le: 256 };
  return { ...header, p2: options.isNext ? 0x02 : 0x00, ...body };
}

/** GET DATA of a tag; some cards know it in one class only (report 9). */
export function getDataCommand(tag: string, cla: number = CLA_GLOBALPLATFORM): CommandApdu {
  const number = Number.parseInt(tag, 16);
  return { cla, ins: INS_CA_GET_DATA, p1: (number >> 8) & 0xff, p2: number & 0xff, le: 256 };
}

/** DELETE of an application, domain or load file. @see GPCS 2.3.1 §11.2 */
export function deleteCommand(
  aid: string,
  options: { readonly isWithRelated?: boolean } = {},
): CommandApdu {
  const p2 = options.isWithRelated ? DELETE_80_WITH_RELATED : 0;
  const data = encodeTlv(TAG_4F_AID, aidBytes(aid));
  return { cla: CLA_GLOBALPLATFORM, ins: INS_E4_DELETE, p1: 0, p2, data, le: 256 };
}

/** DELETE of a key, of all keys of a version when there is no identifier. */
export function deleteKeyCommand(key: {
  readonly keyVersionNumber: number;
  readonly keyIdentifier?: number;
}): CommandApdu {
  const part = (tag: string, value: number | undefined): Uint8Array =>
    value === undefined ? new Uint8Array() : encodeTlv(tag, Uint8Array.of(value));
  const data = Uint8Array.of(
    ...part(TAG_D0_KEY_IDENTIFIER, key.keyIdentifier),
    ...part(TAG_D2_KEY_VERSION_NUMBER, key.keyVersionNumber),
  );
  return { cla: CLA_GLOBALPLATFORM, ins: INS_E4_DELETE, p1: 0, p2: 0, data, le: 256 };
}

/** SET STATUS: P1 says of what, `aid` of which. @see GPCS 2.3.1 §11.10 */
export function setStatusCommand(request: {
  readonly scope: number;
  readonly state: number;
  readonly aid: string;
}): CommandApdu {
  const { scope, state, aid } = request;
  const header = { cla: CLA_GLOBALPLATFORM, ins: INS_F0_SET_STATUS, p1: scope, p2: state };
  const data = aidBytes(aid);
  return data.length > 0 ? { ...header, data } : header;
}

/** MANAGE CHANNEL: opens the channel that the card chooses. */
export function openChannelCommand(): CommandApdu {
  return { cla: CLA_ISO, ins: INS_70_MANAGE_CHANNEL, p1: 0x00, p2: 0x00, le: 1 };
}

/** MANAGE CHANNEL: closes one. */
export function closeChannelCommand(channel: number): CommandApdu {
  return { cla: CLA_ISO, ins: INS_70_MANAGE_CHANNEL, p1: 0x80, p2: channel };
}
