/**
 * The links of the browser plug-in: for every browser of this machine its extension, the file by
 * which it finds the host, and a live round trip with the host over that very file.
 */
import { resolve } from 'node:path';
import {
  type BrowserPlaces,
  browserPlaces,
  type CheckedBrowser,
  checkExtension,
  checkOf,
  checkPolicy,
  checkRegistration,
  extensionOrigin,
  type PlaceFacts,
  probeHost,
  profileFolder,
  readRecord,
  type WantedHost,
  wrapperPath,
} from '@tapnpay/agent';
import {
  type DoctorCheck,
  type DoctorReport,
  foundWaiting,
  PLUGIN_GECKO_ID,
  type PluginVersions,
} from '@tapnpay/protocol/wire';
import type { Browser } from './browser.ts';

/** What the plug-in is looked at with. */
export type PluginFacts = {
  readonly dataDir: string;
  readonly places: PlaceFacts;
  readonly browsers: readonly Browser[];
  /** A user data directory of Chromium's family, beside the usual ones. */
  readonly userDataDir: string | null;
  /** What the gateway says; null when it could not be asked. */
  readonly versions: PluginVersions | null;
  /** Whether hosts are started, or only files looked at. */
  readonly mode: 'live' | 'files';
};

/** What was found, and what a host said of the links behind it. */
export type PluginFindings = {
  readonly checks: readonly DoctorCheck[];
  readonly report: DoctorReport | null;
};

/** Shown where no version is known: no extension has this id. */
const NO_ID = 'a'.repeat(32);

/** Looks at every browser, one after the other: hosts share the element. */
export async function examinePlugin(facts: PluginFacts): Promise<PluginFindings> {
  const everywhere = browserPlaces(facts.places);
  const wanted = wantedHost(facts);
  const checks: DoctorCheck[] = [];
  let report: DoctorReport | null = null;
  for (const browser of checkedBrowsers(facts, everywhere)) {
    checks.push(...fileChecks(facts, { browser, wanted }));
    const { found, program } = await checkRegistration({ browser, wanted, everywhere });
    checks.push(checkOf('manifest', found));
    if (facts.mode === 'files') continue;
    const probed = await hostCheck(facts, { browser, wanted, program, path: found.facts['path'] });
    checks.push(...probed.checks);
    report ??= probed.report;
  }
  return { checks, report };
}

function wantedHost({ dataDir, places, versions }: PluginFacts): WantedHost {
  const program = wrapperPath(dataDir, places.platform);
  if (versions === null) return { program, geckoId: PLUGIN_GECKO_ID };
  const { id: extensionId, geckoId } = versions.extension;
  return { program, extensionId, geckoId };
}

/** Every browser that was found, and the user data directory that was named. */
function checkedBrowsers(
  { browsers, userDataDir, places }: PluginFacts,
  everywhere: readonly BrowserPlaces[],
): readonly CheckedBrowser[] {
  const found = browsers.flatMap(({ kind, name, packaging, isLib64 }) => {
    const of = everywhere.find((each) => each.kind === kind);
    return of === undefined ? [] : [{ places: { ...of, name }, packaging, isLib64 }];
  });
  const chromium = everywhere.find(({ kind }) => kind === 'chromium');
  if (userDataDir === null || chromium === undefined || places.platform === 'win32') return found;
  const path = resolve(userDataDir);
  const named: BrowserPlaces = {
    ...chromium,
    name: path,
    folders: { ...chromium.folders, user: [profileFolder(path)] },
    profiles: [path],
  };
  return [...found, { places: named, packaging: 'system', isLib64: false }];
}

type OneBrowser = { readonly browser: CheckedBrowser; readonly wanted: WantedHost };

/** Extension and policy; a policy that nobody wrote is not missed. */
function fileChecks(facts: PluginFacts, { browser, wanted }: OneBrowser): readonly DoctorCheck[] {
  const { places } = browser;
  const { versions, dataDir } = facts;
  const extension = checkExtension(places, wanted, versions?.extension ?? null);
  const policy = checkPolicy(places, wanted, versions?.install ?? null);
  const isOurs = recordedPolicies(dataDir).includes(policy.facts['path'] ?? '');
  const isMissed = isOurs || (policy.code !== 'ERR_POLICY_MISSING' && policy.state !== 'unknown');
  return [checkOf('extension', extension), ...(isMissed ? [checkOf('policy', policy)] : [])];
}

function recordedPolicies(dataDir: string): readonly string[] {
  try {
    return readRecord(dataDir).policies.map(({ path }) => path);
  } catch {
    // The installer says what is wrong with its record.
    return [];
  }
}

/** Starts the host as this browser would. */
async function hostCheck(
  { versions }: PluginFacts,
  {
    browser,
    wanted,
    program,
    path,
  }: OneBrowser & { readonly program: string | null; readonly path: string | undefined },
): Promise<PluginFindings> {
  const { name, dialect } = browser.places;
  if (program === null) {
    const { facts, ...waits } = foundWaiting('manifest');
    const check = checkOf('host', { ...waits, facts: { ...facts, browser: name } });
    return { checks: [check], report: null };
  }
  const origin = extensionOrigin(wanted.extensionId ?? NO_ID);
  const { found, report } = await probeHost({
    program,
    args: dialect === 'firefox' ? [path ?? '', wanted.geckoId ?? PLUGIN_GECKO_ID] : [origin],
    // As the extension's own page, which gets the report and no element.
    origin: origin.slice(0, -1),
    offered: versions?.host ?? null,
  });
  const facts = { ...found.facts, browser: name };
  return { checks: [checkOf('host', { ...found, facts })], report };
}
