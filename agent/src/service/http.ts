/**
 * The agent's HTTP side: who may ask is decided before anything else is looked at. Host must be
 * our own address (no other name leads here), Origin a gateway's or our own. No CORS header, ever.
 */
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import fastifyWebsocket from '@fastify/websocket';
import { type Clock, errorBody, TapError } from '@tapnpay/protocol/bytes';
import {
  AGENT_HEALTH_PATH,
  AGENT_MESSAGE_BYTES_MAX,
  AGENT_NATIVE_PATH,
  AGENT_PAIRING_PATH,
  AGENT_SESSION_PATH,
  AGENT_WALLET_PAGE,
  AGENT_WINDOW_PAGE,
  AGENT_WINDOW_PATH,
  checkShape,
  pageHeaders,
  pairingRequestShape,
  readerCommandShape,
  WireError,
} from '@tapnpay/protocol/wire';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { PaymentDesk } from './desk.ts';
import { httpStatusOf, ServiceError } from './errors.ts';
import type { AgentLog } from './events.ts';
import { holdsLocalKey, LOCAL_READER_PATH } from './local-agent.ts';
import { serveNative } from './native-socket.ts';
import type { Pairing } from './pairing.ts';
import { WindowedCount } from './rate.ts';
import { servePage, serveWindow } from './sockets.ts';

const BODY_BYTES_MAX = 4_096;
const REQUEST_TIMEOUT_MS = 10_000;
/** Connections of all kinds. */
const CONNECTIONS_MAX = 128;
/** Pages and windows connected at one time. */
export const SOCKETS_MAX = 32;
/** Refusals written to the log in a minute. */
const LOGGED_REFUSALS = { max: 60, windowMs: 60_000 } as const;
const COOKIE_SECONDS = 31_536_000;
/** Cookies know no ports: these paths keep ours from the other servers of this machine. */
const COOKIE_PATHS = [AGENT_WINDOW_PATH, AGENT_PAIRING_PATH] as const;
const PAGE_ROUTES = [AGENT_WINDOW_PAGE, AGENT_WALLET_PAGE] as const;
const SOCKET_PATHS: readonly string[] = [AGENT_SESSION_PATH, AGENT_WINDOW_PATH, AGENT_NATIVE_PATH];
/** Where a browser is asked, and so must say for whom. */
const ORIGIN_PATHS: readonly string[] = [AGENT_SESSION_PATH, AGENT_WINDOW_PATH, AGENT_PAIRING_PATH];

export type HttpPorts = {
  readonly desk: PaymentDesk;
  readonly pairing: Pairing;
  readonly gatewayOrigins: readonly string[];
  readonly pagesDir: string;
  readonly localKey: string;
  readonly clock: Clock;
  readonly log: AgentLog;
  /** Known once the server listens. */
  readonly port: () => number;
};

/** The server with its routes; the caller makes it listen. */
export async function buildHttp(ports: HttpPorts): Promise<FastifyInstance> {
  const app = fastify({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    logger: false,
  });
  app.server.maxConnections = CONNECTIONS_MAX;
  // First, so that it knows a refused upgrade as one and ends its connection.
  await app.register(fastifyWebsocket, {
    options: { maxPayload: AGENT_MESSAGE_BYTES_MAX, perMessageDeflate: false },
    preClose: (done) => {
      for (const client of app.websocketServer.clients) client.terminate();
      app.websocketServer.close(() => done());
    },
  });
  addGuards(app, ports);
  await addPages(app, ports);
  addRoutes(app, ports);
  addSockets(app, ports);
  return app;
}

function addGuards(app: FastifyInstance, ports: HttpPorts): void {
  const logged = new WindowedCount(ports.clock, LOGGED_REFUSALS);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store');
    reply.header('x-content-type-options', 'nosniff');
    reply.header('cross-origin-resource-policy', 'same-origin');
    if (request.headers.upgrade !== undefined) reply.header('connection', 'close');
    assertHost(request, ports);
    assertOrigin(request, ports);
    assertUpgrade(request, app);
  });
  app.setNotFoundHandler(async () => {
    throw new ServiceError('ERR_NOT_FOUND', 'there is no such route');
  });
  app.setErrorHandler((thrown, request, reply) => {
    const fault = asServiceError(thrown);
    const status = fault instanceof ServiceError ? httpStatusOf(fault.code) : 409;
    if (!logged.isUsedUp()) {
      logged.note();
      ports.log({ event: 'refused', path: pathOf(request).slice(0, 64), code: fault.code, status });
    }
    reply.code(status).type('application/json; charset=utf-8').send(fault.toJSON());
  });
}

/** What this server is called; another name is another site that was led here. */
function assertHost({ headers }: FastifyRequest, { port }: HttpPorts): void {
  const names = [`127.0.0.1:${port()}`, `localhost:${port()}`];
  if (headers.host !== undefined && names.includes(headers.host)) return;
  throw new ServiceError('ERR_HOST', 'this is not the address of this agent');
}

function assertOrigin(request: FastifyRequest, { gatewayOrigins }: HttpPorts): void {
  const path = pathOf(request);
  const { origin } = request.headers;
  if (origin === undefined && !ORIGIN_PATHS.includes(path)) return;
  const allowed = originsOf(path, request, gatewayOrigins);
  if (origin !== undefined && allowed.includes(origin)) return;
  throw new ServiceError('ERR_ORIGIN', 'this agent does not serve that page');
}

