/** The page library as built files, for the pages of shops: public, and the same for everybody. */
import { existsSync } from 'node:fs';
import { fastifyStatic } from '@fastify/static';
import type { FastifyInstance } from 'fastify';

/** Where its files are; a shop's page loads `tapnpay.js` of it. */
export const LIBRARY_PATH = '/library/';

/** A module of another origin is loaded with CORS only; it holds no secret and reads no cookie. */
const HEADERS: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'cross-origin-resource-policy': 'cross-origin',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-cache',
};

/** Adds the built library in `libraryDir`; null, or a folder that is not there, serves none. */
export function addLibrary(scope: FastifyInstance, libraryDir: string | null): void {
  if (libraryDir === null || !existsSync(libraryDir)) return;
  scope.register(fastifyStatic, {
    root: libraryDir,
    prefix: LIBRARY_PATH,
    cacheControl: false,
    index: false,
    decorateReply: false,
    setHeaders: (reply) => void reply.headers(HEADERS),
  });
}
