/**
 * What the installer writes is found and started by a real Chromium and a real Firefox, without a
 * restart, in a folder with spaces and Chinese characters. What the browsers say alike when it is
 * broken, the doctor tells apart.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  type BrowserPlaces,
  browserPlaces,
  checkRegistration,
  type HostConfig,
  type InstallTarget,
  installHost,
  MANIFEST_FILE,
  type PlaceFacts,
  profileFolder,
  uninstallHost,
  wrapperPath,
} from '@tapnpay/agent';
import { PLUGIN_GECKO_ID } from '@tapnpay/protocol/wire';
import { type Browser, launch, type Page } from 'puppeteer-core';
import {
  ExtensionLab,
  ExtensionSystem,
  type Heard,
  type TestPage,
  until,
} from './extension.test-kit.ts';

const ENTRY = join(import.meta.dirname, '../../agent/src/native/main.ts');
const FIREFOX = '/usr/bin/firefox-esr';
const dataDir = mkdtempSync(join(tmpdir(), '支付 测试 '));
after(() => rmSync(dataDir, { recursive: true, force: true }));
const program = wrapperPath(dataDir, process.platform);

function configOf({ gateway, extensionId }: ExtensionSystem): HostConfig {
  return {
    dataDir,
    gatewayOrigins: [gateway],
    gatewayUrl: gateway,
    serverName: 'gateway.tapnpay.test',
    pairing: 'operator',
    managerUrl: null,
    readers: false,
    extensionId,
    geckoId: PLUGIN_GECKO_ID,
  };
}
const placesOf = (home: string): PlaceFacts => ({
  platform: process.platform,
  home,
  env: {},
  root: join(dataDir, 'no-root'),
});
const install = (system: ExtensionSystem, target: InstallTarget, home = dataDir) => {
  const request = { config: configOf(system), target, places: placesOf(home) };
  return installHost({ ...request, nodePath: process.execPath, entry: ENTRY });
};

const skipChromium: string | false =
  existsSync('/usr/bin/chromium') || process.env['CI'] ? false : 'chromium is not installed';
let lab: ExtensionLab;
let page: TestPage;
let userDataDir = '';
before(async () => {
  if (skipChromium) return;
  lab = await ExtensionLab.open();
  lab.system.removeHost();
  await lab.installExtension();
  page = await lab.openPage();
  userDataDir = join(lab.system.folder, 'profile');
});
after(() => lab?.close());

/** What the page hears of the host: `hello`, or the code of the loss. */
async function answer(): Promise<string> {
  await page.forget();
  const heard = await page.open();
  await page.say({ kind: 'close' });
  return heard.kind === 'lost' ? heard.code : heard.kind;
}

/** What the doctor says of the same file. */
async function diagnosis(): Promise<string | null> {
  const everywhere = browserPlaces(placesOf(dataDir));
  const chromium = everywhere.find(({ kind }) => kind === 'chromium');
  assert.ok(chromium);
  const user = [profileFolder(userDataDir)];
  const places: BrowserPlaces = { ...chromium, folders: { user, system: [] } };
  const wanted = { program, extensionId: lab.system.extensionId, geckoId: PLUGIN_GECKO_ID };
  const browser = { places, packaging: 'system', isLib64: false } as const;
  const { found } = await checkRegistration({ browser, wanted, everywhere });
  return found.code;
}

test('Chromium finds the host as soon as it is installed, and no more when it is removed', {
  skip: skipChromium,
}, async () => {
  assert.equal(await answer(), 'ERR_HOST_MISSING');
  assert.equal(await diagnosis(), 'ERR_MANIFEST_MISSING');
  await install(lab.system, { scope: 'profile', userDataDir });
  assert.equal(await answer(), 'hello');
  assert.equal(await diagnosis(), null);
  await uninstallHost({ dataDir, target: { scope: 'profile', userDataDir } });
  assert.equal(await answer(), 'ERR_HOST_MISSING');
});

