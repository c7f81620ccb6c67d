/**
 * What the host sees of its links: each one that is broken is named, over real sockets where there
 * is one; what a page is shown holds no name of a reader and no path.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  CHECK_TEXTS,
  type DoctorReport,
  describeCheck,
  type PluginVersions,
} from '@tapnpay/protocol/wire';
import type { ReaderList } from '../pcsc/index.ts';
import { writeLocalAgent } from '../service/local-agent.ts';
import type { SeenElement } from './element-check.ts';
import { runHostDoctor } from './host-doctor.ts';
import { type HostSight, thisSight } from './sight.ts';

const folder = mkdtempSync(join(tmpdir(), 'tapnpay-doctor-'));
const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true });
});

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  return (server.address() as AddressInfo).port;
}

const versions: PluginVersions = {
  extension: {
    id: 'a'.repeat(32),
    geckoId: 'plugin@tapnpay.org',
    latest: '0.1.0',
    required: '0.1.0',
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
/** What the gateway answers by path; null: 404. */
type Gateway = { readonly health?: readonly [number, string]; readonly versions?: unknown };
const gatewayAt = async (of: Gateway = {}): Promise<string> => {
  const port = await serve(({ url }, response) => {
    const [status, body] = of.health ?? [200, '{"status":"up"}'];
    if (url === '/v1/health') response.writeHead(status).end(body);
    else if (url === '/v1/plugin' && of.versions !== null) {
      response.end(JSON.stringify(of.versions ?? versions));
    } else response.writeHead(404).end('{}');
  });
  return `http://127.0.0.1:${port}`;
};

const SERIAL = 'ACS ACR122U 4711-0815 00 00';
const readersAre = (list: ReaderList, modules = ''): HostSight => ({
  ...thisSight,
  platform: 'linux',
  readText: () => modules,
  listReaders: async () => list,
});
const ready = { id: '7033C2A5D0DF4C85', state: 'operable' } as const;

type Case = {
  readonly gatewayUrl?: string;
  readonly element?: SeenElement;
  readonly sight?: HostSight;
  readonly readers?: boolean;
};
async function look(of: Case): Promise<DoctorReport> {
  const gatewayUrl = of.gatewayUrl ?? (await gatewayAt());
  return runHostDoctor(
    { dataDir: folder, gatewayUrl, readers: of.readers ?? true },
    {
      sight: of.sight ?? readersAre({ status: 'ok', readers: [SERIAL] }),
      seeElement: async () => (of.element === undefined ? ready : of.element),
    },
  );
}
const found = (report: DoctorReport, id: string) => {
  const check = report.checks.find((each) => each.id === id);
  return [check?.state, check?.code];
};

test('all is well: five links, in order, and no name of a reader', async () => {
  const report = await look({});
  assert.deepEqual(
    report.checks.map(({ id, state }) => [id, state]),
    [
      ['element', 'ok'],
      ['readerService', 'ok'],
      ['readers', 'ok'],
      ['gateway', 'ok'],
      ['versions', 'ok'],
    ],
  );
  const text = JSON.stringify(report);
  assert.ok(!text.includes('4711'), text);
  assert.ok(!text.includes(folder), text);
});

