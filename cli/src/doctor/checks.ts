/** The doctor's rounds: every link in the order in which a payment needs it. */
import {
  checkElement,
  checkGateway,
  checkOf,
  checkReaderService,
  checkReaders,
  checkVersions,
  elementAt,
  seeVersions,
} from '@tapnpay/agent';
import {
  type CheckId,
  type DoctorCheck,
  type DoctorReport,
  type Found,
  foundFault,
  foundOk,
  foundWaiting,
  type PluginVersions,
} from '@tapnpay/protocol/wire';
import { type SystemConfig, urlOf } from '../system/layout.ts';
import { type Browser, findBrowsers } from './browser.ts';
import type { Machine } from './machine.ts';
import {
  checkAgent,
  checkDatabase,
  checkDataFolder,
  checkHsms,
  checkNode,
  checkObserver,
  checkPages,
  checkShop,
  checkSwitch,
  type Housed,
} from './party-checks.ts';
import type { PluginFindings } from './plugin-checks.ts';

/** What the checks stand on. `system` is null when the data folder holds none. */
export type Patient = {
  readonly machine: Machine;
  readonly dataDir: string;
  readonly system: SystemConfig | null;
  /** Looks at the plug-in in these browsers. */
  readonly examinePlugin: (
    browsers: readonly Browser[],
    versions: PluginVersions | null,
  ) => Promise<PluginFindings>;
};

/** Looks at every link; what stands on a broken one waits for it. */
export async function examine(patient: Patient): Promise<DoctorReport> {
  const { machine, dataDir, system } = patient;
  const browsers = await findBrowsers(machine);
  const dataFolder = checkDataFolder(machine, dataDir, system);
  const housed = system === null || dataFolder.state === 'broken' ? null : { machine, system };
  const first: readonly DoctorCheck[] = [
    checkOf('node', checkNode(machine)),
    checkOf('dataFolder', dataFolder),
    checkOf('browser', browserCheck(browsers)),
    checkOf('pages', checkPages(machine)),
  ];
  const parties = await examineParties(housed);
  const versions = await examineVersions(housed, parties);
  const plugin = await patient.examinePlugin(browsers, versions.versions);
  const helper = await examineHelper(patient, { housed, plugin });
  const checks = [...first, ...parties, versions.check, ...plugin.checks, ...helper];
  return { checks: [...checks, ...(await examineReaders(patient))] };
}

function browserCheck(browsers: readonly Browser[]): Found<'browser'> {
  if (browsers.length === 0) return foundFault('warn', 'ERR_BROWSER_MISSING');
  const found = browsers.map(({ name, version, path }) =>
    [name, version, path].filter((part) => part !== null).join(' · '),
  );
  return foundOk({ found: found.join('; ') });
}

/** A check of a party, and how it waits when there is no system. */
async function ofParty<Id extends CheckId>(
  id: Id,
  housed: Housed | null,
  look: (housed: Housed) => Promise<Found<Id>>,
): Promise<DoctorCheck> {
  return checkOf<Id>(id, housed === null ? foundWaiting('dataFolder') : await look(housed));
}

function examineParties(housed: Housed | null): Promise<readonly DoctorCheck[]> {
  return Promise.all([
    ofParty('database', housed, checkDatabase),
    ofParty('hsms', housed, checkHsms),
    ofParty('switch', housed, checkSwitch),
    ofParty('gateway', housed, ({ machine, system }) =>
      checkGateway(machine, urlOf(system, 'gatewayHttp')),
    ),
    ofParty('shop', housed, checkShop),
    ofParty('observer', housed, checkObserver),
  ]);
}

type SeenHere = { readonly check: DoctorCheck; readonly versions: PluginVersions | null };

async function examineVersions(
  housed: Housed | null,
  parties: readonly DoctorCheck[],
): Promise<SeenHere> {
  const gateway = parties.find(({ id }) => id === 'gateway');
  if (housed === null || gateway?.state !== 'ok') {
    const link = housed === null ? 'dataFolder' : 'gateway';
    return { check: checkOf('versions', foundWaiting(link)), versions: null };
  }
  const seen = await seeVersions(housed.machine, urlOf(housed.system, 'gatewayHttp'));
  return { check: checkOf('versions', checkVersions(seen)), versions: seen.versions };
}

/** The local service and the element; a host that works can do without the service. */
async function examineHelper(
  { machine }: Patient,
  { housed, plugin }: { readonly housed: Housed | null; readonly plugin: PluginFindings },
): Promise<readonly DoctorCheck[]> {
  const agent = await ofParty('agent', housed, checkAgent);
  const ofHost = plugin.report?.checks.find(({ id }) => id === 'element');
  if (housed !== null && agent.state === 'ok') {
    const element = checkElement(await elementAt(urlOf(housed.system, 'agent'), machine));
    return [agent, checkOf('element', element)];
  }
  if (ofHost === undefined) {
    const link = agent.state === 'unknown' ? 'dataFolder' : 'agent';
    return [agent, checkOf('element', foundWaiting(link))];
  }
  const isEnough = agent.state === 'broken' && agent.code === 'ERR_AGENT_DOWN';
  return [isEnough ? { ...agent, state: 'warn' } : agent, ofHost];
}

async function examineReaders({ machine, system }: Patient): Promise<readonly DoctorCheck[]> {
  const list = await machine.listReaders();
  // Where there is no system nothing says that readers stay unused.
  const isOn = system === null || (system.readers ?? false);
  const readers = checkReaders({ sight: machine, list, isOn, names: 'told' });
  return [checkOf('readerService', checkReaderService(list)), checkOf('readers', readers)];
}
