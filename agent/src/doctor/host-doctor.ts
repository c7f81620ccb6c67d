/**
 * The doctor's part that the host sees: element, reader service, readers and gateway. Pages and the
 * extension are shown what it says, so that no path, name or reader's serial is in it.
 */
import {
  AGENT_HEALTH_PATH,
  type CheckId,
  checkShape,
  type DoctorCheck,
  type DoctorReport,
  elementStatusShape,
  type Found,
  foundWaiting,
  objectShape,
} from '@tapnpay/protocol/wire';
import type { HostConfig } from '../native/config.ts';
import { localAgent } from '../service/local-agent.ts';
import { checkElement, type SeenElement } from './element-check.ts';
import { checkGateway, checkVersions, seeVersions } from './gateway-checks.ts';
import { checkReaderService, checkReaders } from './reader-checks.ts';
import { type HostSight, thisSight } from './sight.ts';

const healthShape = objectShape({ element: elementStatusShape });

/** What the caller knows better. */
export type HostDoctorPorts = {
  /** Asks who holds the element; the running service of the data folder when absent. */
  readonly seeElement?: () => Promise<SeenElement>;
  readonly sight?: HostSight;
};

/** Looks at every link behind the host; never throws and changes nothing. */
export async function runHostDoctor(
  config: Pick<HostConfig, 'dataDir' | 'gatewayUrl' | 'readers'>,
  ports: HostDoctorPorts = {},
): Promise<DoctorReport> {
  const { sight = thisSight } = ports;
  const seeElement = ports.seeElement ?? (() => elementOfService(config.dataDir, sight));
  const [element, list, gateway] = await Promise.all([
    seeElement().catch((): SeenElement => 'gone'),
    sight.listReaders(),
    checkGateway(sight, config.gatewayUrl),
  ]);
  const versions: Found<'versions'> =
    gateway.state === 'broken'
      ? foundWaiting('gateway')
      : checkVersions(await seeVersions(sight, config.gatewayUrl));
  const readers = checkReaders({ sight, list, isOn: config.readers, names: 'counted' });
  return {
    checks: [
      checkOf('element', checkElement(element)),
      checkOf('readerService', checkReaderService(list)),
      checkOf('readers', readers),
      checkOf('gateway', gateway),
      checkOf('versions', versions),
    ],
  };
}

/** A found link under its name. */
export function checkOf<Id extends CheckId>(id: Id, found: Found<Id>): DoctorCheck {
  return { id, ...found };
}

/** The element of the data folder's running service; null when none runs. */
export async function elementOfService(
  dataDir: string,
  sight: Pick<HostSight, 'get'>,
): Promise<SeenElement> {
  const agent = serviceOf(dataDir);
  return agent === null ? null : await elementAt(`http://127.0.0.1:${agent.port}`, sight);
}

/** The element of the service at this address; null when nobody answers. */
export async function elementAt(
  url: string,
  { get }: Pick<HostSight, 'get'>,
): Promise<SeenElement> {
  const answer = await get(new URL(AGENT_HEALTH_PATH, url).href);
  // A killed service leaves its address behind.
  if (answer === null) return null;
  try {
    return checkShape(healthShape, answer.body, 'health').element;
  } catch {
    return 'gone';
  }
}

function serviceOf(dataDir: string): { readonly port: number } | null {
  try {
    return localAgent(dataDir);
  } catch {
    // A file that is no key is as good as none.
    return null;
  }
}
