/**
 * Each way in which a registration can be broken is made, and named with its own code; every place
 * that a browser reads is told. The same for extension and policy.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { CHECK_TEXTS, describeCheck, type PluginVersions } from '@tapnpay/protocol/wire';
import {
  EXTENSION_ID,
  GECKO_ID,
  type TestMachine,
  testMachine,
  UPDATE_MANIFEST,
  XPI,
} from '../install/install.test-kit.ts';
import { installHost } from '../install/install.ts';
import { MANIFEST_FILE, type WantedHost } from '../install/manifest.ts';
import { type BrowserKind, browserPlaces } from '../install/places.ts';
import { wrapperPath } from '../install/wrapper.ts';
import {
  type CheckedBrowser,
  checkExtension,
  checkPolicy,
  checkRegistration,
} from './browser-checks.ts';

const machines: TestMachine[] = [];
after(() => {
  for (const made of machines) made.remove();
});

function machine(platform?: NodeJS.Platform) {
  const made = testMachine(platform);
  machines.push(made);
  const everywhere = browserPlaces(made.places);
  const program = wrapperPath(made.dataDir, made.places.platform);
  const wanted: WantedHost = { extensionId: EXTENSION_ID, geckoId: GECKO_ID, program };
  const browser = (kind: BrowserKind, over: Partial<CheckedBrowser> = {}): CheckedBrowser => {
    const places = everywhere.find((each) => each.kind === kind);
    assert.ok(places);
    return { places, packaging: 'system', isLib64: false, ...over };
  };
  const check = (kind: BrowserKind, over: Partial<CheckedBrowser> = {}) =>
    checkRegistration({ browser: browser(kind, over), wanted, everywhere });
  const userPath = (kind: BrowserKind) =>
    join(browser(kind).places.folders.user[0] ?? '', MANIFEST_FILE);
  const systemPath = (kind: BrowserKind, index = 0) =>
    join(browser(kind).places.folders.system[index] ?? '', MANIFEST_FILE);
  return { ...made, everywhere, program, wanted, browser, check, userPath, systemPath };
}

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

const good = (program: string, over: object = {}): string =>
  JSON.stringify({
    name: 'org.tapnpay.host',
    description: 'x',
    path: program,
    type: 'stdio',
    allowed_origins: [`chrome-extension://${EXTENSION_ID}/`],
    allowed_extensions: [GECKO_ID],
    ...over,
  });

test('what the installer wrote is found in order by every browser', async () => {
  const { request, check, program, userPath, folder } = machine();
  writeFileSync(join(folder, 'host.mjs'), '');
  await installHost(request());
  for (const kind of ['chromium', 'chrome', 'edge', 'firefox'] as const) {
    const { found, program: started } = await check(kind);
    assert.deepEqual([found.state, found.code, started], ['ok', null, program], kind);
    assert.equal(found.facts['path'], userPath(kind));
    assert.match(found.facts['probed'] ?? '', /: ok\n.+: ENOENT$/);
  }
});

test('nothing anywhere: a warning that names every place, row 23', async () => {
  const { check, userPath, systemPath } = machine();
  const { found, program } = await check('chromium');
  assert.deepEqual([found.state, found.code, program], ['warn', 'ERR_MANIFEST_MISSING', null]);
  assert.deepEqual(found.facts['probed']?.split('\n'), [
    `${userPath('chromium')}: ENOENT`,
    `${systemPath('chromium')}: ENOENT`,
  ]);
});

type Breakage = (facts: { readonly path: string; readonly program: string }) => string | null;
/** What is wrong, its code, and what is written; null: the case does more than write. */
const BREAKAGES: readonly (readonly [what: string, code: string, text: Breakage])[] = [
  ['broken JSON', 'ERR_MANIFEST_JSON', () => '{"name":'],
  ['an empty file', 'ERR_MANIFEST_JSON', () => ''],
  ['JSON that is no object', 'ERR_MANIFEST_JSON', () => '["org.tapnpay.host"]'],
  ['a wrong name', 'ERR_MANIFEST_NAME', ({ program }) => good(program, { name: 'org.other.host' })],
  ['no name', 'ERR_MANIFEST_NAME', ({ program }) => good(program, { name: undefined })],
  ['another type', 'ERR_MANIFEST_TYPE', ({ program }) => good(program, { type: 'pipe' })],
  ['a relative path', 'ERR_HOST_PATH_RELATIVE', () => good('native-host/tapnpay-host')],
  ['a path to nothing', 'ERR_HOST_PATH_MISSING', () => good('/opt/gone/tapnpay-host')],
  ['no path', 'ERR_HOST_PATH_MISSING', ({ program }) => good(program, { path: undefined })],
  [
    'another extension only',
    'ERR_HOST_FORBIDDEN',
    ({ program }) =>
      good(program, {
        allowed_origins: [`chrome-extension://${'a'.repeat(32)}/`],
        allowed_extensions: ['other@example'],
      }),
  ],
  [
    'an extension without its last slash',
    'ERR_HOST_FORBIDDEN',
    ({ program }) =>
      good(program, {
        allowed_origins: [`chrome-extension://${EXTENSION_ID}`],
        allowed_extensions: GECKO_ID,
      }),
  ],
  [
    'a program that may not be executed',
    'ERR_HOST_NOT_EXECUTABLE',
    ({ program }) => {
      chmodSync(program, 0o644);
      return good(program);
    },
  ],
  [
    'a folder in the place of the file',
    'ERR_MANIFEST_UNREADABLE',
    ({ path }) => {
      mkdirSync(path, { recursive: true });
      return null;
    },
  ],
];
for (const kind of ['chromium', 'firefox'] as const) {
  for (const [what, code, text] of BREAKAGES) {
    test(`${kind}: ${what}: ${code}`, async () => {
      const { check, program, userPath } = machine();
      put(program, '#!/bin/sh\n');
      chmodSync(program, 0o755);
      const path = userPath(kind);
      const broken = text({ path, program });
      if (broken !== null) put(path, broken);
      const { found, program: started } = await check(kind);
      assert.deepEqual([found.state, found.code, started], ['broken', code, null]);
      assert.match(found.facts['probed'] ?? '', new RegExp(`: ${code}\n`));
      for (const language of ['en', 'zh'] as const) {
        const line = describeCheck({ id: 'manifest', ...found }, { language, texts: CHECK_TEXTS });
        assert.doesNotMatch(`${line.seen}${line.fix}`, /[{}]/, `${language}: ${line.seen}`);
        assert.ok(line.fix);
      }
    });
  }
}

