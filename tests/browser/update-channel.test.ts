/**
 * Real browsers take our extension from a running gateway and update it: Chromium by a managed
 * policy, Firefox by a person's click and by policy. Each time the page that was open before hears
 * of it without a reload. What must not be taken is not: another publisher's package under our id,
 * one with a wrong bit, an unsigned one where signatures are required.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock, systemRandom } from '@tapnpay/protocol/node';
import { PLUGIN_GECKO_ID, type PluginVersions } from '@tapnpay/protocol/wire';
import { openAuthority } from '../../online/src/gateway/pki/authority.ts';
import { openPublisher, type PluginPublisher } from '../../online/src/gateway/plugin/publisher.ts';
import { TestSystem, temporaryDataDir } from '../system.test-kit.ts';
import { ManagedChromium, ManagedFirefox, until, withoutManaged } from './managed.test-kit.ts';

const BUILT = join(import.meta.dirname, '../../web/dist/extension');
const withoutChromium = withoutManaged('chromium');
const withoutFirefox = withoutManaged('firefox');
const system = new TestSystem(temporaryDataDir());
/** Firefox: a package without a signature where one is required. */
const ERROR_SIGNEDSTATE_REQUIRED = -5;
const UNSIGNED = { 'xpinstall.signatures.required': { Value: false, Status: 'default' } } as const;

before(async () => {
  if (!withoutChromium || !withoutFirefox) await system.up();
});
after(() => system.close());

/** The operator's word. */
function publish(version: string): void {
  const versions = { extension: { version, required: version } };
  const path = join(system.dataDir, 'publisher/versions.json');
  writeFileSync(path, JSON.stringify(versions));
}

async function versions(): Promise<PluginVersions> {
  const answer = await fetch(`${system.ready.gateway}/v1/plugin`);
  assert.equal(answer.status, 200);
  return (await answer.json()) as PluginVersions;
}

/** What both drivers' pages can do. */
type AnyPage = { evaluate<T>(act: () => T): Promise<T> };
type PageScope = { heard: string[] };

/** The page keeps the versions of the extensions that say `here`. */
async function listen(page: AnyPage): Promise<void> {
  await page.evaluate(() => {
    const scope = globalThis as unknown as PageScope;
    scope.heard = [];
    addEventListener('message', ({ data, source }) => {
      if (source === window && data?.tapnpay === 'toPage' && data.kind === 'here') {
        scope.heard.push(data.version);
      }
    });
    const ping = { tapnpay: 'toPlugin', channel: crypto.randomUUID(), kind: 'ping' };
    window.postMessage(ping, location.origin);
  });
}

const heard = (page: AnyPage): Promise<readonly string[]> =>
  page.evaluate(() => (globalThis as unknown as PageScope).heard);

/** Milliseconds from now until the page hears of this version. */
async function hears(page: AnyPage, version: string): Promise<string> {
  const start = performance.now();
  await until(async () => (await heard(page)).includes(version), `${version} on the page`);
  return `${Math.round(performance.now() - start)} ms`;
}

/** Another system's publisher that names another id than its own, or sends one wrong bit. */
async function impostor(change: { readonly id?: string; readonly isBitFlipped?: boolean }) {
  const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-impostor-'));
  let fetched = 0;
  let publisher: PluginPublisher | null = null;
  const server: Server = createServer((request, response) => {
    const isPackage = request.url === '/plugin/tapnpay.crx';
    const artefact = publisher?.artefact(isPackage ? 'crx' : 'updateXml');
    const body = Buffer.from(artefact?.body ?? '');
    if (isPackage) {
      response.on('finish', () => {
        fetched += 1;
      });
      const last = body.length - 1;
      if (change.isBitFlipped) body.writeUInt8(body.readUInt8(last) ^ 1, last);
      response.setHeader('content-type', 'application/x-chrome-extension').end(body);
      return;
    }
    const appId = change.id ?? publisher?.extensionId;
    response.end(body.toString().replace(/appid='[a-p]*'/, `appid='${appId}'`));
  });
  const publicUrl = await listening(server, 'http');
  const built = { extension: '9.0.0', host: '9.0.0' };
  publisher = await openPublisher({ dataDir, publicUrl, bundleDir: BUILT, built, warn: () => {} });
  return {
    updateUrl: `${publicUrl}/plugin/update.xml`,
    ownId: publisher.extensionId,
    fetched: () => fetched,
    close: () => {
      server.closeAllConnections();
      server.close();
      rmSync(dataDir, { recursive: true });
    },
  };
}

async function listening(server: Server, scheme: string): Promise<string> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('Chromium: rolled out under an open pay page, updated under it, and nothing of impostors', {
  skip: withoutChromium,
}, async (t) => {
  const { extension, install } = await versions();
  const stranger = 'abcdefghijklmnopabcdefghijklmnop';
  const otherKey = await impostor({ id: stranger });
  t.after(otherKey.close);
  const wrongBit = await impostor({ isBitFlipped: true });
  t.after(wrongBit.close);
  const browser = await ManagedChromium.open();
  t.after(() => browser.close());
  const { payUrl } = await system.createOrder({ amount: '1.00' });
  const page = await browser.context.newPage();
  await page.goto(payUrl);
  await listen(page);
  const ids = [extension.id, stranger, otherKey.ownId, wrongBit.ownId];
  assert.deepEqual(await browser.states(ids), {});
  assert.deepEqual(await heard(page), []);

  const ours = { id: extension.id, updateUrl: install.updateManifest };
  await browser.install([
    { id: stranger, updateUrl: otherKey.updateUrl },
    { id: wrongBit.ownId, updateUrl: wrongBit.updateUrl },
    ours,
  ]);
  t.diagnostic(
    `installed once the policy was read, told to the open page: ${await hears(page, '0.1.0')}`,
  );
  await until(async () => otherKey.fetched() > 0 && wrongBit.fetched() > 0, 'the impostors');

  publish('0.2.0');
  const update = { tapnpay: 'toPlugin', channel: crypto.randomUUID(), kind: 'update' };
  await page.evaluate((wish) => window.postMessage(wish, location.origin), update);
  t.diagnostic(`updated at the page's wish: ${await hears(page, '0.2.0')}`);

  publish('0.3.0');
  await browser.checkForUpdates();
  t.diagnostic(`updated at the browser's own look: ${await hears(page, '0.3.0')}`);
  assert.deepEqual(await browser.states(ids), { [extension.id]: '0.3.0 ENABLED' });
});

