/**
 * The extension by managed policy: other people's policies stay in force and in place, and are given
 * back to the byte; what cannot be understood is left alone.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import {
  EXTENSION_ID,
  GECKO_ID,
  type TestMachine,
  testMachine,
  UPDATE_MANIFEST,
  XPI,
} from './install.test-kit.ts';
import { installHost } from './install.ts';
import { browserPlaces } from './places.ts';
import { seePolicy } from './policy.ts';
import { uninstallHost } from './uninstall.ts';

const OURS = `${EXTENSION_ID};${UPDATE_MANIFEST}`;
const THEIRS = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;https://corp.example/update.xml';
const LIST = 'ExtensionInstallForcelist';
const ADDON = { installation_mode: 'normal_installed', install_url: XPI };
const SIGNATURES = { 'xpinstall.signatures.required': { Value: false, Status: 'locked' } };

const machines: TestMachine[] = [];
after(() => {
  for (const made of machines) made.remove();
});

/** A machine with these files of policies below its root. */
function machine(files: Readonly<Record<string, string>> = {}) {
  const made = testMachine();
  machines.push(made);
  const pathOf = (name: string) => join(made.places.root, 'etc', name);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(pathOf(name)), { recursive: true });
    writeFileSync(pathOf(name), text);
  }
  const install = async (
    over: { unsignedAddons?: boolean; updateManifest?: string; distribution?: string } = {},
  ) => {
    const { distribution = null, ...rest } = over;
    const source = { updateManifest: UPDATE_MANIFEST, xpi: XPI, unsignedAddons: false };
    const extension = { ...source, ...rest };
    const target = { scope: 'system' } as const;
    const parts = await installHost(made.request({ target, extension, distribution }));
    return parts.filter(({ part }) => part === 'policy');
  };
  const uninstall = (only?: 'policy') =>
    uninstallHost({ dataDir: made.dataDir, target: { scope: 'system' }, only });
  const text = (name: string) => readFileSync(pathOf(name), 'utf8');
  const json = (name: string) => JSON.parse(text(name));
  return { ...made, pathOf, install, uninstall, text, json };
}

const CHROMIUM = 'chromium/policies/managed';
const FIREFOX = 'firefox/policies/policies.json';

test('without other policies: one file for each of Chromium, Chrome and Edge, one for Firefox', async () => {
  const { install, uninstall, json, places, pathOf } = machine();
  const parts = await install();
  assert.deepEqual(
    parts.map(({ browser, state }) => [browser, state]),
    [
      ['Chromium', 'written'],
      ['Chrome', 'written'],
      ['Edge', 'written'],
      ['Firefox', 'written'],
    ],
  );
  for (const folder of [CHROMIUM, 'opt/chrome/policies/managed', 'opt/edge/policies/managed']) {
    assert.deepEqual(json(`${folder}/tapnpay.json`), { [LIST]: [OURS] });
    assert.equal(statSync(pathOf(`${folder}/tapnpay.json`)).mode & 0o777, 0o644);
  }
  assert.deepEqual(json(FIREFOX), { policies: { ExtensionSettings: { [GECKO_ID]: ADDON } } });
  await uninstall();
  assert.deepEqual(readdirSync(places.root), []);
});

