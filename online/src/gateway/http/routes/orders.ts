/** Orders and payments: made, read, listed, cancelled. */
import { z } from 'zod';
import { GatewayError } from '../../errors.ts';
import { LAB_FAULTS } from '../../lab.ts';
import { MODES } from '../../merchants/model.ts';
import type { Order, Payment, Reversal } from '../../model.ts';
import { responseMeaning } from '../../operations/views.ts';
import {
  type Caller,
  currencyText,
  idText,
  inquiryKind,
  MAKERS,
  minorText,
  named,
  pageOf,
  pageQuery,
  READERS,
  type Route,
  type RouteContext,
  route,
  timeMs,
  visibleText,
} from '../route.ts';
import { createdOrderView, orderView, paymentRowView, paymentView } from '../views.ts';

const orderStatuses = [
  'open',
  'processing',
  'authorised',
  'paid',
  'voided',
  'unknown',
  'cancelled',
  'expired',
] as const;
const paymentStates = [
  'sending',
  'authorised',
  'debitedNotConfirmed',
  'held',
  'captured',
  'voided',
  'declined',
  'unknown',
  'reversing',
  'reversed',
] as const;

/** Status of an order. */
const orderStatus = z.enum(orderStatuses);
/** State of a payment. */
const paymentState = z.enum(paymentStates);
const mode = z.enum(MODES);
const outcome = z.enum(['approved', 'declined', 'reversed', 'unknown', 'cancelled']);
const captureMode = z.enum(['automatic', 'manual']);
const orderKind = z.enum(['purchase', 'ecashLoad']);
const hex = z.string().regex(/^[0-9A-F]*$/);
const text = z.string();

/** Body of `createOrder`. */
const orderRequest = named(
  'OrderRequest',
  z.strictObject({
    merchantOrderNumber: visibleText(64).describe("The merchant's own number."),
    amount: z
      .string({ error: 'is decimal text such as "12.34"' })
      .max(32)
      .describe('Decimal text in the digits of the currency: "12.34" yuan, "1234" yen.'),
    currency: z.string().max(8).describe('ISO 4217 number, "156" for yuan.'),
    origin: visibleText(256).describe("Origin of the shop's page; the payer's element shows it."),
    notifyUrl: z.string().max(2048).optional().describe('Where to tell what became of it.'),
    returnUrl: z.string().max(2048).optional().describe('Where the pay page leads back to.'),
    kind: orderKind
      .optional()
      .describe("ecashLoad: from the payer's account into the purse of the card. By insertion."),
    captureMode: captureMode
      .optional()
      .describe('manual: the amount is held and waits for capturePayment. Default: automatic.'),
    lab: z.strictObject({ fault: z.enum(LAB_FAULTS) }).optional(),
  }),
);

/** An order as it stands. */
const order = named(
  'Order',
  z.object({
    orderId: idText,
    mode,
    merchantOrderNumber: text,
    amountMinor: minorText,
    currency: currencyText,
    origin: text,
    kind: orderKind,
    captureMode,
    status: orderStatus.describe('unknown: sent, no final answer yet; never pay it elsewhere.'),
    inquiry: inquiryKind,
    paymentId: idText.nullable().describe('The attempt that counts.'),
    createdAtMs: timeMs,
    expiresAtMs: timeMs,
    payUrl: z.url().describe('Send the payer here.'),
  }),
);

const paymentFacts = {
  paymentId: idText,
  orderId: idText,
  elementId: text,
  interface: z.enum(['contact', 'contactless']),
  status: paymentState,
  inquiry: inquiryKind,
  outcome: outcome.nullable().describe('What payer and merchant are told; null: nothing yet.'),
  amountMinor: minorText,
  currency: currencyText,
  panMasked: text,
  stan: text.describe('Field 11.'),
  transmission: text.describe('Field 7.'),
  retrievalReference: text.describe('Field 37.'),
  responseCode: text.nullable().describe('Field 39.'),
  response: responseMeaning,
  approvalCode: text.nullable().describe('Field 38.'),
  settlementDate: text.nullable().describe('Field 15, MMDD.'),
  issuer: z
    .object({
      arqcVerified: z.boolean().nullable(),
      ledgerEntryId: text.nullable(),
      reason: text.nullish(),
    })
    .nullable(),
  second: hex.nullable(),
  secondType: z.enum(['TC', 'AAC']).nullable(),
  reason: text.nullable(),
  sequence: z.number().int().min(0).describe('Events so far; each notification carries its own.'),
  createdAtMs: timeMs,
  updatedAtMs: timeMs,
};

