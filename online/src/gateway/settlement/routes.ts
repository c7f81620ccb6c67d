/** Settlements for merchants; refusals of the risk step and work items for operators. */
import { z } from 'zod';
import { GatewayError } from '../errors.ts';
import {
  currencyText,
  idText,
  minorText,
  named,
  OPERATORS,
  PAGE_ROWS_MAX,
  pageOf,
  pageQuery,
  plainText,
  READERS,
  type Route,
  route,
  timeMs,
} from '../http/route.ts';
import type { SettlementBatch } from './batch.ts';

const text = z.string();
const dateText = z
  .string()
  .regex(/^[0-9]{8}$/)
  .describe('YYYYMMDD of Shanghai; a day ends at 23:00.');
const signedText = z.string().regex(/^-?[0-9]{1,18}$/);
const count = z.number().int().min(0);

/** What a merchant gets for a day in one currency. */
const settlement = named(
  'Settlement',
  z.object({
    settlementDate: dateText,
    currency: currencyText,
    saleCount: count,
    saleMinor: minorText,
    returnCount: count.describe('Voids and refunds.'),
    returnMinor: minorText,
    feeMinor: signedText.describe('Below 0 when more was given back than charged.'),
    broughtMinor: signedText.describe('Owed by the merchant from the batch before: at most 0.'),
    paidOutMinor: minorText.describe('Sales less returns, fees and what was brought.'),
    carriedMinor: signedText.describe('Owed by the merchant to its next batch: at most 0.'),
  }),
);

/** A day of a merchant with the proof of its statement. */
const settlementDay = named(
  'SettlementDay',
  z.object({
    settlementDate: dateText,
    settlements: z.array(settlement),
    statement: z.object({ records: count, sha256: text }),
  }),
);

/** A payment that a rule refused. */
const riskRefusal = named(
  'RiskRefusal',
  z.object({
    decisionId: text,
    atMs: timeMs,
    orderId: text,
    merchantId: text,
    elementId: text,
    cardDigest: text.describe('What a hot list of cards takes.'),
    panMasked: text,
    amountMinor: minorText,
    currency: currencyText,
    rule: text,
    facts: z.record(text, z.union([text, z.number()])),
  }),
);

/** A work item that a person has closed. */
const closedWorkItem = named(
  'ClosedWorkItem',
  z.object({
    itemId: text,
    kind: text,
    subjectId: text,
    closedAtMs: timeMs,
    closedBy: text.describe('Key id.'),
    note: text,
  }),
);

function settlementView(batch: SettlementBatch): z.input<typeof settlement> {
  const { settlementDate, currency, saleCount, returnCount } = batch;
  const { saleMinor, returnMinor, feeMinor, broughtMinor, paidOutMinor, carriedMinor } = batch;
  return {
    ...{ settlementDate, currency, saleCount, returnCount },
    saleMinor: String(saleMinor),
    returnMinor: String(returnMinor),
    feeMinor: String(feeMinor),
    broughtMinor: String(broughtMinor),
    paidOutMinor: String(paidOutMinor),
    carriedMinor: String(carriedMinor),
  };
}

/** Section `settlement` of the API, and what operators do in the back office. */
export const SETTLEMENT_ROUTES: readonly Route[] = [
  route({
    id: 'listSettlements',
    method: 'GET',
    path: '/v1/settlements',
    tag: 'settlement',
    summary: { en: 'List settlements, newest day first', zh: '清算列表（按日倒序）' },
    description: {
      en: 'Of closed days only. `limit` counts days; a day has one settlement a currency.',
      zh: '仅含已关闭的清算日。limit 按天计，每个币种一条。',
    },
    roles: READERS,
    idempotency: 'none',
    query: z.strictObject(pageQuery),
    status: 200,
    response: pageOf(settlement),
    errors: ['ERR_CURSOR'],
    handle: async ({ office }, { query, caller }) => {
      const { limit, cursor } = query;
      if (cursor !== undefined && !/^[0-9]{8}$/.test(cursor)) {
        throw new GatewayError('ERR_CURSOR', 'the cursor is not one of this list');
      }
      const { merchantId, mode } = caller;
      const before = cursor ?? null;
      const rows = await office.settlement.listBatches({ merchantId, mode, before, limit });
      const days = new Set(rows.map(({ settlementDate }) => settlementDate));
      const last = rows.at(-1)?.settlementDate ?? null;
      return { data: rows.map(settlementView), nextCursor: days.size === limit ? last : null };
    },
  }),
  route({
    id: 'getSettlementDay',
    method: 'GET',
    path: '/v1/settlements/{settlementDate}',
    tag: 'settlement',
    summary: { en: 'Read a settlement day', zh: '查询清算日' },
    description: {
      en: 'The hash is that of the statement file: compare it with the copy you were given.',
      zh: '哈希为对账文件的 SHA-256，请与收到的文件核对。',
    },
    roles: READERS,
    idempotency: 'none',
    params: z.object({ settlementDate: dateText }),
    status: 200,
    response: settlementDay,
    errors: ['ERR_SETTLEMENT_NOT_FOUND'],
    handle: async ({ office }, { params, caller }) => {
      const { settlementDate } = params;
      const owner = { settlementDate, merchantId: caller.merchantId, mode: caller.mode };
      const statement = await office.settlement.findStatement(owner);
      if (!statement) {
        throw new GatewayError('ERR_SETTLEMENT_NOT_FOUND', 'nothing was settled on that day');
      }
      const { records, sha256 } = statement;
      const batches = await office.settlement.batchesOf(owner);
      const settlements = batches.map(settlementView);
      return { settlementDate, settlements, statement: { records, sha256 } };
    },
  }),
  route({
    id: 'listRiskRefusals',
    method: 'GET',
    path: '/v1/risk-refusals',
    tag: 'operator',
    summary: { en: 'Payments that a risk rule refused, newest first', zh: '风控拒绝记录（倒序）' },
    roles: OPERATORS,
    idempotency: 'none',
    query: z.strictObject({
      limit: z.coerce.number().int().min(1).max(PAGE_ROWS_MAX).default(PAGE_ROWS_MAX),
    }),
    status: 200,
    response: z.object({ data: z.array(riskRefusal) }),
    errors: [],
    handle: async ({ office }, { query }) => {
      const rows = await office.refusals(query.limit);
      const data = rows.map(({ amountMinor, rule, ...row }) => {
        return { ...row, amountMinor: String(amountMinor), rule: rule ?? '' };
      });
      return { data };
    },
  }),
  route({
    id: 'closeWorkItem',
    method: 'POST',
    path: '/v1/work-items/{itemId}/close',
    tag: 'operator',
    summary: { en: 'Close a work item with a note', zh: '附说明关闭工单' },
    description: {
      en: 'A difference of a reconciliation that was closed so is not opened again by a rerun.',
      zh: '以此关闭的对账差异不会因重新对账而再次打开。',
    },
    roles: OPERATORS,
    idempotency: 'stored',
    audit: 'workItem.close',
    params: z.object({ itemId: idText }),
    body: z.strictObject({ note: plainText(500) }),
    status: 200,
    response: closedWorkItem,
    errors: ['ERR_WORK_ITEM_NOT_FOUND'],
    handle: async ({ core }, { params, body, caller }) => {
      const hand = { by: caller.keyId, note: body.note };
      const { closedAtMs, closedBy, note, ...item } = await core.closeWorkItem(params.itemId, hand);
      return { ...item, closedAtMs: closedAtMs ?? 0, closedBy: closedBy ?? '', note: note ?? '' };
    },
  }),
];