test("a list of others: ours goes into it, for Chromium takes the last file's list alone", async () => {
  const first = JSON.stringify({ [LIST]: ['x;https://old.example/'] });
  const corp = `{\n\t"HomepageLocation": "https://corp.example",\n\t"${LIST}": [ "${THEIRS}" ]\n}`;
  const { install, uninstall, json, text, pathOf } = machine({
    [`${CHROMIUM}/a.json`]: first,
    [`${CHROMIUM}/corp.json`]: corp,
    [`${CHROMIUM}/zz.json`]: '{"HomepageIsNewTabPage":true}',
  });
  chmodSync(pathOf(`${CHROMIUM}/corp.json`), 0o640);
  await install();
  assert.ok(!existsSync(pathOf(`${CHROMIUM}/tapnpay.json`)));
  assert.deepEqual(json(`${CHROMIUM}/corp.json`), {
    HomepageLocation: 'https://corp.example',
    [LIST]: [THEIRS, OURS],
  });
  assert.match(text(`${CHROMIUM}/corp.json`), /^\t"HomepageLocation"/m);
  assert.equal(statSync(pathOf(`${CHROMIUM}/corp.json`)).mode & 0o777, 0o640);
  assert.equal(text(`${CHROMIUM}/a.json`), first);
  await uninstall();
  assert.equal(text(`${CHROMIUM}/corp.json`), corp);
  assert.equal(statSync(pathOf(`${CHROMIUM}/corp.json`)).mode & 0o777, 0o640);
});

test('what others write after us stays when ours is taken out', async () => {
  const { install, uninstall, json, pathOf } = machine({
    [FIREFOX]: '{"policies":{"DisableTelemetry":true}}',
  });
  await install({ unsignedAddons: true });
  for (const name of [`${CHROMIUM}/tapnpay.json`, FIREFOX]) {
    const value = json(name);
    if (name === FIREFOX) {
      value.policies.ExtensionSettings['other@example'] = { installation_mode: 'blocked' };
      value.policies.Preferences['a.b'] = { Value: 1 };
    } else {
      value[LIST].unshift(THEIRS);
    }
    writeFileSync(pathOf(name), JSON.stringify(value));
  }
  await uninstall();
  assert.deepEqual(json(`${CHROMIUM}/tapnpay.json`), { [LIST]: [THEIRS] });
  assert.deepEqual(json(FIREFOX), {
    policies: {
      DisableTelemetry: true,
      ExtensionSettings: { 'other@example': { installation_mode: 'blocked' } },
      Preferences: { 'a.b': { Value: 1 } },
    },
  });
});

test('Firefox: other policies stay; unsigned add-ons only when asked for', async () => {
  const before = '{"policies":{"ExtensionSettings":{"*":{"installation_mode":"blocked"}}}}';
  const { install, uninstall, json, text } = machine({ [FIREFOX]: before });
  await install();
  assert.deepEqual(json(FIREFOX).policies, {
    ExtensionSettings: { '*': { installation_mode: 'blocked' }, [GECKO_ID]: ADDON },
  });
  await install({ unsignedAddons: true });
  assert.deepEqual(json(FIREFOX).policies.Preferences, SIGNATURES);
  await uninstall();
  assert.equal(text(FIREFOX), before);
});

test("Firefox's own policies, which it ignores beside the system's file, are carried over", async () => {
  const { install, uninstall, json, folder, pathOf } = machine();
  const distribution = join(folder, 'policies.json');
  writeFileSync(distribution, '{"policies":{"DisableFirefoxStudies":true}}');
  await install({ distribution });
  assert.equal(json(FIREFOX).policies.DisableFirefoxStudies, true);
  await uninstall();
  // Gone: Firefox reads its own again.
  assert.ok(!existsSync(pathOf(FIREFOX)));
});

test('another address replaces the old one, and removing still gives back the beginning', async () => {
  const before = `{"${LIST}":["${THEIRS}"]}`;
  const { install, uninstall, json, text } = machine({ [`${CHROMIUM}/corp.json`]: before });
  await install();
  const updateManifest = 'http://127.0.0.1:9000/plugin/update.xml';
  await install({ updateManifest });
  assert.deepEqual(json(`${CHROMIUM}/corp.json`)[LIST], [
    THEIRS,
    `${EXTENSION_ID};${updateManifest}`,
  ]);
  const again = await install({ updateManifest });
  assert.deepEqual(
    again.map(({ state }) => state),
    ['same', 'same', 'same', 'same'],
  );
  await uninstall();
  assert.equal(text(`${CHROMIUM}/corp.json`), before);
});

