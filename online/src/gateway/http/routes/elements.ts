/** Payment applications: their enrolment. */
import { checkShape, enrolmentRequestShape } from '@tapnpay/protocol/wire';
import { z } from 'zod';
import { named, OPERATORS, type Route, route, timeMs } from '../route.ts';

const hex = z.string().regex(/^(?:[0-9A-F]{2})*$/);
const text = z.string();

const enrolmentRequest = named(
  'EnrolmentRequest',
  z.strictObject({
    elementId: text,
    publicKeySpki: hex.describe('The key to certify.'),
    transportKeySpki: hex.describe('RSA: the initial PIN key comes under it.'),
    pairingProof: hex.describe('HMAC-SHA256 by the pairing code.'),
    signature: hex.describe('By the key to certify, P1363.'),
  }),
);

/** Section `elements` of the API. */
export const ELEMENT_ROUTES: readonly Route[] = [
  route({
    id: 'createPairingCode',
    method: 'POST',
    path: '/v1/pairing-codes',
    tag: 'elements',
    summary: { en: 'Make a pairing code for one element', zh: '生成一次性配对码' },
    roles: OPERATORS,
    idempotency: 'none',
    audit: 'pairingCode.new',
    status: 201,
    response: z.object({ code: text, expiresAtMs: timeMs }),
    errors: [],
    handle: ({ core }) => core.newPairingCode(),
  }),
  route({
    id: 'enrolElement',
    method: 'POST',
    path: '/v1/enrolments',
    tag: 'elements',
    summary: { en: 'Enrol an element by its pairing code', zh: '用配对码注册安全单元' },
    description: {
      en: 'The pairing code is the right: no API key.',
      zh: '凭配对码调用，无需 API 密钥。',
    },
    roles: [],
    idempotency: 'none',
    body: enrolmentRequest,
    status: 201,
    response: z.object({
      certificatePem: text,
      caPem: text,
      orderPublicKeySpki: text,
      initialKeyId: hex,
      encipheredInitialKey: hex,
      initialKeyKcv: hex,
      parameterPublicKeySpki: hex.describe('Key of the parameter sets.'),
      parameters: z.object({ body: text, signature: hex }),
    }),
    errors: ['ERR_PAIRING_CODE', 'ERR_PROOF_OF_POSSESSION', 'ERR_ELEMENT_EXISTS', 'ERR_RATE'],
    handle: async ({ core, certifier, parameters, codes }, { body }) => {
      const request = checkShape(enrolmentRequestShape, body, 'enrolment');
      const told = await parameters.signed();
      return codes.guard(() => core.enrol({ request, certifier, parameters: told }));
    },
  }),
];
