/**
 * The OpenAPI 3.1 document of the manager's API, made of its table of routes. It is served, and
 * committed as docs/openapi-tsm.json; a test compares.
 */
import { z } from 'zod';
import { TSM_ERRORS, type TsmErrorCode } from '../errors.ts';
import { type Route, TAGS } from './route.ts';
import { ROUTES } from './routes.ts';
import { faultSchema } from './schemas.ts';

type Json = null | boolean | number | string | readonly Json[] | JsonObject;
type JsonObject = { readonly [name: string]: Json };

/** Codes that any route may answer with. */
const COMMON: readonly TsmErrorCode[] = ['ERR_REQUEST', 'ERR_INTERNAL'];
const OF_KEYS: readonly TsmErrorCode[] = ['ERR_UNAUTHORIZED', 'ERR_ROLE'];

/** The whole document. */
export function openApiDocument(routes: readonly Route[] = ROUTES): JsonObject {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tap & Pay trusted service manager API',
      version: '1.0.0',
      summary: 'Management of secure elements and their applications 可信服务管理',
      description: 'A laboratory system, certified by nobody. Errors are code, message and data.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ apiKey: [] }],
    tags: Object.entries(TAGS).map(([name, { en, zh }]) => ({ name, description: `${en} ${zh}` })),
    paths,
    components: {
      securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } },
      schemas: { Fault: schemaOf(faultSchema) },
    },
  };
}

function operationOf(route: Route): JsonObject {
  const { en, zh } = route.summary;
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: `${en} ${zh}`,
    ...(route.roles.length === 0 ? { security: [] } : { 'x-roles': [...route.roles] }),
    parameters: parametersOf(route),
    ...(route.body === null
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: schemaOf(route.body) } },
          },
        }),
    responses: responsesOf(route),
  };
}

function parametersOf(route: Route): Json {
  return (['path', 'query'] as const).flatMap((place) => {
    const schema = schemaOf(place === 'path' ? route.params : route.query);
    const required = (schema['required'] ?? []) as readonly string[];
    return Object.entries((schema['properties'] ?? {}) as JsonObject).map(([name, of]) => ({
      ...{ name, in: place, schema: of },
      required: place === 'path' || required.includes(name),
    }));
  });
}

function responsesOf(route: Route): JsonObject {
  const answers: Record<string, Json> = {
    [route.status]: {
      description: 'Done.',
      content: { 'application/json': { schema: schemaOf(route.response) } },
    },
  };
  const codes = [...COMMON, ...(route.roles.length > 0 ? OF_KEYS : []), ...route.errors];
  const byStatus = new Map<number, readonly TsmErrorCode[]>();
  for (const code of new Set(codes)) {
    const { status } = TSM_ERRORS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  for (const [status, those] of [...byStatus].toSorted(([one], [other]) => one - other)) {
    answers[status] = {
      description: those.map((code) => `${code}: ${TSM_ERRORS[code].en}`).join('\n'),
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Fault' } } },
      'x-codes': [...those],
    };
  }
  return answers;
}

function schemaOf(schema: z.ZodType): JsonObject {
  const options = { io: 'input', target: 'draft-2020-12' } as const;
  const { $schema: _, ...rest } = z.toJSONSchema(schema, options) as Record<string, Json>;
  return rest;
}
