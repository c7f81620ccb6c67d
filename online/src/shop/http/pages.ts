/** The shop's built pages: one document for every address a person may open, and its files. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import { pageHeaders } from '@tapnpay/protocol/wire';
import type { FastifyInstance } from 'fastify';
import { ShopError } from '../errors.ts';

/** Addresses that the page itself tells apart. */
const PAGE_PATHS: readonly string[] = [
  '/',
  '/goods/:goodsId',
  '/orders',
  '/orders/:orderId',
  '/admin',
  '/admin/*',
];
/** The names of these files hold a digest of their content. */
const ASSETS_CACHE = 'public, max-age=31536000, immutable';

export function addPages(app: FastifyInstance, pagesDir: string): void {
  const headers = pageHeaders({});
  app.register(fastifyStatic, {
    root: join(pagesDir, 'assets'),
    prefix: '/assets/',
    index: false,
    list: false,
    decorateReply: false,
    cacheControl: false,
    setHeaders: (reply) => {
      reply.headers({ ...headers, 'cache-control': ASSETS_CACHE });
    },
  });
  for (const path of PAGE_PATHS) {
    app.get(path, async (_request, reply) =>
      reply.headers(headers).type('text/html; charset=utf-8').send(pageText(pagesDir)),
    );
  }
}

/** Read for each request: a new build needs no restart. @throws ShopError `ERR_PAGES`. */
function pageText(pagesDir: string): string {
  try {
    return readFileSync(join(pagesDir, 'index.html'), 'utf8');
  } catch (cause) {
    throw new ShopError('ERR_PAGES', 'there is no index.html; run node web/build.ts', {}, cause);
  }
}
