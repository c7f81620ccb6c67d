/** The kinds of INSTALL. @see GPCS 2.3.1 §11.5 */
import type { CommandApdu } from '../../iso7816/index.ts';
import {
  CLA_GLOBALPLATFORM,
  encodeInstallParameters,
  encodeLengthValues,
  encodePrivileges,
  INS_E6_INSTALL,
  INSTALL_02_FOR_LOAD,
  INSTALL_04_FOR_INSTALL,
  INSTALL_08_FOR_MAKE_SELECTABLE,
  INSTALL_10_FOR_EXTRADITION,
  INSTALL_20_FOR_PERSONALIZATION,
  INSTALL_40_FOR_REGISTRY_UPDATE,
  type InstallParameters,
} from '../data/index.ts';
import { aidBytes } from './commands.ts';

const NONE: Uint8Array = new Uint8Array();

function install(p1: number, ...fields: readonly Uint8Array[]): CommandApdu {
  const data = encodeLengthValues(...fields);
  return { cla: CLA_GLOBALPLATFORM, ins: INS_E6_INSTALL, p1, p2: 0, data, le: 256 };
}

/** INSTALL [for load]. The hash is over the code exactly as LOAD sends it. */
export function installForLoad(request: {
  readonly loadFileAid: string;
  /** Empty for the domain that the channel is with. */
  readonly domainAid: string;
  readonly hash: Uint8Array;
  readonly parameters?: Partial<InstallParameters>;
}): CommandApdu {
  const parameters = encodeInstallParameters(request.parameters ?? {});
  const names = [aidBytes(request.loadFileAid), aidBytes(request.domainAid)];
  return install(INSTALL_02_FOR_LOAD, ...names, request.hash, parameters, NONE);
}

/**
 * INSTALL [for install], selectable at once unless said otherwise. C9 is always there; its value
 * is `parameters.application` as it is, never wrapped twice (report 18).
 */
export function installForInstall(request: {
  readonly loadFileAid: string;
  readonly moduleAid: string;
  readonly applicationAid: string;
  readonly privileges: number;
  readonly parameters?: Partial<InstallParameters>;
  readonly isSelectableLater?: boolean;
}): CommandApdu {
  const p1 = request.isSelectableLater
    ? INSTALL_04_FOR_INSTALL
    : INSTALL_04_FOR_INSTALL | INSTALL_08_FOR_MAKE_SELECTABLE;
  const parameters = encodeInstallParameters({ application: NONE, ...request.parameters });
  return install(
    p1,
    ...[request.loadFileAid, request.moduleAid, request.applicationAid].map(aidBytes),
    encodePrivileges(request.privileges),
    ...[parameters, NONE],
  );
}

/** INSTALL [for make selectable]. */
export function installForMakeSelectable(applicationAid: string, privileges = 0): CommandApdu {
  const name = aidBytes(applicationAid);
  const bytes = encodePrivileges(privileges);
  return install(INSTALL_08_FOR_MAKE_SELECTABLE, NONE, NONE, name, bytes, NONE, NONE);
}

/** INSTALL [for personalization]: the next STORE DATA are for that application. */
export function installForPersonalization(applicationAid: string): CommandApdu {
  const name = aidBytes(applicationAid);
  return install(INSTALL_20_FOR_PERSONALIZATION, NONE, NONE, name, NONE, NONE, NONE);
}

/** INSTALL [for extradition] of an application or load file to another domain. */
export function installForExtradition(aid: string, toDomainAid: string): CommandApdu {
  const names = [aidBytes(toDomainAid), NONE, aidBytes(aid)];
  return install(INSTALL_10_FOR_EXTRADITION, ...names, NONE, NONE, NONE);
}

/** INSTALL [for registry update]: new privileges of an application or domain. */
export function installForRegistryUpdate(aid: string, privileges: number): CommandApdu {
  const bytes = encodePrivileges(privileges);
  return install(INSTALL_40_FOR_REGISTRY_UPDATE, NONE, NONE, aidBytes(aid), bytes, NONE, NONE);
}
