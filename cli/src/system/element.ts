/** How the secure element's process of a system is started. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ElementConfig } from '@tapnpay/agent';
import { projectRoot } from './layout.ts';

const LOAD_FILE = 'web/dist-programs/payment.tplf';

/** Files of the payment application that this installation ships, for its gateway to accept. */
export function shippedLoadFiles(): readonly string[] {
  return [join(projectRoot, LOAD_FILE)].filter((path) => existsSync(path));
}

/** Load files of this installation by the name of their application, for its manager to release. */
export function labPackages(): readonly {
  readonly applicationId: string;
  readonly path: string;
}[] {
  return ['payment', 'loyalty']
    .map((applicationId) => ({
      ...{ applicationId, path: join(projectRoot, `web/dist-programs/${applicationId}.tplf`) },
    }))
    .filter(({ path }) => existsSync(path));
}

/** The element whose store is `<dataDir>/<folder>`; each folder is an element of its own. */
export function elementConfig(dataDir: string, folder: string): ElementConfig {
  const entry = (path: string): string => join(projectRoot, path);
  return {
    nodePath: process.execPath,
    elementEntry: entry('element/src/main.ts'),
    loadFile: entry(LOAD_FILE),
    storeDir: join(dataDir, folder),
    allowRead: ['element', 'protocol', 'node_modules', LOAD_FILE].map(entry),
  };
}
