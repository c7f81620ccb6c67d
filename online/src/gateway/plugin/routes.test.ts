/**
 * Shows what browsers and pages get from the update channel, under which name, and how a new
 * version comes out of it while the gateway runs.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { checkShape, gatewayOriginsOf, pluginVersionsShape } from '@tapnpay/protocol/wire';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { unzipSync } from 'fflate';
import { testGateway, testRandom, testSite } from '../gateway.test-kit.ts';
import { buildHttp } from '../http/api.ts';
import { testHttpPorts } from '../http/http.test-kit.ts';
import { openMerchantKeys } from '../merchant-keys.ts';
import {
  PUBLIC_URL,
  SMALL_BUNDLE,
  type TestPublisher,
  testPublisher,
  writeFiles,
} from './plugin.test-kit.ts';

const HOST = new URL(PUBLIC_URL).host;
const PATHS = {
  versions: '/v1/plugin',
  updateXml: '/plugin/update.xml',
  crx: '/plugin/tapnpay.crx',
  updatesJson: '/plugin/updates.json',
  xpi: '/plugin/tapnpay.xpi',
} as const;
const TYPES: Readonly<Record<string, string>> = {
  versions: 'application/json; charset=utf-8',
  updateXml: 'text/xml; charset=utf-8',
  crx: 'application/x-chrome-extension',
  updatesJson: 'application/json; charset=utf-8',
  xpi: 'application/x-xpinstall',
};

type Channel = TestPublisher & {
  readonly app: FastifyInstance;
  readonly ask: (path: string, more?: InjectOptions) => Promise<LightMyRequestResponse>;
};

async function channel(t: TestContext): Promise<Channel> {
  const made = await testPublisher(t);
  const { dataDir, publisher: plugin } = made;
  const keys = openMerchantKeys(dataDir, 'M1', testRandom());
  const gateway = await testGateway({ lab: true });
  const site = testSite({ publicUrl: PUBLIC_URL });
  const app = buildHttp(testHttpPorts(gateway, { keys, dataDir, site, plugin }));
  t.after(() => app.close());
  const ask = (url: string, more: InjectOptions = {}): Promise<LightMyRequestResponse> =>
    app.inject({ method: 'GET', url, ...more, headers: { host: HOST, ...more.headers } });
  return { ...made, app, ask };
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
/** The manifest in a package; a CRX has its archive behind the header. */
function manifestIn(pack: Buffer): Record<string, unknown> {
  const isCrx = pack.subarray(0, 4).toString('latin1') === 'Cr24';
  const archive = isCrx ? pack.subarray(12 + pack.readUInt32LE(8)) : pack;
  return JSON.parse(new TextDecoder().decode(unzipSync(archive)['manifest.json']));
}

test('the versions document names versions, id and absolute addresses', async (t) => {
  const { ask, publisher } = await channel(t);
  const answer = await ask(PATHS.versions);
  assert.equal(answer.statusCode, 200);
  const versions = checkShape(pluginVersionsShape, answer.json(), 'versions');
  assert.deepEqual(versions, {
    extension: {
      id: publisher.extensionId,
      geckoId: 'plugin@tapnpay.org',
      latest: '0.1.0',
      required: '0.1.0',
    },
    host: { latest: '0.1.0', required: '0.1.0' },
    protocol: { min: 1, max: 1 },
    install: {
      crx: `${PUBLIC_URL}/plugin/tapnpay.crx`,
      updateManifest: `${PUBLIC_URL}/plugin/update.xml`,
      xpi: `${PUBLIC_URL}/plugin/tapnpay.xpi`,
      xpiUpdates: `${PUBLIC_URL}/plugin/updates.json`,
    },
  });
});

