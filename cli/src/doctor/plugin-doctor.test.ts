/**
 * `tapnpay doctor` with the real host in a home of its own: every link between browser and host is
 * really broken once and named with its code and fix, in the command's own output.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { type Desk, openDesk } from '../commands/agent.test-kit.ts';
import type { ToldCheck } from './report.ts';

const desk: Desk = await openDesk();
after(() => desk.close());
const { home, dataDir, run, folder, versions } = desk;
const CHROMIUM = join(home, '.config/chromium/NativeMessagingHosts/org.tapnpay.host.json');
const WRAPPER = join(dataDir, 'agent/native-host/tapnpay-host');
const CONFIG = join(dataDir, 'agent/host.json');
let manifest = '';
let wrapper = '';
let config = '';

before(async () => {
  const { exit, text } = await run('agent', 'install');
  assert.equal(exit, 0, text);
  manifest = readFileSync(CHROMIUM, 'utf8');
  wrapper = readFileSync(WRAPPER, 'utf8');
  config = readFileSync(CONFIG, 'utf8');
});
beforeEach(() => {
  desk.serve(versions);
  rmSync(CHROMIUM, { recursive: true, force: true });
  for (const [path, text, mode] of [
    [CHROMIUM, manifest, 0o644],
    [WRAPPER, wrapper, 0o755],
    [CONFIG, config, 0o600],
  ] as const) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
  }
});

/** The command's checks, and those of Chromium by their link. */
async function examined(...args: readonly string[]) {
  const { text, error } = await run('doctor', '--json', ...args);
  assert.notEqual(text, '', error);
  const { checks } = JSON.parse(text) as { readonly checks: readonly ToldCheck[] };
  const ofChromium = (id: string): ToldCheck => {
    const check = checks.find((each) => each.id === id && each.facts['browser'] === 'Chromium');
    assert.ok(check, `${id} of Chromium`);
    return check;
  };
  return { checks, ofChromium };
}

test('the real host answers over the registration of each browser, and tells of the links behind', async () => {
  const { checks, ofChromium } = await examined();
  assert.equal(ofChromium('manifest').state, 'ok');
  assert.equal(ofChromium('host').state, 'ok', JSON.stringify(ofChromium('host')));
  assert.match(ofChromium('host').seen.en, /^version 0\.1\.0 answers in \d+ ms/);
  const firefox = checks.find(({ id, facts }) => id === 'host' && facts['browser'] === 'Firefox');
  assert.equal(firefox?.state, 'ok', JSON.stringify(firefox));
  // No service runs: what is known of the element comes from the host, which really started it.
  const element = checks.find(({ id }) => id === 'element');
  assert.deepEqual([element?.state, element?.code], ['broken', 'ERR_ELEMENT_NOT_ENROLLED']);
  const agent = checks.find(({ id }) => id === 'agent');
  assert.deepEqual([agent?.state, agent?.code], ['warn', 'ERR_AGENT_DOWN']);
});

test('every place that a browser reads is printed, in both languages; row 23', async () => {
  const zh = await run('doctor', '--lang', 'zh');
  const en = await run('doctor', '--lang', 'en');
  for (const { text } of [zh, en]) {
    assert.ok(text.includes(`           ${CHROMIUM}: ok\n`), text);
    assert.match(
      text,
      /^ {11}\/etc\/chromium\/native-messaging-hosts\/org\.tapnpay\.host\.json: /m,
    );
    assert.match(
      text,
      /^ {11}\/usr\/lib\/mozilla\/native-messaging-hosts\/org\.tapnpay\.host\.json: /m,
    );
  }
  assert.match(zh.text, /本机程序 · Chromium/);
  assert.match(en.text, /native host · Chromium/);
});

