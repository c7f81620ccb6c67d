/** What the operator does: merchants, their keys, the audit log. */
import { z } from 'zod';
import { GatewayError } from '../../errors.ts';
import { apiKeyRow, newApiKeyText, REQUESTS_PER_SECOND_DEFAULT } from '../../merchants/api-keys.ts';
import { type ApiKey, type Merchant, MODES, ROLES } from '../../merchants/model.ts';
import {
  idText,
  named,
  OPERATORS,
  PAGE_ROWS_MAX,
  pageOf,
  plainText,
  type Route,
  type RouteContext,
  route,
  timeMs,
  visibleText,
} from '../route.ts';

const mode = z.enum(MODES);
const text = z.string();

/** Body of `createMerchant`. */
const merchantRequest = named(
  'MerchantRequest',
  z.strictObject({
    merchantId: z
      .string()
      .regex(/^[0-9A-Za-z]{15}$/)
      .describe('Field 42.'),
    name: visibleText(40),
    nameZh: plainText(40),
    terminalId: z
      .string()
      .regex(/^[0-9A-Za-z]{8}$/)
      .describe('Field 41.'),
    categoryCode: z
      .string()
      .regex(/^[0-9]{4}$/)
      .describe('Field 18.'),
    location: visibleText(40).describe('Field 43.'),
  }),
);

/** A merchant. */
const merchant = named(
  'Merchant',
  z.object({
    merchantId: text,
    name: text,
    nameZh: text,
    terminalId: text,
    categoryCode: text,
    location: text,
    state: z.enum(['active', 'suspended']),
    createdAtMs: timeMs,
  }),
);

/** Body of `createApiKey`. */
const apiKeyRequest = named(
  'ApiKeyRequest',
  z.strictObject({
    merchantId: idText.nullable().describe('Null for a key of the operator.'),
    role: z.enum(ROLES),
    mode: mode.default('test'),
    requestsPerSecond: z.number().int().min(1).max(100_000).optional(),
  }),
);

const apiKeyFacts = {
  keyId: text,
  merchantId: text.nullable(),
  role: z.enum(ROLES),
  mode,
  requestsPerSecond: z.number().int(),
  createdAtMs: timeMs,
  revokedAtMs: timeMs.nullable(),
  lastUsedDay: text.nullable(),
};
/** A key without its secret. */
const apiKey = named('ApiKey', z.object(apiKeyFacts));
/** A key as it is shown once. */
const newApiKey = named(
  'NewApiKey',
  z.object({ ...apiKeyFacts, apiKey: text.describe('Shown this once; only its hash is kept.') }),
);

/** A record of the audit log. */
const auditRecord = named(
  'AuditRecord',
  z.object({
    seq: z.number().int().min(1),
    atMs: timeMs,
    actor: text.describe('Key id.'),
    action: text,
    subject: text,
    facts: text.describe('Canonical JSON, the very text that the hash covers.'),
    previousHash: text,
    hash: text.describe('SHA-256 of [seq, atMs, actor, action, subject, facts, previousHash].'),
  }),
);

const merchantParams = z.object({ merchantId: idText });

/** The merchant. @throws GatewayError `ERR_MERCHANT_NOT_FOUND`. */
function foundMerchant(merchant: Merchant | null): Merchant {
  if (merchant) return merchant;
  throw new GatewayError('ERR_MERCHANT_NOT_FOUND', 'there is no such merchant');
}

/** Everything of a key but what proves it. */
function keyView({ hash: _hash, ...shown }: ApiKey): Omit<ApiKey, 'hash'> {
  return shown;
}

async function newKey(
  { core, merchants, liveMode }: RouteContext,
  wanted: z.output<typeof apiKeyRequest>,
): Promise<Omit<ApiKey, 'hash'> & { readonly apiKey: string }> {
  const { merchantId, role, mode: of, requestsPerSecond } = wanted;
  if ((role === 'operator') !== (merchantId === null)) {
    const message = 'an operator key has no merchant, every other key has one';
    throw new GatewayError('ERR_REQUEST', `merchantId: ${message}`, { fieldPath: 'merchantId' });
  }
  if (of === 'live' && !liveMode) {
    throw new GatewayError('ERR_LIVE_MODE', 'this installation has LAB keys only');
  }
  const { clock, random } = core.ports;
  const apiKeyText = newApiKeyText(of, random);
  const row = apiKeyRow(apiKeyText, {
    ...{ merchantId, role, mode: of, nowMs: clock.nowMs() },
    requestsPerSecond: requestsPerSecond ?? REQUESTS_PER_SECOND_DEFAULT,
  });
  const added = await merchants.addKey(row);
  if (added === 'noMerchant') foundMerchant(null);
  if (added === 'exists') throw new GatewayError('ERR_INTERNAL', 'the key id is taken');
  return { ...keyView(row), apiKey: apiKeyText };
}

/** Sets the state of a merchant: one route a state. */
function stateRoute(facts: {
  readonly id: string;
  readonly verb: string;
  readonly state: Merchant['state'];
  readonly summary: Route['summary'];
}): Route {
  return route({
    ...{ id: facts.id, method: 'POST', path: `/v1/merchants/{merchantId}/${facts.verb}` },
    ...{ tag: 'operator', summary: facts.summary, roles: OPERATORS, idempotency: 'none' },
    ...{ audit: `merchant.${facts.verb}`, params: merchantParams, status: 200 },
    response: merchant,
    errors: ['ERR_MERCHANT_NOT_FOUND'],
    handle: async ({ merchants }, { params }) =>
      foundMerchant(await merchants.setMerchantState(params.merchantId, facts.state)),
  });
}

