/** Builds each root of `web` into `web/dist/<root>` with Vite, unless nothing has changed. */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildExtension } from './extension/build.ts';
import { inputDigest } from './inputs.ts';
import { buildLibrary } from './library.ts';
import { plainImports } from './plain-imports.ts';
import { buildPrograms } from './programs.ts';

/** One root an audience: the payer, the laptop's helper, the shop, the engineers. */
export const ROOTS: readonly string[] = ['pay', 'helper', 'shop', 'inside', 'explain'];
/** Where the gateway has the explainer, beside its pay page. */
const BASES: Readonly<Record<string, string>> = { explain: '/explain/' };
const here = import.meta.dirname;
const DIST = join(here, 'dist');
const STAMP = join(DIST, 'inputs.sha256');
/** What ends up in a bundle. */
const INPUTS = ['web', 'plugin/src', 'plugin/extension', 'protocol/src', 'package-lock.json'];

/** Builds if an input changed since the last build. */
export async function buildPages(): Promise<'built' | 'unchanged'> {
  const digest = inputDigest(INPUTS);
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === digest) return 'unchanged';
  const { build } = await import('vite');
  // Not the process number: builders in namespaces of their own may share one.
  const out = join(here, `dist.${randomUUID()}`);
  rmSync(out, { recursive: true, force: true });
  try {
    for (const root of ROOTS) {
      await build({
        root: join(here, root),
        base: BASES[root] ?? '/',
        configFile: false,
        logLevel: 'warn',
        plugins: [plainImports],
        // No public folder beside the roots, no inlined files: the pages' policy allows none.
        publicDir: false,
        build: {
          outDir: join(out, root),
          emptyOutDir: true,
          assetsInlineLimit: 0,
          modulePreload: false,
          target: 'es2023',
          reportCompressedSize: false,
        },
      });
    }
    await buildExtension(join(out, 'extension'));
    await buildLibrary(join(out, 'library'));
    writeFileSync(join(out, 'inputs.sha256'), digest);
    replaceFolder(out);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
  return 'built';
}

/** Another checkout's build of the same inputs may be faster: then its folder stays. */
function replaceFolder(out: string): void {
  const old = `${DIST}.old.${randomUUID()}`;
  if (existsSync(DIST)) renameSync(DIST, old);
  mkdirSync(here, { recursive: true });
  try {
    renameSync(out, DIST);
  } finally {
    rmSync(old, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  await buildPages();
  await buildPrograms();
}