test('a link to nothing is nothing', async () => {
  const { check, userPath } = machine();
  mkdirSync(dirname(userPath('chromium')), { recursive: true });
  symlinkSync('/opt/gone.json', userPath('chromium'));
  assert.equal((await check('chromium')).found.code, 'ERR_MANIFEST_MISSING');
});

test('a broken file of the user hides the good one of all users from Chromium, not from Firefox', async () => {
  const { check, program, userPath, systemPath } = machine();
  put(program, '#!/bin/sh\n');
  chmodSync(program, 0o755);
  for (const kind of ['chromium', 'firefox'] as const) {
    put(userPath(kind), '{');
    put(systemPath(kind), good(program));
  }
  assert.equal((await check('chromium')).found.code, 'ERR_MANIFEST_JSON');
  const { found } = await check('firefox');
  assert.deepEqual([found.state, found.facts['path']], ['ok', systemPath('firefox')]);
  assert.match(found.facts['probed'] ?? '', /: ERR_MANIFEST_JSON\n.+: ok$/);
});

test('registered where this browser does not look: rows 2 and 26', async () => {
  const { check, program, userPath, systemPath } = machine();
  put(program, '#!/bin/sh\n');
  chmodSync(program, 0o755);
  put(userPath('chrome'), good(program));
  const chromium = await check('chromium');
  assert.deepEqual(
    [chromium.found.state, chromium.found.code],
    ['broken', 'ERR_MANIFEST_ELSEWHERE'],
  );
  assert.equal(chromium.found.facts['path'], userPath('chrome'));
  // A Firefox of Debian with the registration in Fedora's folder, and the other way round.
  rmSync(userPath('chrome'));
  put(systemPath('firefox', 1), good(program));
  assert.equal((await check('firefox')).found.code, 'ERR_MANIFEST_ELSEWHERE');
  assert.equal((await check('firefox', { isLib64: true })).found.state, 'ok');
});

test('a registration of another system: a warning, and its program is still asked', async () => {
  const { check, folder, userPath } = machine();
  const other = join(folder, 'other-host');
  put(other, '#!/bin/sh\n');
  chmodSync(other, 0o755);
  put(userPath('chromium'), good(other));
  const { found, program } = await check('chromium');
  assert.deepEqual([found.state, found.code, program], ['warn', 'ERR_HOST_OTHER_SYSTEM', other]);
});

test('a browser in a sandbox of snap or flatpak: advice, whatever is registered, row 25', async () => {
  const { check, request } = machine();
  await installHost(request());
  for (const packaging of ['snap', 'flatpak'] as const) {
    const { found, program } = await check('firefox', { packaging });
    assert.deepEqual([found.state, found.code, program], ['warn', 'ERR_BROWSER_SANDBOXED', null]);
    assert.equal(found.facts['kind'], packaging);
  }
});

