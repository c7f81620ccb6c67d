/** For tests: holds real answers against the committed OpenAPI document. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Json, JsonObject } from './document.ts';
import { projectRoot } from './files.ts';

/** docs/openapi.json as it is committed. */
export const committedDocument: JsonObject = JSON.parse(
  readFileSync(join(projectRoot, 'docs/openapi.json'), 'utf8'),
) as JsonObject;

/** An answer as it came. */
export type SeenAnswer = {
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly contentType: string;
  readonly json: unknown;
};

const schemas = new Map<string, z.ZodType>();

/**
 * Fails unless the document knows route, status, content type and form of the answer. Of what is no
 * route of the API only problems are looked at.
 */
export function assertDocumented(answer: SeenAnswer): void {
  const { method, url, status, contentType, json } = answer;
  const at = `${method} ${url} ${status}`;
  const path = url.split('?')[0] ?? '';
  const template = Object.keys(member(committedDocument, 'paths')).find(
    (one) =>
      fits(one, path) && member(member(committedDocument, 'paths'), one)[method.toLowerCase()],
  );
  if (template === undefined) {
    const isProblem = status >= 400 && path !== '/v1/health';
    if (isProblem) assertFits('Problem', { $ref: '#/components/schemas/Problem' }, json);
    return;
  }
  const operation = member(
    member(member(committedDocument, 'paths'), template),
    method.toLowerCase(),
  );
  const documented = member(member(operation, 'responses'), String(status));
  assert.ok(documented['description'], `${at} is not in the document`);
  const type = contentType.split(';')[0] ?? '';
  const { schema } = member(member(documented, 'content'), type);
  assert.ok(schema !== undefined, `${at} has no content of type ${type}`);
  assertFits(`${template} ${method} ${status}`, schema, json);
  if (status < 400) return;
  const codes = documented['x-codes'] as readonly string[];
  const { code } = json as { readonly code: string };
  assert.ok(codes.includes(code), `${at}: ${code} is not among ${codes.join(', ')}`);
}

function fits(template: string, path: string): boolean {
  return new RegExp(`^${template.replace(/\{[A-Za-z]+\}/g, '[^/]+')}$`).test(path);
}

function assertFits(name: string, schema: Json, value: unknown): void {
  const known = schemas.get(name) ?? z.fromJSONSchema(resolved(schema) as never);
  schemas.set(name, known);
  const result = known.safeParse(value);
  assert.ok(result.success, `${name}: ${result.error?.message} in ${JSON.stringify(value)}`);
}

/** The schema with every reference replaced by what it leads to. */
function resolved(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map(resolved);
  if (typeof value !== 'object' || value === null) return value;
  const reference = (value as JsonObject)['$ref'];
  if (typeof reference === 'string') {
    const name = reference.replace('#/components/schemas/', '');
    const target = member(member(committedDocument, 'components'), 'schemas')[name];
    assert.ok(target !== undefined, `${reference} leads nowhere`);
    return resolved(target);
  }
  return Object.fromEntries(
    Object.entries(value as JsonObject).map(([name, item]) => [name, resolved(item)]),
  );
}

function member(value: JsonObject, name: string): JsonObject {
  return (value[name] ?? {}) as JsonObject;
}
