/** The documentation of the API as pages: `/docs`, Chinese or English, without a script. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pageHeaders } from '@tapnpay/protocol/wire';
import type { FastifyInstance } from 'fastify';
import { openApiDocument } from '../openapi/document.ts';
import { DOCS_PAGE } from '../problem.ts';
import { docsPage, type Language } from './page.ts';

/** Nothing but our own style sheet: the page has no script, frame, form or picture. */
const POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Adds the pages and the document they are made of; all are made once. */
export function addDocs(scope: FastifyInstance, publicUrl: string): void {
  const document = openApiDocument();
  const headers = { ...pageHeaders({}), 'content-security-policy': POLICY };
  const pages = { zh: docsPage('zh', publicUrl), en: docsPage('en', publicUrl) };
  const style = readFileSync(join(import.meta.dirname, 'style.css'), 'utf8');
  const html = 'text/html; charset=utf-8';
  scope.addHook('onSend', async (_request, reply) => {
    reply.headers(headers);
  });
  scope.get(DOCS_PAGE, async (request, reply) => {
    reply.header('vary', 'accept-language');
    const language = languageOf(request.query, request.headers['accept-language']);
    return reply.type(html).send(pages[language]);
  });
  scope.get(`${DOCS_PAGE}/style.css`, async (_request, reply) =>
    reply.type('text/css; charset=utf-8').send(style),
  );
  scope.get(`${DOCS_PAGE}/openapi.json`, async (_request, reply) => {
    // The document of this very gateway: its own address.
    const served = { ...document, servers: [{ url: publicUrl }] };
    return reply.type('application/json; charset=utf-8').send(JSON.stringify(served));
  });
}

/** What the reader asked for, else what the browser prefers, else Chinese. */
function languageOf(query: unknown, accepted: string | undefined): Language {
  const { lang } = (query ?? {}) as { readonly lang?: unknown };
  if (lang === 'en' || lang === 'zh') return lang;
  return /^\s*en\b/i.test(accepted ?? '') ? 'en' : 'zh';
}
