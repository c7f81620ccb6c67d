/**
 * The host is registered with every browser of a user, of a machine or of one user data directory,
 * in folders with spaces, quotes and Chinese characters; the registration really starts it; what is
 * removed is what was written, to the byte, and nothing of anybody else.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { readHostConfig } from '../native/config.ts';
import { InstallError } from './errors.ts';
import { EXTENSION_ID, GECKO_ID, type TestMachine, testMachine } from './install.test-kit.ts';
import { installHost } from './install.ts';
import { MANIFEST_FILE } from './manifest.ts';
import { readRecord } from './record.ts';
import { uninstallHost } from './uninstall.ts';
import { wrapperPath, wrapperText } from './wrapper.ts';

const machines: TestMachine[] = [];
function machine(platform?: NodeJS.Platform): TestMachine {
  const made = testMachine(platform);
  machines.push(made);
  return made;
}
after(() => {
  for (const made of machines) made.remove();
});

/** Every file below a folder. */
function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
const jsonOf = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const isRoot = process.getuid?.() === 0;

test('for a user: Chromium, Chrome, Edge and Firefox, each in the folder that it reads', async () => {
  const { places, dataDir, request } = machine();
  const parts = await installHost(request());
  assert.deepEqual([...new Set(parts.map(({ state }) => state))], ['written']);
  const below = (path: string) => join(places.home, path, MANIFEST_FILE);
  const chromium = ['chromium', 'google-chrome', 'microsoft-edge'].map((name) =>
    below(`.config/${name}/NativeMessagingHosts`),
  );
  const firefox = below('.mozilla/native-messaging-hosts');
  assert.deepEqual(filesIn(places.home), [...chromium, firefox].sort());
  const common = {
    name: 'org.tapnpay.host',
    description: 'Tap & Pay: secure element and card readers',
    path: wrapperPath(dataDir, 'linux'),
    type: 'stdio',
  };
  for (const path of chromium) {
    const allowed_origins = [`chrome-extension://${EXTENSION_ID}/`];
    assert.deepEqual(jsonOf(path), { ...common, allowed_origins });
  }
  assert.deepEqual(jsonOf(firefox), { ...common, allowed_extensions: [GECKO_ID] });
  for (const path of [...chromium, firefox]) assert.equal(statSync(path).mode & 0o777, 0o644);
  assert.deepEqual(filesIn(places.root), []);
});

test("Chromium's folders follow XDG_CONFIG_HOME, as Chromium does", async () => {
  const { places, folder, request } = machine();
  const env = { XDG_CONFIG_HOME: join(folder, 'xdg') };
  await installHost(request({ places: { ...places, env } }));
  assert.ok(existsSync(join(folder, 'xdg/chromium/NativeMessagingHosts', MANIFEST_FILE)));
  assert.ok(!existsSync(join(places.home, '.config')));
});

test('for all users: rows 2 and 26, Chromium is not Chrome, and both library folders', async () => {
  const { places, request } = machine();
  mkdirSync(join(places.root, 'usr/lib64'), { recursive: true });
  const parts = await installHost(request({ target: { scope: 'system' } }));
  assert.ok(parts.every(({ error }) => error === null));
  const folders = [
    'etc/chromium/native-messaging-hosts',
    'etc/opt/chrome/native-messaging-hosts',
    'etc/opt/edge/native-messaging-hosts',
    'usr/lib/mozilla/native-messaging-hosts',
    'usr/lib64/mozilla/native-messaging-hosts',
  ];
  const expected = folders.map((path) => join(places.root, path, MANIFEST_FILE));
  assert.deepEqual(filesIn(places.root), expected);
  assert.deepEqual(filesIn(places.home), []);
});

test('a machine without /usr/lib64 gets none', async () => {
  const { places, request } = machine();
  await installHost(request({ target: { scope: 'system' } }));
  assert.ok(!existsSync(join(places.root, 'usr/lib64')));
});

