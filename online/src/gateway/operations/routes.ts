/** Captures, voids, refunds, disputes, work items and the three-way inquiry of the merchant API. */
import { z } from 'zod';
import type { BothTexts, GatewayErrorCode } from '../errors.ts';
import { GatewayError } from '../errors.ts';
import type { Caller } from '../http/route.ts';
import {
  currencyText,
  idText,
  inquiryKind,
  MAKERS,
  minorText,
  named,
  OPERATORS,
  plainText,
  READERS,
  REFUNDERS,
  type Route,
  type RouteContext,
  type RouteFacts,
  route,
  timeMs,
} from '../http/route.ts';
import { ownOrder, ownPayment } from '../http/routes/orders.ts';
import { type Inquiry, operationInquiry, orderInquiry, paymentInquiry } from './inquiry.ts';
import { OPERATION_MOVES, type Operation, type OperationKind } from './model.ts';
import { balanceView, operationView, responseMeaning } from './views.ts';

const text = z.string();
/** Body of a capture or refund. */
const amountRequest = named(
  'AmountRequest',
  z.strictObject({
    amount: z
      .string({ error: 'is decimal text such as "12.34"' })
      .max(32)
      .optional()
      .describe('Decimal text in the digits of the currency; absent: all that is there.'),
    currency: z.string().max(8).optional().describe('If given it must be the payment’s.'),
    note: plainText(200).optional(),
  }),
);
/** Body of a void. */
const noteRequest = named('NoteRequest', z.strictObject({ note: plainText(200).optional() }));

const operationStatus = z.enum(
  Object.keys(OPERATION_MOVES) as [Operation['state'], ...Operation['state'][]],
);
/** A capture, void or refund. */
const operation = named(
  'Operation',
  z.object({
    operationId: text,
    paymentId: text,
    kind: z.enum(['capture', 'void', 'refund']),
    status: operationStatus.describe(
      'pending: repeated until acknowledged. unknown: a void that is being reversed.',
    ),
    inquiry: inquiryKind,
    amountMinor: minorText,
    currency: currencyText,
    note: text.nullable(),
    response: responseMeaning,
    reason: text.nullable(),
    approvalCode: text.nullable(),
    settlementDate: text.nullable().describe('MMDD.'),
    retrievalReference: text,
    attempts: z.number().int(),
    createdAtMs: timeMs,
    updatedAtMs: timeMs,
  }),
);

const balance = named(
  'PaymentBalance',
  z.object({
    heldMinor: minorText,
    capturedMinor: minorText,
    refundedMinor: minorText,
    pendingRefundMinor: minorText,
    refundableMinor: minorText,
    disputed: z.boolean(),
  }),
);

const workItem = named(
  'WorkItem',
  z.object({
    itemId: text,
    kind: text,
    subjectId: text,
    facts: z.record(text, z.union([text, z.number(), z.null()])),
    openedAtMs: timeMs,
  }),
);

const paymentParams = z.object({ paymentId: idText });
const COMMON_ERRORS: readonly GatewayErrorCode[] = [
  'ERR_PAYMENT_NOT_FOUND',
  'ERR_PAYMENT_STATE',
  'ERR_OPERATION_PENDING',
];

/** One of the three routes that begin an operation. */
function beginRoute(
  facts: Pick<RouteFacts, 'id' | 'path' | 'summary' | 'roles'> & {
    readonly kind: OperationKind;
    readonly description: BothTexts;
    readonly errors: readonly GatewayErrorCode[];
  },
): Route {
  const { kind, errors, ...rest } = facts;
  return route({
    ...rest,
    method: 'POST',
    tag: 'operations',
    idempotency: 'own',
    audit: kind,
    params: paymentParams,
    body: kind === 'void' ? noteRequest : amountRequest,
    status: 201,
    response: operation,
    errors: [...COMMON_ERRORS, ...errors],
    handle: async (context, { params, body, caller, idempotency, header }) => {
      const { paymentId } = params;
      await ownPayment(context, caller, paymentId);
      const { identity, fingerprint } = idempotency;
      const { merchantId } = caller;
      const wanted = { ...body, merchantId, paymentId, kind, identity, fingerprint };
      const { operation: begun, replayed } = await context.core.operate(wanted);
      if (replayed) header('idempotent-replayed', 'true');
      return operationView(begun);
    },
  });
}

