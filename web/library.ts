/**
 * Builds the page library of shops, `@tapnpay/plugin`, as plain modules that a page can import:
 * `tapnpay.js`, and beside it what only pages of the gateway load.
 */
import { join } from 'node:path';
import type { InlineConfig } from 'vite';

/** The module that shops import. */
export const LIBRARY_FILE = 'tapnpay.js';

/** The build; `folder` null keeps the result in memory. */
export function libraryBuild(folder: string | null): InlineConfig {
  const entry = join(import.meta.dirname, '../plugin/src/index.ts');
  return {
    root: join(import.meta.dirname, '../plugin'),
    configFile: false,
    logLevel: 'warn',
    publicDir: false,
    build: {
      ...(folder === null ? { write: false } : { outDir: folder, emptyOutDir: true }),
      target: 'es2023',
      reportCompressedSize: false,
      lib: { entry, formats: ['es'], fileName: () => LIBRARY_FILE },
      // Vite keeps the blanks of a library; pages load this one as it is.
      rolldownOptions: { output: { minify: true } },
    },
  };
}

/** Writes the library into a folder. */
export async function buildLibrary(folder: string): Promise<void> {
  const { build } = await import('vite');
  await build(libraryBuild(folder));
}