test('one user data directory: only its own folder is written', async () => {
  const { places, folder, request } = machine();
  const userDataDir = join(folder, '配置 profile');
  await installHost(request({ target: { scope: 'profile', userDataDir } }));
  const written = join(userDataDir, 'NativeMessagingHosts', MANIFEST_FILE);
  assert.deepEqual(filesIn(userDataDir), [written]);
  assert.deepEqual(filesIn(places.home), []);
});

test('the registered program starts this Node with the configuration, row 22', async () => {
  const { dataDir, folder, config, request } = machine();
  const told = `console.log(JSON.stringify({
    argv: process.argv.slice(2), node: process.execPath, options: process.env.NODE_OPTIONS ?? null,
  }))`;
  writeFileSync(join(folder, 'host.mjs'), told);
  await installHost(request());
  const program = wrapperPath(dataDir, process.platform);
  assert.equal(statSync(program).mode & 0o777, 0o755);
  // As a browser starts it: another folder, no search path to speak of, its own arguments.
  const args = [`chrome-extension://${EXTENSION_ID}/`, 'a b', "it's 支付"];
  const env = { PATH: '/nowhere', NODE_OPTIONS: '--require /nowhere/hook.cjs' };
  const text = await new Promise<string>((resolve, reject) => {
    execFile(program, args, { cwd: '/', env }, (fault, out) =>
      fault ? reject(fault) : resolve(out),
    );
  });
  const configPath = join(dataDir, 'agent/host.json');
  assert.deepEqual(JSON.parse(text), {
    argv: ['--config', configPath, ...args],
    node: process.execPath,
    options: null,
  });
  assert.deepEqual(readHostConfig(configPath), config);
  assert.equal(statSync(configPath).mode & 0o777, 0o600);
});

test('removing leaves the machine as it was, its folders too', async () => {
  const { places, dataDir, request } = machine();
  // Chromium has run here; the others never have.
  mkdirSync(join(places.home, '.config/chromium/Default'), { recursive: true });
  await installHost(request());
  await installHost(request({ target: { scope: 'system' } }));
  assert.deepEqual(
    (await uninstallHost({ dataDir, target: { scope: 'user' } })).map(({ state }) => state),
    ['removed', 'removed', 'removed', 'removed'],
  );
  assert.deepEqual(readdirSync(places.home), ['.config']);
  assert.deepEqual(readdirSync(join(places.home, '.config')), ['chromium']);
  assert.deepEqual(readdirSync(join(places.home, '.config/chromium')), ['Default']);
  // All users' registrations still need the program.
  assert.ok(existsSync(wrapperPath(dataDir, 'linux')));
  await uninstallHost({ dataDir, target: { scope: 'system' } });
  assert.deepEqual(readdirSync(places.root), []);
  assert.deepEqual(filesIn(dataDir), []);
  assert.deepEqual(await uninstallHost({ dataDir, target: { scope: 'system' } }), []);
});

test('a registration that somebody else wrote since stays', async () => {
  const { places, dataDir, request } = machine();
  await installHost(request());
  const path = join(places.home, '.config/chromium/NativeMessagingHosts', MANIFEST_FILE);
  const foreign = JSON.stringify({ name: 'org.tapnpay.host', path: '/opt/other/host' });
  writeFileSync(path, foreign);
  const neighbour = join(dirname(path), 'org.other.json');
  writeFileSync(neighbour, '{}');
  const removed = await uninstallHost({ dataDir, target: { scope: 'user' } });
  assert.equal(removed.find((part) => part.path === path)?.state, 'kept');
  assert.equal(readFileSync(path, 'utf8'), foreign);
  assert.ok(existsSync(neighbour));
});

