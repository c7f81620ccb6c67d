/** The load files of the applications as they are shipped, built now if their sources changed. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const project = join(import.meta.dirname, '../..');
let isBuilt = false;

/** Path of a load file, which is there and new. */
export function builtLoadFile(name: 'payment' | 'loyalty' = 'payment'): string {
  if (!isBuilt) execFileSync(process.execPath, [join(project, 'web/programs.ts')]);
  isBuilt = true;
  return join(project, 'web/dist-programs', `${name}.tplf`);
}
