/** Browsers by their usual names and places, and how they came to this machine. */
import type { BrowserKind, Packaging } from '@tapnpay/agent';
import type { Machine } from './machine.ts';

/** A browser that was found; the version is null where asking would open a window or take long. */
export type Browser = {
  readonly kind: BrowserKind;
  readonly name: string;
  readonly path: string;
  readonly version: string | null;
  readonly packaging: Packaging;
  /** A Firefox built for Fedora's 64-bit library folder reads its registrations there. */
  readonly isLib64: boolean;
};

type Candidate = {
  readonly kind: BrowserKind;
  readonly name: string;
  readonly places: readonly string[];
};

const ON_PATH: readonly Candidate[] = [
  { kind: 'chromium', name: 'Chromium', places: ['chromium', 'chromium-browser'] },
  {
    kind: 'chrome',
    name: 'Chrome',
    places: ['google-chrome', 'google-chrome-stable', 'chrome'],
  },
  {
    kind: 'edge',
    name: 'Edge',
    places: ['microsoft-edge', 'microsoft-edge-stable', 'msedge'],
  },
  { kind: 'firefox', name: 'Firefox', places: ['firefox', 'firefox-esr'] },
];
const FLATPAK_BINS = ['/var/lib/flatpak/exports/bin'] as const;
const MAC_APPS = '/Applications';
const WINDOWS_PROGRAMS = ['C:\\Program Files', 'C:\\Program Files (x86)'] as const;
const IN_PLACE: Readonly<Partial<Record<NodeJS.Platform, readonly Candidate[]>>> = {
  linux: [
    { kind: 'chromium', name: 'Chromium', places: packaged('chromium', 'org.chromium.Chromium') },
    { kind: 'chrome', name: 'Chrome', places: packaged(null, 'com.google.Chrome') },
    { kind: 'edge', name: 'Edge', places: packaged(null, 'com.microsoft.Edge') },
    { kind: 'firefox', name: 'Firefox', places: packaged('firefox', 'org.mozilla.firefox') },
  ],
  darwin: [
    {
      kind: 'chrome',
      name: 'Chrome',
      places: [`${MAC_APPS}/Google Chrome.app/Contents/MacOS/Google Chrome`],
    },
    {
      kind: 'edge',
      name: 'Edge',
      places: [`${MAC_APPS}/Microsoft Edge.app/Contents/MacOS/Microsoft Edge`],
    },
    {
      kind: 'chromium',
      name: 'Chromium',
      places: [`${MAC_APPS}/Chromium.app/Contents/MacOS/Chromium`],
    },
    {
      kind: 'firefox',
      name: 'Firefox',
      places: [`${MAC_APPS}/Firefox.app/Contents/MacOS/firefox`],
    },
  ],
  win32: [
    { kind: 'chrome', name: 'Chrome', places: below('Google\\Chrome\\Application\\chrome.exe') },
    { kind: 'edge', name: 'Edge', places: below('Microsoft\\Edge\\Application\\msedge.exe') },
    { kind: 'firefox', name: 'Firefox', places: below('Mozilla Firefox\\firefox.exe') },
  ],
};

function packaged(snap: string | null, flatpak: string): readonly string[] {
  const flatpaks = FLATPAK_BINS.map((folder) => `${folder}/${flatpak}`);
  return snap === null ? flatpaks : [`/snap/bin/${snap}`, ...flatpaks];
}

function below(path: string): readonly string[] {
  return WINDOWS_PROGRAMS.map((folder) => `${folder}\\${path}`);
}

/** Every browser that is found; two of a kind only when they came by different packages. */
export async function findBrowsers(machine: Machine): Promise<readonly Browser[]> {
  const found = new Map<string, Omit<Browser, 'version'>>();
  const add = (candidate: Candidate, path: string): void => {
    const { kind, name } = candidate;
    const facts = { path, ...originOf(machine, path) };
    const key = `${kind} ${facts.packaging}`;
    const said = facts.packaging === 'system' ? name : `${name} (${facts.packaging})`;
    if (!found.has(key)) found.set(key, { kind, name: said, ...facts });
  };
  for (const candidate of ON_PATH) {
    for (const program of candidate.places) {
      const path = machine.findProgram(program);
      if (path !== null) add(candidate, path);
    }
  }
  for (const candidate of IN_PLACE[machine.platform] ?? []) {
    for (const path of candidate.places) if (machine.exists(path)) add(candidate, path);
  }
  return await Promise.all(
    [...found.values()].map(async (browser) => ({
      ...browser,
      version: await versionOf(machine, browser),
    })),
  );
}

/** A start script of a distribution may lead into a package: Ubuntu's does. */
function originOf(machine: Machine, path: string): Pick<Browser, 'packaging' | 'isLib64'> {
  const real = machine.realPath(path);
  const script = scriptText(machine, real);
  const says = (pattern: RegExp): boolean =>
    [path, real, script].some((text) => pattern.test(text));
  const packaging = says(/\/flatpak\/exports\/|flatpak run /)
    ? 'flatpak'
    : says(/\/snap\/bin\/|^\/snap\/|^\/usr\/bin\/snap$/)
      ? 'snap'
      : 'system';
  return { packaging, isLib64: says(/\/usr\/lib64\//) };
}

function scriptText(machine: Machine, path: string): string {
  if (machine.platform !== 'linux') return '';
  const text = machine.readText(path) ?? '';
  return text.startsWith('#!') ? text : '';
}

/** `Chromium 141.0.7390.54` -> `141.0.7390.54`. On Windows the question opens a window. */
async function versionOf(
  machine: Machine,
  { path, packaging }: Omit<Browser, 'version'>,
): Promise<string | null> {
  if (machine.platform === 'win32' || packaging !== 'system') return null;
  const text = await machine.run(path, ['--version']);
  return /[0-9]+(?:\.[0-9]+)+/.exec(text ?? '')?.[0] ?? null;
}
