/** The SDK's types and table of calls, as TypeScript text made of the OpenAPI document. */
import type { Json, JsonObject } from './document.ts';

const SCHEMA_PREFIX = '#/components/schemas/';
const MADE = 'made of docs/openapi.json, not by hand.';

/** One operation of the document with what the SDK needs of it. */
type Operation = {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly facts: JsonObject;
};

/** `sdk/src/types.ts`: what goes in and out. Not yet formatted. */
export function sdkTypes(document: JsonObject): string {
  const schemas = memberOf(memberOf(document, 'components'), 'schemas');
  const types = Object.entries(schemas).map(
    ([name, schema]) =>
      `/** \`${name}\` of the API. */\nexport type ${name} = ${typeOf(schema)};\n`,
  );
  return [`/** Types of the merchant API v1: ${MADE} */`, ...types].join('\n');
}

/** `sdk/src/calls.ts`: every call and how it goes over the wire. Not yet formatted. */
export function sdkCalls(document: JsonObject): string {
  const operations = operationsOf(document);
  const methods = operations.map(methodOf).join('\n');
  const names = Object.keys(memberOf(memberOf(document, 'components'), 'schemas'));
  const used = names.filter((name) => new RegExp(`\\b${name}\\b`).test(methods));
  return [
    `/** Calls of the merchant API v1: ${MADE} */`,
    "import type { CallOptions, OperationFacts } from './client.ts';",
    `import type { ${used.join(', ')} } from './types.ts';`,
    '',
    '/** Every call; `createClient` makes one. Errors are `ApiError` or `NoAnswerError`. */',
    `export type Api = {\n${methods}\n};`,
    '',
    '/** How each call goes over the wire. */',
    'export const OPERATIONS: Readonly<Record<keyof Api, OperationFacts>> = {',
    ...operations.map(({ id, method, path, facts }) => {
      const repeatable = method === 'get' || facts['x-idempotency'] !== 'none';
      const keyed = facts['x-idempotency'] !== 'none';
      const way = `method: '${method.toUpperCase()}', path: '${path}'`;
      return `${id}: { ${way}, keyed: ${keyed}, repeatable: ${repeatable} },`;
    }),
    '};',
    '',
  ].join('\n');
}

function operationsOf(document: JsonObject): readonly Operation[] {
  return Object.entries(memberOf(document, 'paths')).flatMap(([path, methods]) =>
    Object.entries(methods as JsonObject).map(([method, facts]) => ({
      ...{ method, path, facts: facts as JsonObject },
      id: String((facts as JsonObject)['operationId']),
    })),
  );
}

function methodOf({ id, facts }: Operation): string {
  const { path, query } = parametersOf(facts);
  const body = jsonSchemaOf(facts['requestBody']);
  const parts = [
    ...(path.length > 0 ? [`readonly path: { ${path.join(' ')} };`] : []),
    ...(query.length > 0 ? [`readonly query?: { ${query.join(' ')} };`] : []),
    ...(body === undefined ? [] : [`readonly body: ${typeOf(body)};`]),
  ];
  const isNeeded = path.length > 0 || body !== undefined;
  const input = parts.length > 0 ? `{ ${parts.join(' ')} } & CallOptions` : 'CallOptions';
  const answer = answerOf(memberOf(facts, 'responses'));
  const text = String(facts['summary']);
  return `/** ${text}. */\n${id}(input${isNeeded ? '' : '?'}: ${input}): Promise<${answer}>;`;
}

function parametersOf(facts: JsonObject): {
  readonly path: readonly string[];
  readonly query: readonly string[];
} {
  const rows = (facts['parameters'] ?? []) as readonly JsonObject[];
  const of = (place: string): readonly string[] =>
    rows
      .filter((row) => row['in'] === place)
      .map((row) => {
        const mark = place === 'path' ? '' : '?';
        return `readonly ${String(row['name'])}${mark}: ${typeOf(row['schema'] ?? {})};`;
      });
  return { path: of('path'), query: of('query') };
}

function answerOf(responses: JsonObject): string {
  const [, success] = Object.entries(responses).find(([status]) => status.startsWith('2')) ?? [];
  return typeOf(jsonSchemaOf(success) ?? {});
}

function jsonSchemaOf(holder: Json | undefined): Json | undefined {
  if (typeof holder !== 'object' || holder === null) return undefined;
  const content = memberOf(holder as JsonObject, 'content');
  return memberOf(content, 'application/json')['schema'];
}

function memberOf(value: JsonObject, name: string): JsonObject {
  return (value[name] ?? {}) as JsonObject;
}

/** The type that values of a JSON Schema have; what it does not know is `unknown`. */
function typeOf(schema: Json): string {
  const of = schema as JsonObject;
  if (typeof of['$ref'] === 'string') return of['$ref'].replace(SCHEMA_PREFIX, '');
  if (of['const'] !== undefined) return literal(of['const']);
  if (Array.isArray(of['enum'])) return (of['enum'] as readonly Json[]).map(literal).join(' | ');
  const union = of['anyOf'] ?? of['oneOf'];
  if (Array.isArray(union)) return (union as readonly Json[]).map(typeOf).join(' | ');
  const { type } = of;
  if (Array.isArray(type)) {
    return (type as readonly Json[]).map((one) => typeOf({ ...of, type: one })).join(' | ');
  }
  switch (type) {
    case 'string':
      return 'string';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
    case 'null':
      return type;
    case 'array':
      return `readonly (${typeOf(of['items'] ?? {})})[]`;
    case 'object':
      return objectType(of);
    default:
      return 'unknown';
  }
}

function literal(value: Json): string {
  return typeof value === 'string' ? `'${value}'` : JSON.stringify(value);
}

function objectType(schema: JsonObject): string {
  const { properties, additionalProperties, required } = schema;
  if (properties === undefined) {
    return `Readonly<Record<string, ${typeOf((additionalProperties ?? {}) as Json)}>>`;
  }
  const needed = new Set((required ?? []) as readonly string[]);
  const rows = Object.entries(properties as JsonObject).map(([name, of]) => {
    const text = (of as JsonObject)['description'];
    const comment = typeof text === 'string' ? `/** ${text} */\n` : '';
    return `${comment}readonly ${name}${needed.has(name) ? '' : '?'}: ${typeOf(of)};`;
  });
  return `{\n${rows.join('\n')}\n}`;
}
