/** STORE DATA: collected to the last block, then taken as a whole. @see GPCS 2.3.1 §11.11 */
import { byteAt, concatBytes } from '../../bytes/index.ts';
import {
  type CommandApdu,
  decodeTlv,
  encodeTlv,
  findTlv,
  type ResponseApdu,
  SW_9000_OK,
} from '../../iso7816/index.ts';
import {
  type DataGrouping,
  DGI_00B9_KEY_CONTROL,
  DGI_0070_TLV,
  DGI_8113_KEY_DATA,
  decodeDataGroupings,
  decodeOneLevel,
  isKeyGrouping,
  isSelectable,
  STORE_DATA_08_DGI,
  STORE_DATA_10_BER_TLV,
  STORE_DATA_60_ENCRYPTED,
  STORE_DATA_80_LAST_BLOCK,
  SW_6A84_NOT_ENOUGH_MEMORY,
  unpadIso9797Method2,
} from '../data/index.ts';
import { guarded, instanceOf, takeResult } from './applets.ts';
import { COMPUTED_TAGS } from './card-data.ts';
import type { PersonalisationData } from './ports.ts';
import { DOMAIN_OBJECTS_MAX, STORE_DATA_BYTES_MAX } from './profile.ts';
import { secretKey, withKeys } from './put-key.ts';
import { type SecurityDomain, withEntry } from './state.ts';
import {
  CardRefusal,
  dataOf,
  decoded,
  found,
  foundEntry,
  ok,
  requireCondition,
  requireData,
  requireSession,
  selectedDomain,
  type Work,
} from './work.ts';

const FORM_BITS = STORE_DATA_60_ENCRYPTED | STORE_DATA_10_BER_TLV | STORE_DATA_08_DGI;

/** STORE DATA: one block. What is refused ends the whole. */
export function storeData(work: Work, command: CommandApdu): ResponseApdu {
  requireSession(work);
  const { channel } = work;
  const form = command.p1 & FORM_BITS;
  const before = channel.store ?? { form, blocks: [], bytes: 0 };
  channel.store = null;
  requireData(before.form === form, 'all blocks have one form');
  requireCondition(command.p2 === before.blocks.length, `block ${command.p2} is out of turn`);
  const block = dataOf(command);
  const bytes = before.bytes + block.length;
  if (bytes > STORE_DATA_BYTES_MAX) {
    throw new CardRefusal(SW_6A84_NOT_ENOUGH_MEMORY, 'too much data at once');
  }
  const all = { form, bytes, blocks: [...before.blocks, block] };
  if ((command.p1 & STORE_DATA_80_LAST_BLOCK) === 0) {
    channel.store = all;
    return ok();
  }
  return take(work, readData(work, form, concatBytes(...all.blocks)));
}

/** The data in clear. */
function readData(work: Work, form: number, bytes: Uint8Array): PersonalisationData {
  const isEncrypted = (form & STORE_DATA_60_ENCRYPTED) === STORE_DATA_60_ENCRYPTED;
  if ((form & STORE_DATA_08_DGI) !== 0) {
    const groupings = decoded(() => decodeDataGroupings(bytes)).map((grouping) =>
      isEncrypted ? clearGrouping(work, grouping) : grouping,
    );
    return { form: 'groupings', bytes, groupings };
  }
  if ((form & STORE_DATA_10_BER_TLV) === 0) {
    const clear = isEncrypted ? deciphered(work, bytes, { isPadded: true }) : bytes;
    return { form: 'plain', bytes: clear, groupings: [] };
  }
  if (!isEncrypted) return { form: 'tlv', bytes, groupings: [] };
  const objects = clearTlv(work, bytes);
  return { form: 'tlv', bytes: concatBytes(...objects), groupings: [] };
}

/** Values are enciphered one by one; the key control template is not. */
function clearGrouping(work: Work, { identifier, value }: DataGrouping): DataGrouping {
  if (identifier === DGI_00B9_KEY_CONTROL) return { identifier, value };
  const isPadded = !isKeyGrouping(identifier);
  return { identifier, value: deciphered(work, value, { isPadded }) };
}

/** Top-level objects with their values in clear. */
function clearTlv(work: Work, bytes: Uint8Array): readonly Uint8Array[] {
  return decoded(() => decodeOneLevel(bytes)).map(({ tag, value }) =>
    encodeTlv(tag, deciphered(work, value, { isPadded: true })),
  );
}

