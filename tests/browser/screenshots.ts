/**
 * `npm run screenshots`: pictures of every page in both languages, desktop and phone, into
 * `screenshots/`, which git ignores. `shop-`, `pay-`, `window-`, `wallet-`, `admin-` and `inside-`
 * are of a system of its own without the extension, `plugin-` of the same system with it; `page-`
 * is the pay page before a gateway and an extension that play their parts, for the states into
 * which a real system is not driven quickly. A state of the pay page without a picture is an error.
 */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Browser } from 'playwright-core';
import { openBrowser, settingsOf } from './browser.test-kit.ts';
import { Album, PEOPLE, suffixOf } from './pictures/album.ts';
import { loopbackPictures } from './pictures/loopback.ts';
import { pluginPictures } from './pictures/plugin.ts';
import { PluginSystem } from './plugin-system.test-kit.ts';

const STAGED = join(import.meta.dirname, '../../web/pay/pictures.test-kit.ts');

/** The pay page alone; it lives beside the page. */
async function stagedPictures(album: Album): Promise<void> {
  const people = PEOPLE.map((person) => ({ ...settingsOf(person), suffix: suffixOf(person) }));
  const args = [STAGED, album.folder, JSON.stringify(people)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((done) => child.once('close', done));
  for await (const line of createInterface({ input: child.stdout })) {
    const { name, state, suffix } = JSON.parse(line) as Record<'name' | 'state' | 'suffix', string>;
    const person = PEOPLE.find((each) => suffixOf(each) === suffix);
    if (person) album.note(name, state, person);
  }
  const code = await ended;
  if (code !== 0) throw new Error(`the staged pictures ended with ${code}`);
}

async function systemPictures(album: Album, plugin: PluginSystem, plain: Browser): Promise<void> {
  for (const person of PEOPLE) {
    await loopbackPictures({ album, system: plugin.system, browser: plain, person });
  }
  await plugin.withoutService();
  for (const person of PEOPLE) await pluginPictures({ album, plugin, plain, person });
}

const startedMs = performance.now();
const folder = join(import.meta.dirname, '../../screenshots');
rmSync(folder, { recursive: true, force: true });
const album = new Album(folder);
const plugin = new PluginSystem();
// The system builds the pages, which the staged ones need too.
await plugin.up();
const plain = await openBrowser();
try {
  await Promise.all([stagedPictures(album), systemPictures(album, plugin, plain)]);
} finally {
  await plain.close();
  await plugin.close();
}
const missing = album.missing();
const seconds = Math.round((performance.now() - startedMs) / 1000);
process.stderr.write(`\n${album.count} pictures in ${folder}, ${seconds} s\n`);
if (missing.length > 0) {
  process.stderr.write(`states without a picture: ${missing.join(', ')}\n`);
  process.exitCode = 1;
}