const manifestWith = (over: object): string => JSON.stringify({ ...JSON.parse(manifest), ...over });
const scriptOf = (body: string): string => `#!/bin/sh\n${body}\n`;
const ORIGIN = `chrome-extension://${'b'.repeat(32)}/`;
const otherHost = (): void => {
  writeFileSync(CONFIG, JSON.stringify({ ...JSON.parse(config), extensionId: 'c'.repeat(32) }));
};
/** What is broken, how, and the first broken link of Chromium with its code. */
const BREAKAGES: readonly (readonly [string, () => void, 'manifest' | 'host', string])[] = [
  ['broken JSON', () => writeFileSync(CHROMIUM, '{"name": '), 'manifest', 'ERR_MANIFEST_JSON'],
  [
    'a wrong name',
    () => writeFileSync(CHROMIUM, manifestWith({ name: 'eu.webeid' })),
    'manifest',
    'ERR_MANIFEST_NAME',
  ],
  [
    'a relative path',
    () => writeFileSync(CHROMIUM, manifestWith({ path: 'native-host/tapnpay-host' })),
    'manifest',
    'ERR_HOST_PATH_RELATIVE',
  ],
  ['a path to nothing', () => rmSync(WRAPPER), 'manifest', 'ERR_HOST_PATH_MISSING'],
  ['not executable', () => chmodSync(WRAPPER, 0o644), 'manifest', 'ERR_HOST_NOT_EXECUTABLE'],
  [
    'another extension',
    () => writeFileSync(CHROMIUM, manifestWith({ allowed_origins: [ORIGIN] })),
    'manifest',
    'ERR_HOST_FORBIDDEN',
  ],
  ['exits at once', () => writeFileSync(WRAPPER, scriptOf('exit 3')), 'host', 'ERR_HOST_EXITED'],
  [
    'Node.js was moved',
    () => writeFileSync(WRAPPER, wrapper.replace(process.execPath, '/gone/node')),
    'host',
    'ERR_HOST_EXITED',
  ],
  [
    'says nothing',
    () => writeFileSync(WRAPPER, scriptOf('exec sleep 60')),
    'host',
    'ERR_HOST_TIMEOUT',
  ],
  [
    'prints before it speaks',
    () => writeFileSync(WRAPPER, wrapper.replace('ulimit -c 0', 'echo "listening on port 1"')),
    'host',
    'ERR_HOST_PROTOCOL',
  ],
  ['no configuration', () => rmSync(CONFIG), 'host', 'ERR_HOST_REFUSED'],
  ['a host of another system', otherHost, 'host', 'ERR_HOST_REFUSED'],
  [
    'a host that is too old',
    () => desk.serve({ ...versions, host: { latest: '0.2.0', required: '0.2.0' } }),
    'host',
    'ERR_HOST_OUTDATED',
  ],
];
test('from here on Chromium is alone', () => rmSync(join(folder, 'bin/firefox')));
for (const [what, breakIt, link, code] of BREAKAGES) {
  test(`${what}: ${link} ${code}`, async () => {
    breakIt();
    const { ofChromium } = await examined();
    const found = ofChromium(link);
    assert.deepEqual([found.state, found.code], ['broken', code], JSON.stringify(found));
    assert.ok(found.fix?.en && found.fix.zh);
    assert.doesNotMatch(`${found.seen.en}${found.seen.zh}${found.fix.en}`, /[{}]|undefined/);
    if (link === 'manifest') assert.equal(ofChromium('host').state, 'unknown');
    else assert.equal(ofChromium('manifest').state, 'ok');
  });
}

test('a user data directory of its own is looked at, too', async () => {
  const profile = join(folder, 'profile');
  await run('agent', 'install', '--browser-profile', profile);
  const { checks } = await examined('--browser-profile', profile);
  const states = checks
    .filter(({ facts }) => facts['browser'] === profile)
    .map(({ id, state }) => [id, state]);
  assert.deepEqual(states, [
    ['extension', 'warn'],
    ['manifest', 'ok'],
    ['host', 'ok'],
  ]);
});

test('registered for Chrome only: Chromium does not look there; row 26', async () => {
  rmSync(CHROMIUM);
  const { code, state, facts } = (await examined()).ofChromium('manifest');
  assert.deepEqual([state, code], ['broken', 'ERR_MANIFEST_ELSEWHERE']);
  assert.match(facts['path'] ?? '', /google-chrome/);
});

test('not installed is a warning: the helper takes its place', async () => {
  await run('agent', 'uninstall');
  const { ofChromium } = await examined();
  const { code, state } = ofChromium('manifest');
  assert.deepEqual([state, code], ['warn', 'ERR_MANIFEST_MISSING']);
});
