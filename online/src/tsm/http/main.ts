/** Writes docs/openapi-tsm.json: `node online/src/tsm/http/main.ts`, then the formatter. */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { openApiDocument } from './openapi.ts';

const path = join(resolve(import.meta.dirname, '../../../..'), 'docs/openapi-tsm.json');
writeFileSync(path, JSON.stringify(openApiDocument()));
