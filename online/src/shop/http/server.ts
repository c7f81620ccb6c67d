/** The shop's HTTP server: pages, and interfaces for buyer, merchant and gateway. */
import { type FastifyInstance, fastify } from 'fastify';
import { causeCode, clientFault } from '../../runtime/index.ts';
import type { Login } from '../admin/login.ts';
import type { ShopCore } from '../core.ts';
import { httpStatusOf, ShopError, shopErrorBody } from '../errors.ts';
import { addAdminRoutes } from './admin-routes.ts';
import { addBuyerRoutes } from './buyer-routes.ts';
import { addGuards } from './guards.ts';
import { addNotificationRoute } from './notification-route.ts';
import { addPages } from './pages.ts';

/** Longest request body, in bytes. */
export const HTTP_BODY_BYTES_MAX = 16_384;
/** Time for a whole request to arrive. */
const REQUEST_TIMEOUT_MS = 10_000;

/** What the server stands on. */
export type HttpPorts = {
  readonly core: ShopCore;
  readonly login: Login;
  /** Folder of the built pages. */
  readonly pagesDir: string;
};

/** The server with its routes; the caller makes it listen, or injects requests in tests. */
export function buildHttp(ports: HttpPorts): FastifyInstance {
  const app = fastify({
    bodyLimit: HTTP_BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    logger: false,
  });
  addErrorHandlers(app, ports);
  addGuards(app, ports.core.ports.profile.origin);
  app.addHook('onSend', async (request, reply) => {
    if (!request.url.startsWith('/api/')) return;
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
  });
  addBuyerRoutes(app, ports);
  addAdminRoutes(app, ports);
  addNotificationRoute(app, ports);
  addPages(app, ports.pagesDir);
  return app;
}

function addErrorHandlers(app: FastifyInstance, { core }: HttpPorts): void {
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send(shopErrorBody(new ShopError('ERR_NOT_FOUND', 'there is no such route'))),
  );
  app.setErrorHandler((thrown, request, reply) => {
    const fault = asShopError(thrown);
    const status = httpStatusOf(fault.code);
    if (status === 500) {
      // The message of a foreign fault may quote data: the log gets its kind, the peer nothing.
      const route = request.routeOptions.url ?? '';
      core.ports.log({ event: 'httpFault', route, code: fault.code, cause: causeCode(thrown) });
    }
    return reply.code(status).send(shopErrorBody(fault));
  });
}

/** Any thrown value as a coded error without foreign text. */
function asShopError(thrown: unknown): ShopError {
  if (thrown instanceof ShopError) return thrown;
  const fault = clientFault(thrown);
  if (fault === 'bodyTooLarge') {
    return new ShopError('ERR_BODY_TOO_LARGE', `at most ${HTTP_BODY_BYTES_MAX} bytes`);
  }
  if (fault === 'request') {
    return new ShopError('ERR_REQUEST', 'the request is no JSON of this route');
  }
  return new ShopError('ERR_INTERNAL', 'internal fault');
}