test('installing again changes nothing; over another system it says so', async () => {
  const one = machine();
  await installHost(one.request());
  const again = await installHost(one.request());
  assert.deepEqual([...new Set(again.map(({ state }) => state))], ['same']);
  const other = machine();
  const states = (await installHost(other.request({ places: one.places })))
    .filter(({ part }) => part === 'manifest')
    .map(({ state }) => state);
  assert.deepEqual([...new Set(states)], ['other']);
  // The first one's removal does not touch what is the second one's by now.
  const removed = await uninstallHost({ dataDir: one.dataDir, target: { scope: 'user' } });
  assert.ok(
    removed.filter(({ part }) => part === 'manifest').every(({ state }) => state === 'kept'),
  );
  await uninstallHost({ dataDir: other.dataDir, target: { scope: 'user' } });
  assert.deepEqual(filesIn(one.places.home), []);
});

test('a wrong mode is put right by installing again', async () => {
  const { dataDir, request } = machine();
  await installHost(request());
  const program = wrapperPath(dataDir, 'linux');
  chmodSync(program, 0o644);
  const parts = await installHost(request());
  assert.equal(parts.find(({ part }) => part === 'program')?.state, 'written');
  assert.equal(statSync(program).mode & 0o777, 0o755);
});

test('a folder that refuses is told, and the other browsers are served', async () => {
  const { places, request, dataDir } = machine();
  mkdirSync(join(places.home, '.config'));
  // A file where the folder should be refuses root too.
  writeFileSync(join(places.home, '.config/chromium'), '');
  const parts = await installHost(request());
  const failed = parts.filter(({ state }) => state === 'failed');
  assert.deepEqual(
    failed.map(({ browser, error }) => [browser, error?.code]),
    [['Chromium', 'ERR_INSTALL_FILE']],
  );
  assert.equal(parts.filter(({ state }) => state === 'written').length, 5);
  const removed = await uninstallHost({ dataDir, target: { scope: 'user' } });
  assert.ok(removed.every(({ state }) => state === 'removed' || state === 'absent'));
  assert.equal(readFileSync(join(places.home, '.config/chromium'), 'utf8'), '');
});

test('what root installs stays the property of the owner of the data', {
  skip: !isRoot,
}, async () => {
  const { dataDir, request } = machine();
  chownSync(dataDir, 65_534, 65_534);
  await installHost(request({ target: { scope: 'system' } }));
  for (const path of ['agent', 'agent/host.json', 'agent/native-host/tapnpay-host']) {
    assert.equal(statSync(join(dataDir, path)).uid, 65_534, path);
  }
});

test('a program in the cache of npx is refused: it will vanish, row 21', async () => {
  const { folder, places, request } = machine();
  const entry = join(folder, '_npx/4711/node_modules/tapnpay/host.mjs');
  const isPlaceFault = (fault: unknown) =>
    fault instanceof InstallError && fault.code === 'ERR_INSTALL_PLACE';
  await assert.rejects(installHost(request({ entry })), isPlaceFault);
  assert.deepEqual(filesIn(places.home), []);
});

test('a record that cannot be read stops both ways', async () => {
  const { dataDir, request } = machine();
  mkdirSync(join(dataDir, 'agent'));
  writeFileSync(join(dataDir, 'agent/installed.json'), '{"files":[{}]}');
  const isRecordFault = (fault: unknown) =>
    fault instanceof InstallError && fault.code === 'ERR_INSTALL_RECORD';
  await assert.rejects(installHost(request()), isRecordFault);
  await assert.rejects(uninstallHost({ dataDir, target: { scope: 'user' } }), isRecordFault);
});

test('macOS: below Library, for the user and for all', async () => {
  const { places, request } = machine('darwin');
  await installHost(request());
  await installHost(request({ target: { scope: 'system' } }));
  const support = 'Library/Application Support';
  const users = ['Chromium', 'Google/Chrome', 'Microsoft Edge', 'Mozilla'].map((name) =>
    join(places.home, support, name, 'NativeMessagingHosts', MANIFEST_FILE),
  );
  assert.deepEqual(filesIn(places.home), users.sort());
  const all = [
    `${support}/Chromium`,
    `${support}/Mozilla`,
    'Library/Google/Chrome',
    'Library/Microsoft/Edge',
  ].map((name) => join(places.root, name, 'NativeMessagingHosts', MANIFEST_FILE));
  assert.deepEqual(filesIn(places.root), all.sort());
});

