/** One page of documentation as HTML text, made of the route table and the error table. */
import { type BothTexts, errorTextOf, GATEWAY_ERRORS } from '../../errors.ts';
import { errorsOf, type Json, type JsonObject, openApiDocument } from '../openapi/document.ts';
import { DOCS_PAGE } from '../problem.ts';
import type { Route } from '../route.ts';
import { ROUTES, TAGS } from '../routes.ts';
import { PROSE, type Prose, WORDS } from './words.ts';

/** Languages of the page. */
export type Language = 'zh' | 'en';
const SCHEMA_PREFIX = '#/components/schemas/';
const VALUES_SHOWN_MAX = 10;

type Page = {
  readonly say: (text: BothTexts) => string;
  readonly publicUrl: string;
  readonly document: JsonObject;
};

/** The whole page. */
export function docsPage(language: Language, publicUrl: string): string {
  const say = (text: BothTexts): string => escaped(text[language]);
  const page: Page = { say, publicUrl, document: openApiDocument() };
  const other: Language = language === 'zh' ? 'en' : 'zh';
  const link = `${DOCS_PAGE}?lang=${other}`;
  const lang = language === 'zh' ? 'zh-CN' : 'en';
  return `<!doctype html>
<html lang="${lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tap &amp; Pay · ${say(WORDS.title)}</title>
<link rel="stylesheet" href="${DOCS_PAGE}/style.css">
</head>
<body>
<header>
<p class="brand">Tap &amp; Pay</p>
<a class="language" href="${link}" lang="${other}" hreflang="${other}">${say(WORDS.other)}</a>
</header>
<div class="columns">
<nav aria-label="${say(WORDS.contents)}">${contents(page)}</nav>
<main>
<h1>${say(WORDS.title)}</h1>
<p class="lead">${say(WORDS.lead)}</p>
<p class="lab">${say(WORDS.lab)}</p>
<p><a href="${DOCS_PAGE}/openapi.json">${say(WORDS.document)}</a></p>
${PROSE.map((prose) => proseSection(page, prose)).join('\n')}
${Object.entries(TAGS)
  .map(([tag, title]) => tagSection(page, tag, title))
  .join('\n')}
${schemaSection(page)}
${errorSection(page)}
</main>
</div>
</body>
</html>
`;
}

/** Text as HTML text or attribute value. */
export function escaped(text: string): string {
  const names: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => names[character] ?? '');
}

function routesOf(tag: string): readonly Route[] {
  return ROUTES.filter((route) => route.tag === tag);
}

function contents({ say }: Page): string {
  const prose = PROSE.map(({ id, title }) => `<li><a href="#${id}">${say(title)}</a></li>`);
  const sections = Object.entries(TAGS)
    .filter(([tag]) => routesOf(tag).length > 0)
    .map(([tag, title]) => {
      const rows = routesOf(tag).map(({ id }) => `<li><a href="#${id}">${id}</a></li>`);
      return `<li><a href="#${tag}">${say(title)}</a><ul>${rows.join('')}</ul></li>`;
    });
  const rest = [
    `<li><a href="#types">${say(WORDS.schemas)}</a></li>`,
    `<li><a href="#errors">${say(WORDS.errorTable)}</a></li>`,
  ];
  return `<ul>${[...prose, ...sections, ...rest].join('')}</ul>`;
}

function proseSection({ say }: Page, { id, title, paragraphs }: Prose): string {
  const texts = paragraphs.map((text) => `<p>${withCode(say(text))}</p>`);
  return `<section id="${id}"><h2>${say(title)}</h2>${texts.join('')}</section>`;
}

/** Backquoted words as code; the text is escaped already. */
function withCode(text: string): string {
  return text.replace(/`([^`]+)`/g, '<code>$1</code>');
}

function tagSection(page: Page, tag: string, title: BothTexts): string {
  const routes = routesOf(tag);
  if (routes.length === 0) return '';
  const articles = routes.map((route) => routeArticle(page, route));
  return `<section id="${tag}"><h2>${page.say(title)}</h2>${articles.join('\n')}</section>`;
}

function routeArticle(page: Page, route: Route): string {
  const { say } = page;
  const operation = operationOf(page.document, route);
  const roles = route.roles.map((role) => `<code>${role}</code>`).join(' ');
  const who = route.roles.length === 0 ? say(WORDS.anybody) : `${say(WORDS.roles)} ${roles}`;
  const key = route.idempotency === 'none' ? '' : ` · ${say(WORDS.key)}`;
  const codes = errorsOf(route).map((code) => `<a href="#${code}">${code}</a>`);
  const description = route.description ? `<p>${withCode(say(route.description))}</p>` : '';
  return `<article id="${route.id}">
