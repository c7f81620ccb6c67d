/** What is built before it is served or installed: pages, extension, host and element. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { TapError } from '@tapnpay/protocol/bytes';
import { projectRoot } from './layout.ts';

/**
 * Builds what has changed; a moment when nothing has. @throws TapError `ERR_PAGES`; why was said on
 * standard error.
 */
export async function buildPages(): Promise<void> {
  const child = spawn(process.execPath, [join(projectRoot, 'web/build.ts')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const code = await new Promise<number | null>((done) => child.once('exit', done));
  if (code === 0) return;
  throw new TapError('ERR_PAGES', 'the pages were not built; see the messages above');
}
