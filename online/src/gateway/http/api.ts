/** The gateway's HTTP interface for shops, operators and enrolling elements. */
import { fastifyWebsocket } from '@fastify/websocket';
import {
  checkShape,
  enrolmentRequestShape,
  PAY_CHANNEL_PATH,
  WireError,
} from '@tapnpay/protocol/wire';
import { type FastifyInstance, fastify } from 'fastify';
import { z } from 'zod';
import { causeCode, clientFault } from '../../runtime/index.ts';
import type { GatewayCore } from '../core.ts';
import type { ElementCertifier } from '../enrolment.ts';
import { GatewayError, type GatewayErrorCode, httpStatusOf } from '../errors.ts';
import { LAB_FAULTS } from '../lab.ts';
import type { MerchantKeys } from '../merchant-keys.ts';
import { terminalParameters } from '../parameters.ts';
import { addPayerRoutes, type PayerSite, WEBSOCKET_OPTIONS } from './payer.ts';
import { RefusalCount } from './refusals.ts';
import { createdOrderView, orderView, paymentView } from './views.ts';

/** Longest request body, in bytes. */
export const HTTP_BODY_BYTES_MAX = 16_384;
/** Time for a whole request to arrive. */
const REQUEST_TIMEOUT_MS = 10_000;

/** What the interface stands on. */
export type HttpPorts = {
  readonly core: GatewayCore;
  readonly certifier: ElementCertifier;
  readonly keys: MerchantKeys;
  readonly dataDir: string;
  readonly site: PayerSite;
};

const visible = (max: number): z.ZodString =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[\x20-\x7e]+$/);
const orderSchema = z.strictObject({
  merchantOrderNumber: visible(64),
  amount: z.string({ error: 'is decimal text such as "12.34"' }).max(32),
  currency: z.string().max(8),
  origin: visible(256),
  notifyUrl: z.string().max(2048).optional(),
  returnUrl: z.string().max(2048).optional(),
  lab: z.strictObject({ fault: z.enum(LAB_FAULTS) }).optional(),
});
const idSchema = z.object({ id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/) });

/** The server with its routes; the caller makes it listen, or injects requests in tests. */
export function buildHttp(ports: HttpPorts): FastifyInstance {
  const app = fastify({
    bodyLimit: HTTP_BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    logger: false,
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
  app.register(async (scope) => {
    addOrderRoutes(scope, ports);
    addElementRoutes(scope, ports);
  });
  app.register(async (scope) => addPayerRoutes(scope, ports.core, ports.site));
  return app;
}

function addOrderRoutes(app: FastifyInstance, { core, keys, site }: HttpPorts): void {
  const refusals = new RefusalCount(core);
  app.post('/v1/orders', async (request, reply) => {
    refusals.authorise(request, keys.apiKey);
    const body = parse(orderSchema, request.body);
    const key = request.headers['idempotency-key'];
    const { order, replayed } = await core.createOrder(typeof key === 'string' ? key : '', body);
    if (replayed) reply.header('idempotent-replayed', 'true');
    return reply.code(201).send(createdOrderView(order, site));
  });
  app.get('/v1/orders/:id', async (request) => {
    refusals.authorise(request, keys.apiKey);
    return orderView(await core.order(parse(idSchema, request.params).id), site);
  });
  app.post('/v1/orders/:id/cancel', async (request) => {
    refusals.authorise(request, keys.apiKey);
    return orderView(await core.cancelOrder(parse(idSchema, request.params).id), site);
  });
  app.get('/v1/payments/:id', async (request) => {
    refusals.authorise(request, keys.apiKey);
    const { payment, reversal } = await core.payment(parse(idSchema, request.params).id);
    return paymentView(payment, reversal);
  });
}

function addElementRoutes(app: FastifyInstance, ports: HttpPorts): void {
  const { core, keys, certifier, dataDir } = ports;
  const refusals = new RefusalCount(core);
  app.post('/v1/pairing-codes', async (request, reply) => {
    refusals.authorise(request, keys.operatorKey);
    return reply.code(201).send(await core.newPairingCode());
  });
  app.post('/v1/enrolments', async (request, reply) => {
    const enrolment = checkShape(enrolmentRequestShape, request.body, 'enrolment');
    const parameters = terminalParameters(dataDir);
    const grant = await refusals.guard(() =>
      core.enrol({ request: enrolment, certifier, parameters }),
    );
    return reply.code(201).send(grant);
  });
  app.get('/v1/parameters', async () => terminalParameters(dataDir));
  app.get('/v1/health', async (_request, reply) => {
    const line = core.ports.line.keys() === null ? 'down' : 'established';
    return reply.code(line === 'down' ? 503 : 200).send({ status: 'up', switchLine: line });
  });
}

function addErrorHandlers(app: FastifyInstance, { core }: HttpPorts): void {
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send(new GatewayError('ERR_NOT_FOUND', 'there is no such route').toJSON()),
  );
  app.setErrorHandler((thrown, request, reply) => {
    const fault = asGatewayError(thrown);
    const status = httpStatusOf(fault.code);
    if (status >= 500) {
      // The message of a foreign fault may quote data: the log gets its kind, the peer nothing.
      const route = request.routeOptions.url ?? '';
      core.ports.log({ event: 'httpFault', route, code: fault.code, cause: causeCode(thrown) });
    }
    return reply.code(status).send(fault.toJSON());
  });
}

/** Any thrown value as a coded error without foreign text. */
function asGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  if (thrown instanceof WireError) return new GatewayError('ERR_REQUEST', thrown.message);
  const fault = clientFault(thrown);
  if (fault === 'bodyTooLarge') {
    return new GatewayError('ERR_BODY_TOO_LARGE', `at most ${HTTP_BODY_BYTES_MAX} bytes`);
  }
  if (fault === 'request') {
    return new GatewayError('ERR_REQUEST', 'the request is no JSON of this route');
  }
  return new GatewayError('ERR_INTERNAL', 'internal fault');
}

/** The checked value. @throws GatewayError naming the first wrong field, never its value. */
function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const fieldPath = issue?.path.join('.') ?? '';
  const code: GatewayErrorCode = fieldPath === 'amount' ? 'ERR_AMOUNT' : 'ERR_REQUEST';
  const message = `${fieldPath || 'body'}: ${issue?.message ?? 'is wrong'}`;
  throw new GatewayError(code, message, { fieldPath });
}
