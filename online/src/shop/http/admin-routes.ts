/** What only the merchant may do, behind the session's cookie. */
import { SHOP_ADMIN_PATH, type ShopSummary } from '@tapnpay/protocol/wire';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { SESSION_LIFETIME_MS } from '../admin/login.ts';
import { ShopError } from '../errors.ts';
import { type Goods, SHOP_CURRENCY } from '../model.ts';
import { readCookie, sessionCookie, sessionCookieName } from './guards.ts';
import {
  parseEdit,
  parseGoodsId,
  parseNewGoods,
  parseOrderId,
  parseOrderQuery,
  parsePassword,
  parseStockChange,
} from './parse.ts';
import type { HttpPorts } from './server.ts';
import {
  adminGoodsView,
  adminOrderDetail,
  adminOrderView,
  incidentView,
  movementView,
} from './views.ts';

/** Lines of one page of orders, movements and incidents. */
const ORDERS_PAGE = 50;
const MOVEMENTS_PAGE = 100;
const INCIDENTS_PAGE = 50;

export function addAdminRoutes(app: FastifyInstance, ports: HttpPorts): void {
  const { origin } = ports.core.ports.profile;
  const tokenOf = (request: FastifyRequest): string | null =>
    readCookie(request, sessionCookieName(origin));
  app.post(`${SHOP_ADMIN_PATH}/login`, async (request, reply) => {
    const value = await ports.login.open(parsePassword(request.body));
    const cookie = sessionCookie(origin, { value, lifetimeMs: SESSION_LIFETIME_MS });
    return reply.header('set-cookie', cookie).code(204).send();
  });
  app.post(`${SHOP_ADMIN_PATH}/logout`, async (request, reply) => {
    await ports.login.close(tokenOf(request));
    const cookie = sessionCookie(origin, { value: '', lifetimeMs: 0 });
    return reply.header('set-cookie', cookie).code(204).send();
  });
  app.register(
    async (scope) => {
      scope.addHook('preHandler', (request) => ports.login.assertOpen(tokenOf(request)));
      addGoodsRoutes(scope, ports);
      addOrderRoutes(scope, ports);
    },
    { prefix: SHOP_ADMIN_PATH },
  );
}

function addGoodsRoutes(app: FastifyInstance, { core }: HttpPorts): void {
  const { store, clock } = core.ports;
  const view = async (goods: Goods) =>
    adminGoodsView(goods, (await store.goodsFigures()).get(goods.goodsId));
  app.get('/goods', async () => {
    const [goods, figures] = await Promise.all([store.listGoods(), store.goodsFigures()]);
    return { goods: goods.map((one) => adminGoodsView(one, figures.get(one.goodsId))) };
  });
  app.post('/goods', async (request, reply) => {
    const draft = parseNewGoods(request.body);
    const atMs = clock.nowMs();
    const last = (await store.listGoods()).at(-1)?.position ?? 0;
    const times = { createdAtMs: atMs, updatedAtMs: atMs };
    const goods: Goods = { ...draft, position: last + 1, version: 1, ...times };
    if ((await store.createGoods(goods)) === 'exists') {
      throw new ShopError('ERR_GOODS_EXISTS', 'there are such goods already');
    }
    return reply.code(201).send(await view(goods));
  });
  app.put('/goods/:goodsId', async (request) => {
    const goodsId = parseGoodsId(request.params);
    const draft = parseEdit(request.body);
    const edited = await store.editGoods({ goodsId, ...draft, atMs: clock.nowMs() });
    if (edited === null) throw noGoods();
    if (edited === 'changed') throw new ShopError('ERR_GOODS_CHANGED', 'edited by somebody else');
    return view(edited);
  });
  app.post('/goods/:goodsId/stock', async (request) => {
    const goodsId = parseGoodsId(request.params);
    const { delta, note } = parseStockChange(request.body);
    const change = { goodsId, delta, note: note || null, atMs: clock.nowMs() };
    const changed = await store.changeStock(change);
    if (changed === null) throw noGoods();
    const { goods } = changed;
    if (changed.kind === 'short') {
      const left = goods.stock;
      throw new ShopError('ERR_STOCK', `the stock is ${left}`, { goodsId, left });
    }
    return view(goods);
  });
  app.get('/goods/:goodsId/movements', async (request) => {
    const goodsId = parseGoodsId(request.params);
    const movements = await store.listMovements(goodsId, MOVEMENTS_PAGE);
    return { movements: movements.map(movementView) };
  });
}

function addOrderRoutes(app: FastifyInstance, { core }: HttpPorts): void {
  const { store } = core.ports;
  app.get('/summary', async (): Promise<ShopSummary> => {
    const [totals, incidents] = await Promise.all([
      store.totals(),
      store.listIncidents(INCIDENTS_PAGE),
    ]);
    return {
      orders: totals.orders,
      paidMinor: String(totals.paidMinor),
      currency: SHOP_CURRENCY,
      incidents: incidents.map(incidentView),
    };
  });
  app.get('/orders', async (request) => {
    const { state, search, beforeMs } = parseOrderQuery(request.query);
    const query = { state: state ?? null, search: search.toUpperCase(), limit: ORDERS_PAGE };
    const orders = await store.listOrders({ ...query, beforeMs: beforeMs ?? null });
    return { orders: orders.map(adminOrderView), isMore: orders.length === ORDERS_PAGE };
  });
  app.get('/orders/:orderId', async (request) => {
    const orderId = parseOrderId(request.params);
    const order = await core.order(orderId);
    return adminOrderDetail(order, await store.orderTrail(orderId));
  });
}

function noGoods(): ShopError {
  return new ShopError('ERR_GOODS_NOT_FOUND', 'there are no such goods');
}
