/** The clear commands of steps, for elements and for those who want to see them first. */
import { createHash } from 'node:crypto';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  encodeExtraditionRules,
  SET_STATUS_40_APPLICATION,
  SET_STATUS_80_CARD,
} from '@tapnpay/protocol/globalplatform/data';
import {
  deleteCommand,
  installForInstall,
  installForLoad,
  installForMakeSelectable,
  installForPersonalization,
  loadCommands,
  setStatusCommand,
} from '@tapnpay/protocol/globalplatform/offcard';
import { DOMAIN_LOAD_FILE_AID, DOMAIN_MODULE_AID } from '@tapnpay/protocol/globalplatform/oncard';
import type { CommandApdu } from '@tapnpay/protocol/iso7816';
import { TsmError } from '../errors.ts';
import type { TsmPorts } from '../ports.ts';
import type { PlannedApplication, Step } from './plan.ts';

/** SHA-256 in hex. */
export function sha256(bytes: Uint8Array): string {
  return toHex(new Uint8Array(createHash('sha256').update(bytes).digest()));
}

/** Steps that are one command to the issuer's domain. */
export type SimpleStep = Extract<
  Step,
  {
    readonly name:
      | ('makeDomain' | 'setCardState' | 'deleteLoadFile' | 'install')
      | ('makeSelectable' | 'setApplicationState');
  }
>;

/** The command of such a step. */
export function commandOfStep(step: SimpleStep): CommandApdu {
  switch (step.name) {
    case 'makeDomain':
      // A domain whose content may come and go by the issuer's word (report 17).
      return installForInstall({
        ...{ loadFileAid: DOMAIN_LOAD_FILE_AID, moduleAid: DOMAIN_MODULE_AID },
        ...{ applicationAid: step.domainAid, privileges: step.privileges },
        parameters: {
          application: encodeExtraditionRules({ isToAllowed: true, isFromAllowed: true }),
        },
      });
    case 'setCardState':
      return setStatusCommand({ scope: SET_STATUS_80_CARD, state: step.lifeCycle, aid: '' });
    case 'deleteLoadFile':
      return deleteCommand(step.planned.application.loadFileAid, { isWithRelated: true });
    case 'install':
      return installCommand(step.planned);
    case 'makeSelectable':
      return installForMakeSelectable(step.planned.application.instanceAid);
    case 'setApplicationState':
      return setStatusCommand({
        ...{ scope: SET_STATUS_40_APPLICATION, state: step.state },
        aid: step.planned.application.instanceAid,
      });
  }
}

function installCommand({ application }: PlannedApplication): CommandApdu {
  const { loadFileAid, moduleAid, instanceAid, persistentBytes, installParameters } = application;
  return installForInstall({
    ...{ loadFileAid, moduleAid, applicationAid: instanceAid, privileges: 0 },
    parameters: { application: fromHex(installParameters), persistentBytes },
  });
}

/** The next data are for the instance. */
export function personalizeCommand({ application }: PlannedApplication): CommandApdu {
  return installForPersonalization(application.instanceAid);
}

/**
 * INSTALL [for load] and the blocks of a load file with its signature.
 * @throws TsmError `ERR_TSM_REVOKED`, `ERR_TSM_PACKAGE` before anything is sent.
 */
export async function loadFileCommands(
  ports: Pick<TsmPorts, 'store' | 'profile'>,
  { application, provider, version }: PlannedApplication,
  { dataBytesMax }: { readonly dataBytesMax: number },
): Promise<readonly CommandApdu[]> {
  if (version?.state !== 'released' || !version.signature) {
    throw new TsmError('ERR_TSM_REVOKED', 'no released version is wanted', {
      applicationId: application.id,
    });
  }
  const code = await ports.store.package(version.hash);
  if (!code || sha256(code) !== version.hash) {
    throw new TsmError('ERR_TSM_PACKAGE', 'the stored package has another hash', {
      versionId: version.id,
    });
  }
  const signature = fromHex(version.signature.value);
  const dapBlocks = [{ domainAid: ports.profile.certifierDomainAid, signature }];
  return [
    installForLoad({
      ...{ loadFileAid: application.loadFileAid, domainAid: provider.domainAid },
      ...{ hash: fromHex(version.hash), parameters: { codeBytes: code.length } },
    }),
    ...loadCommands({ dapBlocks, code }, { dataBytesMax }),
  ];
}
