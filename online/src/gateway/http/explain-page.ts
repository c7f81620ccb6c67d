/** The explainer's page: files only, and a policy by which it can ask nobody for anything. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fastifyStatic } from '@fastify/static';
import { pageHeaders } from '@tapnpay/protocol/wire';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { GatewayError } from '../errors.ts';

/** Where the page is; its files are below. */
export const EXPLAIN_PAGE = '/explain';

/** What is pasted stays in the page: the browser itself refuses every connection. */
function explainHeaders(): Readonly<Record<string, string>> {
  const headers = pageHeaders({});
  const policy = headers['content-security-policy'] ?? '';
  return {
    ...headers,
    'content-security-policy': policy.replace("connect-src 'self'", "connect-src 'none'"),
  };
}

/** Adds the built page in `pagesDir`; null serves none. */
export function addExplainPage(scope: FastifyInstance, pagesDir: string | null): void {
  const headers = explainHeaders();
  scope.addHook('onSend', async (request, reply) => {
    const url = request.routeOptions.url ?? request.url;
    if (url === EXPLAIN_PAGE || url.startsWith(`${EXPLAIN_PAGE}/`)) reply.headers(headers);
  });
  const index = pagesDir === null ? null : join(pagesDir, 'index.html');
  const html = index !== null && existsSync(index) ? readFileSync(index, 'utf8') : null;
  if (pagesDir !== null && html !== null) {
    scope.register(fastifyStatic, {
      root: join(pagesDir, 'assets'),
      prefix: `${EXPLAIN_PAGE}/assets/`,
      cacheControl: false,
      index: false,
      decorateReply: false,
    });
  }
  const page = async (_request: unknown, reply: FastifyReply): Promise<FastifyReply> => {
    if (html === null) throw new GatewayError('ERR_PAGES_MISSING', 'the explain page is not built');
    return reply.type('text/html; charset=utf-8').send(html);
  };
  scope.get(EXPLAIN_PAGE, page);
  scope.get(`${EXPLAIN_PAGE}/`, page);
}
