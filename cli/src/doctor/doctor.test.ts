/**
 * Each broken link of a fake system is named, with a fix; what depends on it waits; what a payment
 * does not need is a warning. The whole system alone is fit.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SystemConfig } from '../system/layout.ts';
import { examine } from './checks.ts';
import { type Finding, LINKS, type Link, type Verdict } from './finding.ts';
import type { HttpAnswer, Machine } from './machine.ts';
import { firstBroken, reportText } from './report.ts';

const PASSWORD = 'kept-to-itself-4711';
const DATA_DIR = '/data';
const ports = {
  gatewayHttp: 1001,
  gatewayTls: 1002,
  switch: 1003,
  hsmGateway: 1004,
  hsmSwitch: 1005,
  hsmIssuer: 1006,
  shop: 1007,
  agent: 1008,
  observer: 1009,
  opsGateway: 1010,
  opsSwitch: 1011,
  opsIssuer: 1012,
};
const system: SystemConfig = {
  dataDir: DATA_DIR,
  ports,
  databaseUrl: `postgres://tapnpay:${PASSWORD}@127.0.0.1:1010/postgres`,
  lab: true,
};
const GATEWAY = 'http://127.0.0.1:1001/v1/health';
const SHOP = 'http://127.0.0.1:1007/v1/health';
const AGENT = 'http://127.0.0.1:1008/v1/health';
const OBSERVER = 'http://127.0.0.1:1009/v1/health';

/** Everything that a case may change of a machine on which all is well. */
type Case = {
  readonly nodeVersion?: string;
  readonly platform?: NodeJS.Platform;
  readonly missing?: RegExp;
  readonly existing?: RegExp;
  readonly readOnly?: boolean;
  readonly freeBytes?: number;
  readonly modules?: string;
  readonly programs?: Readonly<Record<string, string>>;
  readonly closedPorts?: readonly number[];
  readonly answers?: Readonly<Record<string, HttpAnswer | null>>;
  readonly readers?: Awaited<ReturnType<Machine['listReaders']>>;
};

const health = (state: string, version = 1): HttpAnswer => ({
  status: 200,
  body: { version, element: { id: '7033C2A5D0DF4C85', state }, readers: [] },
});
const WELL: Readonly<Record<string, HttpAnswer | null>> = {
  [GATEWAY]: { status: 200, body: { status: 'up', switchLine: 'established' } },
  [SHOP]: { status: 200, body: {} },
  [AGENT]: health('operable'),
  [OBSERVER]: { status: 200, body: { status: 'up' } },
};

function machineOf(of: Case): Machine {
  const programs = of.programs ?? { chromium: 'Chromium 141.0.7390.54 built on Debian' };
  const answers = { ...WELL, ...of.answers };
  return {
    nodeVersion: of.nodeVersion ?? '26.10.0',
    platform: of.platform ?? 'linux',
    arch: 'x64',
    exists: (path) => {
      if (of.missing?.test(path)) return false;
      const isOurs = path === DATA_DIR || path.endsWith('index.html');
      return isOurs || (of.existing?.test(path) ?? false);
    },
    isWritable: () => of.readOnly !== true,
    freeBytes: () => of.freeBytes ?? 5_000_000_000,
    readText: (path) => (path === '/proc/modules' ? (of.modules ?? 'ext4 1 0 -\n') : null),
    findProgram: (name) => (name in programs ? `/usr/bin/${name}` : null),
    run: async (path) => programs[path.replace('/usr/bin/', '')] ?? null,
    get: async (url) => answers[url] ?? null,
    isPortOpen: async (_host, port) => !of.closedPorts?.includes(port),
    listReaders: async () => of.readers ?? { status: 'ok', readers: ['ACS ACR122U 00 00'] },
  };
}

function see(of: Case, patient: SystemConfig | null = system): Promise<readonly Finding[]> {
  return examine({ machine: machineOf(of), dataDir: DATA_DIR, system: patient });
}

function verdictOf(findings: readonly Finding[], link: Link): Verdict | undefined {
  return findings.find((finding) => finding.link === link)?.verdict;
}

test('a whole system is fit, every link in its order and nothing to fix', async () => {
  const findings = await see({});
  assert.deepEqual(
    findings.map(({ link }) => link),
    LINKS,
  );
  assert.deepEqual([...new Set(findings.map(({ verdict }) => verdict))], ['ok']);
  assert.deepEqual([...new Set(findings.map(({ fix }) => fix))], [null]);
  assert.equal(firstBroken(findings), null);
  assert.match(reportText({ platform: 'linux', arch: 'x64', findings }, 'en'), /can be made\.$/);
});

