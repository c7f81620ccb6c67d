/**
 * Each broken link of a fake system is named, with a fix; what depends on it waits; what a payment
 * does not need is a warning. The whole system alone is fit.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpAnswer } from '@tapnpay/agent';
import {
  CHECK_TEXTS,
  type CheckId,
  type CheckState,
  type DoctorCheck,
  type DoctorReport,
  describeCheck,
  firstBroken,
} from '@tapnpay/protocol/wire';
import type { SystemConfig } from '../system/layout.ts';
import { examine } from './checks.ts';
import type { Machine } from './machine.ts';
import type { PluginFindings } from './plugin-checks.ts';
import { machineReport, toldChecks } from './report.ts';

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
  issuerTokens: 1016,
  hsmTsm: 1013,
  tsm: 1014,
  opsTsm: 1015,
};
const system: SystemConfig = {
  dataDir: DATA_DIR,
  ports,
  databaseUrl: `postgres://tapnpay:${PASSWORD}@127.0.0.1:1010/postgres`,
  lab: true,
  readers: true,
};
const GATEWAY = 'http://127.0.0.1:1001/v1/health';
const SHOP = 'http://127.0.0.1:1007/v1/health';
const AGENT = 'http://127.0.0.1:1008/v1/health';
const VERSIONS = 'http://127.0.0.1:1001/v1/plugin';
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

const versions = {
  extension: {
    ...{ id: 'a'.repeat(32), geckoId: 'plugin@tapnpay.org' },
    ...{ latest: '0.1.0', required: '0.1.0' },
  },
  host: { latest: '0.1.0', required: '0.1.0' },
  protocol: { min: 1, max: 1 },
  install: {
    crx: 'http://x/a.crx',
    updateManifest: 'http://x/update.xml',
    xpi: 'http://x/a.xpi',
    xpiUpdates: 'http://x/updates.json',
  },
};
const health = (state: string, version = 1): HttpAnswer => ({
  status: 200,
  body: { version, element: { id: '7033C2A5D0DF4C85', state }, readers: [] },
});
const WELL: Readonly<Record<string, HttpAnswer | null>> = {
  [GATEWAY]: { status: 200, body: { status: 'up', switchLine: 'established' } },
  [VERSIONS]: { status: 200, body: versions },
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
    realPath: (path) => path,
    freeBytes: () => of.freeBytes ?? 5_000_000_000,
    readText: (path) => (path === '/proc/modules' ? (of.modules ?? 'ext4 1 0 -\n') : null),
    findProgram: (name) => (name in programs ? `/usr/bin/${name}` : null),
    run: async (path) => programs[path.replace('/usr/bin/', '')] ?? null,
    get: async (url) => answers[url] ?? null,
    isPortOpen: async (_host, port) => !of.closedPorts?.includes(port),
    listReaders: async () => of.readers ?? { status: 'ok', readers: ['ACS ACR122U 00 00'] },
  };
}

/** The links in the order of a payment; the plug-in's stand before the helper's. */
const LINKS: readonly CheckId[] = [
  ...(['node', 'dataFolder', 'browser', 'pages', 'database', 'hsms', 'switch'] as const),
  ...(['gateway', 'shop', 'observer', 'versions'] as const),
  ...(['agent', 'element', 'readerService', 'readers'] as const),
];
const NO_PLUGIN: PluginFindings = { checks: [], report: null };

function see(
  of: Case,
  patient: SystemConfig | null = system,
  plugin: PluginFindings = NO_PLUGIN,
): Promise<DoctorReport> {
  return examine({
    machine: machineOf(of),
    dataDir: DATA_DIR,
    system: patient,
    examinePlugin: async () => plugin,
  });
}

function checkOf({ checks }: DoctorReport, link: CheckId): DoctorCheck | undefined {
  return checks.find(({ id }) => id === link);
}

function stateOf(report: DoctorReport, link: CheckId): CheckState | undefined {
  return checkOf(report, link)?.state;
}

function said(check: DoctorCheck | undefined | null, language: 'en' | 'zh') {
  assert.ok(check);
  const line = describeCheck(check, { language, texts: CHECK_TEXTS });
  assert.doesNotMatch(`${line.seen} ${line.fix}`, /[{}]|undefined/);
  return line;
}

test('a whole system is fit, every link in its order and nothing to fix', async () => {
  const report = await see({});
  assert.deepEqual(
    report.checks.map(({ id }) => id),
    LINKS,
  );
  assert.deepEqual([...new Set(report.checks.map(({ state }) => state))], ['ok']);
  assert.deepEqual([...new Set(toldChecks(report).map(({ fix }) => fix))], [null]);
  assert.equal(firstBroken(report), null);
  const text = machineReport(report, { platform: 'linux', arch: 'x64' }, 'en');
  assert.match(text, /^tapnpay doctor · linux x64\n/);
  assert.match(text, /can be made\.$/);
});

const down = { status: 503, body: { status: 'up', switchLine: 'down' } };
const page: HttpAnswer = { status: 200, body: undefined };
/** Link, what is wrong, and what its text must say in both languages. */
const BROKEN: readonly (readonly [CheckId, string, Case, RegExp])[] = [
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
    assert.equal(first?.id, link);
    assert.match(said(first, 'en').seen, text);
    assert.match(said(first, 'zh').seen, text);
    assert.match(said(first, 'en').fix ?? '', /[a-z]{3}/);
    assert.match(said(first, 'zh').fix ?? '', /\p{Script=Han}/u);
  });
}