function deciphered(
  work: Work,
  bytes: Uint8Array,
  { isPadded }: { readonly isPadded: boolean },
): Uint8Array {
  const { messages } = requireSession(work);
  requireData(
    bytes.length > 0 && bytes.length % messages.blockBytes === 0,
    'enciphered data are whole blocks',
  );
  const clear = messages.decipher(bytes);
  return isPadded ? decoded(() => unpadIso9797Method2(clear)) : clear;
}

/** For the application of INSTALL [for personalization], else for the domain itself. */
function take(work: Work, data: PersonalisationData): ResponseApdu {
  const { personalisedAid } = work.channel;
  if (personalisedAid === null) {
    work.state = withEntry(work.state, withData(work, selectedDomain(work), data));
    return ok();
  }
  const entry = foundEntry(work, personalisedAid);
  requireCondition(isSelectable(entry.lifeCycle), 'it is locked');
  if (entry.kind === 'domain') {
    work.state = withEntry(work.state, withData(work, entry, data));
    return ok();
  }
  const instance = instanceOf(work.state, entry);
  const result = guarded(work, entry.aid, () => work.ports.runner.personalise(instance, data));
  const { response } = result;
  if (response.statusWord !== SW_9000_OK) {
    throw new CardRefusal(response.statusWord, 'the application does not take the data');
  }
  takeResult(work, entry, result);
  return response;
}

function withData(work: Work, domain: SecurityDomain, data: PersonalisationData): SecurityDomain {
  requireData(data.form !== 'plain', 'a domain takes groupings or BER-TLV');
  if (data.form === 'tlv') return withObjects(domain, data.bytes);
  let next = domain;
  let control: Uint8Array | null = null;
  const keys: KeyOfGrouping[] = [];
  for (const { identifier, value } of data.groupings) {
    if (identifier === DGI_0070_TLV) next = withObjects(next, value);
    else if (identifier === DGI_00B9_KEY_CONTROL) control = value;
    else if (identifier === DGI_8113_KEY_DATA) {
      keys.push(keyOfGrouping(work, found(control, 'key control template'), value));
      control = null;
    } else requireData(false, `grouping ${identifier.toString(16)}`);
  }
  return withGroupedKeys(next, keys);
}

function withObjects(domain: SecurityDomain, bytes: Uint8Array): SecurityDomain {
  const added = decoded(() => decodeTlv(bytes)).map(({ tag, value }) => ({ tag, value }));
  requireData(
    added.every(({ tag }) => !COMPUTED_TAGS.includes(tag) && tag.length <= 4),
    'the card makes that object itself',
  );
  const kept = domain.objects.filter((old) => !added.some(({ tag }) => tag === old.tag));
  const objects = [...kept, ...added];
  if (objects.length > DOMAIN_OBJECTS_MAX) {
    throw new CardRefusal(SW_6A84_NOT_ENOUGH_MEMORY, 'too many objects');
  }
  return { ...domain, objects };
}

type KeyOfGrouping = { readonly version: number; readonly key: ReturnType<typeof secretKey> };

/** The key of 8113 with the control template of 00B9 before it. @see GPCS 2.3.1 §11.11.4 */
function keyOfGrouping(work: Work, control: Uint8Array, value: Uint8Array): KeyOfGrouping {
  const objects = decoded(() => decodeTlv(control));
  const bytesOf = (tag: string): Uint8Array => found(findTlv(objects, tag)?.value, `tag ${tag}`);
  const numberOf = (tag: string): number => decoded(() => byteAt(bytesOf(tag), 0));
  const lengthBytes = numberOf('81');
  requireData(lengthBytes <= value.length, 'the key is shorter than its template says');
  const key = {
    identifier: numberOf('82'),
    type: numberOf('80'),
    bytes: value.slice(0, lengthBytes),
  };
  return { version: numberOf('83'), key: secretKey(work, key, bytesOf('84')) };
}

/** Keys of one version come as a set. */
function withGroupedKeys(domain: SecurityDomain, keys: readonly KeyOfGrouping[]): SecurityDomain {
  const versions = [...new Set(keys.map(({ version }) => version))];
  return versions.reduce((next, version) => {
    const isThere = next.keySets.some((set) => set.version === version);
    return withKeys(next, {
      ...{ version, replaced: isThere ? version : 0 },
      keys: keys.filter((one) => one.version === version).map(({ key }) => key),
    });
  }, domain);
}
