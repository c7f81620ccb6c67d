/** The look inside as a small server on loopback: documents and the page that shows them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import { TapError } from '@tapnpay/protocol/bytes';
import { pageHeaders } from '@tapnpay/protocol/wire';
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import { collectTrace } from './collect.ts';

const HOST = '127.0.0.1';
/** Nobody posts anything here. */
const BODY_BYTES_MAX = 1_024;
const REQUEST_TIMEOUT_MS = 10_000;

/** Every code that this server answers with. */
export type ObserverErrorCode =
  | 'ERR_FORMAT'
  | 'ERR_HOST'
  | 'ERR_INTERNAL'
  | 'ERR_NOT_FOUND'
  | 'ERR_PAGES_NOT_BUILT'
  | 'ERR_TRACE_NOT_FOUND';

/** What a request was refused for. */
export class ObserverError extends TapError<ObserverErrorCode> {}

const STATUS: Readonly<Record<ObserverErrorCode, number>> = {
  ERR_FORMAT: 400,
  ERR_HOST: 403,
  ERR_INTERNAL: 500,
  ERR_NOT_FOUND: 404,
  ERR_PAGES_NOT_BUILT: 503,
  ERR_TRACE_NOT_FOUND: 404,
};

/** What the observer is told at its start. */
export type ObserverConfig = {
  /** Folder of the system whose logs are read. */
  readonly dataDir: string;
  /** On 127.0.0.1; 0 takes a free one. */
  readonly port: number;
  /** Folder of the built page. */
  readonly pagesDir: string;
};

/** A running observer. */
export type RunningObserver = {
  readonly port: number;
  readonly close: () => Promise<void>;
  /** For the ready line. */
  readonly facts: { readonly port: number };
};

/** Starts the server; it reads logs when asked and writes nothing. */
export async function startObserver(config: ObserverConfig): Promise<RunningObserver> {
  const app = fastify({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    logger: false,
  });
  addGuards(app);
  addTraces(app, config);
  await addPages(app, config);
  await app.listen({ host: HOST, port: config.port });
  const address = app.server.address();
  const port = typeof address === 'object' && address ? address.port : config.port;
  return { port, facts: { port }, close: () => app.close() };
}

/**
 * Ids with random bits, such as an order's: only who was told one knows it. A retrieval reference
 * can be counted up. @see RFC 9562
 */
const UNGUESSABLE_ID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** Names of this server: another one means that a foreign page's name was bent to loopback. */
function addGuards(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    const host = request.headers.host ?? '';
    if (/^(?:127\.0\.0\.1|localhost)(?::[0-9]{1,5})?$/.test(host)) return;
    throw new ObserverError('ERR_HOST', 'this server answers as 127.0.0.1 and localhost only');
  });
  app.addHook('onSend', async (_request, reply, payload) => {
    reply.headers(pageHeaders({}));
    return payload;
  });
  app.setNotFoundHandler((_request, reply) => {
    refuse(reply, new ObserverError('ERR_NOT_FOUND', 'there is nothing here'));
  });
  app.setErrorHandler((thrown, _request, reply) => {
    const isOurs = thrown instanceof ObserverError;
    refuse(reply, isOurs ? thrown : new ObserverError('ERR_INTERNAL', 'internal fault'));
  });
}

function refuse(reply: FastifyReply, error: ObserverError): void {
  reply.code(STATUS[error.code]).send(error.toJSON());
}

function addTraces(app: FastifyInstance, { dataDir }: ObserverConfig): void {
  app.get('/v1/health', async () => ({ status: 'up' }));
  app.get<{ Params: { orderId: string }; Querystring: { format?: unknown } }>(
    '/v1/traces/:orderId',
    async (request, reply) => {
      const { orderId } = request.params;
      const { format = 'json' } = request.query;
      if (format !== 'json' && format !== 'apdu') {
        throw new ObserverError('ERR_FORMAT', 'format is json or apdu');
      }
      const document = UNGUESSABLE_ID.test(orderId) ? collectTrace(dataDir, orderId) : null;
      if (!document) {
        throw new ObserverError('ERR_TRACE_NOT_FOUND', 'no party has logged such an order');
      }
      if (format === 'json') return document;
      return reply.type('text/plain; charset=utf-8').send(document.apduText);
    },
  );
}

/** The page is the same for every order: it asks for the document itself. */
async function addPages(app: FastifyInstance, { pagesDir }: ObserverConfig): Promise<void> {
  app.get('/inside/:orderId', async (_request, reply) => {
    let page: Buffer;
    try {
      page = readFileSync(join(pagesDir, 'index.html'));
    } catch (cause) {
      const text = 'the pages are not built; run: node web/build.ts';
      throw new ObserverError('ERR_PAGES_NOT_BUILT', text, {}, cause);
    }
    return reply.type('text/html; charset=utf-8').send(page);
  });
  await app.register(fastifyStatic, {
    root: join(pagesDir, 'assets'),
    prefix: '/assets/',
    index: false,
    // Headers are those of `onSend`.
    cacheControl: false,
  });
}
