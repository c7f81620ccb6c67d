/** INSTALL but for load: instances, their domains and privileges. @see GPCS 2.3.1 §11.5 */
import { toHex } from '../../bytes/index.ts';
import { type CommandApdu, type ResponseApdu, SW_6A86_WRONG_P1_P2 } from '../../iso7816/index.ts';
import {
  APPLICATION_03_INSTALLED,
  APPLICATION_07_SELECTABLE,
  decodeExtraditionRules,
  decodeInstallParameters,
  decodeLengthValues,
  decodePrivileges,
  hasPrivilege,
  INSTALL_02_FOR_LOAD,
  INSTALL_04_FOR_INSTALL,
  INSTALL_08_FOR_MAKE_SELECTABLE,
  INSTALL_10_FOR_EXTRADITION,
  INSTALL_20_FOR_PERSONALIZATION,
  INSTALL_40_FOR_REGISTRY_UPDATE,
  type InstallParameters,
  isLocked,
  isSelectable,
} from '../data/index.ts';
import { assertMemory, guarded } from './applets.ts';
import { isBelow, requireGrantable, requireManagement } from './authority.ts';
import { assertRoom, installForLoad, nameOf, requireNewName } from './load.ts';
import {
  type Application,
  type CardEntry,
  type CardState,
  DOMAIN_MODULE_AID,
  domainOf,
  entryOf,
  freeBytes,
  loadFileOf,
  type SecurityDomain,
  usedBytes,
  withEntry,
} from './state.ts';
import {
  CardRefusal,
  dataOf,
  decoded,
  found,
  foundEntry,
  type Handler,
  okWithoutReceipt,
  requireCondition,
  requireData,
  requireSession,
  selectedDomain,
  type Work,
} from './work.ts';

const KINDS: Readonly<Record<number, Handler>> = {
  [INSTALL_02_FOR_LOAD]: installForLoad,
  [INSTALL_04_FOR_INSTALL]: installForInstall,
  [INSTALL_08_FOR_MAKE_SELECTABLE]: makeSelectable,
  [INSTALL_04_FOR_INSTALL | INSTALL_08_FOR_MAKE_SELECTABLE]: installForInstall,
  [INSTALL_10_FOR_EXTRADITION]: extradite,
  [INSTALL_20_FOR_PERSONALIZATION]: personalise,
  [INSTALL_40_FOR_REGISTRY_UPDATE]: updateRegistry,
};

/** INSTALL of every kind. */
export function install(work: Work, command: CommandApdu): ResponseApdu {
  requireSession(work);
  const kind = KINDS[command.p1];
  if (!kind || command.p2 !== 0) throw new CardRefusal(SW_6A86_WRONG_P1_P2, 'kind is not known');
  return kind(work, command);
}

/** The six fields that all kinds but load have. */
type Fields = {
  readonly first: Uint8Array;
  readonly second: Uint8Array;
  readonly name: Uint8Array;
  readonly privileges: Uint8Array;
  readonly parameters: Uint8Array;
};

function fieldsOf(command: CommandApdu): Fields {
  const none = new Uint8Array();
  const [first = none, second = none, name = none, privileges = none, parameters = none, token] =
    decoded(() => decodeLengthValues(dataOf(command), 6));
  requireData(token?.length === 0, 'tokens are not verified by this card');
  return { first, second, name, privileges, parameters };
}

function installForInstall(work: Work, command: CommandApdu): ResponseApdu {
  const { first, second, name, privileges: privilegeField, parameters } = fieldsOf(command);
  const domain = selectedDomain(work);
  const loadFile = found(loadFileOf(work.state, toHex(first)), 'load file');
  const moduleAid = toHex(second);
  found(loadFile.moduleAids.includes(moduleAid) || null, 'module');
  // Domains come from the card's own file, and belong to the domain that makes them.
  const isDomain = loadFile.isBuiltIn && moduleAid === DOMAIN_MODULE_AID;
  const domainAid = loadFile.isBuiltIn ? domain.aid : loadFile.domainAid;
  requireManagement(work.state, domain, domainAid);
  const aid = nameOf(name);
  requireNewName(work.state, aid);
  const privileges =
    privilegeField.length === 0 ? 0 : decoded(() => decodePrivileges(privilegeField));
  requireGrantable(domain, privileges, isDomain ? 'domain' : 'application');
  const isSelectableNow = (command.p1 & INSTALL_08_FOR_MAKE_SELECTABLE) !== 0;
  const entry = {
    ...{ aid, domainAid, privileges, moduleAid, loadFileAid: loadFile.aid },
    lifeCycle: isSelectableNow ? APPLICATION_07_SELECTABLE : APPLICATION_03_INSTALLED,
    isLockedGlobally: false,
  };
  const read = decoded(() => decodeInstallParameters(parameters));
  const made = isDomain
    ? newDomain(work, entry, read)
    : newApplication(work, entry, { read, code: loadFile.code });
  work.state = withEntry(withoutOtherReset(work.state, privileges), made);
  return okWithoutReceipt();
}

type NewEntry = Pick<
  CardEntry,
  'aid' | 'domainAid' | 'privileges' | 'lifeCycle' | 'isLockedGlobally'
> & { readonly loadFileAid: string; readonly moduleAid: string };