const manifestPath = (): string => join(userDataDir, 'NativeMessagingHosts', MANIFEST_FILE);
const change = (over: object): void => {
  const manifest = JSON.parse(readFileSync(manifestPath(), 'utf8')) as object;
  writeFileSync(manifestPath(), JSON.stringify({ ...manifest, ...over }));
};
const writeProgram = (body: string): void => writeFileSync(program, `#!/bin/sh\n${body}\n`);
/** What is broken, what the page hears, and what the doctor says of the file. */
const BREAKAGES: readonly (readonly [string, () => void, string, string | null])[] = [
  [
    'broken JSON',
    () => writeFileSync(manifestPath(), '{'),
    'ERR_HOST_MISSING',
    'ERR_MANIFEST_JSON',
  ],
  [
    'a wrong name',
    () => change({ name: 'org.other.host' }),
    'ERR_HOST_MISSING',
    'ERR_MANIFEST_NAME',
  ],
  ['another type', () => change({ type: 'pipe' }), 'ERR_HOST_MISSING', 'ERR_MANIFEST_TYPE'],
  [
    'a relative path',
    () => change({ path: 'tapnpay-host' }),
    'ERR_HOST_MISSING',
    'ERR_HOST_PATH_RELATIVE',
  ],
  [
    'a path to nothing',
    () => change({ path: '/gone/host' }),
    'ERR_HOST_MISSING',
    'ERR_HOST_PATH_MISSING',
  ],
  [
    'another extension',
    () => change({ allowed_origins: [`chrome-extension://${'b'.repeat(32)}/`] }),
    'ERR_HOST_FORBIDDEN',
    'ERR_HOST_FORBIDDEN',
  ],
  // Chromium's words depend on whether our first frame meets the pipe before its end or after it.
  [
    'not executable',
    () => chmodSync(program, 0o644),
    'ERR_HOST_EXITED or ERR_HOST_PROTOCOL',
    'ERR_HOST_NOT_EXECUTABLE',
  ],
  ['a host that exits', () => writeProgram('exit 3'), 'ERR_HOST_EXITED or ERR_HOST_PROTOCOL', null],
  [
    'a host that prints',
    () => writeProgram('echo listening; exec cat >/dev/null'),
    'ERR_HOST_PROTOCOL',
    null,
  ],
];
for (const [what, breakIt, heard, told] of BREAKAGES) {
  test(`Chromium, ${what}: the page hears ${heard}, the doctor says ${told ?? 'that the file is right'}`, {
    skip: skipChromium,
  }, async () => {
    await install(lab.system, { scope: 'profile', userDataDir });
    breakIt();
    const said = await answer();
    assert.ok(heard.split(' or ').includes(said), said);
    assert.equal(await diagnosis(), told);
    // Installing again is the cure for all of them.
    await install(lab.system, { scope: 'profile', userDataDir });
    assert.equal(await answer(), 'hello');
  });
}

const skipFirefox: string | false =
  existsSync(FIREFOX) || process.env['CI'] ? false : 'firefox-esr is not installed';

test('Firefox finds it in the folder of the user, where its profile lies elsewhere', {
  skip: skipFirefox,
}, async () => {
  const system = await ExtensionSystem.make('firefox', 'home/.mozilla/native-messaging-hosts');
  const home = join(system.folder, 'home');
  system.removeHost();
  rmSync(join(home, '.mozilla'), { recursive: true });
  mkdirSync(home, { recursive: true });
  let browser: Browser | null = null;
  try {
    browser = await launch({
      browser: 'firefox',
      executablePath: FIREFOX,
      headless: true,
      env: { ...process.env, HOME: home },
      extraPrefsFirefox: {
        'xpinstall.signatures.required': false,
        'extensions.autoDisableScopes': 0,
      },
    });
    await browser.installExtension(system.extension);
    const tab = await browser.newPage();
    await tab.goto(`${system.gateway}/`);
    assert.equal(await firefoxAnswer(tab), 'ERR_HOST_MISSING');
    await install(system, { scope: 'user' }, home);
    assert.equal(await firefoxAnswer(tab), 'hello');
  } finally {
    await browser?.close();
    system.remove();
  }
});

async function firefoxAnswer(tab: Page): Promise<string> {
  await tab.evaluate(() => {
    Reflect.set(globalThis, 'heard', []);
    Reflect.get(globalThis, 'say')('one', { kind: 'open' });
  });
  const heard = await until(async () => {
    const all = await tab.evaluate(() => Reflect.get(globalThis, 'heard') as readonly Heard[]);
    return all.find(({ kind }) => kind === 'hello' || kind === 'lost');
  }, 'hello or lost');
  await tab.evaluate(() => Reflect.get(globalThis, 'say')('one', { kind: 'close' }));
  return heard.kind === 'lost' ? heard.code : heard.kind;
}