/** Section `operator` of the API. */
export const OPERATOR_ROUTES: readonly Route[] = [
  route({
    id: 'createMerchant',
    method: 'POST',
    path: '/v1/merchants',
    tag: 'operator',
    summary: { en: 'Add a merchant', zh: '新增商户' },
    roles: OPERATORS,
    idempotency: 'stored',
    audit: 'merchant.add',
    body: merchantRequest,
    status: 201,
    response: merchant,
    errors: ['ERR_MERCHANT_EXISTS'],
    handle: async ({ merchants, core }, { body }) => {
      const made = { ...body, state: 'active' as const, createdAtMs: core.ports.clock.nowMs() };
      if ((await merchants.addMerchant(made)) === 'added') return made;
      const earlier = await merchants.findMerchant(body.merchantId);
      // The same merchant again: the answer of a process that died was lost.
      const { createdAtMs, state, ...facts } = earlier ?? made;
      const isSame =
        earlier !== null && JSON.stringify(sorted(facts)) === JSON.stringify(sorted(body));
      if (isSame) return { ...facts, createdAtMs, state };
      throw new GatewayError('ERR_MERCHANT_EXISTS', 'number or terminal is taken');
    },
  }),
  route({
    id: 'listMerchants',
    method: 'GET',
    path: '/v1/merchants',
    tag: 'operator',
    summary: { en: 'List the merchants', zh: '商户列表' },
    roles: OPERATORS,
    idempotency: 'none',
    status: 200,
    response: z.object({ data: z.array(merchant) }),
    errors: [],
    handle: async ({ merchants }) => ({ data: await merchants.listMerchants() }),
  }),
  stateRoute({
    ...{ id: 'suspendMerchant', verb: 'suspend', state: 'suspended' },
    summary: { en: 'Suspend a merchant: it may still read', zh: '停用商户（仍可查询）' },
  }),
  stateRoute({
    ...{ id: 'activateMerchant', verb: 'activate', state: 'active' },
    summary: { en: 'Let a merchant work again', zh: '恢复商户' },
  }),
  route({
    id: 'createApiKey',
    method: 'POST',
    path: '/v1/api-keys',
    tag: 'operator',
    summary: { en: 'Make an API key', zh: '创建 API 密钥' },
    description: {
      en: 'The key is in this answer and nowhere else: a repeat makes another one.',
      zh: '密钥仅在本次返回中出现；重复调用会创建新的密钥。',
    },
    roles: OPERATORS,
    idempotency: 'none',
    audit: 'key.new',
    body: apiKeyRequest,
    status: 201,
    response: newApiKey,
    errors: ['ERR_MERCHANT_NOT_FOUND', 'ERR_LIVE_MODE'],
    handle: (context, { body }) => newKey(context, body),
  }),
  route({
    id: 'listApiKeys',
    method: 'GET',
    path: '/v1/api-keys',
    tag: 'operator',
    summary: { en: 'List keys: hashes stay inside', zh: 'API 密钥列表（不含密钥）' },
    roles: OPERATORS,
    idempotency: 'none',
    query: z.strictObject({ merchantId: idText.optional() }),
    status: 200,
    response: z.object({ data: z.array(apiKey) }),
    errors: [],
    handle: async ({ merchants }, { query }) => {
      const keys = await merchants.listKeys(query.merchantId ?? null);
      return { data: keys.map(keyView) };
    },
  }),
  route({
    id: 'revokeApiKey',
    method: 'POST',
    path: '/v1/api-keys/{keyId}/revoke',
    tag: 'operator',
    summary: { en: 'Revoke a key', zh: '吊销 API 密钥' },
    roles: OPERATORS,
    idempotency: 'none',
    audit: 'key.revoke',
    params: z.object({ keyId: idText }),
    status: 200,
    response: apiKey,
    errors: ['ERR_KEY_NOT_FOUND'],
    handle: async ({ merchants, core }, { params }) => {
      const revoked = await merchants.revokeKey(params.keyId, core.ports.clock.nowMs());
      if (revoked) return keyView(revoked);
      throw new GatewayError('ERR_KEY_NOT_FOUND', 'there is no such API key');
    },
  }),
  route({
    id: 'listAuditRecords',
    method: 'GET',
    path: '/v1/audit-records',
    tag: 'operator',
    summary: { en: 'Read the audit log, oldest first', zh: '审计日志（旧的在前）' },
    description: {
      en: 'Recompute the chain yourself, or run `tapnpay audit verify`.',
      zh: '可自行重新计算哈希链，或运行 tapnpay audit verify。',
    },
    roles: OPERATORS,
    idempotency: 'none',
    query: z.strictObject({
      afterSeq: z.coerce.number().int().min(0).default(0),
      limit: z.coerce.number().int().min(1).max(PAGE_ROWS_MAX).default(PAGE_ROWS_MAX),
    }),
    status: 200,
    response: pageOf(auditRecord),
    errors: [],
    handle: async ({ audit }, { query }) => {
      const records = await audit.read(query.afterSeq, query.limit);
      const last = records.at(-1);
      const isFull = records.length === query.limit;
      return { data: records, nextCursor: isFull && last ? String(last.seq) : null };
    },
  }),
];

function sorted(facts: Readonly<Record<string, unknown>>): readonly (readonly [string, unknown])[] {
  return Object.entries(facts).toSorted(([one], [other]) => (one < other ? -1 : 1));
}