const off = (host: object, over: object = {}) => ({ ...versions, ...over, host });
const MODULES = 'pn533_usb 20480 0 -\npn533 45056 1 pn533_usb\nnfc 131072 1 pn533\n';
/** What is wrong, the link, its state and code. */
const BROKEN: readonly (readonly [string, string, string, string, () => Case | Promise<Case>])[] = [
  [
    'no gateway',
    'gateway',
    'broken',
    'ERR_GATEWAY_DOWN',
    () => ({ gatewayUrl: 'http://127.0.0.1:9' }),
  ],
  [
    'another program at its port',
    'gateway',
    'broken',
    'ERR_GATEWAY_OTHER',
    async () => ({ gatewayUrl: await gatewayAt({ health: [200, '<html>'] }) }),
  ],
  [
    'a gateway in trouble',
    'gateway',
    'broken',
    'ERR_GATEWAY_NOT_READY',
    async () => ({ gatewayUrl: await gatewayAt({ health: [503, '{}'] }) }),
  ],
  [
    'a gateway without versions',
    'versions',
    'warn',
    'ERR_VERSIONS_MISSING',
    async () => ({ gatewayUrl: await gatewayAt({ versions: null }) }),
  ],
  [
    'versions of another form',
    'versions',
    'warn',
    'ERR_VERSIONS_MISSING',
    async () => ({ gatewayUrl: await gatewayAt({ versions: { host: 1 } }) }),
  ],
  [
    'a host that is too old',
    'versions',
    'broken',
    'ERR_HOST_OUTDATED',
    async () => ({
      gatewayUrl: await gatewayAt({ versions: off({ latest: '9.0.0', required: '0.1.1' }) }),
    }),
  ],
  [
    'a newer host',
    'versions',
    'warn',
    'ERR_HOST_UPDATE',
    async () => ({
      gatewayUrl: await gatewayAt({ versions: off({ latest: '0.2.0', required: '0.1.0' }) }),
    }),
  ],
  [
    'frames of another version',
    'versions',
    'broken',
    'ERR_VERSION',
    async () => ({
      gatewayUrl: await gatewayAt({ versions: { ...versions, protocol: { min: 2, max: 3 } } }),
    }),
  ],
  [
    'an element that is not enrolled',
    'element',
    'broken',
    'ERR_ELEMENT_NOT_ENROLLED',
    () => ({ element: { id: null, state: 'notEnrolled' } }),
  ],
  [
    'a locked element',
    'element',
    'broken',
    'ERR_ELEMENT_LOCKED',
    () => ({ element: { ...ready, state: 'locked' } }),
  ],
  [
    'an element that is silent',
    'element',
    'broken',
    'ERR_ELEMENT_GONE',
    () => ({ element: 'gone' }),
  ],
  [
    'an element that pays',
    'element',
    'warn',
    'ERR_ELEMENT_IN_USE',
    () => ({ element: { holder: 'http://a' } }),
  ],
  ['nobody who knows of it', 'element', 'unknown', 'ERR_ELEMENT_UNSEEN', () => ({ element: null })],
  [
    'no PC/SC library',
    'readerService',
    'warn',
    'ERR_READER_LIBRARY',
    () => ({ sight: readersAre({ status: 'noLibrary' }) }),
  ],
  [
    'no pcscd',
    'readerService',
    'warn',
    'ERR_READER_SERVICE',
    () => ({ sight: readersAre({ status: 'noService' }) }),
  ],
  [
    'a pcscd that refuses this user',
    'readerService',
    'warn',
    'ERR_PCSC_DENIED',
    () => ({ sight: readersAre({ status: 'denied', code: 'closed' }) }),
  ],
  [
    'a pcscd that fails',
    'readerService',
    'warn',
    'ERR_READER_FAULT',
    () => ({ sight: readersAre({ status: 'failed', code: '0x80100001' }) }),
  ],
  [
    'no reader',
    'readers',
    'warn',
    'ERR_READER_NONE',
    () => ({ sight: readersAre({ status: 'ok', readers: [] }) }),
  ],
  ['readers that are not used', 'readers', 'warn', 'ERR_READER_OFF', () => ({ readers: false })],
  [
    "the kernel's NFC driver",
    'readers',
    'warn',
    'ERR_READER_KERNEL_DRIVER',
    () => ({ sight: readersAre({ status: 'ok', readers: [] }, MODULES) }),
  ],
];
for (const [what, id, state, code, make] of BROKEN) {
  test(`${what}: ${id} ${code}, with a text and a fix in both languages`, async () => {
    const report = await look(await make());
    assert.deepEqual(found(report, id), [state, code]);
    for (const check of report.checks) {
      for (const language of ['en', 'zh'] as const) {
        const line = describeCheck(check, { language, texts: CHECK_TEXTS });
        assert.doesNotMatch(`${line.seen} ${line.fix}`, /[{}]|undefined|\(\)/, line.seen);
        if (check.id === id) assert.ok(line.fix, line.seen);
      }
    }
  });
}