const down = { status: 503, body: { status: 'up', switchLine: 'down' } };
const page: HttpAnswer = { status: 200, body: undefined };
/** Link, what is wrong, and what its text must say in both languages. */
const BROKEN: readonly (readonly [Link, string, Case, RegExp])[] = [
  ['node', 'an old Node.js', { nodeVersion: '24.1.0' }, /v24\.1\.0/],
  ['dataFolder', 'no data folder', { missing: /^\/data$/ }, /\/data/],
  ['dataFolder', 'a folder of another user', { readOnly: true }, /\/data/],
  ['pages', 'pages that were not built', { missing: /dist\/shop/ }, /shop/],
  ['database', 'a dead database', { closedPorts: [1010] }, /127\.0\.0\.1:1010/],
  ['hsms', 'one dead HSM', { closedPorts: [1005] }, /hsm-switch/],
  ['switch', 'a dead switch', { closedPorts: [1003] }, /1003/],
  ['switch', 'a gateway that has not signed on', { answers: { [GATEWAY]: down } }, /.+/],
  ['gateway', 'a dead gateway', { answers: { [GATEWAY]: null } }, /127\.0\.0\.1:1001/],
  ['gateway', "another program on the gateway's port", { answers: { [GATEWAY]: page } }, /1001/],
  ['shop', 'a dead shop', { answers: { [SHOP]: null } }, /127\.0\.0\.1:1007/],
  ['shop', 'a shop in trouble', { answers: { [SHOP]: { status: 500, body: {} } } }, /500/],
  ['agent', 'a dead helper', { answers: { [AGENT]: null } }, /127\.0\.0\.1:1008/],
  ['agent', "another program on the helper's port", { answers: { [AGENT]: page } }, /1008/],
  ['agent', 'a helper of another version', { answers: { [AGENT]: health('operable', 9) } }, /9/],
  [
    'element',
    'an element without enrolment',
    { answers: { [AGENT]: health('notEnrolled') } },
    /.+/,
  ],
  ['element', 'a locked element', { answers: { [AGENT]: health('locked') } }, /.+/],
];

for (const [link, what, of, text] of BROKEN) {
  test(`${what}: ${link} is the first broken link, with a fix in both languages`, async () => {
    const first = firstBroken(await see(of));
    assert.equal(first?.link, link);
    assert.match(first?.seen.en ?? '', text);
    assert.match(first?.seen.zh ?? '', text);
    assert.match(first?.fix?.en ?? '', /[a-z]{3}/);
    assert.match(first?.fix?.zh ?? '', /\p{Script=Han}/u);
  });
}

const NONE = { status: 'ok', readers: [] } as const;
const pn533 = 'pn533_usb 20480 0 -\npn533 45056 1 pn533_usb\nnfc 131072 1 pn533\n';
/** What a payment does not need. */
const WARNED: readonly (readonly [Link, string, Case, RegExp])[] = [
  ['dataFolder', 'a nearly full disk', { freeBytes: 10_000_000 }, /10 MB/],
  ['browser', 'no browser', { programs: {} }, /none/],
  ['observer', 'a dead observer', { answers: { [OBSERVER]: null } }, /1009/],
  ['readerService', 'no PC/SC library', { readers: { status: 'noLibrary' } }, /library/],
  ['readerService', 'no pcscd', { readers: { status: 'noService' } }, /pcscd is not running/],
  [
    'readerService',
    'a pcscd that refuses this user',
    { readers: { status: 'noService' }, existing: /pcscd\.comm$/ },
    /refuses/,
  ],
  [
    'readerService',
    'a service that fails',
    { readers: { status: 'failed', code: '0x80100001' } },
    /0x80100001/,
  ],
  ['readers', 'no reader', { readers: NONE }, /none/],
  [
    'readers',
    "the kernel's NFC driver",
    { readers: NONE, modules: pn533 },
    /pn533_usb, pn533, nfc/,
  ],
];

for (const [link, what, of, text] of WARNED) {
  test(`${what}: a warning at ${link}, and a payment can be made`, async () => {
    const findings = await see(of);
    const found = findings.find((finding) => finding.link === link);
    assert.equal(found?.verdict, 'warn');
    assert.match(found?.seen.en ?? '', text);
    assert.ok(found?.fix);
    assert.equal(firstBroken(findings), null);
  });
}

test('without a system everything of it waits, and the machine itself is still looked at', async () => {
  const findings = await see({}, null);
  assert.equal(firstBroken(findings)?.link, 'dataFolder');
  for (const link of ['database', 'gateway', 'agent', 'element'] as const) {
    const found = findings.find((finding) => finding.link === link);
    assert.deepEqual([found?.verdict, found?.fix], ['broken', null]);
  }
  assert.equal(verdictOf(findings, 'browser'), 'ok');
  assert.equal(verdictOf(findings, 'readers'), 'ok');
});

test('the browser is named with version and place; on Windows none is started', async () => {
  const [linux, windows] = await Promise.all([
    see({}),
    see({ platform: 'win32', existing: /msedge\.exe$/, programs: {} }),
  ]);
  const seenOf = (findings: readonly Finding[]) =>
    findings.find(({ link }) => link === 'browser')?.seen.en;
  assert.equal(seenOf(linux), 'Chromium · 141.0.7390.54 · /usr/bin/chromium');
  assert.match(seenOf(windows) ?? '', /^Edge · C:\\/);
});

test('the report names links and fixes in one language and holds no password', async () => {
  const findings = await see({ closedPorts: [1010], answers: { [AGENT]: null } });
  const facts = { platform: 'linux', arch: 'x64', findings };
  const texts = [reportText(facts, 'en'), reportText(facts, 'zh'), JSON.stringify(findings)];
  assert.match(texts[0] ?? '', /BROKEN {2}database .*\n {8}-> /);
  assert.match(texts[0] ?? '', /the first broken link is "database"/);
  assert.match(texts[1] ?? '', /首个断开的环节是“数据库”/);
  assert.ok(JSON.stringify(system).includes(PASSWORD), 'positive control');
  for (const text of texts) assert.ok(!text.includes(PASSWORD));
});