function newDomain(work: Work, entry: NewEntry, read: InstallParameters): SecurityDomain {
  const rules = decoded(() => decodeExtraditionRules(read.application));
  return {
    ...{ ...entry, kind: 'domain', keySets: [], objects: [], failures: { count: 0, lastMs: 0 } },
    memoryBytesMax: read.persistentBytes ?? work.profile.domainMemoryBytes,
    isExtraditionToAllowed: rules.isToAllowed,
    isExtraditionFromAllowed: rules.isFromAllowed,
  };
}

function newApplication(
  work: Work,
  entry: NewEntry,
  { read, code }: { readonly read: InstallParameters; readonly code: Uint8Array },
): Application {
  const memoryBytesMax = read.persistentBytes ?? freeBytes(work.state, entry.domainAid);
  const application: Application = {
    ...{ ...entry, kind: 'application', memoryBytesMax, persistent: new Uint8Array() },
  };
  const instance = { ...entry, code, persistent: application.persistent };
  const persistent = guarded(work, entry.aid, () =>
    work.ports.runner.install(instance, read.application ?? new Uint8Array()),
  );
  assertMemory(work.state, application, persistent.length);
  return { ...application, persistent: persistent.slice() };
}

/** One entry at most is selected after reset. @see GPCS 2.3.1 §6.6.2 */
function withoutOtherReset(state: CardState, privileges: number): CardState {
  if (!hasPrivilege(privileges, 'cardReset')) return state;
  const reset = 0x04_00_00;
  const entries = state.entries.map((entry) =>
    entry.aid === state.issuerDomainAid || !hasPrivilege(entry.privileges, 'cardReset')
      ? entry
      : { ...entry, privileges: entry.privileges & ~reset },
  );
  return { ...state, entries };
}

function makeSelectable(work: Work, command: CommandApdu): ResponseApdu {
  const { name } = fieldsOf(command);
  const entry = foundEntry(work, toHex(name));
  requireManagement(work.state, selectedDomain(work), entry.domainAid);
  requireCondition(entry.lifeCycle === APPLICATION_03_INSTALLED, 'it is not INSTALLED');
  work.state = withEntry(work.state, { ...entry, lifeCycle: APPLICATION_07_SELECTABLE });
  return okWithoutReceipt();
}

/** What is locked is not personalised. @see GPCS 2.3.1 §11.5.2.3.5 */
function personalise(work: Work, command: CommandApdu): ResponseApdu {
  const { name } = fieldsOf(command);
  const entry = foundEntry(work, toHex(name));
  const domain = selectedDomain(work);
  requireCondition(entry.domainAid === domain.aid, 'it belongs to another domain');
  requireCondition(isSelectable(entry.lifeCycle), 'it is not selectable');
  work.channel.personalisedAid = entry.aid;
  work.channel.store = null;
  return okWithoutReceipt();
}

/** To a domain that takes it, from one that lets it go (report 17). @see GPCS 2.3.1 §9.4.1 */
function extradite(work: Work, command: CommandApdu): ResponseApdu {
  const { first, name } = fieldsOf(command);
  const { state } = work;
  const domain = selectedDomain(work);
  const target = found(domainOf(state, toHex(first)), 'domain');
  const aid = toHex(name);
  const file = loadFileOf(state, aid);
  const from = file?.domainAid ?? foundEntry(work, aid).domainAid;
  requireManagement(state, domain, from);
  const isMovable = aid !== state.issuerDomainAid && file?.isBuiltIn !== true;
  requireCondition(isMovable, 'it is part of the card');
  requireCondition(!isBelow(state, target.aid, aid), 'a domain does not go below itself');
  requireCondition(domainOf(state, from)?.isExtraditionFromAllowed === true, 'its domain keeps it');
  requireCondition(target.isExtraditionToAllowed, 'the domain takes nothing');
  const isInside = isBelow(state, from, target.aid);
  if (!isInside) assertRoom(state, target.aid, bytesOf(state, aid));
  if (file) {
    const moved = { ...file, domainAid: target.aid };
    const loadFiles = state.loadFiles.map((other) => (other === file ? moved : other));
    work.state = { ...state, loadFiles };
  } else {
    const entry = foundEntry(work, aid);
    requireCondition(!isLocked(entry.lifeCycle), 'it is locked');
    work.state = withEntry(state, { ...entry, domainAid: target.aid });
  }
  return okWithoutReceipt();
}

/** Bytes that move with an object. */
function bytesOf(state: CardState, aid: string): number {
  const file = loadFileOf(state, aid);
  const entry = entryOf(state, aid);
  if (file) return file.code.length;
  return entry?.kind === 'application' ? entry.persistent.length : usedBytes(state, aid);
}

function updateRegistry(work: Work, command: CommandApdu): ResponseApdu {
  const { name, privileges: privilegeField } = fieldsOf(command);
  const entry = foundEntry(work, toHex(name));
  const domain = selectedDomain(work);
  requireManagement(work.state, domain, entry.domainAid);
  requireCondition(entry.aid !== work.state.issuerDomainAid, 'the issuer keeps its privileges');
  const privileges = decoded(() => decodePrivileges(privilegeField));
  requireGrantable(domain, privileges, entry.kind);
  const state = withoutOtherReset(work.state, privileges);
  work.state = withEntry(state, { ...entry, privileges });
  return okWithoutReceipt();
}