test("update.xml offers the CRX that is served, under the key's id", async (t) => {
  const { ask, publisher } = await channel(t);
  // What Chromium adds to the address.
  const document = (await ask(`${PATHS.updateXml}?os=linux&x=id%3Dabc%26v%3D0.0.1%26uc`)).body;
  const xml = document.slice(document.indexOf('<app '));
  const crx = (await ask(PATHS.crx)).rawPayload;
  const attribute = (name: string): string | undefined =>
    new RegExp(`[ ]${name}='([^']*)'`).exec(xml)?.[1];
  assert.equal(attribute('appid'), publisher.extensionId);
  assert.equal(attribute('codebase'), `${PUBLIC_URL}/plugin/tapnpay.crx`);
  const manifest = manifestIn(crx);
  assert.equal(manifest['version'], attribute('version'));
  assert.equal(manifest['update_url'], `${PUBLIC_URL}/plugin/update.xml`);
  assert.equal(manifest['key'], undefined, 'the signature has it');
  assert.deepEqual(gatewayOriginsOf(manifest), [PUBLIC_URL]);
});

test('updates.json offers the XPI that is served, which has every file of the build', async (t) => {
  const { ask } = await channel(t);
  const xpi = (await ask(PATHS.xpi)).rawPayload;
  const { addons } = (await ask(PATHS.updatesJson)).json() as { addons: unknown };
  assert.deepEqual(addons, {
    'plugin@tapnpay.org': {
      updates: [
        {
          version: '0.1.0',
          update_link: `${PUBLIC_URL}/plugin/tapnpay.xpi`,
          update_hash: `sha256:${sha256(xpi)}`,
        },
      ],
    },
  });
  const names = [...Object.keys(SMALL_BUNDLE), 'manifest.json'].sort();
  assert.deepEqual(Object.keys(unzipSync(xpi)), names);
  const { background } = manifestIn(xpi) as { background: unknown };
  assert.deepEqual(background, { scripts: ['worker.js'] }, "Firefox's manifest, not Chromium's");
});

for (const [name, path] of Object.entries(PATHS)) {
  test(`${path}: its type, nothing for strangers, and a tag by which it is asked again`, async (t) => {
    const { ask } = await channel(t);
    const full = await ask(path, { headers: { origin: 'https://stranger.example' } });
    assert.equal(full.statusCode, 200);
    assert.equal(full.headers['content-type'], TYPES[name]);
    assert.equal(full.headers['access-control-allow-origin'], undefined);
    assert.equal(full.headers['cross-origin-resource-policy'], 'same-origin');
    assert.equal(full.headers['x-content-type-options'], 'nosniff');
    assert.equal(full.headers['cache-control'], 'no-cache');
    const etag = String(full.headers['etag']);
    assert.match(etag, /^"[\w-]{43}"$/);
    const head = await ask(path, { method: 'HEAD' });
    assert.equal(head.statusCode, 200);
    assert.equal(head.rawPayload.length, 0);
    assert.equal(head.headers['content-length'], String(full.rawPayload.length));
    assert.equal(head.headers['etag'], etag);
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const unchanged = await ask(path, { headers: { 'if-none-match': known } });
      assert.equal(unchanged.statusCode, 304, known);
      assert.equal(unchanged.rawPayload.length, 0);
      assert.equal(unchanged.headers['etag'], etag);
    }
    const changed = await ask(path, { headers: { 'if-none-match': '"other"' } });
    assert.equal(changed.statusCode, 200);
    assert.deepEqual(changed.rawPayload, full.rawPayload);
    for (const method of ['POST', 'PUT', 'DELETE'] as const) {
      assert.equal((await ask(path, { method })).statusCode, 404, method);
    }
  });

  test(`${path} answers under our own name only`, async (t) => {
    const { ask } = await channel(t);
    for (const host of ['evil.example', '127.0.0.1', 'localhost:8420']) {
      const refused = await ask(path, { headers: { host } });
      assert.equal(refused.statusCode, 421, host);
      assert.equal(refused.json().code, 'ERR_HOST');
    }
  });
}

