/** Browsers by their usual names and places. */
import type { Machine } from './machine.ts';

/** A browser that was found; the version is null where asking would open a window. */
export type Browser = {
  readonly name: string;
  readonly path: string;
  readonly version: string | null;
};

type Candidate = { readonly name: string; readonly places: readonly string[] };

const ON_PATH: readonly Candidate[] = [
  { name: 'Chromium', places: ['chromium', 'chromium-browser'] },
  { name: 'Chrome', places: ['google-chrome', 'google-chrome-stable', 'chrome'] },
  { name: 'Edge', places: ['microsoft-edge', 'microsoft-edge-stable', 'msedge'] },
  { name: 'Firefox', places: ['firefox', 'firefox-esr'] },
];
const MAC_APPS = '/Applications';
const WINDOWS_PROGRAMS = ['C:\\Program Files', 'C:\\Program Files (x86)'] as const;
const IN_PLACE: Readonly<Partial<Record<NodeJS.Platform, readonly Candidate[]>>> = {
  darwin: [
    { name: 'Chrome', places: [`${MAC_APPS}/Google Chrome.app/Contents/MacOS/Google Chrome`] },
    { name: 'Edge', places: [`${MAC_APPS}/Microsoft Edge.app/Contents/MacOS/Microsoft Edge`] },
    { name: 'Chromium', places: [`${MAC_APPS}/Chromium.app/Contents/MacOS/Chromium`] },
    { name: 'Firefox', places: [`${MAC_APPS}/Firefox.app/Contents/MacOS/firefox`] },
  ],
  win32: [
    { name: 'Chrome', places: below('Google\\Chrome\\Application\\chrome.exe') },
    { name: 'Edge', places: below('Microsoft\\Edge\\Application\\msedge.exe') },
    { name: 'Firefox', places: below('Mozilla Firefox\\firefox.exe') },
  ],
};

function below(path: string): readonly string[] {
  return WINDOWS_PROGRAMS.map((folder) => `${folder}\\${path}`);
}

/** The first browser found, or null. */
export async function findBrowser(machine: Machine): Promise<Browser | null> {
  for (const { name, places } of IN_PLACE[machine.platform] ?? []) {
    const path = places.find((place) => machine.exists(place));
    if (path) return { name, path, version: await versionOf(machine, path) };
  }
  for (const { name, places } of ON_PATH) {
    for (const program of places) {
      const path = machine.findProgram(program);
      if (path) return { name, path, version: await versionOf(machine, path) };
    }
  }
  return null;
}

/** `Chromium 141.0.7390.54` -> `141.0.7390.54`. On Windows the question opens a window. */
async function versionOf(machine: Machine, path: string): Promise<string | null> {
  if (machine.platform === 'win32') return null;
  const text = await machine.run(path, ['--version']);
  return /[0-9]+(?:\.[0-9]+)+/.exec(text ?? '')?.[0] ?? null;
}
