/** The manager's HTTP server: the table of routes with its door, checks and errors. */
import { TapError } from '@tapnpay/protocol/bytes';
import { WireError } from '@tapnpay/protocol/wire';
import { type FastifyInstance, type FastifyRequest, fastify } from 'fastify';
import type { z } from 'zod';
import { causeCode, clientFault } from '../../runtime/index.ts';
import { type Actor, MANAGER } from '../actor.ts';
import { actorOf } from '../api-keys.ts';
import { httpStatusOf, TSM_ERRORS, TsmError } from '../errors.ts';
import { openApiDocument } from './openapi.ts';
import type { Route, RouteContext } from './route.ts';
import { ROUTES } from './routes.ts';

/** Longest request body: a package in base64, or the answers to a batch. */
export const HTTP_BODY_BYTES_MAX: number = 2 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 15_000;
/** Where the document is served. */
export const OPENAPI_PATH = '/v1/openapi.json';

/** The server with its routes; the caller makes it listen, or injects requests in tests. */
export function buildTsmHttp(context: RouteContext): FastifyInstance {
  const app = fastify({
    ...{ bodyLimit: HTTP_BODY_BYTES_MAX, requestTimeout: REQUEST_TIMEOUT_MS },
    ...{ forceCloseConnections: true, logger: false },
  });
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
  });
  addErrorHandlers(app, context);
  for (const route of ROUTES) serveRoute(app, context, route);
  app.get(OPENAPI_PATH, async () => openApiDocument());
  return app;
}

function serveRoute(app: FastifyInstance, context: RouteContext, route: Route): void {
  app.route({
    method: route.method,
    url: route.path.replace(/\{([a-zA-Z]+)\}/g, ':$1'),
    handler: async (request, reply) => {
      assertNoForeignPage(request);
      const actor = await callerOf(context, route, request);
      const told = await route.handle(context, {
        params: checked(route.params, request.params),
        query: checked(route.query, request.query),
        body: route.body === null ? undefined : checked(route.body, request.body),
        actor,
      });
      return reply.code(route.status).send(route.response.parse(told));
    },
  });
}

/** Pages of browsers call nothing here: who has a key is a program. */
function assertNoForeignPage({ method, headers }: FastifyRequest): void {
  if (method === 'GET' || headers.origin === undefined) return;
  throw new TsmError('ERR_ROLE', 'no page of a browser changes anything here');
}

async function callerOf(
  { ports }: RouteContext,
  { roles }: Route,
  request: FastifyRequest,
): Promise<Actor> {
  if (roles.length === 0) return MANAGER;
  const actor = await actorOf(ports, request.headers.authorization);
  if (roles.includes(actor.role)) return actor;
  throw new TsmError('ERR_ROLE', `a key of ${actor.role} may not do that`, { role: actor.role });
}

/** The checked value. @throws TsmError naming the first wrong field, never its value. */
function checked(schema: z.ZodType, value: unknown): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const fieldPath = issue?.path.join('.') ?? '';
  // Zod would quote the names of members that it does not know.
  const why =
    issue?.code === 'unrecognized_keys' ? 'has a member that is unknown' : (issue?.message ?? '');
  throw new TsmError('ERR_REQUEST', `${fieldPath || 'body'}: ${why}`, { fieldPath });
}

function addErrorHandlers(app: FastifyInstance, { ports }: RouteContext): void {
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send(faultOf(new TsmError('ERR_NOT_FOUND', 'there is no such route'))),
  );
  app.setErrorHandler((thrown, request, reply) => {
    const fault = asTsmError(thrown);
    const status = httpStatusOf(fault.code);
    if (status >= 500) {
      const route = request.routeOptions.url ?? '';
      ports.log({ event: 'httpFault', route, code: fault.code, cause: causeCode(thrown) });
    }
    return reply.code(status).send(faultOf(fault));
  });
}

/** As errors cross every boundary here, with the texts of their code. */
function faultOf(fault: TsmError): object {
  const { en, zh, status } = TSM_ERRORS[fault.code];
  return { ...fault.toJSON(), status, text: { en, zh } };
}

/** Any thrown value as a coded error without foreign text. */
function asTsmError(thrown: unknown): TsmError {
  if (thrown instanceof TsmError) return thrown;
  if (thrown instanceof WireError) return new TsmError('ERR_REQUEST', thrown.message);
  const fault = clientFault(thrown);
  if (fault === 'bodyTooLarge') {
    return new TsmError('ERR_BODY_TOO_LARGE', `at most ${HTTP_BODY_BYTES_MAX} bytes`);
  }
  if (fault === 'request')
    return new TsmError('ERR_REQUEST', 'the request is no JSON of this route');
  const data = thrown instanceof TapError ? { cause: thrown.code } : {};
  return new TsmError('ERR_INTERNAL', 'internal fault', data);
}
