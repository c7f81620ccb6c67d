/**
 * A dynamic import of a page is an import and nothing more: Vite would bring 1.9 KB of script to
 * load styles and other files before it, which no page of ours has.
 */
import type { Plugin } from 'vite';

const HELPER = '\0vite/preload-helper.js';

/** For `plugins` of a page's build. */
export const plainImports: Plugin = {
  name: 'tapnpay:plain-imports',
  enforce: 'pre',
  load: (id) => (id === HELPER ? 'export const __vitePreload = (load) => load();' : null),
};
