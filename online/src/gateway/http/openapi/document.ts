/**
 * The OpenAPI 3.1 document of the merchant API, made of the route table and its zod schemas: JSON
 * Schema 2020-12, which 3.1 takes as it is. It is committed as docs/openapi.json; a test compares.
 */
import { z } from 'zod';
import { type BothTexts, errorTextOf, type GatewayErrorCode } from '../../errors.ts';
import { PROBLEM_TYPE, problemSchema } from '../problem.ts';
import { namedSchemas, type Route } from '../route.ts';
import { ROUTES, TAGS } from '../routes.ts';

/** JSON of any form. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [name: string]: Json };

/** Version of the API, not of the software. */
const API_VERSION = '1.0.0';
const SCHEMA_PREFIX = '#/components/schemas/';

/** Codes that any route may answer with. */
const COMMON_ERRORS: readonly GatewayErrorCode[] = ['ERR_REQUEST', 'ERR_INTERNAL'];
const KEY_ERRORS: readonly GatewayErrorCode[] = [
  'ERR_UNAUTHORIZED',
  'ERR_ROLE',
  'ERR_LIVE_MODE',
  'ERR_RATE',
];
const CHANGE_ERRORS: readonly GatewayErrorCode[] = ['ERR_MERCHANT_CLOSED', 'ERR_BODY_TOO_LARGE'];
const IDEMPOTENCY_ERRORS: Readonly<Record<Route['idempotency'], readonly GatewayErrorCode[]>> = {
  none: [],
  own: ['ERR_IDEMPOTENCY_KEY', 'ERR_IDEMPOTENCY_MISMATCH'],
  stored: ['ERR_IDEMPOTENCY_KEY', 'ERR_IDEMPOTENCY_MISMATCH', 'ERR_IDEMPOTENCY_IN_FLIGHT'],
};

/** Every code a route may answer with, in the order of their statuses. */
export function errorsOf(route: Route): readonly GatewayErrorCode[] {
  const codes = new Set([
    ...COMMON_ERRORS,
    ...(route.roles.length > 0 ? KEY_ERRORS : []),
    ...(route.method === 'POST' && route.roles.length > 0 ? CHANGE_ERRORS : []),
    ...IDEMPOTENCY_ERRORS[route.idempotency],
    ...route.errors,
  ]);
  return [...codes].toSorted((one, other) => {
    const by = errorTextOf(one).status - errorTextOf(other).status;
    return by === 0 ? (one < other ? -1 : 1) : by;
  });
}

/** The whole document. */
export function openApiDocument(routes: readonly Route[] = ROUTES): JsonObject {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tap & Pay merchant API',
      version: API_VERSION,
      summary: 'Internet card-present payments 互联网有卡支付',
      description: [
        'Amounts are decimal text in requests and minor units as text in answers; times are',
        'milliseconds since 1970. What is made has an Idempotency-Key. Errors are problem',
        'documents (RFC 9457). A laboratory system, certified by nobody.',
      ].join(' '),
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://127.0.0.1:8420', description: 'The default of tapnpay up' }],
    security: [{ apiKey: [] }],
    tags: Object.entries(TAGS).map(([name, text]) => ({ name, description: both(text) })),
    paths: pathsOf(routes),
    components: {
      securitySchemes: {
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          description: 'A key of tapnpay merchants key new; it says merchant, mode and role.',
        },
      },
      headers: HEADERS,
      schemas: componentSchemas(),
    },
  };
}

const HEADERS: JsonObject = Object.fromEntries(
  (
    [
      ['x-request-id', 'Names this answer in the log.', 'string'],
      ['ratelimit-limit', 'Requests a second of this key, and as many at once.', 'integer'],
      ['ratelimit-remaining', 'Requests that are free now.', 'integer'],
      ['ratelimit-reset', 'Seconds until all are free again.', 'integer'],
      ['retry-after', 'Seconds until the request may be repeated.', 'integer'],
      ['idempotent-replayed', 'true: the stored answer of an earlier request.', 'string'],
    ] as const
  ).map(([name, description, type]) => [name, { description, schema: { type } }]),
);

