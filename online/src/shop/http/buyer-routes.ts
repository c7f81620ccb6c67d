/** What everybody may do: look at goods, order, see an own order by its id, close it. */
import { SHOP_GOODS_PATH, SHOP_ORDERS_PATH } from '@tapnpay/protocol/wire';
import type { FastifyInstance } from 'fastify';
import { RateLimit } from '../rate-limit.ts';
import { parseCheckout, parseOrderId } from './parse.ts';
import type { HttpPorts } from './server.ts';
import { goodsView, orderView } from './views.ts';

/** Each checkout holds stock for a while: a script must not empty the shop. */
const CHECKOUTS = { max: 300, windowMs: 60_000 } as const;

export function addBuyerRoutes(app: FastifyInstance, { core }: HttpPorts): void {
  const { clock } = core.ports;
  const checkouts = new RateLimit(clock, CHECKOUTS);
  app.get(SHOP_GOODS_PATH, async () => ({ goods: (await core.window()).map(goodsView) }));
  app.post(SHOP_ORDERS_PATH, async (request, reply) => {
    checkouts.take();
    const { idempotencyKey, items } = parseCheckout(request.body);
    return reply.code(201).send(await core.checkout(idempotencyKey, items));
  });
  app.get(`${SHOP_ORDERS_PATH}/:orderId`, async (request) => {
    const order = await core.order(parseOrderId(request.params));
    return orderView(order, clock.nowMs());
  });
  app.post(`${SHOP_ORDERS_PATH}/:orderId/cancel`, async (request) => {
    const order = await core.cancel(parseOrderId(request.params));
    return orderView(order, clock.nowMs());
  });
}