<h3>${say(route.summary)}</h3>
<p class="way"><span class="method">${route.method}</span> <code>${escaped(route.path)}</code></p>
<p class="who">${who}${key}</p>
${description}
${parameterTable(page, operation)}
${bodyTable(page, operation)}
<h4>${say(WORDS.answer)} <code>${route.status}</code></h4>
<p>${typeText(answerSchema(operation, route))}</p>
<pre tabindex="0"><code>${escaped(curlOf(page, route, operation))}</code></pre>
<details><summary>${say(WORDS.errors)} (${codes.length})</summary>
<p>${codes.join(' ')}</p></details>
</article>`;
}

function operationOf(document: JsonObject, route: Route): JsonObject {
  const path = member(member(document, 'paths'), route.path);
  return member(path, route.method.toLowerCase());
}

function member(value: JsonObject, name: string): JsonObject {
  return (value[name] ?? {}) as JsonObject;
}

function answerSchema(operation: JsonObject, route: Route): JsonObject {
  const content = member(member(member(operation, 'responses'), String(route.status)), 'content');
  return member(member(content, 'application/json'), 'schema');
}

function bodySchema(operation: JsonObject): JsonObject | null {
  const content = member(member(operation, 'requestBody'), 'content');
  const schema = member(content, 'application/json')['schema'];
  return schema === undefined ? null : (schema as JsonObject);
}

function parameterTable(page: Page, operation: JsonObject): string {
  const rows = ((operation['parameters'] ?? []) as readonly JsonObject[])
    .filter((row) => row['in'] !== 'header')
    .map((row) => ({
      name: String(row['name']),
      required: row['required'] === true,
      schema: member(row, 'schema'),
    }));
  return table(page, WORDS.parameters, rows);
}

function bodyTable(page: Page, operation: JsonObject): string {
  const schema = bodySchema(operation);
  return schema === null ? '' : table(page, WORDS.body, membersOf(page, schema));
}

type Member = {
  readonly name: string;
  readonly required: boolean;
  readonly schema: JsonObject;
};

/** Members of an object schema; a reference is followed. */
function membersOf({ document }: Page, schema: JsonObject): readonly Member[] {
  const name = nameOf(schema);
  const of =
    name === null ? schema : member(member(member(document, 'components'), 'schemas'), name);
  const needed = (of['required'] ?? []) as readonly string[];
  return Object.entries(member(of, 'properties')).map(([key, value]) => ({
    name: key,
    required: needed.includes(key),
    schema: value as JsonObject,
  }));
}

function table({ say }: Page, title: BothTexts, rows: readonly Member[]): string {
  if (rows.length === 0) return '';
  const lines = rows.map(({ name, required, schema }) => {
    const text = typeof schema['description'] === 'string' ? schema['description'] : '';
    const mark = required ? `<span class="required">${say(WORDS.required)}</span>` : '';
    const words = withCode(escaped(text));
    return row([`<code>${escaped(name)}</code> ${mark}`, typeText(schema), words]);
  });
  const heads = [WORDS.name, WORDS.type, WORDS.meaning].map(say);
  return `<h4>${say(title)}</h4>\n${tableOf(heads, lines)}`;
}

/** A table that scrolls by itself where the window is narrow. */
function tableOf(heads: readonly string[], rows: readonly string[], kind = 'members'): string {
  const head = heads.map((word) => `<th scope="col">${word}</th>`).join('');
  return `<div class="wide" tabindex="0"><table class="${kind}">
<thead><tr>${head}</tr></thead>
<tbody>${rows.join('\n')}</tbody>
</table></div>`;
}

function row(cells: readonly string[], id?: string): string {
  const anchor = id === undefined ? '' : ` id="${id}"`;
  return `<tr${anchor}>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
}

function nameOf(schema: JsonObject): string | null {
  const reference = schema['$ref'];
  return typeof reference === 'string' ? reference.replace(SCHEMA_PREFIX, '') : null;
}

/** Values that a field may have, the first ones of many. */
function valuesText(values: readonly Json[]): string {
  const shown = values.slice(0, VALUES_SHOWN_MAX);
  const more = values.length > shown.length ? ' …' : '';
  return shown.map((value) => `<code>${escaped(String(value))}</code>`).join(' ') + more;
}

