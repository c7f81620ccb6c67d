/** What operators see and decide of payment applications, and the proof of a past payment. */
import { EVIDENCE_FORMAT, type PaymentEvidence } from '@tapnpay/protocol/wire';
import { z } from 'zod';
import { GatewayError } from '../errors.ts';
import {
  idText,
  named,
  OPERATORS,
  plainText,
  type Route,
  type RouteContext,
  route,
  timeMs,
} from '../http/route.ts';
import { CLONE_WORK_ITEM } from './attestation.ts';
import type { ElementRecord, LoadFile } from './model.ts';
import { TERM_DAYS_DEFAULT } from './parameter-book.ts';
import { parameterContent } from './parameter-schema.ts';

const text = z.string();
const hash = z.string().regex(/^[0-9A-F]{64}$/);
const count = z.number().int().min(0);
/** Elements listed at once. */
const ELEMENTS_MAX = 1_000;
/** Longest term of a set, in days. */
const TERM_DAYS_MAX = 3_660;

const element = named(
  'Element',
  z.object({
    elementId: text,
    state: z.enum(['operable', 'locked']),
    lock: z
      .object({ reason: z.enum(['clone', 'operator']), note: text, atMs: timeMs })
      .nullable()
      .describe('clone: two states of it were seen. Null while it is operable.'),
    lastPaymentCounter: count.describe('Of its last attested payment.'),
    lastPinCounter: count,
    enrolledAtMs: timeMs,
  }),
);

const loadFile = named(
  'LoadFile',
  z.object({
    hash: text.describe('SHA-256 of the load file.'),
    name: text,
    state: z.enum(['accepted', 'revoked']),
    acceptedAtMs: timeMs,
    revokedAtMs: timeMs.nullable(),
    note: text.nullable(),
  }),
);

const parameterSet = named(
  'PublishedParameters',
  z.object({
    version: count,
    minimumVersion: count.describe('Payments under a lower version are refused.'),
    body: text.describe('JSON of the set, the very text that was signed.'),
    signature: text.describe('By the parameter-update key over body, ECDSA P-256, P1363.'),
    publishedAtMs: timeMs,
    publishedBy: text.describe('Key id, or `installation`.'),
  }),
);

const evidence = named(
  'PaymentEvidence',
  z.object({
    format: z.literal(EVIDENCE_FORMAT),
    paymentId: text,
    statement: text.describe('The very text that the element signed.'),
    signature: text,
    certificatePem: text.describe("The element's certificate."),
    caPem: text,
  }),
);

/** Everything of an element but its keys. */
function elementView(
  found: ElementRecord | null,
): Pick<
  ElementRecord,
  'elementId' | 'state' | 'lock' | 'lastPaymentCounter' | 'lastPinCounter' | 'enrolledAtMs'
> {
  if (found) return found;
  throw new GatewayError('ERR_ELEMENT_NOT_FOUND', 'there is no such element');
}

function foundFile(file: LoadFile | null): LoadFile {
  if (file) return file;
  throw new GatewayError('ERR_LOAD_FILE_NOT_FOUND', 'there is no such load file');
}

async function evidenceOf(
  { core, certifier }: RouteContext,
  paymentId: string,
): Promise<PaymentEvidence> {
  const kept = await core.ports.store.findAttestation(paymentId);
  if (!kept?.certificatePem) {
    throw new GatewayError('ERR_ATTESTATION_NOT_FOUND', 'the payment has no attestation');
  }
  const { statement, signature, certificatePem } = kept;
  const { caPem } = certifier;
  return { format: EVIDENCE_FORMAT, paymentId, statement, signature, certificatePem, caPem };
}

const elementParams = z.object({ elementId: idText });
const hashParams = z.object({ hash });
const note = z.strictObject({ note: plainText(500) });

const ELEMENTS: readonly Route[] = [
  route({
    id: 'listElements',
    method: 'GET',
    path: '/v1/elements',
    tag: 'elements',
    summary: { en: 'List the elements, newest first', zh: '安全单元列表（新的在前）' },
    roles: OPERATORS,
    idempotency: 'none',
    query: z.strictObject({ state: z.enum(['operable', 'locked']).optional() }),
    status: 200,
    response: z.object({ data: z.array(element) }),
    errors: [],
    handle: async ({ core }, { query: { state } }) => {
      const limit = ELEMENTS_MAX;
      const asked = state === undefined ? { limit } : { limit, state };
      return { data: await core.ports.store.listElements(asked) };
    },
  }),
  route({
    id: 'getElement',
    method: 'GET',
    path: '/v1/elements/{elementId}',
    tag: 'elements',
    summary: { en: 'Read an element', zh: '查询安全单元' },
    roles: OPERATORS,
    idempotency: 'none',
    params: elementParams,
    status: 200,
    response: element,
    errors: ['ERR_ELEMENT_NOT_FOUND'],
    handle: async ({ core }, { params }) =>
      elementView(await core.ports.store.findElement(params.elementId)),
  }),
  route({
    id: 'lockElement',
    method: 'POST',
    path: '/v1/elements/{elementId}/lock',
    tag: 'elements',
    summary: { en: 'Lock an element: it pays no more', zh: '锁定安全单元（不再支付）' },
    roles: OPERATORS,
    idempotency: 'none',
    audit: 'element.lock',
    params: elementParams,
    body: note,
    status: 200,
    response: element,
    errors: ['ERR_ELEMENT_NOT_FOUND'],
    handle: async ({ core }, { params, body }) => {
      const { store, clock } = core.ports;
      const lock = { reason: 'operator', note: body.note, atMs: clock.nowMs() } as const;
      return elementView(await store.lockElement(params.elementId, lock));
    },
  }),
  route({
    id: 'unlockElement',
    method: 'POST',
    path: '/v1/elements/{elementId}/unlock',
    tag: 'elements',
    summary: { en: 'Lift the lock of an element', zh: '解除安全单元锁定' },
    description: {
      en: 'After a clone have the holder enrol again first: of two copies one is locked again.',
      zh: '若因复制而锁定，请先让持有人重新注册；计数器保持不变，两个副本之一将再次被锁定。',
    },
    roles: OPERATORS,
    idempotency: 'none',
    audit: 'element.unlock',
    params: elementParams,
    body: note,
    status: 200,
    response: element,
    errors: ['ERR_ELEMENT_NOT_FOUND'],
    handle: async ({ core }, { params: { elementId } }) => {
      const { store, clock } = core.ports;
      const unlocked = elementView(await store.unlockElement(elementId));
      await store.closeWorkItem({ kind: CLONE_WORK_ITEM, subjectId: elementId }, clock.nowMs());
      return unlocked;
    },
  }),
];

