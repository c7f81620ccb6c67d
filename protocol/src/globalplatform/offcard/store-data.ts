/** STORE DATA in data groupings or BER-TLV, clear or enciphered. @see GPCS 2.3.1 §11.11 */
import { concatBytes, fromHex } from '../../bytes/index.ts';
import { padIso9797Method2 } from '../../crypto/index.ts';
import { type CommandApdu, encodeTlv } from '../../iso7816/index.ts';
import {
  BLOCK_NUMBERS_MAX,
  CLA_GLOBALPLATFORM,
  type DataGrouping,
  DGI_00B9_KEY_CONTROL,
  encodeDataGrouping,
  INS_E2_STORE_DATA,
  isKeyGrouping,
  KEY_TYPE_88_AES,
  limitFault,
  STORE_DATA_08_DGI,
  STORE_DATA_10_BER_TLV,
  STORE_DATA_60_ENCRYPTED,
  STORE_DATA_80_LAST_BLOCK,
} from '../data/index.ts';
import type { HostSession } from './session.ts';

/** A BER-TLV object to store. */
export type StoredObject = { readonly tag: string; readonly value: Uint8Array };
/** How values travel; enciphered ones under the session's key for data. */
export type StoreDataOptions = { readonly isEncrypted?: boolean };

/**
 * Groupings, P1 with the bit that says so (report 14).
 * @throws GlobalPlatformError `ERR_GP_LIMIT`.
 */
export function storeDataGroupings(
  session: HostSession,
  groupings: readonly DataGrouping[],
  options: StoreDataOptions = {},
): readonly CommandApdu[] {
  const parts = groupings.map(({ identifier, value }) => {
    const isClear = !options.isEncrypted || identifier === DGI_00B9_KEY_CONTROL;
    const isWhole = isKeyGrouping(identifier);
    const travelling = isClear ? value : enciphered(session, value, { isWhole });
    return encodeDataGrouping({ identifier, value: travelling });
  });
  return blocks(session, concatBytes(...parts), STORE_DATA_08_DGI | encryptedBits(options));
}

/** BER-TLV objects. @throws GlobalPlatformError `ERR_GP_LIMIT`. */
export function storeDataObjects(
  session: HostSession,
  objects: readonly StoredObject[],
  options: StoreDataOptions = {},
): readonly CommandApdu[] {
  const parts = objects.map(({ tag, value }) =>
    encodeTlv(tag, options.isEncrypted ? enciphered(session, value, { isWhole: false }) : value),
  );
  return blocks(session, concatBytes(...parts), STORE_DATA_10_BER_TLV | encryptedBits(options));
}

/** The two groupings that give a domain an AES or DES key: control template and key. */
export function keyGroupings(key: {
  readonly keyIdentifier: number;
  readonly keyVersionNumber: number;
  readonly type: number;
  readonly bytes: Uint8Array;
  readonly keyCheckValue: Uint8Array;
}): readonly DataGrouping[] {
  const control = concatBytes(
    encodeTlv('95', fromHex(key.type === KEY_TYPE_88_AES ? '18' : '10')),
    encodeTlv('80', Uint8Array.of(key.type)),
    encodeTlv('81', Uint8Array.of(key.bytes.length)),
    encodeTlv('82', Uint8Array.of(key.keyIdentifier)),
    encodeTlv('83', Uint8Array.of(key.keyVersionNumber)),
    encodeTlv('84', key.keyCheckValue),
  );
  return [
    { identifier: DGI_00B9_KEY_CONTROL, value: encodeTlv('B9', control) },
    { identifier: 0x8113, value: key.bytes },
  ];
}

function encryptedBits({ isEncrypted }: StoreDataOptions): number {
  return isEncrypted ? STORE_DATA_60_ENCRYPTED : 0;
}

function enciphered(
  session: HostSession,
  value: Uint8Array,
  { isWhole }: { readonly isWhole: boolean },
): Uint8Array {
  const { blockBytes } = session;
  if (!isWhole) return session.encryptData(padIso9797Method2(value, blockBytes));
  const filled = new Uint8Array(blockBytes * Math.ceil(value.length / blockBytes));
  filled.set(value);
  return session.encryptData(filled);
}

function blocks(session: HostSession, bytes: Uint8Array, p1: number): readonly CommandApdu[] {
  const { dataBytesMax } = session;
  const count = Math.max(1, Math.ceil(bytes.length / dataBytesMax));
  if (count > BLOCK_NUMBERS_MAX) throw limitFault('STORE DATA blocks', count, BLOCK_NUMBERS_MAX);
  return Array.from({ length: count }, (_, number) => ({
    ...{ cla: CLA_GLOBALPLATFORM, ins: INS_E2_STORE_DATA, p2: number },
    p1: number === count - 1 ? p1 | STORE_DATA_80_LAST_BLOCK : p1,
    data: bytes.slice(number * dataBytesMax, (number + 1) * dataBytesMax),
  }));
}
