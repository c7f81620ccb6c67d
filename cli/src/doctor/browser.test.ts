/** Browsers are found with the package they came in, which decides whether a host can be reached. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findBrowsers } from './browser.ts';
import { type Machine, thisMachine } from './machine.ts';

/** A Linux with these programs on the search path, files, texts of scripts, and links. */
type Case = {
  readonly programs?: Readonly<Record<string, string>>;
  readonly files?: readonly string[];
  readonly texts?: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
};
function machineOf({ programs = {}, files = [], texts = {}, links = {} }: Case): Machine {
  return {
    ...thisMachine,
    platform: 'linux',
    exists: (path) => files.includes(path),
    readText: (path) => texts[path] ?? null,
    realPath: (path) => links[path] ?? path,
    findProgram: (name) => programs[name] ?? null,
    run: async () => 'Browser 1.2.3',
  };
}
const found = async (of: Case) =>
  (await findBrowsers(machineOf(of))).map(({ name, packaging, isLib64, version }) => [
    name,
    packaging,
    isLib64,
    version,
  ]);

test("the system's own browsers, each kind once", async () => {
  const programs = {
    chromium: '/usr/bin/chromium',
    'google-chrome': '/usr/bin/google-chrome',
    'google-chrome-stable': '/usr/bin/google-chrome-stable',
    firefox: '/usr/bin/firefox',
    'firefox-esr': '/usr/bin/firefox-esr',
  };
  assert.deepEqual(await found({ programs }), [
    ['Chromium', 'system', false, '1.2.3'],
    ['Chrome', 'system', false, '1.2.3'],
    ['Firefox', 'system', false, '1.2.3'],
  ]);
  assert.deepEqual(await found({}), []);
});

test('snap: by its path, by its link, and by a start script that leads there; row 25', async () => {
  const byPath = await found({ programs: { chromium: '/snap/bin/chromium' } });
  assert.deepEqual(byPath, [['Chromium (snap)', 'snap', false, null]]);
  const firefox = { firefox: '/usr/bin/firefox' };
  const byLink = await found({ programs: firefox, links: { '/usr/bin/firefox': '/usr/bin/snap' } });
  assert.deepEqual(byLink, [['Firefox (snap)', 'snap', false, null]]);
  const texts = { '/usr/bin/firefox': '#!/bin/sh\nexec /snap/bin/firefox "$@"\n' };
  assert.deepEqual(await found({ programs: firefox, texts }), byLink);
  // A program that is no script is not read for words.
  assert.equal(
    (
      await found({ programs: firefox, texts: { '/usr/bin/firefox': '\u007fELF/snap/bin/' } })
    )[0]?.[1],
    'system',
  );
});

test('flatpak: beside the one of the system both are told', async () => {
  const files = ['/var/lib/flatpak/exports/bin/org.mozilla.firefox', '/snap/bin/chromium'];
  assert.deepEqual(await found({ programs: { firefox: '/usr/bin/firefox' }, files }), [
    ['Firefox', 'system', false, '1.2.3'],
    ['Chromium (snap)', 'snap', false, null],
    ['Firefox (flatpak)', 'flatpak', false, null],
  ]);
});

test("Fedora's Firefox is known by the library folder that its script names; row 2", async () => {
  const texts = {
    '/usr/bin/firefox': '#!/bin/bash\nMOZ_LIB_DIR="/usr/lib64"\nexec /usr/lib64/firefox/firefox\n',
  };
  const [firefox] = await found({ programs: { firefox: '/usr/bin/firefox' }, texts });
  assert.deepEqual(firefox, ['Firefox', 'system', true, '1.2.3']);
});