test('row 10: a security key is no reader, and is not counted beside one', async () => {
  const key = 'Yubico YubiKey OTP+FIDO+CCID 00 00';
  const alone = await look({ sight: readersAre({ status: 'ok', readers: [key] }) });
  assert.deepEqual(found(alone, 'readers'), ['warn', 'ERR_READER_NONE']);
  const both = await look({ sight: readersAre({ status: 'ok', readers: [key, 'Antenna 00'] }) });
  assert.equal(both.checks.find(({ id }) => id === 'readers')?.facts['names'], '1');
});

test('row 36: a service that refuses us says nothing about readers, and neither do we', async () => {
  for (const status of ['noService', 'noLibrary'] as const) {
    const report = await look({ sight: readersAre({ status }) });
    assert.deepEqual(found(report, 'readers'), ['unknown', 'ERR_WAITS']);
  }
  const denied = await look({ sight: readersAre({ status: 'denied', code: 'EACCES' }) });
  assert.deepEqual(found(denied, 'readers'), ['unknown', 'ERR_WAITS']);
  assert.notDeepEqual(found(denied, 'readers'), ['warn', 'ERR_READER_NONE']);
});

test('behind a gateway that is down its versions wait', async () => {
  const report = await look({ gatewayUrl: 'http://127.0.0.1:9' });
  assert.deepEqual(found(report, 'versions'), ['unknown', 'ERR_WAITS']);
});

test('the running service of the data folder is asked for its element', async () => {
  const dataDir = join(folder, 'served');
  mkdirSync(join(dataDir, 'agent'), { recursive: true });
  const gatewayUrl = await gatewayAt();
  const sight = readersAre({ status: 'ok', readers: [] });
  const state = async () => {
    const report = await runHostDoctor({ dataDir, gatewayUrl, readers: false }, { sight });
    return found(report, 'element');
  };
  assert.deepEqual(await state(), ['unknown', 'ERR_ELEMENT_UNSEEN']);
  let body: unknown = { version: 1, element: ready, readers: [] };
  const port = await serve((_, response) => response.end(JSON.stringify(body)));
  writeLocalAgent(join(dataDir, 'agent'), { port, key: 'A'.repeat(64) });
  assert.deepEqual(await state(), ['ok', null]);
  body = { version: 1, element: { ...ready, state: 'locked' } };
  assert.deepEqual(await state(), ['broken', 'ERR_ELEMENT_LOCKED']);
  body = { element: 'mine' };
  assert.deepEqual(await state(), ['broken', 'ERR_ELEMENT_GONE']);
  // A killed service leaves its file behind, and a broken one is as good as none.
  writeLocalAgent(join(dataDir, 'agent'), { port: 9, key: 'A'.repeat(64) });
  assert.deepEqual(await state(), ['unknown', 'ERR_ELEMENT_UNSEEN']);
  writeFileSync(join(dataDir, 'agent/local-key'), 'oops');
  assert.deepEqual(await state(), ['unknown', 'ERR_ELEMENT_UNSEEN']);
});

test('an element that cannot be asked is one that does not answer', async () => {
  const report = await runHostDoctor(
    { dataDir: folder, gatewayUrl: await gatewayAt(), readers: true },
    {
      sight: readersAre({ status: 'ok', readers: [] }),
      seeElement: () => Promise.reject(new Error('gone')),
    },
  );
  assert.deepEqual(found(report, 'element'), ['broken', 'ERR_ELEMENT_GONE']);
});
