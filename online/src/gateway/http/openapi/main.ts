/** `node online/src/gateway/http/openapi/main.ts` writes the files made of the route table. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedFiles, projectRoot } from './files.ts';

for (const { path, text } of generatedFiles()) {
  writeFileSync(join(projectRoot, path), text);
  process.stdout.write(`${path}\n`);
}
