/** GET STATUS: what the registry holds, page by page. @see GPCS 2.3.1 §11.4 */
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  decodeTlv,
  encodeTlv,
  type ResponseApdu,
  SW_6A86_WRONG_P1_P2,
  SW_6A88_REFERENCED_DATA_NOT_FOUND,
  SW_9000_OK,
} from '../../iso7816/index.ts';
import {
  encodePrivileges,
  hasPrivilege,
  LOAD_FILE_01_LOADED,
  STATUS_10_LOAD_FILES_AND_MODULES,
  STATUS_20_LOAD_FILES,
  STATUS_40_APPLICATIONS,
  STATUS_80_ISSUER_DOMAIN,
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
import { isBelow } from './authority.ts';
import { STATUS_PAGE_BYTES_MAX } from './profile.ts';
import type { CardEntry, CardState, LoadFile } from './state.ts';
import {
  CardRefusal,
  dataOf,
  decoded,
  requireCondition,
  requireData,
  requireSession,
  selectedDomain,
  type Work,
} from './work.ts';

const SCOPES: readonly number[] = [
  ...[STATUS_80_ISSUER_DOMAIN, STATUS_40_APPLICATIONS],
  ...[STATUS_20_LOAD_FILES, STATUS_10_LOAD_FILES_AND_MODULES],
];

/** One page. A domain without Global Registry sees itself and what is below it. */
export function getStatus(work: Work, command: CommandApdu): ResponseApdu {
  requireSession(work, { isReading: true });
  const { channel } = work;
  const { p1: scope, p2 } = command;
  const isNext = (p2 & STATUS_P2_NEXT) !== 0;
  if (!SCOPES.includes(scope) || (p2 & ~STATUS_P2_NEXT) !== STATUS_P2_TLV) {
    throw new CardRefusal(SW_6A86_WRONG_P1_P2, 'scope or form is not known');
  }
  const aid = searchedName(dataOf(command));
  const before = channel.listing;
  requireCondition(
    !isNext || (before?.scope === scope && before.aid === aid),
    'there is no page before this one',
  );
  const all = entriesOf(work, scope, aid);
  const start = isNext ? (before?.next ?? 0) : 0;
  const page: Uint8Array[] = [];
  let bytes = 0;
  for (const entry of all.slice(start)) {
    if (page.length > 0 && bytes + entry.length > STATUS_PAGE_BYTES_MAX) break;
    page.push(entry);
    bytes += entry.length;
  }
  if (page.length === 0) {
    throw new CardRefusal(SW_6A88_REFERENCED_DATA_NOT_FOUND, 'no entry of that name');
  }
  const next = start + page.length;
  const isMore = next < all.length;
  channel.listing = isMore ? { scope, aid, next } : null;
  return { data: concatBytes(...page), statusWord: isMore ? SW_6310_MORE_DATA : SW_9000_OK };
}

function searchedName(data: Uint8Array): string {
  const [name] = decoded(() => decodeTlv(data));
  requireData(name?.tag === TAG_4F_AID, 'the name to search begins with 4F');
  return toHex(name.value);
}

function entriesOf(work: Work, scope: number, aid: string): readonly Uint8Array[] {
  const { state } = work;
  const domain = selectedDomain(work);
  const isGlobal = hasPrivilege(domain.privileges, 'globalRegistry');
  const isSeen = (entry: { readonly aid: string; readonly domainAid: string }): boolean =>
    entry.aid.startsWith(aid) &&
    (isGlobal || entry.aid === domain.aid || isBelow(state, entry.domainAid, domain.aid));
  if (scope === STATUS_20_LOAD_FILES || scope === STATUS_10_LOAD_FILES_AND_MODULES) {
    const isWithModules = scope === STATUS_10_LOAD_FILES_AND_MODULES;
    return state.loadFiles.filter(isSeen).map((file) => loadFileEntry(file, { isWithModules }));
  }
  const isIssuer = scope === STATUS_80_ISSUER_DOMAIN;
  return state.entries
    .filter((entry) => (entry.aid === state.issuerDomainAid) === isIssuer)
    .filter(isSeen)
    .map((entry) => registryEntry(state, entry));
}

/** The state of the issuer's domain is that of the card. @see GPCS 2.3.1 §5.1 */
function registryEntry(state: CardState, entry: CardEntry): Uint8Array {
  const isIssuer = entry.aid === state.issuerDomainAid;
  return encodeTlv(
    TAG_E3_REGISTRY_ENTRY,
    concatBytes(
      encodeTlv(TAG_4F_AID, fromHex(entry.aid)),
      encodeTlv(
        TAG_9F70_LIFE_CYCLE_STATE,
        Uint8Array.of(isIssuer ? state.lifeCycle : entry.lifeCycle),
      ),
      encodeTlv(TAG_C5_PRIVILEGES, encodePrivileges(entry.privileges)),
      entry.loadFileAid === null
        ? new Uint8Array()
        : encodeTlv(TAG_C4_LOAD_FILE_AID, fromHex(entry.loadFileAid)),
      encodeTlv(TAG_CC_DOMAIN_AID, fromHex(entry.domainAid)),
    ),
  );
}

function loadFileEntry(
  file: LoadFile,
  { isWithModules }: { readonly isWithModules: boolean },
): Uint8Array {
  const modules = isWithModules ? file.moduleAids : [];
  return encodeTlv(
    TAG_E3_REGISTRY_ENTRY,
    concatBytes(
      encodeTlv(TAG_4F_AID, fromHex(file.aid)),
      encodeTlv(TAG_9F70_LIFE_CYCLE_STATE, Uint8Array.of(LOAD_FILE_01_LOADED)),
      ...modules.map((aid) => encodeTlv(TAG_84_DEDICATED_FILE_NAME, fromHex(aid))),
      encodeTlv(TAG_CC_DOMAIN_AID, fromHex(file.domainAid)),
    ),
  );
}