/** Section `operations` of the API. */
export const OPERATION_ROUTES: readonly Route[] = [
  beginRoute({
    id: 'capturePayment',
    kind: 'capture',
    path: '/v1/payments/{paymentId}/captures',
    roles: MAKERS,
    summary: { en: 'Capture a held payment', zh: '预授权完成' },
    description: {
      en: 'Once, at most what is held; the rest is released. Pending until it is acknowledged.',
      zh: '仅一次，金额不超过预授权金额，余额释放；确认前状态为 pending。',
    },
    errors: ['ERR_AMOUNT', 'ERR_CURRENCY_MISMATCH', 'ERR_CAPTURE_EXISTS', 'ERR_CAPTURE_EXCEEDS'],
  }),
  beginRoute({
    id: 'voidPayment',
    kind: 'void',
    path: '/v1/payments/{paymentId}/voids',
    roles: REFUNDERS,
    summary: { en: 'Void a payment or release a hold', zh: '撤销支付或预授权' },
    description: {
      en: 'The whole amount, before the settlement day of the payment is over (23:00 in Shanghai).',
      zh: '全额撤销，须在支付清算日结束（上海时间 23:00）之前。',
    },
    errors: [
      'ERR_VOID_TOO_LATE',
      'ERR_VOID_REFUNDED',
      'ERR_DISPUTE_OPEN',
      'ERR_SWITCH_UNAVAILABLE',
    ],
  }),
  beginRoute({
    id: 'refundPayment',
    kind: 'refund',
    path: '/v1/payments/{paymentId}/refunds',
    roles: REFUNDERS,
    summary: { en: 'Refund a payment, in part or as a whole', zh: '全额或部分退款' },
    description: {
      en: 'Several refunds are possible up to the amount captured.',
      zh: '可多次退款，总额不超过已扣款金额。',
    },
    errors: ['ERR_AMOUNT', 'ERR_CURRENCY_MISMATCH', 'ERR_REFUND_EXCEEDS', 'ERR_DISPUTE_OPEN'],
  }),
  route({
    id: 'listOperations',
    method: 'GET',
    path: '/v1/payments/{paymentId}/operations',
    tag: 'operations',
    summary: { en: 'Sums and operations of a payment', zh: '支付的金额汇总与操作' },
    roles: READERS,
    idempotency: 'none',
    params: paymentParams,
    status: 200,
    response: z.object({ balance, data: z.array(operation) }),
    errors: ['ERR_PAYMENT_NOT_FOUND'],
    handle: async (context, { params, caller }) => {
      await ownPayment(context, caller, params.paymentId);
      const whole = await context.core.paymentWhole(params.paymentId);
      return { balance: balanceView(whole.balance), data: whole.operations.map(operationView) };
    },
  }),
  route({
    id: 'getOperation',
    method: 'GET',
    path: '/v1/operations/{operationId}',
    tag: 'operations',
    summary: { en: 'Read a capture, void or refund', zh: '查询操作' },
    roles: READERS,
    idempotency: 'none',
    params: z.object({ operationId: idText }),
    status: 200,
    response: operation,
    errors: ['ERR_OPERATION_NOT_FOUND'],
    handle: async (context, { params, caller }) =>
      operationView(await ownOperation(context, caller, params.operationId)),
  }),
  route({
    id: 'inquire',
    method: 'GET',
    path: '/v1/inquiries/{subject}/{id}',
    tag: 'operations',
    summary: { en: 'What became of it?', zh: '结果查询' },
    description: {
      en: 'Always one of three answers; what is unknown here was never sent.',
      zh: '总是三种答复之一；此处查无记录即从未发送。',
    },
    roles: READERS,
    idempotency: 'none',
    params: z.object({ subject: z.enum(['orders', 'payments', 'operations']), id: idText }),
    status: 200,
    response: z.object({ inquiry: inquiryKind }),
    errors: [],
    handle: async (context, { params, caller }) => ({
      inquiry: await inquiryOf(context, caller, params),
    }),
  }),
  route({
    id: 'markDispute',
    method: 'POST',
    path: '/v1/payments/{paymentId}/dispute',
    tag: 'operator',
    summary: { en: 'Open or close a dispute', zh: '开启或关闭争议' },
    roles: OPERATORS,
    idempotency: 'none',
    audit: 'markDispute',
    params: paymentParams,
    body: z.strictObject({ dispute: z.enum(['open', 'closed']) }),
    status: 200,
    response: balance,
    errors: ['ERR_PAYMENT_STATE'],
    handle: async ({ core }, { params, body }) =>
      balanceView(await core.markDispute(params.paymentId, body.dispute)),
  }),
  route({
    id: 'listWorkItems',
    method: 'GET',
    path: '/v1/work-items',
    tag: 'operator',
    summary: { en: 'What a person must look at', zh: '待人工处理事项' },
    roles: OPERATORS,
    idempotency: 'none',
    status: 200,
    response: z.object({ data: z.array(workItem) }),
    errors: [],
    handle: async ({ core }) => ({ data: [...(await core.workItems())] }),
  }),
];

/** @throws GatewayError `ERR_OPERATION_NOT_FOUND` for others' as well. */
async function ownOperation(
  context: RouteContext,
  caller: Caller,
  operationId: string,
): Promise<Operation> {
  const found = await context.core.operation(operationId);
  const owner = await ownPayment(context, caller, found.paymentId).catch(nothing);
  if (owner) return found;
  throw new GatewayError('ERR_OPERATION_NOT_FOUND', 'there is no such operation');
}

async function inquiryOf(
  context: RouteContext,
  caller: Caller,
  { subject, id }: { readonly subject: 'orders' | 'payments' | 'operations'; readonly id: string },
): Promise<Inquiry> {
  if (subject === 'orders') return orderInquiry(await ownOrder(context, caller, id).catch(nothing));
  if (subject === 'operations') {
    return operationInquiry(await ownOperation(context, caller, id).catch(nothing));
  }
  const found = await ownPayment(context, caller, id).catch(nothing);
  return paymentInquiry(found?.payment ?? null);
}

/** Null for what is not there; any other fault stays one. */
function nothing(fault: unknown): null {
  if (fault instanceof GatewayError && fault.code.endsWith('_NOT_FOUND')) return null;
  throw fault;
}
