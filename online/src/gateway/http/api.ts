/** The gateway's HTTP interface: the API's routes, the payer's pages, the documentation, errors. */
import { randomUUID } from 'node:crypto';
import { fastifyWebsocket } from '@fastify/websocket';
import { PAY_CHANNEL_PATH } from '@tapnpay/protocol/wire';
import { type FastifyInstance, type FastifyRequest, fastify } from 'fastify';
import { causeCode } from '../../runtime/index.ts';
import { GatewayError, httpStatusOf } from '../errors.ts';
import type { PluginPublisher } from '../plugin/publisher.ts';
import { addPluginRoutes } from '../plugin/routes.ts';
import { Authentication } from './authenticate.ts';
import { addDocs } from './docs/serve.ts';
import { addPayerRoutes, type PayerSite, WEBSOCKET_OPTIONS } from './payer.ts';
import { asGatewayError, sendProblem } from './problem.ts';
import { RateLimits } from './rate-limit.ts';
import { RefusalCount } from './refusals.ts';
import type { RouteContext } from './route.ts';
import { ROUTES } from './routes.ts';
import { HTTP_BODY_BYTES_MAX, serveRoute } from './serve-route.ts';

/** Time for a whole request to arrive. */
const REQUEST_TIMEOUT_MS = 10_000;

/** What the interface stands on. */
export type HttpPorts = Omit<RouteContext, 'codes' | 'site'> & {
  readonly site: PayerSite;
  /** Serves the browser extension; absent: none is served. */
  readonly plugin?: PluginPublisher;
};

/** The server, not yet listening. */
export function buildHttp(ports: HttpPorts): FastifyInstance {
  const app = fastify({
    bodyLimit: HTTP_BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    logger: false,
    // Names an answer in the log and nothing else: the quick one will do.
    genReqId: () => randomUUID(),
  });
  addErrorHandlers(app, ports);
  app.addHook('preClose', async () => ports.site.bridge.close());
  // Before every route, for it closes the socket of an upgrade that was refused.
  app.register(fastifyWebsocket, WEBSOCKET_OPTIONS).after(() => {
    app.addHook('onRequest', async (request) => {
      if (!request.ws || request.routeOptions.url === PAY_CHANNEL_PATH) return;
      throw new GatewayError('ERR_REQUEST', 'this route takes no upgrade');
    });
  });
  app.register(async (scope) => addApi(scope, ports));
  app.register(async (scope) => addDocs(scope, ports.site.publicUrl));
  app.register(async (scope) => addPayerRoutes(scope, ports.core, ports.site));
  const { plugin } = ports;
  if (plugin) app.register(async (scope) => addPluginRoutes(scope, plugin, ports.site.publicUrl));
  return app;
}

/** The table of routes, and health, which is for machines that watch. */
function addApi(app: FastifyInstance, ports: HttpPorts): void {
  const { core } = ports;
  const context: RouteContext = { ...ports, codes: new RefusalCount(core) };
  const door = new Authentication(context, new RefusalCount(core));
  const server = { context, door, limits: new RateLimits() };
  for (const route of ROUTES) serveRoute(app, server, route);
  app.get('/v1/health', async (_request, reply) => {
    const line = core.ports.line.keys() === null ? 'down' : 'established';
    return reply.code(line === 'down' ? 503 : 200).send({ status: 'up', switchLine: line });
  });
}

function addErrorHandlers(app: FastifyInstance, { core, site }: HttpPorts): void {
  const { publicUrl } = site;
  app.setNotFoundHandler((request, reply) => {
    const fault = new GatewayError('ERR_NOT_FOUND', 'there is no such route');
    return sendProblem(reply, request, fault, publicUrl);
  });
  app.setErrorHandler((thrown, request, reply) => {
    const fault = asGatewayError(thrown, HTTP_BODY_BYTES_MAX);
    if (httpStatusOf(fault.code) >= 500) logFault(request, fault, thrown);
    return sendProblem(reply, request, fault, publicUrl);
  });
  const logFault = (request: FastifyRequest, fault: GatewayError, thrown: unknown): void => {
    // The message of a foreign fault may quote data: the log gets its kind, the peer nothing.
    const route = request.routeOptions.url ?? '';
    const facts = { route, requestId: request.id, code: fault.code, cause: causeCode(thrown) };
    core.ports.log({ event: 'httpFault', ...facts });
  };
}