test('Windows: the keys are told, and the manifest that they name', async () => {
  const { everywhere, wanted, browser, folder } = machine('win32');
  const manifest = join(folder, 'x.json');
  writeFileSync(manifest, '{');
  const answers: Record<string, string> = {
    'HKLM\\Software\\Chromium\\NativeMessagingHosts\\org.tapnpay.host': manifest,
  };
  const runRegistry = async ([, key = '']: readonly string[]) =>
    key in answers ? `\r\n${key}\r\n    (默认)    REG_SZ    ${answers[key]}\r\n\r\n` : null;
  const facts = { browser: browser('chromium'), wanted, everywhere, runRegistry };
  const { found } = await checkRegistration(facts);
  assert.equal(found.code, 'ERR_MANIFEST_JSON');
  assert.deepEqual(found.facts['probed']?.split('\n'), [
    'HKCU\\Software\\Chromium\\NativeMessagingHosts\\org.tapnpay.host: ENOENT',
    `HKLM\\Software\\Chromium\\NativeMessagingHosts\\org.tapnpay.host -> ${manifest}: ERR_MANIFEST_JSON`,
  ]);
});

const offered: PluginVersions['extension'] = {
  id: EXTENSION_ID,
  geckoId: GECKO_ID,
  latest: '0.3.0',
  required: '0.2.0',
};

test('the extension in the profiles: missing, outdated, to be updated, there; row 3', async () => {
  const { browser, places, wanted } = machine();
  const { places: chromium } = browser('chromium');
  const { places: firefox } = browser('firefox');
  assert.equal(checkExtension(chromium, wanted, offered).code, 'ERR_EXTENSION_MISSING');
  const ofVersion = (version: string) => {
    const packed = join(places.home, '.config/chromium/Default/Extensions', EXTENSION_ID);
    rmSync(packed, { recursive: true, force: true });
    put(join(packed, `${version}_0`, 'manifest.json'), JSON.stringify({ version }));
    const profile = join(places.home, '.config/mozilla/firefox/abc.default-esr');
    const addons = [{ id: GECKO_ID, version, active: true }];
    put(join(profile, 'extensions.json'), JSON.stringify({ addons }));
    return [chromium, firefox].map((each) => {
      const { state, code } = checkExtension(each, wanted, offered);
      return [state, code];
    });
  };
  const both = (state: string, code: string | null) => [
    [state, code],
    [state, code],
  ];
  assert.deepEqual(ofVersion('0.1.9'), both('broken', 'ERR_EXTENSION_OUTDATED'));
  assert.deepEqual(ofVersion('0.2'), both('broken', 'ERR_EXTENSION_OUTDATED'));
  assert.deepEqual(ofVersion('0.2.10'), both('warn', 'ERR_EXTENSION_UPDATE'));
  assert.deepEqual(ofVersion('0.3.0'), both('ok', null));
  assert.match(checkExtension(chromium, wanted, null).facts['probed'] ?? '', /Default: 0\.3\.0$/);
});

test('an unpacked extension is there, a switched-off add-on is not', async () => {
  const { browser, places, wanted, folder } = machine();
  put(join(folder, 'ext/manifest.json'), '{"version":"0.3.0"}');
  const settings = { [EXTENSION_ID]: { path: join(folder, 'ext') } };
  const preferences = join(places.home, '.config/chromium/Profile 1/Secure Preferences');
  put(preferences, JSON.stringify({ extensions: { settings } }));
  assert.equal(checkExtension(browser('chromium').places, wanted, offered).state, 'ok');
  const addons = [{ id: GECKO_ID, version: '0.3.0', active: false }];
  put(join(places.home, '.mozilla/firefox/a.default/extensions.json'), JSON.stringify({ addons }));
  const { code } = checkExtension(browser('firefox').places, wanted, offered);
  assert.equal(code, 'ERR_EXTENSION_MISSING');
});

test('the policy: none, ours, of another gateway, broken', async () => {
  const { browser, wanted, request } = machine();
  const install = { crx: '', updateManifest: UPDATE_MANIFEST, xpi: XPI, xpiUpdates: '' };
  const kinds = ['chromium', 'firefox'] as const;
  const codes = (over = install) =>
    kinds.map((kind) => checkPolicy(browser(kind).places, wanted, over).code);
  assert.deepEqual(codes(), ['ERR_POLICY_MISSING', 'ERR_POLICY_MISSING']);
  const extension = { updateManifest: UPDATE_MANIFEST, xpi: XPI, unsignedAddons: false };
  await installHost(request({ target: { scope: 'system' }, extension }));
  assert.deepEqual(codes(), [null, null]);
  const other = { ...install, updateManifest: 'http://a/update.xml', xpi: 'http://a/x.xpi' };
  assert.deepEqual(codes(other), ['ERR_POLICY_OTHER_SYSTEM', 'ERR_POLICY_OTHER_SYSTEM']);
  for (const kind of kinds) {
    const { path } = checkPolicy(browser(kind).places, wanted, install).facts;
    writeFileSync(path ?? '', '{');
  }
  assert.deepEqual(codes(), ['ERR_POLICY_JSON', 'ERR_POLICY_JSON']);
});
