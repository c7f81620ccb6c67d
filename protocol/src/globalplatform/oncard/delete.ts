/** DELETE of content and of keys. @see GPCS 2.3.1 §9.5, §11.2 */
import { byteAt, toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  decodeTlv,
  type ResponseApdu,
  SW_6A86_WRONG_P1_P2,
  type Tlv,
} from '../../iso7816/index.ts';
import {
  DELETE_80_WITH_RELATED,
  hasPrivilege,
  TAG_4F_AID,
  TAG_D0_KEY_IDENTIFIER,
  TAG_D2_KEY_VERSION_NUMBER,
} from '../data/index.ts';
import { instanceOf, unhindered } from './applets.ts';
import { clearKeysOf } from './authenticate.ts';
import { requireManagement } from './authority.ts';
import { type CardKeySet, type CardState, entryOf, loadFileOf, withEntry } from './state.ts';
import {
  CardRefusal,
  dataOf,
  decoded,
  found,
  okWithoutReceipt,
  requireCondition,
  requireData,
  requireSession,
  selectedDomain,
  type Work,
} from './work.ts';

/** DELETE. */
export function deleteObject(work: Work, command: CommandApdu): ResponseApdu {
  requireSession(work);
  const isWithRelated = (command.p2 & DELETE_80_WITH_RELATED) !== 0;
  if (command.p1 !== 0 || (command.p2 & ~DELETE_80_WITH_RELATED) !== 0) {
    throw new CardRefusal(SW_6A86_WRONG_P1_P2, 'P1 is 00, P2 00 or 80');
  }
  const objects = decoded(() => decodeTlv(dataOf(command)));
  const name = objects.find(({ tag }) => tag === TAG_4F_AID);
  if (!name) return deleteKeys(work, objects);
  deleteContent(work, toHex(name.value), { isWithRelated });
  return okWithoutReceipt();
}

/** Everything that goes, the deepest first; all of it or nothing. */
function deleteContent(
  work: Work,
  aid: string,
  { isWithRelated }: { readonly isWithRelated: boolean },
): void {
  const { state } = work;
  const domain = selectedDomain(work);
  const file = loadFileOf(state, aid);
  const entry = entryOf(state, aid);
  const { domainAid } = found(file ?? entry, `object ${aid}`);
  if (!hasPrivilege(domain.privileges, 'globalDelete')) requireManagement(state, domain, domainAid);
  const related = relatedTo(state, aid);
  requireCondition(isWithRelated || related.length === 1, 'other objects depend on it');
  const selected = [...work.channels.values()].map(({ selectedAid }) => selectedAid);
  for (const gone of related) {
    const isPart = gone === state.issuerDomainAid || loadFileOf(state, gone)?.isBuiltIn === true;
    requireCondition(!isPart, 'it is part of the card');
    requireCondition(!selected.includes(gone), 'it is selected');
  }
  for (const gone of related) uninstall(work, gone);
  work.state = {
    ...state,
    entries: state.entries.filter((other) => !related.includes(other.aid)),
    loadFiles: state.loadFiles.filter((other) => !related.includes(other.aid)),
  };
}

function uninstall(work: Work, aid: string): void {
  const entry = entryOf(work.state, aid);
  if (entry?.kind !== 'application') return;
  const instance = instanceOf(work.state, entry);
  unhindered(work, () => work.ports.runner.uninstall(instance));
}

/** An object and what cannot be without it: instances of a file, content of a domain. */
function relatedTo(state: CardState, aid: string): readonly string[] {
  const gone = new Set([aid]);
  // Each round adds what depends on the round before; there are no more rounds than objects.
  for (let rounds = state.entries.length + state.loadFiles.length; rounds > 0; rounds--) {
    const before = gone.size;
    for (const entry of state.entries) {
      const isOfFile = entry.loadFileAid !== null && gone.has(entry.loadFileAid);
      if (isOfFile || gone.has(entry.domainAid)) gone.add(entry.aid);
    }
    for (const file of state.loadFiles) if (gone.has(file.domainAid)) gone.add(file.aid);
    if (gone.size === before) break;
  }
  return [...gone];
}

/** DELETE [key] by identifier, by version, or both; a domain keeps one set to be managed by. */
function deleteKeys(work: Work, objects: readonly Tlv[]): ResponseApdu {
  const domain = selectedDomain(work);
  const numberOf = (wanted: string): number | null => {
    const value = objects.find(({ tag }) => tag === wanted)?.value;
    return value && value.length === 1 ? byteAt(value, 0) : null;
  };
  const identifier = numberOf(TAG_D0_KEY_IDENTIFIER);
  const version = numberOf(TAG_D2_KEY_VERSION_NUMBER);
  requireData(identifier !== null || version !== null, 'neither name nor key');
  const isGone = (setVersion: number, keyIdentifier: number): boolean =>
    (version === null || version === setVersion) &&
    (identifier === null || identifier === keyIdentifier);
  const keySets: readonly CardKeySet[] = domain.keySets
    .map((set) => ({
      ...set,
      keys: set.keys.filter((key) => !isGone(set.version, key.identifier)),
    }))
    .filter(({ keys }) => keys.length > 0);
  const count = (sets: readonly CardKeySet[]): number =>
    sets.reduce((sum, { keys }) => sum + keys.length, 0);
  found(count(keySets) < count(domain.keySets) || null, 'key');
  const hadKeys = domain.keySets.some((set) => clearKeysOf(set) !== null);
  const isManageable = !hadKeys || keySets.some((set) => clearKeysOf(set) !== null);
  requireCondition(isManageable, 'the last key set of a domain stays');
  const { session } = work.channel;
  const isInUse =
    session?.keyOwnerAid === domain.aid &&
    !keySets.some((set) => set.version === session.keyVersionNumber && clearKeysOf(set) !== null);
  requireCondition(!isInUse, 'the session was opened with that key set');
  work.state = withEntry(work.state, { ...domain, keySets });
  return okWithoutReceipt();
}