test('policies that cannot be understood are left alone and told', async () => {
  const commented = `{ // of the corporation\n "${LIST}": [], }`;
  const { install, uninstall, text, pathOf } = machine({
    [`${CHROMIUM}/corp.json`]: commented,
    [FIREFOX]: '{"policies":',
    'opt/edge/policies/managed/list.json': '[]',
  });
  const parts = await install();
  assert.deepEqual(
    parts.map(({ browser, error }) => [browser, error?.code ?? null]),
    [
      ['Chromium', 'ERR_INSTALL_POLICY'],
      ['Chrome', null],
      ['Edge', null],
      ['Firefox', 'ERR_INSTALL_POLICY'],
    ],
  );
  assert.equal(text(`${CHROMIUM}/corp.json`), commented);
  assert.ok(!existsSync(pathOf(`${CHROMIUM}/tapnpay.json`)));
  assert.equal(text(FIREFOX), '{"policies":');
  await uninstall();
  assert.equal(text(FIREFOX), '{"policies":');
});

test('a policy that another hand broke after us is kept, told, and stays recorded', async () => {
  const { install, uninstall, pathOf } = machine();
  await install();
  writeFileSync(pathOf(FIREFOX), 'oops');
  const firefoxPart = async () => (await uninstall()).find(({ path }) => path === pathOf(FIREFOX));
  assert.equal((await firefoxPart())?.error?.code, 'ERR_INSTALL_POLICY');
  writeFileSync(pathOf(FIREFOX), '{"policies":{}}');
  assert.equal((await firefoxPart())?.state, 'removed');
  assert.ok(!existsSync(pathOf(FIREFOX)));
});

test('only the policy can be removed; registrations stay', async () => {
  const { install, uninstall, pathOf } = machine();
  await install();
  const removed = await uninstall('policy');
  assert.deepEqual([...new Set(removed.map(({ part }) => part))], ['policy']);
  assert.ok(existsSync(pathOf('chromium/native-messaging-hosts/org.tapnpay.host.json')));
  assert.ok(!existsSync(pathOf('chromium/policies')));
});

test('what a browser makes of the files: the last list counts, broken files do not', async () => {
  const { install, places, pathOf } = machine();
  const chromium = browserPlaces(places).find(({ kind }) => kind === 'chromium')?.policy;
  assert.ok(chromium);
  const ids = { extensionId: EXTENSION_ID, geckoId: GECKO_ID };
  assert.equal(seePolicy(chromium, ids).state, 'none');
  await install();
  const own = pathOf(`${CHROMIUM}/tapnpay.json`);
  assert.deepEqual(seePolicy(chromium, ids), { state: 'there', path: own, url: UPDATE_MANIFEST });
  const last = pathOf(`${CHROMIUM}/zz.json`);
  writeFileSync(last, JSON.stringify({ [LIST]: [THEIRS] }));
  assert.deepEqual(seePolicy(chromium, ids), { state: 'none', path: last });
  writeFileSync(last, `{"${LIST}":`);
  assert.equal(seePolicy(chromium, ids).state, 'there');
  writeFileSync(own, '{');
  assert.deepEqual(seePolicy(chromium, ids).state, 'noJson');
});

test('macOS and Windows: policies are no files there, which is said', async () => {
  for (const platform of ['darwin', 'win32'] as const) {
    const made = testMachine(platform);
    machines.push(made);
    const extension = { updateManifest: UPDATE_MANIFEST, xpi: XPI, unsignedAddons: false };
    const target = { scope: 'system' } as const;
    const runRegistry = async () => '';
    const parts = await installHost(made.request({ target, extension, runRegistry }));
    const codes = parts.filter(({ part }) => part === 'policy').map(({ error }) => error?.code);
    assert.deepEqual([...new Set(codes)], ['ERR_INSTALL_PLATFORM']);
  }
});
