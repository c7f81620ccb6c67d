/** The files made of the route table, as they must stand in the checkout. */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { openApiDocument } from './document.ts';
import { sdkCalls, sdkTypes } from './typescript.ts';

/** The checkout. */
export const projectRoot: string = resolve(import.meta.dirname, '../../../../..');

/** Path from the checkout and text of each file. @throws Error if the formatter does not run. */
export function generatedFiles(): readonly { readonly path: string; readonly text: string }[] {
  const document = openApiDocument();
  return [
    { path: 'docs/openapi.json', text: JSON.stringify(document) },
    { path: 'sdk/src/types.ts', text: sdkTypes(document) },
    { path: 'sdk/src/calls.ts', text: sdkCalls(document) },
  ].map(({ path, text }) => ({ path, text: formatted(path, text) }));
}

/** As the project's formatter writes it, so that its check and this one agree. */
function formatted(path: string, input: string): string {
  const biome = join(projectRoot, 'node_modules/.bin/biome');
  const args = ['format', `--stdin-file-path=${path}`];
  const run = spawnSync(biome, args, { input, cwd: projectRoot, encoding: 'utf8' });
  if (run.status === 0) return run.stdout;
  throw new Error(`the formatter refused ${path}: ${run.stderr}`);
}
