/** Shows that the same files make the same archive anywhere, and which files no extension has. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { unzipSync } from 'fflate';
import { archiveOf, BUNDLE_BYTES_MAX, BUNDLE_FILES_MAX, readBundle } from './bundle.ts';
import { SMALL_BUNDLE, temporaryFolder, writeFiles } from './plugin.test-kit.ts';

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

test('what was built is what is packed', (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, SMALL_BUNDLE);
  const unpacked = unzipSync(archiveOf(readBundle(folder)));
  assert.deepEqual(Object.keys(unpacked), Object.keys(SMALL_BUNDLE).sort());
  for (const [path, content] of Object.entries(SMALL_BUNDLE)) {
    assert.equal(text(unpacked[path]), content, path);
  }
});

test('the order in which files were found does not matter', () => {
  const files = Object.entries(SMALL_BUNDLE).map(
    ([path, content]) => [path, new TextEncoder().encode(content)] as const,
  );
  assert.deepEqual(archiveOf(new Map(files)), archiveOf(new Map(files.toReversed())));
});

test('neither do day and time zone', (t) => {
  const folder = temporaryFolder(t);
  writeFiles(folder, SMALL_BUNDLE);
  const program = `
    import { createHash } from 'node:crypto';
    import { archiveOf, readBundle } from '${join(import.meta.dirname, 'bundle.ts')}';
    const archive = archiveOf(readBundle(process.argv[1]));
    console.log(createHash('sha256').update(archive).digest('hex'));`;
  const digests = ['UTC', 'Asia/Shanghai', 'Pacific/Apia', 'America/Los_Angeles'].map((TZ) => {
    const args = ['--input-type=module-typescript', '-e', program, folder];
    const ran = spawnSync(process.execPath, args, {
      env: { ...process.env, TZ },
      encoding: 'utf8',
    });
    assert.equal(ran.status, 0, ran.stderr);
    return ran.stdout.trim();
  });
  assert.match(digests[0] ?? '', /^[0-9a-f]{64}$/);
  assert.equal(new Set(digests).size, 1, digests.join(' '));
});

test('a folder that is not there, or empty: the extension is not built', (t) => {
  const folder = temporaryFolder(t);
  assert.throws(() => readBundle(folder), { code: 'ERR_PLUGIN_MISSING' });
  assert.throws(() => readBundle(join(folder, 'none')), { code: 'ERR_PLUGIN_MISSING' });
});

const WRONG: Readonly<Record<string, (folder: string) => void>> = {
  'a link': (folder) => symlinkSync('/etc/hostname', join(folder, 'hostname')),
  'a dot file': (folder) => writeFiles(folder, { '.env': 'SECRET=1' }),
  'a name that is not portable': (folder) => writeFiles(folder, { 'a b.js': '' }),
  'folders in folders without end': (folder) =>
    mkdirSync(join(folder, Array.from({ length: 20 }, () => 'x').join('/')), { recursive: true }),
  'too many files': (folder) => {
    const names = Array.from({ length: BUNDLE_FILES_MAX + 1 }, (_, index) => `${index}.js`);
    writeFiles(folder, Object.fromEntries(names.map((name) => [name, ''])));
  },
  'too many bytes': (folder) => writeFiles(folder, { 'a.js': ' '.repeat(BUNDLE_BYTES_MAX + 1) }),
};

for (const [what, make] of Object.entries(WRONG)) {
  test(`no extension has ${what}`, (t) => {
    const folder = temporaryFolder(t);
    writeFiles(folder, SMALL_BUNDLE);
    readBundle(folder);
    make(folder);
    assert.throws(() => readBundle(folder), { code: 'ERR_PLUGIN_BUNDLE' });
  });
}
