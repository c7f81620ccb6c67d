/** Shows which version is the newer one (semver §11), what is no version, and what has to be updated. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertExtensionVersion,
  compareVersions,
  type PluginVersions,
  pluginVersionsShape,
  type UpdateNeed,
  updateNeed,
  updateNeeds,
} from './plugin-versions.ts';
import { checkShape } from './shape.ts';

/** From the oldest to the newest; the middle is the list of semver §11.4. */
const ASCENDING: readonly string[] = [
  '0.0.0',
  '0.1.0',
  '0.2.0',
  '0.10.0',
  '1.0.0-alpha',
  '1.0.0-alpha.1',
  '1.0.0-alpha.beta',
  '1.0.0-beta',
  '1.0.0-beta.2',
  '1.0.0-beta.11',
  '1.0.0-rc.1',
  '1.0.0',
  '1.0.1',
  '1.1.0',
  '2.0.0',
  '10.0.0',
];

test('versions are in the order of semver §11, whichever is asked first', () => {
  for (const [a, left] of ASCENDING.entries()) {
    for (const [b, right] of ASCENDING.entries()) {
      const found = Math.sign(compareVersions(left, right));
      assert.equal(found, Math.sign(a - b), `${left} against ${right}`);
    }
  }
});

test('what follows a plus sign does not count (§10)', () => {
  assert.equal(compareVersions('1.2.3+linux.1', '1.2.3+mac'), 0);
  assert.equal(compareVersions('1.2.3-rc.1+a', '1.2.3-rc.1'), 0);
});

const NO_VERSIONS: readonly string[] = [
  '',
  '1',
  '1.2',
  '1.2.3.4',
  'v1.2.3',
  ' 1.2.3',
  '1.2.3\n',
  '01.2.3',
  '1.2.03',
  '1.2.-3',
  '1.2.x',
  '1.2.3-',
  '1.2.3-a..b',
  '1.2.3-01',
  '1.2.3-ä',
  '1.2.3+',
  '1.2.3+a..b',
  '99999999999.0.0',
  `1.2.3-${'a'.repeat(60)}`,
  '1.2.3; rm',
];

test('a text that is no version has a code of its own, on either side', () => {
  for (const text of NO_VERSIONS) {
    for (const [left, right] of [
      [text, '1.0.0'],
      ['1.0.0', text],
    ] as const) {
      const refused = { code: 'ERR_VERSION_INVALID' };
      assert.throws(() => compareVersions(left, right), refused, JSON.stringify(text));
    }
  }
});

test("an extension's version is three numbers that Chromium takes", () => {
  for (const good of ['0.0.1', '0.1.0', '65535.65535.65535']) assertExtensionVersion(good);
  for (const bad of ['0.0.0', '1.0.65536', '1.0.0-rc.1', '1.0.0+1', '1.0', '1.0.0.0']) {
    assert.throws(() => assertExtensionVersion(bad), { code: 'ERR_VERSION_INVALID' }, bad);
  }
});

const NEEDS: readonly (readonly [string, string, string, UpdateNeed])[] = [
  // present, latest, required
  ['1.0.0', '1.0.0', '1.0.0', 'ok'],
  ['1.0.0', '1.0.0', '0.1.0', 'ok'],
  ['2.0.0', '1.0.0', '0.1.0', 'ok'],
  ['1.0.0', '1.0.1', '1.0.0', 'optional'],
  ['1.0.0', '1.0.1', '0.9.9', 'optional'],
  ['1.0.0', '1.0.1', '1.0.1', 'forced'],
  ['0.9.0', '1.0.1', '0.10.0', 'forced'],
  ['1.0.0-rc.1', '1.0.0', '1.0.0', 'forced'],
  ['1.0.0-rc.1', '1.0.0', '0.9.0', 'optional'],
];

for (const [present, latest, required, need] of NEEDS) {
  test(`${present} where ${latest} is offered and ${required} required: ${need}`, () => {
    assert.equal(updateNeed(present, { latest, required }), need);
  });
}

test('a wrong version anywhere is never half a judgement', () => {
  const refused = { code: 'ERR_VERSION_INVALID' };
  assert.throws(() => updateNeed('0.1.0', { latest: 'new', required: '1.0.0' }), refused);
  assert.throws(() => updateNeed('0.1.0', { latest: '1.0.0', required: '' }), refused);
  assert.throws(() => updateNeed('', { latest: '1.0.0', required: '1.0.0' }), refused);
});

const document: PluginVersions = {
  extension: {
    id: 'abcdefghijklmnopabcdefghijklmnop',
    geckoId: 'plugin@tapnpay.org',
    latest: '0.2.0',
    required: '0.1.0',
  },
  host: { latest: '0.3.0', required: '0.3.0' },
  protocol: { min: 1, max: 1 },
  install: {
    crx: 'http://127.0.0.1:8420/plugin/tapnpay.crx',
    updateManifest: 'http://127.0.0.1:8420/plugin/update.xml',
    xpi: 'https://pay.example/plugin/tapnpay.xpi',
    xpiUpdates: 'https://pay.example/plugin/updates.json',
  },
};

test('both parts are judged apart', () => {
  const needs = updateNeeds({ extension: '0.1.0', host: '0.2.9' }, document);
  assert.deepEqual(needs, { extension: 'optional', host: 'forced' });
});

test('the versions document passes its shape, and nothing more of it', () => {
  const sent = { ...document, more: 1 };
  assert.deepEqual(checkShape(pluginVersionsShape, sent, 'versions'), document);
});

const { extension, install } = document;
const WRONG: readonly (readonly [object, string])[] = [
  [{ extension: { ...extension, id: 'ABCD' } }, 'ERR_MESSAGE_FIELD'],
  [{ extension: { ...extension, geckoId: 'plugin' } }, 'ERR_MESSAGE_FIELD'],
  [{ extension: { ...extension, latest: 2 } }, 'ERR_MESSAGE_FIELD'],
  [{ extension: { ...extension, latest: '0.2.0-rc.1' } }, 'ERR_VERSION_INVALID'],
  [{ host: { latest: '1.0', required: '0.1.0' } }, 'ERR_VERSION_INVALID'],
  [{ host: { latest: '1.0.0' } }, 'ERR_MESSAGE_FIELD'],
  [{ protocol: { min: -1, max: 1 } }, 'ERR_MESSAGE_FIELD'],
  [{ protocol: null }, 'ERR_MESSAGE_FIELD'],
  [{ install: { ...install, xpi: 'javascript:alert(1)' } }, 'ERR_MESSAGE_FIELD'],
  [{ install: { ...install, crx: '/plugin/tapnpay.crx' } }, 'ERR_MESSAGE_FIELD'],
];

for (const [wrong, code] of WRONG) {
  test(`refused by its shape: ${JSON.stringify(wrong).slice(0, 80)}`, () => {
    const read = (): unknown =>
      checkShape(pluginVersionsShape, { ...document, ...wrong }, 'versions');
    assert.throws(read, { code });
  });
}