/** A payment in a list. */
const paymentRow = named('PaymentRow', z.object(paymentFacts));

/** A payment with its reversal and the hops the gateway saw. */
const payment = named(
  'Payment',
  z.object({
    ...paymentFacts,
    reversal: z
      .object({
        reason: text,
        attempts: z.number().int(),
        acknowledged: z.boolean(),
        responseCode: text.nullable(),
      })
      .nullable(),
    hops: z.array(
      z.object({
        n: z.number().int(),
        name: text,
        party: text,
        atMs: timeMs,
        facts: z.record(z.string(), z.union([text, z.number(), z.boolean(), z.null()])),
      }),
    ),
  }),
);

/** Filters of both lists. */
const listFilters = {
  ...pageQuery,
  createdFromMs: z.coerce.number().int().min(0).optional(),
  createdToMs: z.coerce.number().int().min(0).optional(),
  merchantOrderNumber: visibleText(64).optional(),
};

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const CURSOR_FORM = new RegExp(`^(${UUID})(?:/(${UUID}))?$`);

/** Where the next page begins; opaque to callers. */
function cursorOf(...ids: readonly string[]): string {
  return Buffer.from(ids.join('/')).toString('base64url');
}

/** The ids in a cursor. @throws GatewayError `ERR_CURSOR`. */
function idsOf(cursor: string | undefined, count: 1 | 2): readonly string[] | undefined {
  if (cursor === undefined) return undefined;
  const found = CURSOR_FORM.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  const ids = found?.slice(1).filter((id) => id !== undefined) ?? [];
  if (ids.length === count) return ids;
  throw new GatewayError('ERR_CURSOR', 'the cursor is not one of this list');
}

/** The caller's own order. @throws GatewayError `ERR_ORDER_NOT_FOUND` for others' as well. */
export async function ownOrder(
  { core }: Pick<RouteContext, 'core'>,
  caller: Caller,
  orderId: string,
): Promise<Order> {
  const found = await core.order(orderId);
  if (found.merchantId === caller.merchantId && found.mode === caller.mode) return found;
  throw new GatewayError('ERR_ORDER_NOT_FOUND', 'there is no such order');
}

/** The caller's own payment. @throws GatewayError `ERR_PAYMENT_NOT_FOUND` for others' as well. */
export async function ownPayment(
  { core }: Pick<RouteContext, 'core'>,
  caller: Caller,
  paymentId: string,
): Promise<{ readonly payment: Payment; readonly reversal: Reversal | null }> {
  const found = await core.payment(paymentId);
  const of = await core.ports.store.findOrder(found.payment.orderId);
  if (of?.merchantId === caller.merchantId && of.mode === caller.mode) return found;
  throw new GatewayError('ERR_PAYMENT_NOT_FOUND', 'there is no such payment');
}

const orderParams = z.object({ orderId: idText });