function both({ en, zh }: BothTexts): string {
  return `${en} ${zh}`;
}

function pathsOf(routes: readonly Route[]): JsonObject {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = paths[route.path] ?? {};
    path[route.method.toLowerCase()] = operationOf(route);
    paths[route.path] = path;
  }
  return paths;
}

function operationOf(route: Route): JsonObject {
  const isPublic = route.roles.length === 0;
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: both(route.summary),
    ...(route.description ? { description: both(route.description) } : {}),
    ...(isPublic ? { security: [] } : { 'x-roles': [...route.roles] }),
    'x-idempotency': route.idempotency,
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
  const rows = (['path', 'query'] as const).flatMap((place) => {
    const schema = schemaOf(place === 'path' ? route.params : route.query);
    const required = (schema['required'] ?? []) as readonly string[];
    return Object.entries((schema['properties'] ?? {}) as JsonObject).map(([name, of]) => ({
      name,
      in: place,
      required: required.includes(name),
      schema: of,
    }));
  });
  if (route.idempotency === 'none') return rows;
  const schema = { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7e]+$' };
  return [...rows, { name: 'Idempotency-Key', in: 'header', required: true, schema }];
}

function headersOf(names: readonly string[]): JsonObject {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

function responsesOf(route: Route): JsonObject {
  const hasKey = route.roles.length > 0;
  const limits = hasKey ? ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'] : [];
  const replayed = route.idempotency === 'none' ? [] : ['idempotent-replayed'];
  const answers: Record<string, Json> = {
    [route.status]: {
      description: 'Done.',
      headers: headersOf(['x-request-id', ...limits, ...replayed]),
      content: { 'application/json': { schema: schemaOf(route.response) } },
    },
  };
  for (const code of errorsOf(route)) {
    const status = String(errorTextOf(code).status);
    const earlier = answers[status] as { readonly 'x-codes': readonly string[] } | undefined;
    const codes = [...(earlier?.['x-codes'] ?? []), code];
    const repeatable = status === '409' || status === '429';
    answers[status] = {
      description: codes.map((one) => `${one}: ${errorTextOf(one).text.en}`).join('\n'),
      headers: headersOf(['x-request-id', ...(repeatable ? ['retry-after'] : [])]),
      content: { [PROBLEM_TYPE]: { schema: schemaOf(problemSchema) } },
      'x-codes': codes,
    };
  }
  return answers;
}

/**
 * The JSON Schema of a schema; named ones inside it become references. As input: answers may gain
 * members later, so theirs forbid none.
 */
function schemaOf(schema: z.ZodType): JsonObject {
  const name = namedSchemas.get(schema)?.id;
  if (name !== undefined) return { $ref: SCHEMA_PREFIX + name };
  const {
    $schema: _,
    $defs: _named,
    ...rest
  } = z.toJSONSchema(schema, {
    ...{ io: 'input', metadata: namedSchemas, target: 'draft-2020-12' },
  }) as Record<string, Json>;
  return withReferences(rest) as JsonObject;
}

/** Components, each once. */
function componentSchemas(): JsonObject {
  const { schemas } = z.toJSONSchema(namedSchemas, {
    uri: (id) => SCHEMA_PREFIX + id,
    io: 'input',
  }) as unknown as { readonly schemas: Readonly<Record<string, Record<string, Json>>> };
  return Object.fromEntries(
    Object.entries(schemas)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([id, { $schema: _, $id: _id, id: _name, ...schema }]) => [id, withReferences(schema)]),
  );
}

/** `#/$defs/Name` of a lone schema is the component of that name. */
function withReferences(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map(withReferences);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value as JsonObject)
      .filter(([name]) => name !== 'id' || typeof (value as JsonObject)['id'] !== 'string')
      .map(([name, item]) => [
        name,
        name === '$ref' && typeof item === 'string'
          ? item.replace('#/$defs/', SCHEMA_PREFIX)
          : withReferences(item),
      ]),
  );
}
