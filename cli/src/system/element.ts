/** How the secure element's process of a system is started. */
import { join } from 'node:path';
import type { ElementConfig } from '@tapnpay/agent';
import { projectRoot } from './layout.ts';

/** The element whose store is `<dataDir>/<folder>`; each folder is an element of its own. */
export function elementConfig(dataDir: string, folder: string): ElementConfig {
  const entry = (path: string): string => join(projectRoot, path);
  return {
    nodePath: process.execPath,
    elementEntry: entry('element/src/main.ts'),
    appletEntry: entry('applet/src/index.ts'),
    storeDir: join(dataDir, folder),
    allowRead: ['element', 'applet', 'protocol', 'node_modules'].map(entry),
  };
}
