/** Webhook endpoints, delivery log and replay of the merchant API. */
import { z } from 'zod';
import { GatewayError } from '../errors.ts';
import {
  type Caller,
  idText,
  MAKERS,
  named,
  PAGE_ROWS_MAX,
  pageOf,
  pageQuery,
  READERS,
  type Route,
  route,
  timeMs,
} from '../http/route.ts';
import {
  addEndpoint,
  type EndpointOwner,
  orderSecret,
  ownDelivery,
  ownEndpoint,
  ROTATION_OVERLAP_MS_MAX,
  replayDelivery,
  rotateSecret,
  secretOf,
  switchEndpoint,
} from './endpoints.ts';
import type { Delivery, WebhookEndpoint } from './model.ts';

const text = z.string();
const OVERLAP_HOURS_DEFAULT = 24;
const HOUR_MS = 3_600_000;

const endpointFacts = {
  endpointId: text,
  url: text,
  status: z
    .enum(['enabled', 'disabled', 'failing'])
    .describe('failing: taken out of use after days without one success.'),
  failingSinceMs: timeMs.nullable(),
  createdAtMs: timeMs,
};
const endpoint = named('WebhookEndpoint', z.object(endpointFacts));
const newEndpoint = named(
  'NewWebhookEndpoint',
  z.object({ ...endpointFacts, secret: text.describe('`whsec_` and base64; shown this once.') }),
);

const deliveryFacts = {
  messageId: text.describe('The webhook-id header.'),
  paymentId: text,
  endpointId: text.nullable().describe('Null: the address of the order.'),
  url: text,
  status: z.enum(['waiting', 'delivered', 'dead']),
  attempts: z.number().int(),
  lastStatus: z.number().int().nullable().describe('HTTP status; 0 for no answer.'),
  lastAtMs: timeMs.nullable(),
  nextAtMs: timeMs,
  createdAtMs: timeMs,
};
const delivery = named('Delivery', z.object(deliveryFacts));
const wholeDelivery = named(
  'WholeDelivery',
  z.object({
    ...deliveryFacts,
    body: text,
    failedTries: z.array(
      z.object({
        attempt: z.number().int(),
        atMs: timeMs,
        status: z.number().int(),
        fault: text.nullable(),
      }),
    ),
  }),
);

function ownerOf({ merchantId, mode }: Caller): EndpointOwner {
  return { merchantId, mode };
}

function endpointView(row: WebhookEndpoint): z.input<typeof endpoint> {
  const { endpointId, url, state: status, failingSinceMs, createdAtMs } = row;
  return { endpointId, url, status, failingSinceMs, createdAtMs };
}

function deliveryView(row: Delivery): z.input<typeof delivery> {
  const { messageId, paymentId, endpointId, url, state: status, attempts } = row;
  const { lastStatus, lastAtMs, nextAtMs, createdAtMs } = row;
  const shown = { messageId, paymentId, endpointId, url, status, attempts };
  return { ...shown, lastStatus, lastAtMs, nextAtMs, createdAtMs };
}

function cursorOf({ createdAtMs, messageId }: Delivery): string {
  return Buffer.from(JSON.stringify([createdAtMs, messageId])).toString('base64url');
}

const cursorShape = z.tuple([z.number().int(), z.string().max(128)]);

/** @throws GatewayError `ERR_CURSOR`. */
function placeOf(
  cursor: string | undefined,
): Pick<Delivery, 'createdAtMs' | 'messageId'> | undefined {
  if (cursor === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    const [createdAtMs, messageId] = cursorShape.parse(value);
    return { createdAtMs, messageId };
  } catch {
    throw new GatewayError('ERR_CURSOR', 'the cursor is not one of this list');
  }
}

const endpointParams = z.object({ endpointId: idText });
const messageParams = z.object({ messageId: z.string().regex(/^[A-Za-z0-9._-]{1,128}$/) });

