/**
 * What a manager does with a card, as lists of clear commands: they can be shown before they are
 * sent, and each begins with what the card already has, so that a torn one is done again.
 */
import * as gp from '@tapnpay/protocol/globalplatform/data';
import {
  checkPutKeyAnswer,
  deleteCommand,
  type HostSession,
  installForInstall,
  installForLoad,
  installForMakeSelectable,
  loadCommands,
  type PutKeyRequest,
  putKeySet,
  type RegistryEntry,
  readCardObject,
  readRegistry,
  type StaticKeys,
  setStatusCommand,
} from '@tapnpay/protocol/globalplatform/offcard';
import type { CommandApdu } from '@tapnpay/protocol/iso7816';
import { nodeCiphers } from '@tapnpay/protocol/node';
import { type ApduTransport, CardManager, type ChannelRequest, type Steps } from './manager.ts';

/** A command with a name for people. */
export type NamedCommand = { readonly name: string; readonly command: CommandApdu };
/** What a domain lists, by kind. */
export type CardRegistry = {
  readonly issuer: readonly RegistryEntry[];
  readonly applications: readonly RegistryEntry[];
  readonly loadFiles: readonly RegistryEntry[];
};
/** What a card says of itself; null where it says nothing. */
export type CardObjects = {
  readonly cplc: Uint8Array | null;
  readonly recognition: Uint8Array | null;
  readonly keyInformation: Uint8Array | null;
  readonly issuerIdentificationNumber: Uint8Array | null;
  readonly cardImageNumber: Uint8Array | null;
};

/** Reads the registry, all scopes. @throws GlobalPlatformError `ERR_GP_STATUS`. */
export function* readWholeRegistry(): Steps<CardRegistry> {
  const issuer = yield* readRegistry(gp.STATUS_80_ISSUER_DOMAIN);
  const applications = yield* readRegistry(gp.STATUS_40_APPLICATIONS);
  const loadFiles = yield* readRegistry(gp.STATUS_10_LOAD_FILES_AND_MODULES);
  return {
    issuer: issuer.entries,
    applications: applications.entries,
    loadFiles: loadFiles.entries,
  };
}

/** Reads what needs no keys. @throws GlobalPlatformError `ERR_GP_STATUS`. */
export function* readCardObjects(): Steps<CardObjects> {
  return {
    cplc: yield* readCardObject('9F7F'),
    recognition: yield* readCardObject('66'),
    keyInformation: yield* readCardObject('E0'),
    issuerIdentificationNumber: yield* readCardObject('42'),
    cardImageNumber: yield* readCardObject('45'),
  };
}

/** Locks or unlocks an application or domain; without a name, the card itself. */
export function lockCommands(
  wanted: 'lock' | 'unlock',
  aid: string | null,
): readonly NamedCommand[] {
  const isLock = wanted === 'lock';
  if (aid === null) {
    const state = isLock ? gp.CARD_7F_CARD_LOCKED : gp.CARD_0F_SECURED;
    const command = setStatusCommand({ scope: gp.SET_STATUS_80_CARD, state, aid: '' });
    return [{ name: `SET STATUS card ${wanted}`, command }];
  }
  const state = isLock ? gp.APPLICATION_80_LOCKED : gp.APPLICATION_07_SELECTABLE;
  const command = setStatusCommand({ scope: gp.SET_STATUS_40_APPLICATION, state, aid });
  return [{ name: `SET STATUS ${wanted} ${aid}`, command }];
}

/** Deletes an application, domain or load file. */
export function deleteCommands(aid: string, isWithRelated: boolean): readonly NamedCommand[] {
  return [{ name: `DELETE ${aid}`, command: deleteCommand(aid, { isWithRelated }) }];
}

/** Clear bytes of a LOAD that is a short command at every level. */
export const SHORT_BLOCK_BYTES = 223;

/** What is to be loaded and installed. */
export type PackageInstallation = {
  readonly code: Uint8Array;
  readonly dapBlocks?: readonly gp.DapBlock[];
  /** The instance; the module's own name when it is not said. */
  readonly applicationAid?: string;
  readonly privileges?: number;
  readonly parameters?: Uint8Array;
};

/**
 * Loads a package and installs its first module, but for what the card has already. A name that
 * belongs to another load file is not touched.
 * @throws GlobalPlatformError `ERR_GP_PACKAGE`, `ERR_GP_LIMIT`.
 */
