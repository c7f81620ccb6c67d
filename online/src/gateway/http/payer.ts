/**
 * What a payer's browser is served: the hosted page, its order, and the bridge to the channel. The
 * order id is the page's only right; the Host must be ours, so that no foreign name leads here.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fastifyStatic } from '@fastify/static';
import type { WebsocketPluginOptions } from '@fastify/websocket';
import {
  PAY_CHANNEL_BYTES_MAX,
  PAY_CHANNEL_PATH,
  PAY_ORDER_PATH,
  PAY_PAGE,
  type PayOrderView,
  pageHeaders,
} from '@tapnpay/protocol/wire';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ChannelBridge } from '../channel/bridge.ts';
import type { GatewayCore } from '../core.ts';
import { GatewayError } from '../errors.ts';
import { merchantOf } from '../merchants/directory.ts';
import { addExplainPage } from './explain-page.ts';
import { addLibrary } from './library.ts';
import { RefusalCount } from './refusals.ts';
import { payOrderView, type SiteAddresses } from './views.ts';

/** An order id; anything else is no order without asking the database. @see RFC 9562 */
const ORDER_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The gateway's face to payers. */
export type PayerSite = SiteAddresses & {
  /** The built page: `index.html` and `assets/`; null serves none. */
  readonly pagesDir: string | null;
  readonly bridge: ChannelBridge;
};

/** The bridge ends its sockets itself; what went wrong is in its log. */
export const WEBSOCKET_OPTIONS: WebsocketPluginOptions = {
  options: { maxPayload: PAY_CHANNEL_BYTES_MAX, perMessageDeflate: false },
  errorHandler: () => undefined,
};

/** Adds page, order and bridge to a scope of theirs; each answers only under our own name. */
export function addPayerRoutes(scope: FastifyInstance, core: GatewayCore, site: PayerSite): void {
  const host = new URL(site.publicUrl).host;
  scope.addHook('onRequest', async (request) => {
    if (request.headers.host === host) return;
    throw new GatewayError('ERR_HOST', `open this page as ${site.publicUrl}`);
  });
  addOrderRoutes(scope, core, site);
  addBridge(scope, site);
  addPages(scope, site);
  // Explainer and page library are built beside the pay page.
  const besides = (name: string) =>
    site.pagesDir === null ? null : join(site.pagesDir, '..', name);
  addExplainPage(scope, besides('explain'));
  addLibrary(scope, besides('library'));
}

function addOrderRoutes(scope: FastifyInstance, core: GatewayCore, site: PayerSite): void {
  const unknown = new RefusalCount(core);
  const view = async (orderId: string): Promise<PayOrderView> => {
    const order = await core.order(orderId);
    const payment = order.paymentId === null ? null : await core.payment(order.paymentId);
    const merchant = await merchantOf(core.ports, order.merchantId);
    const { lab } = core.ports.profile;
    const nowMs = core.ports.clock.nowMs();
    return payOrderView({ order, payment: payment?.payment ?? null, merchant, lab, site, nowMs });
  };
  scope.get(`${PAY_ORDER_PATH}/:orderId`, async (request, reply) => {
    reply.header('cache-control', 'no-store');
    const found = await unknown.count('ERR_ORDER_NOT_FOUND', async () => view(orderIdOf(request)));
    // The shop's own page may follow its order, and no other page.
    reply.headers({ 'access-control-allow-origin': found.origin, vary: 'origin' });
    return found;
  });
  scope.post(`${PAY_ORDER_PATH}/:orderId/cancel`, async (request) => {
    assertOwnOrigin(request, site);
    return unknown.count('ERR_ORDER_NOT_FOUND', async () => {
      const order = await core.cancelByPayer(orderIdOf(request));
      return view(order.orderId);
    });
  });
}

function addBridge(scope: FastifyInstance, site: PayerSite): void {
  scope.get(
    PAY_CHANNEL_PATH,
    {
      websocket: true,
      onRequest: async (request) => {
        assertOwnOrigin(request, site);
        site.bridge.assertRoom();
      },
    },
    (socket) => site.bridge.join(socket),
  );
}

function addPages(scope: FastifyInstance, { pagesDir, publicUrl, agentUrl }: PayerSite): void {
  const connect = [webSocketOrigin(publicUrl), agentUrl, webSocketOrigin(agentUrl)];
  const headers = pageHeaders({ connect, opensWindows: true });
  scope.addHook('onSend', async (request, reply) => {
    // By the route: an address may be spelled in many ways.
    if (isPage(request.routeOptions.url ?? request.url)) reply.headers(headers);
  });
  const isBuilt = pagesDir !== null && existsSync(join(pagesDir, 'index.html'));
  if (isBuilt) {
    const assets = { root: join(pagesDir, 'assets'), prefix: '/assets/', wildcard: true };
    scope.register(fastifyStatic, { ...assets, cacheControl: false, index: false });
  }
  scope.get(`${PAY_PAGE}/:orderId`, async (_request, reply: FastifyReply) => {
    if (!isBuilt) throw new GatewayError('ERR_PAGES_MISSING', 'the pay page is not built');
    return reply.sendFile('index.html', pagesDir);
  });
}

function isPage(url: string): boolean {
  return url.startsWith(`${PAY_PAGE}/`) || url.startsWith('/assets/');
}

/** The WebSocket form of an http or https origin. */
function webSocketOrigin(origin: string): string {
  return origin.replace(/^http/, 'ws');
}

/** @throws GatewayError `ERR_ORDER_NOT_FOUND`: a malformed id is an unknown one. */
function orderIdOf(request: FastifyRequest): string {
  const { orderId } = request.params as { readonly orderId: string };
  if (ORDER_ID.test(orderId)) return orderId;
  throw new GatewayError('ERR_ORDER_NOT_FOUND', 'there is no such order');
}

/** A browser names the page that asks; only ours may. @throws GatewayError `ERR_ORIGIN`. */
function assertOwnOrigin(request: FastifyRequest, { publicUrl }: SiteAddresses): void {
  if (request.headers.origin === publicUrl) return;
  throw new GatewayError('ERR_ORIGIN', 'only a page of this gateway may do this');
}