test('the operator publishes a higher version of the same bundle in the running gateway', async (t) => {
  const { ask, override, publisher } = await channel(t);
  const before = await ask(PATHS.crx);
  override({ extension: { version: '0.1.1', required: '0.1.1' } });
  const versions = (await ask(PATHS.versions)).json();
  assert.deepEqual(
    [versions.extension.latest, versions.extension.required, versions.extension.id],
    ['0.1.1', '0.1.1', publisher.extensionId],
  );
  const after = await ask(PATHS.crx, { headers: { 'if-none-match': before.headers['etag'] } });
  assert.equal(after.statusCode, 200, 'another package, another tag');
  assert.equal(manifestIn(after.rawPayload)['version'], '0.1.1');
  assert.match((await ask(PATHS.updateXml)).body, / version='0\.1\.1'/);
  assert.match((await ask(PATHS.updatesJson)).body, /"version": "0\.1\.1"/);
  assert.equal(manifestIn((await ask(PATHS.xpi)).rawPayload)['version'], '0.1.1');
});

test('a broken file of the operator changes nothing that is served', async (t) => {
  const { ask, override, warnings } = await channel(t);
  override({ extension: { version: '0.1.1' } });
  const before = await ask(PATHS.versions);
  override('{');
  const after = await ask(PATHS.versions);
  assert.deepEqual(after.json(), before.json());
  assert.deepEqual(
    warnings.map(({ event, code }) => ({ event, code })),
    [{ event: 'pluginVersionsRefused', code: 'ERR_PLUGIN_OVERRIDES' }],
  );
});

test('two gateways of one system serve the same bytes, another system signs with another key', async (t) => {
  const one = await testPublisher(t);
  const twin = await testPublisher(t, { dataDir: one.dataDir });
  const other = await testPublisher(t);
  for (const name of ['crx', 'xpi', 'updateXml', 'updatesJson'] as const) {
    assert.deepEqual(one.publisher.artefact(name), twin.publisher.artefact(name), name);
  }
  const [crx, foreign] = [one, other].map(({ publisher }) => publisher.artefact('crx').etag);
  assert.notEqual(crx, foreign);
  assert.deepEqual(one.publisher.artefact('xpi'), other.publisher.artefact('xpi'));
});

test('while the extension is not built its packages are missing, its versions are known', async (t) => {
  const { ask, bundleDir } = await channel(t);
  rmSync(bundleDir, { recursive: true });
  for (const path of [PATHS.crx, PATHS.xpi, PATHS.updateXml, PATHS.updatesJson]) {
    const missing = await ask(path);
    assert.equal(missing.statusCode, 503, path);
    assert.equal(missing.json().code, 'ERR_PLUGIN_MISSING');
    assert.match(String(missing.headers['content-type']), /^application\/problem\+json/);
  }
  assert.equal((await ask(PATHS.versions)).statusCode, 200);
  writeFiles(bundleDir, SMALL_BUNDLE);
  assert.equal((await ask(PATHS.crx)).statusCode, 200, 'built meanwhile');
  writeFiles(bundleDir, { 'content.js': 'another build' });
  const first = (await ask(PATHS.xpi)).headers['etag'];
  assert.equal(
    (await ask(PATHS.xpi)).headers['etag'],
    first,
    'a version that is out stays as it is',
  );
});

test('a gateway that is told of no extension has none of the routes', async (t) => {
  const { dataDir } = await testPublisher(t);
  const keys = openMerchantKeys(dataDir, 'M1', testRandom());
  const gateway = await testGateway({ lab: true });
  const site = testSite({ publicUrl: PUBLIC_URL });
  const app = buildHttp(testHttpPorts(gateway, { keys, dataDir, site }));
  t.after(() => app.close());
  for (const url of Object.values(PATHS)) {
    const answer = await app.inject({ method: 'GET', url, headers: { host: HOST } });
    assert.equal(answer.statusCode, 404, url);
  }
});
