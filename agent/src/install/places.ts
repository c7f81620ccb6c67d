/**
 * Where each browser looks for native hosts, managed policies and profiles. The folders of Linux
 * were read off Chromium 156 and Firefox 153 at work; macOS and Windows are by their makers'
 * documents ("Native messaging" at developer.chrome.com, "Native manifests" at MDN).
 */
import { join } from 'node:path';

/** The browsers that we install for. */
export const BROWSER_KINDS = ['chromium', 'chrome', 'edge', 'firefox'] as const;
export type BrowserKind = (typeof BROWSER_KINDS)[number];

/** What the places depend on. */
export type PlaceFacts = {
  readonly platform: NodeJS.Platform;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** In front of the machine's own folders: empty, or where a package is being built. */
  readonly root: string;
};

/** Who a registration is for. */
export type InstallScope = 'user' | 'system';

/** One browser's places. */
export type BrowserPlaces = {
  readonly kind: BrowserKind;
  readonly name: string;
  /** How its manifests name who may call, and whether it goes on after a bad one. */
  readonly dialect: 'chromium' | 'firefox';
  /** Folders of registrations by scope, in the order in which they are read. */
  readonly folders: Readonly<Record<InstallScope, readonly string[]>>;
  /** Windows: keys in front of the host's name. */
  readonly registry: Readonly<Record<InstallScope, string>> | null;
  /** A folder of policy files, or Firefox's one file; null where policies are no files. */
  readonly policy: { readonly kind: 'folder' | 'file'; readonly path: string } | null;
  /** Folders of profiles, in which an extension may be. */
  readonly profiles: readonly string[];
};

type Vendor = {
  readonly name: string;
  /** Below the user's configuration folder of Linux. */
  readonly linuxProfile: string;
  readonly linuxSystem: string;
  /** Below `Library/Application Support`. */
  readonly macProfile: string;
  readonly macSystem: string;
  /** Below `Software`. */
  readonly registry: string;
};

const HOSTS = 'NativeMessagingHosts';
const ETC_HOSTS = 'native-messaging-hosts';
const SUPPORT = 'Library/Application Support';

const VENDORS: Readonly<Record<Exclude<BrowserKind, 'firefox'>, Vendor>> = {
  chromium: {
    name: 'Chromium',
    linuxProfile: 'chromium',
    linuxSystem: '/etc/chromium',
    macProfile: 'Chromium',
    macSystem: `/${SUPPORT}/Chromium`,
    registry: 'Chromium',
  },
  chrome: {
    name: 'Chrome',
    linuxProfile: 'google-chrome',
    linuxSystem: '/etc/opt/chrome',
    macProfile: 'Google/Chrome',
    macSystem: '/Library/Google/Chrome',
    registry: 'Google\\Chrome',
  },
  edge: {
    name: 'Edge',
    linuxProfile: 'microsoft-edge',
    linuxSystem: '/etc/opt/edge',
    macProfile: 'Microsoft Edge',
    macSystem: '/Library/Microsoft/Edge',
    registry: 'Microsoft\\Edge',
  },
};

/** Every browser's places on a machine. */
export function browserPlaces(facts: PlaceFacts): readonly BrowserPlaces[] {
  return BROWSER_KINDS.map((kind) =>
    kind === 'firefox' ? firefoxPlaces(facts) : chromiumPlaces(kind, facts),
  );
}

/** Chromium's folder of registrations in a user data directory of its own. */
export function profileFolder(userDataDir: string): string {
  return join(userDataDir, HOSTS);
}

function chromiumPlaces(kind: Exclude<BrowserKind, 'firefox'>, facts: PlaceFacts): BrowserPlaces {
  const vendor = VENDORS[kind];
  const { platform, root } = facts;
  const common = { kind, name: vendor.name, dialect: 'chromium' as const };
  if (platform === 'win32') {
    return { ...common, ...noFolders, registry: registryOf(`${vendor.registry}\\${HOSTS}`) };
  }
  if (platform === 'darwin') {
    const profile = join(facts.home, SUPPORT, vendor.macProfile);
    const folders = { user: [join(profile, HOSTS)], system: [join(root, vendor.macSystem, HOSTS)] };
    return { ...common, folders, registry: null, policy: null, profiles: [profile] };
  }
  const profile = join(configHome(facts), vendor.linuxProfile);
  const system = join(root, vendor.linuxSystem);
  return {
    ...common,
    folders: { user: [join(profile, HOSTS)], system: [join(system, ETC_HOSTS)] },
    registry: null,
    policy: { kind: 'folder', path: join(system, 'policies/managed') },
    profiles: [profile],
  };
}

function firefoxPlaces({ platform, home, env, root }: PlaceFacts): BrowserPlaces {
  const common = { kind: 'firefox', name: 'Firefox', dialect: 'firefox' } as const;
  if (platform === 'win32') {
    return { ...common, ...noFolders, registry: registryOf(`Mozilla\\${HOSTS}`) };
  }
  if (platform === 'darwin') {
    const user = join(home, SUPPORT);
    const folders = {
      user: [join(user, 'Mozilla', HOSTS)],
      system: [join(root, SUPPORT, 'Mozilla', HOSTS)],
    };
    const profiles = [join(user, 'Firefox/Profiles')];
    return { ...common, folders, registry: null, policy: null, profiles };
  }
  return {
    ...common,
    folders: {
      // Where profiles lie under ~/.config by now, this folder is read all the same.
      user: [join(home, '.mozilla', ETC_HOSTS)],
      // Debian's and Mozilla's own builds read the first, Fedora's 64-bit ones the second.
      system: ['lib', 'lib64'].map((lib) => join(root, '/usr', lib, 'mozilla', ETC_HOSTS)),
    },
    registry: null,
    policy: { kind: 'file', path: join(root, '/etc/firefox/policies/policies.json') },
    profiles: [
      join(home, '.mozilla/firefox'),
      join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'mozilla/firefox'),
    ],
  };
}

const noFolders = { folders: { user: [], system: [] }, policy: null, profiles: [] } as const;

function registryOf(path: string): Readonly<Record<InstallScope, string>> {
  return { user: `HKCU\\Software\\${path}`, system: `HKLM\\Software\\${path}` };
}

/** Chromium's family looks here for its user data directories. */
function configHome({ home, env }: PlaceFacts): string {
  return env['CHROME_CONFIG_HOME'] || env['XDG_CONFIG_HOME'] || join(home, '.config');
}
