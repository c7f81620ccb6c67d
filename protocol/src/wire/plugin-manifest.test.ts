/**
 * Shows what the two browsers are told of the extension: the gateways and nobody else, one fixed
 * id, no script but its own; and what cannot stand in a manifest.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  gatewayOriginsOf,
  gatewayPatternsOf,
  manifestOf,
  type PluginManifestFacts,
} from './plugin-manifest.ts';

const FACTS: PluginManifestFacts = {
  browser: 'chromium',
  version: '0.1.0',
  gatewayOrigins: ['https://pay.example', 'http://127.0.0.1:4600'],
  publicKeyBase64: 'AAAA',
  updateUrl: 'https://pay.example/plugin/update.xml',
  geckoId: 'plugin@tapnpay.org',
  geckoUpdateUrl: 'https://pay.example/plugin/updates.json',
};
type Manifest = {
  readonly permissions: readonly string[];
  readonly host_permissions: readonly string[];
  readonly content_scripts: readonly {
    readonly matches: readonly string[];
    readonly include_globs: readonly string[];
    readonly all_frames: boolean;
    readonly run_at: string;
  }[];
  readonly content_security_policy: { readonly extension_pages: string };
  readonly [field: string]: unknown;
};
const made = (facts: Partial<PluginManifestFacts> = {}) =>
  manifestOf({ ...FACTS, ...facts }) as Manifest;

test('Chromium: patterns name the port, so that no other port of a host is touched', () => {
  const manifest = made();
  const matches = ['https://pay.example:443/*', 'http://127.0.0.1:4600/*'];
  assert.deepEqual(manifest.host_permissions, matches);
  assert.deepEqual(manifest.content_scripts[0]?.matches, matches);
  assert.deepEqual(manifest['background'], { service_worker: 'worker.js' });
  assert.equal(manifest['minimum_chrome_version'], '116');
  assert.equal(manifest['key'], 'AAAA');
  assert.equal(manifest['update_url'], FACTS.updateUrl);
  assert.equal(manifest['browser_specific_settings'], undefined);
});

test('Firefox: patterns cannot name a port, the globs do', () => {
  const manifest = made({
    browser: 'firefox',
    gatewayOrigins: ['http://127.0.0.1:4600', 'http://127.0.0.1:4601'],
  });
  assert.deepEqual(manifest.host_permissions, ['http://127.0.0.1/*']);
  assert.deepEqual(manifest.content_scripts[0]?.include_globs, [
    'http://127.0.0.1:4600/*',
    'http://127.0.0.1:4601/*',
  ]);
  assert.deepEqual(manifest['background'], { scripts: ['worker.js'] });
  assert.deepEqual(manifest['browser_specific_settings'], {
    gecko: {
      id: 'plugin@tapnpay.org',
      strict_min_version: '128.0',
      update_url: FACTS.geckoUpdateUrl,
    },
  });
  for (const field of ['key', 'update_url', 'minimum_chrome_version']) {
    assert.equal(manifest[field], undefined, field);
  }
});

test('Firefox refuses an add-on whose updates come by plain HTTP: then it names none', () => {
  const manifest = made({ browser: 'firefox', geckoUpdateUrl: 'http://127.0.0.1:4600/u.json' });
  assert.doesNotMatch(JSON.stringify(manifest['browser_specific_settings']), /update_url/);
});

for (const browser of ['chromium', 'firefox'] as const) {
  test(`${browser}: no more rights than are used, no script but its own`, () => {
    const manifest = made({ browser });
    assert.deepEqual(manifest.permissions, ['nativeMessaging', 'scripting']);
    assert.equal(manifest['web_accessible_resources'], undefined);
    assert.equal(manifest['externally_connectable'], undefined);
    assert.doesNotMatch(JSON.stringify(manifest), /<all_urls>|\*:\/\/|https?:\/\/\*/);
    const policy = manifest.content_security_policy.extension_pages;
    assert.match(policy, /script-src 'self';/);
    assert.match(policy, /connect-src 'self' https:\/\/pay\.example http:\/\/127\.0\.0\.1:4600;/);
    assert.match(policy, /require-trusted-types-for 'script'/);
    assert.doesNotMatch(policy, /unsafe|data:|blob:/);
    const [script] = manifest.content_scripts;
    assert.equal(script?.all_frames, true);
    assert.equal(script?.run_at, 'document_start');
  });

  test(`${browser}: the scripts read the same gateways back`, () => {
    const manifest: unknown = JSON.parse(JSON.stringify(made({ browser })));
    assert.deepEqual(gatewayOriginsOf(manifest), FACTS.gatewayOrigins);
    assert.equal(gatewayPatternsOf(manifest).length, 2);
  });
}

test('nothing is read back from what is no manifest of ours', () => {
  const foreign: readonly unknown[] = [
    null,
    {},
    { content_scripts: {} },
    { content_scripts: [{ include_globs: ['https://pay.example/pay', 7] }] },
  ];
  for (const manifest of foreign) {
    assert.deepEqual(gatewayOriginsOf(manifest), []);
    assert.deepEqual(gatewayPatternsOf(manifest), []);
  }
});

test('ERR_GATEWAY_ORIGIN: what is no origin of a page, none, too many', () => {
  const wrong = [
    '',
    'pay.example',
    'https://pay.example/',
    'https://*.example',
    'https://pay.example:443',
    'http://pay.example:80',
    'http://pay.example:0',
    'ftp://pay.example',
    'https://a@pay.example',
    'https://pay.example;script-src',
    'https://PAY.example',
    '<all_urls>',
  ];
  for (const origin of wrong) {
    assert.throws(() => made({ gatewayOrigins: [origin] }), { code: 'ERR_GATEWAY_ORIGIN' }, origin);
  }
  assert.throws(() => made({ gatewayOrigins: [] }), { code: 'ERR_GATEWAY_ORIGIN' });
  const many = Array.from({ length: 17 }, (_, at) => `https://pay${at}.example`);
  assert.throws(() => made({ gatewayOrigins: many }), { code: 'ERR_GATEWAY_ORIGIN' });
  assert.doesNotThrow(() => made({ gatewayOrigins: ['http://[::1]:4600'] }));
});

test('ERR_VERSION_INVALID: a version that browsers do not take', () => {
  for (const version of ['1', '1.0.0-rc.1', '0.0.0', '1.0.70000', '01.0.0']) {
    assert.throws(() => made({ version }), { code: 'ERR_VERSION_INVALID' }, version);
  }
});
