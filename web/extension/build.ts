/**
 * Builds the browser extension, without its manifest: the pages as modules, worker and content
 * script as one plain file each, because a content script cannot be a module and Firefox's
 * background scripts need not be. What differs between browsers and systems is in the manifest.
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { PLUGIN_FILES } from '@tapnpay/protocol/wire';

const here = import.meta.dirname;
const sources = join(here, '../../plugin/extension');

/** Writes the extension's files into `folder`. */
export async function buildExtension(folder: string): Promise<void> {
  const { build } = await import('vite');
  const common = { configFile: false, logLevel: 'warn', publicDir: false } as const;
  const output = {
    outDir: folder,
    emptyOutDir: false,
    // No inlined files: the extension's policy allows none.
    assetsInlineLimit: 0,
    modulePreload: false,
    target: 'es2023',
    reportCompressedSize: false,
  } as const;
  await build({
    ...common,
    root: here,
    base: './',
    build: {
      ...output,
      emptyOutDir: true,
      rollupOptions: {
        input: [join(here, PLUGIN_FILES.window), join(here, PLUGIN_FILES.options)],
      },
    },
  });
  for (const name of ['worker', 'content'] as const) {
    await build({
      ...common,
      root: sources,
      build: {
        ...output,
        rollupOptions: {
          input: join(sources, name, 'main.ts'),
          output: { format: 'iife', entryFileNames: PLUGIN_FILES[name] },
        },
      },
    });
  }
  cpSync(join(sources, 'static'), folder, { recursive: true });
}