const LOAD_FILES: readonly Route[] = [
  route({
    id: 'listLoadFiles',
    method: 'GET',
    path: '/v1/load-files',
    tag: 'elements',
    summary: { en: 'List the code that payments may come from', zh: '认可的装载文件列表' },
    roles: OPERATORS,
    idempotency: 'none',
    status: 200,
    response: z.object({ data: z.array(loadFile) }),
    errors: [],
    handle: async ({ core }) => ({ data: await core.ports.store.listLoadFiles() }),
  }),
  route({
    id: 'acceptLoadFile',
    method: 'POST',
    path: '/v1/load-files',
    tag: 'elements',
    summary: { en: 'Accept payments of a load file', zh: '认可装载文件' },
    description: {
      en: 'One that was revoked stays so: release another.',
      zh: '已吊销的不会恢复，请发布新版本。',
    },
    roles: OPERATORS,
    idempotency: 'none',
    audit: 'loadFile.accept',
    body: z.strictObject({ hash, name: plainText(128) }),
    status: 200,
    response: loadFile,
    errors: [],
    handle: ({ core }, { body }) => {
      const { store, clock } = core.ports;
      return store.acceptLoadFile({ ...body, acceptedAtMs: clock.nowMs() });
    },
  }),
  route({
    id: 'revokeLoadFile',
    method: 'POST',
    path: '/v1/load-files/{hash}/revoke',
    tag: 'elements',
    summary: { en: 'Refuse payments of a load file, for ever', zh: '吊销装载文件（永久）' },
    roles: OPERATORS,
    idempotency: 'none',
    audit: 'loadFile.revoke',
    params: hashParams,
    body: note,
    status: 200,
    response: loadFile,
    errors: ['ERR_LOAD_FILE_NOT_FOUND'],
    handle: async ({ core }, { params, body }) => {
      const { store, clock } = core.ports;
      const revocation = { atMs: clock.nowMs(), note: body.note };
      return foundFile(await store.revokeLoadFile(params.hash, revocation));
    },
  }),
];

const PARAMETERS: readonly Route[] = [
  route({
    id: 'getParameters',
    method: 'GET',
    path: '/v1/parameters',
    tag: 'elements',
    summary: {
      en: 'What payment applications accept: the newest set',
      zh: '受理参数（最新参数集）',
    },
    roles: [],
    idempotency: 'none',
    status: 200,
    response: parameterSet,
    errors: [],
    handle: ({ parameters }) => parameters.newest(),
  }),
  route({
    id: 'publishParameters',
    method: 'POST',
    path: '/v1/parameters',
    tag: 'elements',
    summary: { en: 'Sign and publish a new set', zh: '签发新的参数集' },
    description: {
      en: 'Taken at the next contact. `thisVersion` refuses payments under older ones.',
      zh: '各应用在下次联机时自动更新。minimum 为 thisVersion 时拒绝旧参数下的支付。',
    },
    roles: OPERATORS,
    idempotency: 'none',
    audit: 'parameters.publish',
    body: z.strictObject({
      afterVersion: count.describe('The newest version that you know.'),
      minimum: z.enum(['unchanged', 'thisVersion']).default('unchanged'),
      termDays: z.number().int().min(1).max(TERM_DAYS_MAX).default(TERM_DAYS_DEFAULT),
      content: parameterContent,
    }),
    status: 201,
    response: parameterSet,
    errors: ['ERR_PARAMETERS_VERSION'],
    handle: ({ parameters }, { body, caller }) => parameters.publish({ ...body, by: caller.keyId }),
  }),
];

/** Section `elements` of the API, beside enrolment. */
export const MANAGED_ELEMENT_ROUTES: readonly Route[] = [
  ...ELEMENTS,
  ...LOAD_FILES,
  ...PARAMETERS,
  route({
    id: 'getPaymentEvidence',
    method: 'GET',
    path: '/v1/payments/{paymentId}/evidence',
    tag: 'elements',
    summary: { en: 'What proves a payment, for a check offline', zh: '支付证据（可离线验证）' },
    description: {
      en: 'Check it with `tapnpay element verify`: nobody is asked.',
      zh: '用 tapnpay element verify 离线验证。',
    },
    roles: OPERATORS,
    idempotency: 'none',
    params: z.object({ paymentId: idText }),
    status: 200,
    response: evidence,
    errors: ['ERR_ATTESTATION_NOT_FOUND'],
    handle: (context, { params }) => evidenceOf(context, params.paymentId),
  }),
];