/** What a value looks like, in a few words. */
function typeText(schema: JsonObject): string {
  const name = nameOf(schema);
  if (name !== null) return `<a href="#type-${name}">${name}</a>`;
  const values = schema['enum'];
  if (Array.isArray(values)) return valuesText(values as readonly Json[]);
  const union = schema['anyOf'];
  if (Array.isArray(union)) {
    return (union as readonly JsonObject[]).map(typeText).join(' | ');
  }
  if (schema['type'] === 'array') return `[ ${typeText(member(schema, 'items'))} ]`;
  if (schema['type'] === 'object') {
    const inner = Object.entries(member(schema, 'properties')).map(
      ([key, value]) => `<code>${escaped(key)}</code>: ${typeText(value as JsonObject)}`,
    );
    return inner.length === 0 ? 'object' : `{ ${inner.join(', ')} }`;
  }
  const type = escaped(String(schema['type'] ?? '')).replace(',', ' | ');
  const pattern = schema['pattern'];
  return typeof pattern === 'string' && pattern.length <= 24
    ? `${type} <code>${escaped(pattern)}</code>`
    : type;
}

/** Values of the examples, by the name of the field. */
const EXAMPLES: Readonly<Record<string, Json>> = {
  merchantOrderNumber: 'T-20260314-0001',
  amount: '12.34',
  currency: '156',
  origin: 'https://shop.example',
  orderId: '019ce9f4-1348-701a-ae98-71761fe1099d',
  paymentId: '019ce9f4-2a10-7c44-9b1e-5f0c7a1d2e3f',
  operationId: '019ce9f4-3b7c-7d20-8f11-0c9e5a6b7d8e',
  endpointId: '019ce9f4-4c55-7e02-a1b2-3c4d5e6f7081',
  messageId: 'msg_019ce9f4-5d66-7f00-b3c4-d5e6f7081920',
  merchantId: '629990000000002',
  keyId: '7f3a91c2b004',
  role: 'readonly',
  name: 'Corner Tea House',
  nameZh: '街角茶馆',
  terminalId: '62990002',
  categoryCode: '5812',
  location: 'CORNER TEA HOUSE',
  url: 'https://shop.example/webhooks',
};

function curlOf(page: Page, route: Route, operation: JsonObject): string {
  const path = route.path.replace(/\{([A-Za-z]+)\}/g, (_, name: string) =>
    String(EXAMPLES[name] ?? name),
  );
  const schema = bodySchema(operation);
  const needed = schema === null ? [] : membersOf(page, schema).filter(({ required }) => required);
  const body = Object.fromEntries(
    needed.map(({ name, schema: of }) => [name, EXAMPLES[name] ?? exampleOf(of)]),
  );
  const lines = [
    `curl ${route.method === 'POST' ? '-X POST ' : ''}${page.publicUrl}${path}`,
    ...(route.roles.length === 0 ? [] : ["  -H 'Authorization: Bearer tap_test_…'"]),
    ...(route.idempotency === 'none' ? [] : ["  -H 'Idempotency-Key: order-0001'"]),
    ...(schema === null
      ? []
      : ["  -H 'Content-Type: application/json'", `  -d '${JSON.stringify(body)}'`]),
  ];
  return lines.join(' \\\n');
}

/** A value that a schema takes, where no better one is known. */
function exampleOf(schema: JsonObject): Json {
  const [value] = (schema['enum'] ?? []) as readonly Json[];
  if (value !== undefined) return value;
  if (schema['type'] === 'integer' || schema['type'] === 'number') return 1;
  if (schema['type'] === 'array') return [];
  return '…';
}

function schemaSection(page: Page): string {
  const schemas = member(member(page.document, 'components'), 'schemas');
  const articles = Object.entries(schemas).map(([name, schema]) => {
    const members = table(page, WORDS.type, membersOf(page, schema as JsonObject));
    return `<article id="type-${name}"><h3>${name}</h3>${members}</article>`;
  });
  const title = page.say(WORDS.schemas);
  return `<section id="types"><h2>${title}</h2>${articles.join('\n')}</section>`;
}

function errorSection({ say }: Page): string {
  const rows = Object.keys(GATEWAY_ERRORS)
    .toSorted((one, other) => errorTextOf(one).status - errorTextOf(other).status)
    .map((code) => {
      const { status, text, remedy } = errorTextOf(code);
      const cells = [`<code>${code}</code>`, String(status), say(text), withCode(say(remedy))];
      return row(cells, code);
    });
  const heads = [say(WORDS.code), 'HTTP', say(WORDS.meaning), say(WORDS.remedy)];
  const title = say(WORDS.errorTable);
  return `<section id="errors"><h2>${title}</h2>${tableOf(heads, rows, 'errors')}</section>`;
}
