/** Reading the registry by GET STATUS, also of cards that do it badly. @see GPCS 2.3.1 §11.4 */
import { byteAt, bytesToUint, toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  decodeTlv,
  encodeTlv,
  type ResponseApdu,
  SW_6A82_FILE_NOT_FOUND,
  SW_6A86_WRONG_P1_P2,
  SW_6A88_REFERENCED_DATA_NOT_FOUND,
  SW_9000_OK,
  type Tlv,
} from '../../iso7816/index.ts';
import {
  CLA_GLOBALPLATFORM,
  decodePrivileges,
  INS_F2_GET_STATUS,
  readBerLength,
  STATUS_10_LOAD_FILES_AND_MODULES,
  STATUS_P2_NEXT,
  STATUS_P2_TLV,
  SW_6310_MORE_DATA,
  TAG_4F_AID,
  TAG_9F70_LIFE_CYCLE_STATE,
  TAG_84_DEDICATED_FILE_NAME,
  TAG_C4_LOAD_FILE_AID,
  TAG_C5_PRIVILEGES,
  TAG_CC_DOMAIN_AID,
  TAG_E3_REGISTRY_ENTRY,
} from '../data/index.ts';
import { aidBytes } from './commands.ts';
import { assertStatus } from './open.ts';

/** Pages of one listing. */
export const STATUS_PAGES_MAX = 64;

/** One entry; null where the card says nothing. An AID may be empty (report 8). */
export type RegistryEntry = {
  readonly aid: string;
  readonly lifeCycle: number | null;
  readonly privileges: number | null;
  readonly loadFileAid: string | null;
  readonly domainAid: string | null;
  readonly moduleAids: readonly string[];
};

/** What a card lists. A cut listing is not an error: what is there can be managed (report 6). */
export type RegistryListing = {
  readonly entries: readonly RegistryEntry[];
  readonly isTruncated: boolean;
};

/** GET STATUS of a scope; an empty name asks for all. */
export function getStatusCommand(request: {
  readonly scope: number;
  readonly p2: number;
  readonly aid?: string;
}): CommandApdu {
  const { scope: p1, p2, aid = '' } = request;
  const data = encodeTlv(TAG_4F_AID, aidBytes(aid));
  return { cla: CLA_GLOBALPLATFORM, ins: INS_F2_GET_STATUS, p1, p2, data, le: 256 };
}

/**
 * All entries of a scope: pages by 6310 (report 5), the older form when the card does not know the
 * TLV one, and an empty list when it has none (report 7).
 * @throws GlobalPlatformError `ERR_GP_STATUS` for any other status word.
 */
export function* readRegistry(
  scope: number,
  aid = '',
): Generator<CommandApdu, RegistryListing, ResponseApdu> {
  let form = STATUS_P2_TLV;
  let response = yield getStatusCommand({ scope, p2: form, aid });
  if (response.statusWord === SW_6A86_WRONG_P1_P2) {
    form = 0;
    response = yield getStatusCommand({ scope, p2: form, aid });
  }
  const entries: RegistryEntry[] = [];
  for (let page = 1; ; page++) {
    const isEmpty =
      response.statusWord === SW_6A88_REFERENCED_DATA_NOT_FOUND ||
      response.statusWord === SW_6A82_FILE_NOT_FOUND;
    if (isEmpty) return { entries, isTruncated: false };
    assertStatus('GET STATUS', response, [SW_9000_OK, SW_6310_MORE_DATA]);
    const listing = form === 0 ? parseOlderForm(response.data, scope) : parseEntries(response.data);
    entries.push(...listing.entries);
    const isMore = response.statusWord === SW_6310_MORE_DATA;
    if (!isMore || page === STATUS_PAGES_MAX) {
      return { entries, isTruncated: isMore || listing.isTruncated };
    }
    response = yield getStatusCommand({ scope, p2: form | STATUS_P2_NEXT, aid });
  }
}

/** Entries E3 one after another, as many as are whole. */
export function parseEntries(bytes: Uint8Array): RegistryListing {
  const entries: RegistryEntry[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const found = readBerLength(bytes, offset + 1);
    const end = found ? found.valueOffset + found.length : Number.POSITIVE_INFINITY;
    const isEntry = toHex(bytes.subarray(offset, offset + 1)) === TAG_E3_REGISTRY_ENTRY;
    if (!isEntry || end > bytes.length) return { entries, isTruncated: true };
    const entry = entryOf(bytes.subarray(found?.valueOffset ?? offset, end));
    if (entry === null) return { entries, isTruncated: true };
    entries.push(entry);
    offset = end;
  }
  return { entries, isTruncated: false };
}

function entryOf(inside: Uint8Array): RegistryEntry | null {
  let objects: readonly Tlv[];
  try {
    objects = decodeTlv(inside);
  } catch {
    // One entry that is no TLV: the caller says that the listing is not whole.
    return null;
  }
  const value = (tag: string): Uint8Array | null =>
    objects.find((object) => object.tag === tag)?.value ?? null;
  const hex = (tag: string): string | null => {
    const found = value(tag);
    return found === null ? null : toHex(found);
  };
  const state = value(TAG_9F70_LIFE_CYCLE_STATE);
  const privileges = value(TAG_C5_PRIVILEGES);
  return {
    aid: hex(TAG_4F_AID) ?? '',
    lifeCycle: state && state.length > 0 ? byteAt(state, 0) : null,
    privileges:
      privileges && [1, 3].includes(privileges.length) ? decodePrivileges(privileges) : null,
    loadFileAid: hex(TAG_C4_LOAD_FILE_AID),
    domainAid: hex(TAG_CC_DOMAIN_AID),
    moduleAids: objects
      .filter(({ tag }) => tag === TAG_84_DEDICATED_FILE_NAME)
      .map((object) => toHex(object.value)),
  };
}

/** AID with length, state, privileges; with modules their number and AIDs. */
export function parseOlderForm(bytes: Uint8Array, scope: number): RegistryListing {
  const entries: RegistryEntry[] = [];
  let offset = 0;
  const take = (lengthBytes: number): Uint8Array | null => {
    if (offset + lengthBytes > bytes.length) return null;
    offset += lengthBytes;
    return bytes.slice(offset - lengthBytes, offset);
  };
  const takeName = (): string | null => {
    const length = take(1);
    const name = length && take(bytesToUint(length));
    return name && toHex(name);
  };
  while (offset < bytes.length) {
    const aid = takeName();
    const tail = take(2);
    if (aid === null || tail === null) return { entries, isTruncated: true };
    const moduleAids: string[] = [];
    const count = scope === STATUS_10_LOAD_FILES_AND_MODULES ? take(1) : new Uint8Array(1);
    for (let left = count ? byteAt(count, 0) : 0; left > 0; left--) {
      const name = takeName();
      if (name === null) return { entries, isTruncated: true };
      moduleAids.push(name);
    }
    entries.push({
      ...{ aid, lifeCycle: byteAt(tail, 0), privileges: decodePrivileges(tail.slice(1)) },
      ...{ loadFileAid: null, domainAid: null, moduleAids },
    });
  }
  return { entries, isTruncated: false };
}