test('Windows: the manifests lie with the host, keys name them, and are removed', async () => {
  const { dataDir, request } = machine('win32');
  const calls: (readonly string[])[] = [];
  const runRegistry = async (args: readonly string[]) => {
    calls.push(args);
    return args[0] === 'query' ? '    (Default)    REG_SZ    C:\\x.json\r\n' : '';
  };
  const parts = await installHost(request({ runRegistry }));
  assert.ok(parts.every(({ state }) => state !== 'failed'));
  const keys = parts.filter(({ part }) => part === 'key').map(({ path }) => path);
  assert.deepEqual(keys, [
    'HKCU\\Software\\Chromium\\NativeMessagingHosts\\org.tapnpay.host',
    'HKCU\\Software\\Google\\Chrome\\NativeMessagingHosts\\org.tapnpay.host',
    'HKCU\\Software\\Microsoft\\Edge\\NativeMessagingHosts\\org.tapnpay.host',
    'HKCU\\Software\\Mozilla\\NativeMessagingHosts\\org.tapnpay.host',
  ]);
  const chromium = join(dataDir, 'agent/native-host', `chromium-${MANIFEST_FILE}`);
  assert.deepEqual(calls[0], ['add', keys[0], '/ve', '/t', 'REG_SZ', '/d', chromium, '/f']);
  assert.equal(jsonOf(chromium).path, wrapperPath(dataDir, 'win32'));
  calls.length = 0;
  const removed = await uninstallHost({ dataDir, target: { scope: 'user' }, runRegistry });
  assert.ok(removed.every(({ state }) => state === 'removed'));
  assert.deepEqual(
    calls.filter(([verb]) => verb === 'delete').map(([, key]) => key),
    keys,
  );
  assert.deepEqual(filesIn(dataDir), []);
});

test('Windows: a registry that refuses is told with the line that a person types', async () => {
  const { request } = machine('win32');
  const parts = await installHost(request({ runRegistry: async () => null }));
  const failed = parts.filter(({ state }) => state === 'failed');
  assert.equal(failed.length, 4);
  assert.equal(failed[0]?.error?.code, 'ERR_INSTALL_REGISTRY');
  assert.match(failed[0]?.error?.message ?? '', /reg add "HKCU\\Software\\Chromium\\.+ \/f$/);
});

test('the batch file says UTF-8 first, keeps percent signs, and passes arguments on', () => {
  const text = wrapperText({
    platform: 'win32',
    nodePath: 'C:\\Program Files\\nodejs\\node.exe',
    entry: 'C:\\Users\\张 三\\100%\\host.mjs',
    configPath: 'C:\\Users\\张 三\\host.json',
    cacheDir: 'C:\\cache',
  });
  assert.match(text, /^@echo off\r\nsetlocal\r\nchcp 65001 >nul\r\n/);
  assert.match(
    text,
    /"C:\\Program Files\\nodejs\\node\.exe" .+ "C:\\Users\\张 三\\100%%\\host\.mjs" --config "C:\\Users\\张 三\\host\.json" %\*\r\n$/,
  );
});

test('a killed installation is known by its record and removed', async () => {
  const { places, dataDir, request } = machine();
  await installHost(request());
  // As after a kill between record and file.
  rmSync(join(places.home, '.mozilla/native-messaging-hosts', MANIFEST_FILE));
  assert.equal(readRecord(dataDir).files.length, 6);
  const removed = await uninstallHost({ dataDir, target: { scope: 'user' } });
  assert.deepEqual(removed.map(({ state }) => state).sort(), [
    ...['absent', 'removed', 'removed', 'removed', 'removed', 'removed'],
  ]);
  assert.deepEqual(filesIn(places.home), []);
  assert.deepEqual(readdirSync(places.home), []);
});