/** Section `webhooks` of the API. */
export const WEBHOOK_ROUTES: readonly Route[] = [
  route({
    id: 'createWebhookEndpoint',
    method: 'POST',
    path: '/v1/webhook-endpoints',
    tag: 'webhooks',
    summary: { en: 'Add an endpoint', zh: '新增通知端点' },
    description: {
      en: 'It hears every event of the merchant in this mode, beside the address of each order.',
      zh: '接收该商户在此模式下的全部事件，与订单通知地址并行。',
    },
    roles: MAKERS,
    idempotency: 'own',
    audit: 'createWebhookEndpoint',
    body: z.strictObject({ url: z.string().min(1).max(2048) }),
    status: 201,
    response: newEndpoint,
    errors: ['ERR_NOTIFY_URL', 'ERR_ENDPOINT_LIMIT'],
    handle: async ({ core }, { body, caller, idempotency }) => {
      const wanted = { url: body.url, identity: idempotency.identity };
      const made = await addEndpoint(core.ports, ownerOf(caller), wanted);
      return { ...endpointView(made.endpoint), secret: made.secret };
    },
  }),
  route({
    id: 'listWebhookEndpoints',
    method: 'GET',
    path: '/v1/webhook-endpoints',
    tag: 'webhooks',
    summary: { en: 'List endpoints', zh: '通知端点列表' },
    roles: READERS,
    idempotency: 'none',
    status: 200,
    response: z.object({ data: z.array(endpoint) }),
    errors: [],
    handle: async ({ core }, { caller }) => {
      const listed = await core.ports.store.listEndpoints(ownerOf(caller));
      return { data: listed.map(endpointView) };
    },
  }),
  route({
    id: 'getWebhookEndpoint',
    method: 'GET',
    path: '/v1/webhook-endpoints/{endpointId}',
    tag: 'webhooks',
    summary: { en: 'Read an endpoint', zh: '查询通知端点' },
    roles: READERS,
    idempotency: 'none',
    params: endpointParams,
    status: 200,
    response: endpoint,
    errors: ['ERR_ENDPOINT_NOT_FOUND'],
    handle: async ({ core }, { params, caller }) =>
      endpointView(await ownEndpoint(core.ports, ownerOf(caller), params.endpointId)),
  }),
  route({
    id: 'rotateWebhookSecret',
    method: 'POST',
    path: '/v1/webhook-endpoints/{endpointId}/secret',
    tag: 'webhooks',
    summary: { en: 'Change the secret', zh: '更换密钥' },
    description: {
      en: 'The former secret signs beside the new one for `overlapHours`.',
      zh: '旧密钥在 overlapHours 内与新密钥同时签名。',
    },
    roles: MAKERS,
    idempotency: 'own',
    audit: 'rotateWebhookSecret',
    params: endpointParams,
    body: z.strictObject({
      overlapHours: z
        .number()
        .int()
        .min(0)
        .max(ROTATION_OVERLAP_MS_MAX / HOUR_MS)
        .default(OVERLAP_HOURS_DEFAULT),
    }),
    status: 201,
    response: newEndpoint,
    errors: ['ERR_ENDPOINT_NOT_FOUND'],
    handle: async ({ core }, { params, body, caller, idempotency }) => {
      const made = await rotateSecret(core.ports, ownerOf(caller), {
        endpointId: params.endpointId,
        overlapMs: body.overlapHours * HOUR_MS,
        identity: idempotency.identity,
      });
      return { ...endpointView(made.endpoint), secret: made.secret };
    },
  }),
  route({
    id: 'switchWebhookEndpoint',
    method: 'POST',
    path: '/v1/webhook-endpoints/{endpointId}/status',
    tag: 'webhooks',
    summary: { en: 'Take an endpoint out of use or back', zh: '停用或启用通知端点' },
    roles: MAKERS,
    idempotency: 'none',
    audit: 'switchWebhookEndpoint',
    params: endpointParams,
    body: z.strictObject({ status: z.enum(['enabled', 'disabled']) }),
    status: 200,
    response: endpoint,
    errors: ['ERR_ENDPOINT_NOT_FOUND'],
    handle: async ({ core }, { params, body, caller }) => {
      const wanted = { endpointId: params.endpointId, state: body.status };
      return endpointView(await switchEndpoint(core.ports, ownerOf(caller), wanted));
    },
  }),
  route({
    id: 'getOrderSecret',
    method: 'GET',
    path: '/v1/webhook-secret',
    tag: 'webhooks',
    summary: { en: 'Secret of the addresses of orders', zh: '订单通知地址的密钥' },
    description: {
      en: 'It signs what goes to `notifyUrl` of an order; endpoints have secrets of their own.',
      zh: '用于签名发往订单 notifyUrl 的通知；通知端点另有各自的密钥。',
    },
    roles: MAKERS,
    idempotency: 'none',
    audit: 'getOrderSecret',
    status: 200,
    response: z.object({ secret: text.describe('`whsec_` and base64.') }),
    errors: [],
    handle: async ({ core }, { caller }) => ({
      secret: secretOf(orderSecret(core.ports.profile, ownerOf(caller))),
    }),
  }),
  route({
    id: 'listDeliveries',
    method: 'GET',
    path: '/v1/deliveries',
    tag: 'webhooks',
    summary: { en: 'Delivery log, newest first', zh: '通知投递记录（新的在前）' },
    roles: READERS,
    idempotency: 'none',
    query: z.strictObject({
      ...pageQuery,
      paymentId: idText.optional(),
      status: z.enum(['waiting', 'delivered', 'dead']).optional(),
    }),
    status: 200,
    response: pageOf(delivery),
    errors: ['ERR_CURSOR'],
    handle: async ({ core }, { query, caller }) => {
      const limit = Math.min(query.limit, PAGE_ROWS_MAX);
      const rows = await core.ports.store.listDeliveries({
        ...ownerOf(caller),
        paymentId: query.paymentId,
        state: query.status,
        before: placeOf(query.cursor),
        limit: limit + 1,
      });
      const page = rows.slice(0, limit);
      const last = rows.length > limit ? page.at(-1) : undefined;
      return { data: page.map(deliveryView), nextCursor: last ? cursorOf(last) : null };
    },
  }),
  route({
    id: 'getDelivery',
    method: 'GET',
    path: '/v1/deliveries/{messageId}',
    tag: 'webhooks',
    summary: { en: 'A delivery with its failed tries', zh: '投递详情与失败记录' },
    roles: READERS,
    idempotency: 'none',
    params: messageParams,
    status: 200,
    response: wholeDelivery,
    errors: ['ERR_DELIVERY_NOT_FOUND'],
    handle: async ({ core }, { params, caller }) => {
      const found = await ownDelivery(core.ports, ownerOf(caller), params.messageId);
      const { body } = found.delivery;
      return { ...deliveryView(found.delivery), body, failedTries: [...found.tries] };
    },
  }),
  route({
    id: 'replayDelivery',
    method: 'POST',
    path: '/v1/deliveries/{messageId}/replay',
    tag: 'webhooks',
    summary: { en: 'Deliver a notification again', zh: '重新投递通知' },
    roles: MAKERS,
    idempotency: 'none',
    audit: 'replayDelivery',
    params: messageParams,
    status: 202,
    response: delivery,
    errors: ['ERR_DELIVERY_NOT_FOUND'],
    handle: async ({ core }, { params, caller }) =>
      deliveryView(await replayDelivery(core.ports, ownerOf(caller), params.messageId)),
  }),
];