function originsOf(
  path: string,
  request: FastifyRequest,
  gatewayOrigins: readonly string[],
): readonly string[] {
  if (path === AGENT_SESSION_PATH) return gatewayOrigins;
  // A host is no page: whoever has an origin is none.
  return path === AGENT_NATIVE_PATH ? [] : [ownOrigin(request)];
}

function assertUpgrade(request: FastifyRequest, app: FastifyInstance): void {
  const isSocketPath = SOCKET_PATHS.includes(pathOf(request));
  const isUpgrade = request.headers.upgrade !== undefined;
  if (isUpgrade !== isSocketPath) throw new ServiceError('ERR_NOT_FOUND', 'there is no such route');
  if (isUpgrade && app.websocketServer.clients.size >= SOCKETS_MAX) {
    throw new ServiceError('ERR_RATE', 'too many pages are connected');
  }
}

/** The Host was checked before. */
function ownOrigin({ headers }: FastifyRequest): string {
  return `http://${headers.host}`;
}

function pathOf({ url }: FastifyRequest): string {
  return url.split('?', 1)[0] ?? '';
}

async function addPages(app: FastifyInstance, { pagesDir }: HttpPorts): Promise<void> {
  const headersOf = (request: FastifyRequest): Readonly<Record<string, string>> =>
    pageHeaders({ connect: [`ws://${request.headers.host}`] });
  await app.register(fastifyStatic, {
    root: pagesDir,
    serve: false,
    index: false,
    cacheControl: false,
    dotfiles: 'deny',
  });
  for (const route of PAGE_ROUTES) {
    app.get(route, (request, reply) => reply.headers(headersOf(request)).sendFile('index.html'));
  }
  app.get('/assets/*', (request, reply) => {
    const { '*': name = '' } = request.params as { readonly '*'?: string };
    return reply.headers(headersOf(request)).sendFile(name, join(pagesDir, 'assets'));
  });
}

function addRoutes(app: FastifyInstance, ports: HttpPorts): void {
  const { desk, pairing, log } = ports;
  app.get(AGENT_HEALTH_PATH, async () => desk.report());
  app.post(AGENT_PAIRING_PATH, async (request, reply) => {
    const ask = checkShape(pairingRequestShape, request.body, 'pairing');
    const { token, cookie } = pairing.grant(ask, cookieOf(request, ports));
    if (cookie !== null) setCookie(reply, `${cookieName(ports)}=${cookie}`);
    log({ event: 'paired', origin: ask.origin, browser: cookie !== null });
    return { token };
  });
  app.get(LOCAL_READER_PATH, async (request) => {
    assertLocal(request, ports);
    return desk.readerAnswer();
  });
  app.post(LOCAL_READER_PATH, async (request) => {
    assertLocal(request, ports);
    return await desk.reader(checkShape(readerCommandShape, request.body, 'command'));
  });
}

function assertLocal({ headers }: FastifyRequest, { localKey }: HttpPorts): void {
  if (holdsLocalKey(headers.authorization, localKey)) return;
  throw new ServiceError('ERR_LOCAL_KEY', 'the local key is missing or wrong');
}

function addSockets(app: FastifyInstance, ports: HttpPorts): void {
  const nothing = async (): Promise<never> => {
    throw new ServiceError('ERR_NOT_FOUND', 'there is no such route');
  };
  app.route({
    method: 'GET',
    url: AGENT_SESSION_PATH,
    handler: nothing,
    wsHandler: (socket, request) => servePage(socket, request.headers.origin ?? '', ports),
  });
  app.route({
    method: 'GET',
    url: AGENT_WINDOW_PATH,
    onRequest: async (request) => {
      if (ports.pairing.isBrowser(cookieOf(request, ports))) return;
      throw new ServiceError('ERR_NOT_PAIRED', 'pair this browser first');
    },
    handler: nothing,
    wsHandler: (socket) => serveWindow(socket, ports),
  });
  app.route({
    method: 'GET',
    url: AGENT_NATIVE_PATH,
    onRequest: async (request) => assertLocal(request, ports),
    handler: nothing,
    wsHandler: (socket) => serveNative(socket, ports),
  });
}

function cookieName({ port }: HttpPorts): string {
  return `tapnpay-agent-${port()}`;
}

function cookieOf(request: FastifyRequest, ports: HttpPorts): string | null {
  const start = `${cookieName(ports)}=`;
  const cookies = (request.headers.cookie ?? '').split(';').map((cookie) => cookie.trim());
  return cookies.find((cookie) => cookie.startsWith(start))?.slice(start.length) ?? null;
}

function setCookie(reply: FastifyReply, cookie: string): void {
  const attributes = `HttpOnly; SameSite=Strict; Max-Age=${COOKIE_SECONDS}`;
  reply.header(
    'set-cookie',
    COOKIE_PATHS.map((path) => `${cookie}; Path=${path}; ${attributes}`),
  );
}

/** Any thrown value as a coded fault without foreign text. */
function asServiceError(thrown: unknown): TapError {
  if (thrown instanceof WireError) return new ServiceError('ERR_REQUEST', thrown.message);
  if (thrown instanceof TapError) return thrown;
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : null;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new ServiceError('ERR_BODY_TOO_LARGE', `at most ${BODY_BYTES_MAX} bytes`);
  }
  const status = thrown instanceof Error && 'statusCode' in thrown ? thrown.statusCode : 500;
  if (status === 404 || status === 403) {
    return new ServiceError('ERR_NOT_FOUND', 'there is no such file');
  }
  if (typeof status === 'number' && status < 500) {
    return new ServiceError('ERR_REQUEST', 'the request is no JSON of this route');
  }
  return new ServiceError('ERR_INTERNAL', `internal fault ${errorBody(thrown).code}`);
}