test('Firefox: a person installs the XPI from the pay page, unsigned only where that is allowed', {
  skip: withoutFirefox,
}, async (t) => {
  publish('1.0.0');
  const { install } = await versions();
  const browser = await ManagedFirefox.open({
    Preferences: {
      ...UNSIGNED,
      // Over plain HTTP an add-on may not name its own update manifest; an administrator may.
      'extensions.update.url': { Value: install.xpiUpdates, Status: 'locked' },
    },
  });
  t.after(() => browser.close());
  const { payUrl } = await system.createOrder({ amount: '1.00' });
  const page = await browser.browser.newPage();
  await page.goto(payUrl);
  await listen(page);
  await page.bringToFront();
  assert.equal(await browser.addon(PLUGIN_GECKO_ID), null);
  const refused = await browser.installSignedOnly(install.xpi);
  assert.equal(refused, ERROR_SIGNEDSTATE_REQUIRED);
  assert.equal(await browser.addon(PLUGIN_GECKO_ID), null);
  const start = performance.now();
  await page.evaluate((url) => location.assign(url), install.xpi);
  const asked = new Set<string>();
  await until(async () => {
    for (const question of await browser.answerQuestions()) asked.add(question);
    return (await heard(page)).includes('1.0.0');
  }, 'the extension on the page');
  t.diagnostic(`installed by click: ${Math.round(performance.now() - start)} ms`);
  assert.ok(asked.has('addon-install-blocked-notification'), 'may this site install?');
  assert.ok(asked.has('addon-webext-permissions-notification'), 'and this extension?');

  publish('1.1.0');
  assert.equal(await browser.update(PLUGIN_GECKO_ID), '1.1.0');
  t.diagnostic(`updated, told to the open page: ${await hears(page, '1.1.0')}`);
  assert.equal(await browser.addon(PLUGIN_GECKO_ID), '1.1.0');
});

/** A gateway's update channel over TLS, as it is outside a laboratory. */
async function tlsChannel() {
  const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-tls-'));
  const ports = { clock: systemClock, random: systemRandom };
  const authority = await openAuthority(join(dataDir, 'gateway'), ports);
  const caPath = join(dataDir, 'ca.pem');
  writeFileSync(caPath, authority.caPem);
  let publisher: PluginPublisher | null = null;
  const identity = { key: authority.serverKeyPem, cert: authority.serverCertificatePem };
  const server = createTlsServer(identity, (request, response) => {
    const [, name] = /^\/plugin\/(?:tapnpay\.(xpi)|updates\.json)/.exec(request.url ?? '') ?? [];
    const isPage = request.url === '/';
    const artefact = publisher?.artefact(name === 'xpi' ? 'xpi' : 'updatesJson');
    response.setHeader('content-type', isPage ? 'text/html' : 'application/octet-stream');
    response.end(isPage ? '<!doctype html><title>pay</title>' : artefact?.body);
  });
  const publicUrl = await listening(server, 'https');
  const built = { extension: '1.0.0', host: '1.0.0' };
  publisher = await openPublisher({ dataDir, publicUrl, bundleDir: BUILT, built, warn: () => {} });
  const path = join(dataDir, 'publisher/versions.json');
  return {
    publicUrl,
    caPath,
    publish: (version: string) => writeFileSync(path, JSON.stringify({ extension: { version } })),
    close: () => {
      server.closeAllConnections();
      server.close();
      rmSync(dataDir, { recursive: true });
    },
  };
}

test('Firefox over TLS: installed by policy, updated by its own update address', {
  skip: withoutFirefox,
}, async (t) => {
  const channel = await tlsChannel();
  t.after(channel.close);
  const xpi = `${channel.publicUrl}/plugin/tapnpay.xpi`;
  const start = performance.now();
  const browser = await ManagedFirefox.open({
    Certificates: { Install: [channel.caPath] },
    Preferences: UNSIGNED,
    ExtensionSettings: {
      [PLUGIN_GECKO_ID]: { installation_mode: 'force_installed', install_url: xpi },
    },
  });
  t.after(() => browser.close());
  const page = await browser.browser.newPage();
  await page.goto(`${channel.publicUrl}/`);
  await listen(page);
  await hears(page, '1.0.0');
  t.diagnostic(`launched and installed: ${Math.round(performance.now() - start)} ms`);
  channel.publish('1.2.0');
  assert.equal(await browser.update(PLUGIN_GECKO_ID), '1.2.0');
  t.diagnostic(`updated, told to the open page: ${await hears(page, '1.2.0')}`);
});
