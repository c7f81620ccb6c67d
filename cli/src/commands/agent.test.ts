/**
 * `tapnpay agent` as a person runs it: installs, says what is there part by part, removes; in both
 * languages; wrong usage is exit 2 with one line.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { type Desk, EXTENSION_ID, openDesk } from './agent.test-kit.ts';

const desk: Desk = await openDesk();
after(() => desk.close());
afterEach(() => desk.serve(desk.versions));
const { home, dataDir, run, folder } = desk;
const CHROMIUM = join(home, '.config/chromium/NativeMessagingHosts/org.tapnpay.host.json');
const FIREFOX = join(home, '.mozilla/native-messaging-hosts/org.tapnpay.host.json');
const jsonOf = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

test('install, status, uninstall: the home is as it was', async () => {
  const installed = await run('agent', 'install', '--json');
  assert.equal(installed.exit, 0, installed.error);
  const document = JSON.parse(installed.text);
  assert.deepEqual([document.ok, document.extensionId], [true, EXTENSION_ID]);
  const manifest = jsonOf(CHROMIUM);
  assert.deepEqual(manifest.allowed_origins, [`chrome-extension://${EXTENSION_ID}/`]);
  assert.equal(manifest.path, join(dataDir, 'agent/native-host/tapnpay-host'));
  assert.deepEqual(jsonOf(FIREFOX).allowed_extensions, ['plugin@tapnpay.org']);
  const config = jsonOf(join(dataDir, 'agent/host.json'));
  assert.deepEqual(config.gatewayOrigins, [desk.gatewayUrl]);
  assert.equal(config.dataDir, dataDir);
  const status = await run('agent', 'status', '--json');
  assert.equal(status.exit, 0, status.text);
  const { checks } = JSON.parse(status.text);
  const told = (id: string) =>
    checks
      .filter((check: { id: string }) => check.id === id)
      .map(({ facts, code }: { facts: Record<string, string>; code: string }) => [
        facts['browser'],
        code,
      ]);
  // Row 3: the host is there, the extension is not, and each is said apart.
  assert.deepEqual(told('manifest'), [
    ['Chromium', null],
    ['Firefox', null],
  ]);
  assert.deepEqual(told('extension'), [
    ['Chromium', 'ERR_EXTENSION_MISSING'],
    ['Firefox', 'ERR_EXTENSION_MISSING'],
  ]);
  const removed = await run('agent', 'uninstall', '--json');
  assert.equal(removed.exit, 0, removed.error);
  assert.deepEqual(JSON.parse(removed.text).remaining, []);
  assert.deepEqual(readdirSync(home), []);
  assert.ok(!existsSync(join(dataDir, 'agent')));
});

test('both languages: rows, the next step, and what is wrong', async () => {
  const en = await run('agent', 'install', '--lang', 'en');
  assert.match(en.text, /^written +registration · Chromium +\/.+\.json$/m);
  assert.match(en.text, /The extension comes from the pay page/);
  const zh = await run('agent', 'install', '--lang', 'zh');
  assert.match(zh.text, /^无变化 +登记 · Firefox +\/.+\.json$/m);
  assert.match(zh.text, /扩展可从支付页面安装/);
  writeFileSync(CHROMIUM, '{');
  const status = await run('agent', 'status', '--lang', 'zh');
  assert.equal(status.exit, 1);
  assert.match(status.text, /BROKEN {2}本机程序登记 · Chromium +\/.+ 不是有效的 JSON$/m);
  assert.match(status.text, /-> 请重新安装：npx tapnpay agent install$/m);
  const kept = await run('agent', 'uninstall', '--lang', 'zh');
  assert.match(kept.text, /^保留 +登记 +\/.+chromium.+$/m);
  assert.ok(existsSync(CHROMIUM));
  const none = await run('agent', 'uninstall', '--lang', 'en');
  assert.match(none.text, /^nothing was installed here$/m);
});

test('for all users below --root, with the extension by policy, and out again', async () => {
  const root = join(folder, 'root');
  const policy = join(root, 'etc/chromium/policies/managed/corp.json');
  const before = '{"ExtensionInstallForcelist":["x;https://corp.example/"]}';
  mkdirSync(dirname(policy), { recursive: true });
  writeFileSync(policy, before);
  const args = ['agent', 'install', '--system', '--extension', '--root', root];
  const installed = await run(...args, '--lang', 'en');
  assert.equal(installed.exit, 0, installed.text);
  assert.match(installed.text, /only when Mozilla has signed it/);
  assert.deepEqual(jsonOf(policy).ExtensionInstallForcelist, [
    'x;https://corp.example/',
    `${EXTENSION_ID};${desk.gatewayUrl}/plugin/update.xml`,
  ]);
  const firefox = join(root, 'etc/firefox/policies/policies.json');
  assert.equal(jsonOf(firefox).policies.Preferences, undefined);
  const unsigned = await run(...args, '--unsigned-addons', '--lang', 'en');
  assert.doesNotMatch(unsigned.text, /only when Mozilla has signed it/);
  assert.ok(jsonOf(firefox).policies.Preferences['xpinstall.signatures.required']);
  const status = JSON.parse((await run('agent', 'status', '--root', root, '--json')).text);
  const policies = status.checks.filter(({ id }: { id: string }) => id === 'policy');
  assert.deepEqual(
    policies.map(({ state }: { state: string }) => state),
    ['ok', 'ok'],
  );
  const out = await run('agent', 'uninstall', '--system', '--extension', '--lang', 'en');
  assert.match(out.text, /Still installed/);
  assert.equal(readFileSync(policy, 'utf8'), before);
  assert.ok(existsSync(join(root, 'etc/chromium/native-messaging-hosts')));
  await run('agent', 'uninstall', '--system');
  assert.deepEqual(readdirSync(join(root, 'etc')), ['chromium']);
  assert.ok(!existsSync(join(root, 'usr')));
});

test('one user data directory, and nothing else', async () => {
  const profile = join(folder, 'profile');
  const installed = await run('agent', 'install', '--browser-profile', profile, '--json');
  assert.equal(installed.exit, 0, installed.error);
  assert.ok(existsSync(join(profile, 'NativeMessagingHosts/org.tapnpay.host.json')));
  assert.ok(!existsSync(FIREFOX));
  const status = await run('agent', 'status', '--browser-profile', profile, '--lang', 'en');
  assert.match(status.text, new RegExp(`ok +host registration · .*profile ${profile}`));
  await run('agent', 'uninstall', '--browser-profile', profile);
  assert.ok(!existsSync(profile));
});

test('a folder that refuses: exit 1, the others are served, and what to do is said', async () => {
  writeFileSync(join(home, '.mozilla'), '');
  const { exit, text } = await run('agent', 'install', '--lang', 'zh');
  assert.equal(exit, 1);
  assert.match(text, /^失败 +登记 · Firefox/m);
  assert.match(text, /ERR_INSTALL_FILE\)\n.+-> 请检查该路径上的内容/);
  assert.ok(existsSync(CHROMIUM));
  chmodSync(join(home, '.mozilla'), 0o644);
  await run('agent', 'uninstall');
});

test('without a gateway nothing is installed: its extension has no id', async () => {
  desk.serve(null);
  const { exit, text, error } = await run('agent', 'install', '--json');
  assert.equal(exit, 1);
  assert.equal(JSON.parse(text).error.code, 'ERR_VERSIONS_MISSING');
  assert.match(error, /gives no versions/);
  const system = jsonOf(join(dataDir, 'system.json'));
  const other = join(folder, 'other');
  mkdirSync(other);
  const ports = { ...system.ports, gatewayHttp: 9 };
  writeFileSync(join(other, 'system.json'), JSON.stringify({ ...system, dataDir: other, ports }));
  const down = await run('agent', 'install', '--json', '--data', other);
  assert.deepEqual([down.exit, JSON.parse(down.text).error.code], [1, 'ERR_GATEWAY_DOWN']);
  const none = await run('agent', 'install', '--json', '--data', join(folder, 'none'));
  assert.deepEqual([none.exit, JSON.parse(none.text).error.code], [1, 'ERR_NO_SYSTEM']);
});

/** Arguments, and what the one line says. */
const WRONG: readonly (readonly [string, RegExp])[] = [
  ['agent', /write agent install/],
  ['agent remove', /write agent install/],
  ['agent install now', /takes no now/],
  ['agent install --extension', /add --system/],
  ['agent install --unsigned-addons', /belongs to --system --extension/],
  ['agent install --system --browser-profile x', /choose one/],
  ['agent install --lang fr', /zh or en/],
  ['agent install --force', /--force/],
];
for (const [line, says] of WRONG) {
  test(`wrong usage: ${line}`, async () => {
    const { exit, error } = await run(...line.split(' '));
    assert.equal(exit, 2);
    assert.match(error, says);
    assert.equal(error.trim().split('\n').length, 1);
  });
}