const NONE = { status: 'ok', readers: [] } as const;
const pn533 = 'pn533_usb 20480 0 -\npn533 45056 1 pn533_usb\nnfc 131072 1 pn533\n';
/** What a payment does not need. */
const WARNED: readonly (readonly [CheckId, string, Case, RegExp])[] = [
  ['dataFolder', 'a nearly full disk', { freeBytes: 10_000_000 }, /10 MB/],
  ['browser', 'no browser', { programs: {} }, /none/],
  ['observer', 'a dead observer', { answers: { [OBSERVER]: null } }, /1009/],
  ['readerService', 'no PC/SC library', { readers: { status: 'noLibrary' } }, /library/],
  ['readerService', 'no pcscd', { readers: { status: 'noService' } }, /pcscd\) is not running/],
  [
    'readerService',
    'a pcscd that refuses this user',
    { readers: { status: 'denied', code: 'EACCES' } },
    /refuses this user \(EACCES\)/,
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
    const report = await see(of);
    const found = checkOf(report, link);
    assert.equal(found?.state, 'warn');
    assert.match(said(found, 'en').seen, text);
    assert.ok(said(found, 'en').fix);
    assert.equal(firstBroken(report), null);
  });
}

test('without a system everything of it waits, and the machine itself is still looked at', async () => {
  const report = await see({}, null);
  assert.equal(firstBroken(report)?.id, 'dataFolder');
  for (const link of ['database', 'gateway', 'versions', 'agent', 'element'] as const) {
    const found = checkOf(report, link);
    assert.deepEqual([found?.state, found?.facts['link']], ['unknown', 'dataFolder']);
    assert.equal(said(found, 'en').fix, null);
  }
  assert.equal(stateOf(report, 'browser'), 'ok');
  assert.equal(stateOf(report, 'readers'), 'ok');
});

test('readers that the system does not use are said to be unused', async () => {
  const { readers: _, ...withoutReaders } = system;
  const found = checkOf(await see({}, withoutReaders), 'readers');
  assert.deepEqual([found?.state, found?.code], ['warn', 'ERR_READER_OFF']);
});

const hostSays = (state: CheckState, element: DoctorCheck): PluginFindings => ({
  checks: [{ id: 'host', state, code: null, facts: { browser: 'Chromium' } }],
  report: { checks: [element] },
});
const readyElement: DoctorCheck = { id: 'element', state: 'ok', code: null, facts: { id: '7033' } };

test('a host that works does without the helper, and tells of the element', async () => {
  const down = { answers: { [AGENT]: null } };
  const report = await see(down, system, hostSays('ok', readyElement));
  assert.equal(firstBroken(report), null);
  assert.deepEqual([stateOf(report, 'agent'), stateOf(report, 'element')], ['warn', 'ok']);
  assert.deepEqual(checkOf(report, 'element')?.facts, { id: '7033' });
  const locked: DoctorCheck = { ...readyElement, state: 'broken', code: 'ERR_ELEMENT_LOCKED' };
  const broken = await see(down, system, hostSays('ok', locked));
  assert.equal(firstBroken(broken)?.code, 'ERR_ELEMENT_LOCKED');
  // Another program at the helper's port is wrong all the same.
  const other = await see({ answers: { [AGENT]: page } }, system, hostSays('ok', readyElement));
  assert.equal(firstBroken(other)?.code, 'ERR_AGENT_OTHER');
});

test("the plug-in's links stand between gateway and helper", async () => {
  const { checks } = await see({}, system, hostSays('ok', readyElement));
  const ids = checks.map(({ id }) => id);
  assert.equal(ids.indexOf('host'), ids.indexOf('versions') + 1);
  assert.equal(ids.indexOf('agent'), ids.indexOf('host') + 1);
});

test('every browser is named with version and place; on Windows none is started', async () => {
  const [linux, windows] = await Promise.all([
    see({
      programs: { chromium: 'Chromium 141.0.7390.54 built', firefox: 'Mozilla Firefox 153.8' },
    }),
    see({ platform: 'win32', existing: /msedge\.exe$/, programs: {} }),
  ]);
  const seenOf = (report: DoctorReport) => said(checkOf(report, 'browser'), 'en').seen;
  assert.equal(
    seenOf(linux),
    'Chromium · 141.0.7390.54 · /usr/bin/chromium; Firefox · 153.8 · /usr/bin/firefox',
  );
  assert.match(seenOf(windows), /^Edge · C:\\/);
});

test('the report names links and fixes in one language and holds no password', async () => {
  const report = await see({ closedPorts: [1010], answers: { [AGENT]: null } });
  const facts = { platform: 'linux', arch: 'x64' };
  const texts = [
    machineReport(report, facts, 'en'),
    machineReport(report, facts, 'zh'),
    JSON.stringify(toldChecks(report)),
  ];
  assert.match(texts[0] ?? '', /BROKEN {2}database .*\n {8}-> /);
  assert.match(texts[0] ?? '', /the first broken link is "database"/);
  assert.match(texts[1] ?? '', /首个断开的环节是“数据库”/);
  assert.ok(JSON.stringify(system).includes(PASSWORD), 'positive control');
  for (const text of texts) assert.ok(!text.includes(PASSWORD));
});
