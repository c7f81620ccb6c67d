/** How a host starts the element of its system: from the code that it is itself a part of. */
import { join } from 'node:path';
import type { ElementConfig } from '../element-process.ts';
import { elementCode, ownProgram, paymentLoadFile } from '../own-programs.ts';
import type { HostConfig } from './config.ts';

/** The element that the system's own service has, too. */
export function hostElementConfig({ dataDir }: Pick<HostConfig, 'dataDir'>): ElementConfig {
  return {
    nodePath: process.execPath,
    elementEntry: ownProgram('element', 'element/src/main.ts'),
    loadFile: paymentLoadFile(),
    storeDir: join(dataDir, 'element'),
    allowRead: elementCode(),
  };
}
