/** What a build was made of, as one digest: a build whose inputs are the same is not made again. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const project = join(import.meta.dirname, '..');
const SKIPPED = /(^|\/)(dist|node_modules)$|\.test\.ts$|\.test-kit\.ts$/;

/** SHA-256 over names and contents of files and folders of the project, tests apart. */
export function inputDigest(inputs: readonly string[]): string {
  const hash = createHash('sha256');
  for (const input of inputs) {
    for (const path of filesOf(input))
      hash
        .update(path)
        .update('\0')
        .update(readFileSync(join(project, path)));
  }
  return hash.digest('hex');
}

function filesOf(path: string): readonly string[] {
  if (/\.(json|ts)$/.test(path)) return [path];
  return readdirSync(join(project, path), { withFileTypes: true })
    .filter((entry) => !SKIPPED.test(entry.name) && !entry.name.startsWith('dist'))
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .flatMap((entry) => {
      const child = `${path}/${entry.name}`;
      return entry.isDirectory() ? filesOf(child) : [child];
    });
}