/** Section `orders` and section `payments` of the API. */
export const ORDER_ROUTES: readonly Route[] = [
  route({
    id: 'createOrder',
    method: 'POST',
    path: '/v1/orders',
    tag: 'orders',
    summary: { en: 'Make an order', zh: '创建订单' },
    description: {
      en: 'One order is paid by one payment at most. Send the payer to `payUrl`.',
      zh: '一个订单最多由一笔支付完成。请将付款人引导至 payUrl。',
    },
    roles: MAKERS,
    idempotency: 'own',
    body: orderRequest,
    status: 201,
    response: order,
    errors: ['ERR_AMOUNT', 'ERR_CURRENCY', 'ERR_NOTIFY_URL', 'ERR_RETURN_URL', 'ERR_LAB_ONLY'],
    handle: async ({ core, site }, { body, caller, idempotency, header }) => {
      const { merchantId, mode } = caller;
      const owner = { merchantId, mode };
      const { key } = idempotency;
      const { order: made, replayed } = await core.createOrder(key, body, owner);
      if (replayed) header('idempotent-replayed', 'true');
      return createdOrderView(made, site);
    },
  }),
  route({
    id: 'listOrders',
    method: 'GET',
    path: '/v1/orders',
    tag: 'orders',
    summary: { en: 'List orders, newest first', zh: '订单列表（新的在前）' },
    roles: READERS,
    idempotency: 'none',
    query: z.strictObject({ ...listFilters, status: orderStatus.optional() }),
    status: 200,
    response: pageOf(order),
    errors: ['ERR_CURSOR'],
    handle: async ({ lists, site }, { query, caller }) => {
      const [before] = idsOf(query.cursor, 1) ?? [];
      const rows = await lists.orders({
        ...filtersOf(query, caller),
        status: query.status,
        before,
      });
      const page = rows.slice(0, query.limit);
      const last = rows.length > query.limit ? page.at(-1) : undefined;
      return {
        data: page.map((row) => orderView(row, site)),
        nextCursor: last ? cursorOf(last.orderId) : null,
      };
    },
  }),
  route({
    id: 'getOrder',
    method: 'GET',
    path: '/v1/orders/{orderId}',
    tag: 'orders',
    summary: { en: 'Read an order', zh: '查询订单' },
    roles: READERS,
    idempotency: 'none',
    params: orderParams,
    status: 200,
    response: order,
    errors: ['ERR_ORDER_NOT_FOUND'],
    handle: async (context, { params, caller }) =>
      orderView(await ownOrder(context, caller, params.orderId), context.site),
  }),
  route({
    id: 'cancelOrder',
    method: 'POST',
    path: '/v1/orders/{orderId}/cancel',
    tag: 'orders',
    summary: { en: 'Close an open order', zh: '关闭未支付订单' },
    description: {
      en: 'An order that is not open stays as it is: look at `status` of the answer.',
      zh: '非 open 状态的订单保持不变，请查看返回的 status。',
    },
    roles: MAKERS,
    idempotency: 'none',
    params: orderParams,
    status: 200,
    response: order,
    errors: ['ERR_ORDER_NOT_FOUND'],
    handle: async (context, { params, caller }) => {
      const { orderId } = await ownOrder(context, caller, params.orderId);
      return orderView(await context.core.cancelOrder(orderId), context.site);
    },
  }),
  route({
    id: 'listPayments',
    method: 'GET',
    path: '/v1/payments',
    tag: 'payments',
    summary: { en: 'List payments, newest order first', zh: '支付列表（按订单由新到旧）' },
    roles: READERS,
    idempotency: 'none',
    query: z.strictObject({
      ...listFilters,
      status: paymentState.optional(),
      orderId: idText.optional(),
    }),
    status: 200,
    response: pageOf(paymentRow),
    errors: ['ERR_CURSOR'],
    handle: async ({ lists }, { query, caller }) => {
      const [orderId, paymentId] = idsOf(query.cursor, 2) ?? [];
      const before =
        orderId === undefined || paymentId === undefined ? undefined : { orderId, paymentId };
      const { status } = query;
      const filters = { ...filtersOf(query, caller), status, orderId: query.orderId, before };
      const rows = await lists.payments(filters);
      const page = rows.slice(0, query.limit);
      const last = rows.length > query.limit ? page.at(-1) : undefined;
      return {
        data: page.map(paymentRowView),
        nextCursor: last ? cursorOf(last.orderId, last.paymentId) : null,
      };
    },
  }),
  route({
    id: 'getPayment',
    method: 'GET',
    path: '/v1/payments/{paymentId}',
    tag: 'payments',
    summary: { en: 'Read a payment', zh: '查询支付' },
    description: {
      en: 'While `outcome` is `unknown` ask again: it ends as approved, declined or reversed.',
      zh: 'outcome 为 unknown 时请再次查询，最终为 approved、declined 或 reversed。',
    },
    roles: READERS,
    idempotency: 'none',
    params: z.object({ paymentId: idText }),
    status: 200,
    response: payment,
    errors: ['ERR_PAYMENT_NOT_FOUND'],
    handle: async (context, { params, caller }) => {
      const found = await ownPayment(context, caller, params.paymentId);
      return paymentView(found.payment, found.reversal);
    },
  }),
];

/** The filters of a list; one row more than the page shows whether there is another. */
function filtersOf(
  query: {
    readonly limit: number;
    readonly createdFromMs?: number | undefined;
    readonly createdToMs?: number | undefined;
    readonly merchantOrderNumber?: string | undefined;
  },
  { merchantId, mode }: Caller,
): {
  readonly merchantId: string;
  readonly mode: Caller['mode'];
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  readonly merchantOrderNumber: string | undefined;
  readonly limit: number;
} {
  const { createdFromMs: fromMs, createdToMs: toMs, merchantOrderNumber, limit } = query;
  return { merchantId, mode, fromMs, toMs, merchantOrderNumber, limit: limit + 1 };
}
