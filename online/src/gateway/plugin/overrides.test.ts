/** Shows how the operator's file changes the versions, and that a broken one changes nothing. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { LogRecord } from '../../runtime/index.ts';
import { OLDEST_SUPPORTED, OVERRIDES_BYTES_MAX, VersionOverrides } from './overrides.ts';
import { temporaryFolder, writeFiles } from './plugin.test-kit.ts';

const built = { extension: '0.2.0', host: '0.3.0' };
const oldest = OLDEST_SUPPORTED;
const asBuilt = {
  extension: { version: '0.2.0', latest: '0.2.0', required: oldest.extension },
  host: { latest: '0.3.0', required: oldest.host },
};

function open(folder: string): { overrides: VersionOverrides; warnings: LogRecord[] } {
  const warnings: LogRecord[] = [];
  const overrides = new VersionOverrides({
    path: join(folder, 'versions.json'),
    built,
    warn: (record) => warnings.push(record),
  });
  return { overrides, warnings };
}

const write = (folder: string, value: unknown): void => {
  writeFiles(folder, {
    'versions.json': typeof value === 'string' ? value : JSON.stringify(value),
  });
};

test('without a file: what was built is offered, the oldest supported is required', (t) => {
  const { overrides, warnings } = open(temporaryFolder(t));
  assert.deepEqual(overrides.current(), asBuilt);
  assert.deepEqual(warnings, []);
});

const GOOD: readonly (readonly [string, unknown, object])[] = [
  ['an empty document', {}, asBuilt],
  [
    'a higher version from the same bundle',
    { extension: { version: '0.2.1' } },
    { ...asBuilt, extension: { ...asBuilt.extension, version: '0.2.1', latest: '0.2.1' } },
  ],
  [
    'an optional update of the host',
    { host: { latest: '0.4.0' } },
    { ...asBuilt, host: { latest: '0.4.0', required: oldest.host } },
  ],
  [
    'a forced update, which is the latest one by itself',
    { host: { required: '0.5.0' } },
    { ...asBuilt, host: { latest: '0.5.0', required: '0.5.0' } },
  ],
  [
    'a latest version that another store has',
    { extension: { latest: '0.9.0', required: '0.2.0' } },
    { ...asBuilt, extension: { version: '0.2.0', latest: '0.9.0', required: '0.2.0' } },
  ],
  [
    "a pre-release of the host, which is no browser's",
    { host: { latest: '0.4.0-rc.1' } },
    { ...asBuilt, host: { latest: '0.4.0-rc.1', required: oldest.host } },
  ],
];

for (const [what, value, expected] of GOOD) {
  test(`the operator says: ${what}`, (t) => {
    const folder = temporaryFolder(t);
    write(folder, value);
    const { overrides, warnings } = open(folder);
    assert.deepEqual(overrides.current(), expected);
    assert.deepEqual(warnings, []);
  });
}

test('the file counts as soon as it is there, changes, or goes', (t) => {
  const folder = temporaryFolder(t);
  const { overrides } = open(folder);
  assert.equal(overrides.current().extension.version, '0.2.0');
  write(folder, { extension: { version: '0.2.1' } });
  assert.equal(overrides.current().extension.version, '0.2.1');
  write(folder, { extension: { version: '0.2.2' } });
  assert.equal(overrides.current().extension.version, '0.2.2');
  rmSync(join(folder, 'versions.json'));
  assert.deepEqual(overrides.current(), asBuilt);
});

const BAD: readonly (readonly [string, unknown, RegExp])[] = [
  ['no JSON', '{"extension":', /is no JSON/],
  ['an empty file', '', /is no JSON/],
  ['a list', [], /the document/],
  ['a word that it does not know', { extension: { versoin: '1.0.0' } }, /extension/],
  ['a part that it does not know', { agent: {} }, /the document/],
  ['no version', { host: { latest: 'newest' } }, /host\.latest/],
  ['a number', { host: { latest: 1 } }, /host\.latest/],
  [
    'a pre-release of the extension',
    { extension: { version: '0.3.0-rc.1' } },
    /extension\.version/,
  ],
  ['more than 16 bits', { extension: { version: '0.2.65536' } }, /extension\.version/],
  ['a way back', { extension: { version: '0.1.9' } }, /below the built one/],
  [
    'more required than offered',
    { host: { latest: '0.3.0', required: '0.4.0' } },
    /host\.required/,
  ],
  ['too long a text', ' '.repeat(OVERRIDES_BYTES_MAX + 1), /too long/],
];

for (const [what, value, why] of BAD) {
  test(`a broken file is told once and changes nothing: ${what}`, (t) => {
    const folder = temporaryFolder(t);
    const { overrides, warnings } = open(folder);
    write(folder, { host: { latest: '0.3.1' } });
    const good = overrides.current();
    assert.equal(good.host.latest, '0.3.1');
    write(folder, value);
    assert.deepEqual(overrides.current(), good);
    assert.deepEqual(overrides.current(), good);
    assert.equal(warnings.length, 1);
    assert.equal(warnings[0]?.['code'], 'ERR_PLUGIN_OVERRIDES');
    assert.match(String(warnings[0]?.['why']), why);
    write(folder, { host: { latest: '0.3.2' } });
    assert.equal(overrides.current().host.latest, '0.3.2', 'and a good one counts again');
    assert.equal(warnings.length, 1);
  });
}

test('a file that cannot be read is a broken one', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'versions.json'));
  const { overrides, warnings } = open(folder);
  assert.deepEqual(overrides.current(), asBuilt);
  assert.deepEqual(
    warnings.map(({ code, cause }) => ({ code, cause })),
    [{ code: 'ERR_PLUGIN_OVERRIDES', cause: 'EISDIR' }],
  );
});