export function installCommands(
  session: Pick<HostSession, 'dataBytesMax'>,
  request: PackageInstallation,
  registry: CardRegistry,
): readonly NamedCommand[] {
  const { manifest } = gp.decodeApplicationPackage(request.code);
  const { loadFileAid } = manifest;
  const moduleAid = manifest.modules[0]?.aid ?? '';
  const applicationAid = request.applicationAid ?? moduleAid;
  const isLoaded = registry.loadFiles.some(({ aid }) => aid === loadFileAid);
  const installed = registry.applications.find(({ aid }) => aid === applicationAid);
  const commands: NamedCommand[] = isLoaded ? [] : [...loading(session, request, loadFileAid)];
  if (installed === undefined) {
    const names = { loadFileAid, moduleAid, applicationAid };
    const { privileges = 0, parameters: application = new Uint8Array() } = request;
    const command = installForInstall({ ...names, privileges, parameters: { application } });
    commands.push({ name: `INSTALL [for install and make selectable] ${applicationAid}`, command });
  } else if (installed.lifeCycle === gp.APPLICATION_03_INSTALLED) {
    const command = installForMakeSelectable(applicationAid);
    commands.push({ name: `INSTALL [for make selectable] ${applicationAid}`, command });
  }
  return commands;
}

function loading(
  session: Pick<HostSession, 'dataBytesMax'>,
  { code, dapBlocks = [] }: PackageInstallation,
  loadFileAid: string,
): readonly NamedCommand[] {
  const hash = nodeCiphers.sha256(code);
  const content = { dapBlocks, code };
  // Short commands go through every reader; a long file cannot be numbered in them.
  const short = Math.min(session.dataBytesMax, SHORT_BLOCK_BYTES);
  const isShort = gp.encodeLoadFile(content).length <= short * gp.BLOCK_NUMBERS_MAX;
  const dataBytesMax = isShort ? short : session.dataBytesMax;
  const blocks = loadCommands(content, { dataBytesMax });
  return [
    {
      name: `INSTALL [for load] ${loadFileAid}`,
      command: installForLoad({ loadFileAid, domainAid: '', hash }),
    },
    ...blocks.map((command, index) => ({
      name: `LOAD ${index + 1} of ${blocks.length}`,
      command,
    })),
  ];
}

/** New keys of a domain, and the version that they replace; 0 adds a set. */
export type RotationRequest = {
  readonly keys: StaticKeys;
  readonly algorithm: 'aes' | 'des';
  readonly keyVersionNumber: number;
  readonly replaces: number;
};

/** PUT KEY of three keys, with what the card must answer. */
export function rotationRequest(session: HostSession, request: RotationRequest): PutKeyRequest {
  const { keys, algorithm: type, keyVersionNumber: newKeyVersionNumber, replaces } = request;
  return putKeySet(nodeCiphers, session, { replaces, newKeyVersionNumber, type, keys });
}

/**
 * Changes the keys and proves that the card has the new ones. When the answer is lost, the new keys
 * are tried before the old ones: a card that has them needs nothing more (report 25).
 * @throws GlobalPlatformError as the card refuses; `ERR_GP_KEY_CHECK_VALUE`.
 */
export async function rotateKeys(
  transport: ApduTransport,
  request: RotationRequest & { readonly current: ChannelRequest },
): Promise<'changed' | 'unchanged'> {
  if (await hasKeys(transport, request)) return 'unchanged';
  const manager = await CardManager.open(transport, request.current);
  const put = rotationRequest(manager.session, request);
  const answer = await manager.sendAll('PUT KEY', put.commands);
  if (answer) checkPutKeyAnswer(put, answer);
  await CardManager.open(transport, newChannel(request));
  return 'changed';
}

/** Whether a card has these keys in that version; nothing is counted by the question. */
export async function hasKeys(
  transport: ApduTransport,
  request: Pick<RotationRequest, 'keys' | 'keyVersionNumber'>,
): Promise<boolean> {
  try {
    await CardManager.open(transport, newChannel(request));
    return true;
  } catch (thrown) {
    const isOther =
      thrown instanceof gp.GlobalPlatformError &&
      ['ERR_GP_CARD_CRYPTOGRAM', 'ERR_GP_STATUS'].includes(thrown.code);
    if (isOther) return false;
    throw thrown;
  }
}

function newChannel(request: Pick<RotationRequest, 'keys' | 'keyVersionNumber'>): ChannelRequest {
  const { keys, keyVersionNumber } = request;
  return { keyVersionNumber, candidates: () => [{ name: 'new', keys }] };
}
