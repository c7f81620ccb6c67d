/** Routes about elements: contacts, life, jobs, scripts, cardholders. */
import {
  checkShape,
  hexShape,
  listShape,
  TSM_COMMAND_BYTES_MAX,
  tsmContactRequestShape,
} from '@tapnpay/protocol/wire';
import { z } from 'zod';
import { TsmError } from '../errors.ts';
import { cancelJob, createJob } from '../jobs/create.ts';
import { previewJob } from '../jobs/preview.ts';
import { addUser } from '../lifecycle/directory.ts';
import { moveElement, registerElement, transferElement } from '../lifecycle/elements.ts';
import { needRow } from '../rows.ts';
import { createScript, takeScriptAnswers } from '../scripts.ts';
import { ISSUERS, OFFICE, type Route, route } from './route.ts';
import * as schemas from './schemas.ts';
import { elementDetail, elementView, jobView, scriptView } from './views.ts';

const ofElement = z.object({ serial: schemas.serial });
const ofJob = z.object({ jobId: z.string().max(64) });
const UNKNOWN = ['ERR_TSM_ELEMENT_UNKNOWN', 'ERR_TSM_ELEMENT_STATE'] as const;
const answersShape = listShape(hexShape({ min: 2, max: TSM_COMMAND_BYTES_MAX }), 64);

const contact: Route = route({
  ...{ id: 'contactElement', method: 'POST', path: '/v1/elements/{serial}/contact' },
  ...{ tag: 'contact', roles: [], status: 200 },
  summary: { en: 'One message of an element that calls', zh: '安全单元联络的一条消息' },
  ...{ params: ofElement, body: schemas.contactRequestSchema },
  response: schemas.contactAnswerSchema,
  errors: [
    ...UNKNOWN,
    ...(['ERR_TSM_CONTACT', 'ERR_TSM_CONTACT_REPLAY', 'ERR_TSM_ATTESTATION'] as const),
    ...(['ERR_TSM_OTHER_ELEMENT', 'ERR_TSM_HSM', 'ERR_LIMIT'] as const),
  ],
  handle: ({ contacts }, { params, body }) =>
    contacts.take(params.serial, checkShape(tsmContactRequestShape, body, 'contact')),
});

const announcement: Route = route({
  ...{ id: 'announceElement', method: 'POST', path: '/v1/announcements', tag: 'contact' },
  ...{ roles: [], status: 200, errors: ['ERR_ROLE', 'ERR_TSM_EXISTS', 'ERR_LIMIT'] },
  summary: {
    en: 'An element says that it is there (laboratory)',
    zh: '安全单元自报（仅实验环境）',
  },
  ...{ body: schemas.newElementSchema, response: schemas.elementSchema },
  handle: async ({ announce }, { body }) => {
    if (!announce) throw new TsmError('ERR_ROLE', 'its issuer puts an element on the list');
    return elementView(await announce(body));
  },
});

const elements: readonly Route[] = [
  route({
    ...{ id: 'registerElement', method: 'POST', path: '/v1/elements', tag: 'elements' },
    ...{ roles: ISSUERS, status: 201, errors: ['ERR_TSM_EXISTS'] },
    summary: { en: 'Put an element on the list', zh: '登记安全单元' },
    ...{ body: schemas.newElementSchema, response: schemas.elementSchema },
    handle: async ({ ports }, { body, actor }) =>
      elementView(await registerElement(ports, actor, body)),
  }),
  route({
    ...{ id: 'listElements', method: 'GET', path: '/v1/elements', tag: 'elements' },
    ...{ roles: OFFICE, status: 200, errors: [] },
    summary: { en: 'Elements', zh: '安全单元列表' },
    query: schemas.page.extend({ state: z.string().max(20).optional() }),
    response: schemas.listOf(schemas.elementSchema),
    handle: async ({ ports }, { query }) => {
      const rows = await ports.store.list('elements', query);
      return { data: rows.map(elementView), next: nextOf(rows, query.limit) };
    },
  }),
  route({
    ...{ id: 'getElement', method: 'GET', path: '/v1/elements/{serial}', tag: 'elements' },
    ...{ roles: OFFICE, status: 200, errors: ['ERR_TSM_ELEMENT_UNKNOWN'] },
    summary: { en: 'An element, wanted and actual', zh: '安全单元详情：期望与实际' },
    ...{ params: ofElement, response: schemas.elementDetailSchema },
    handle: async ({ ports }, { params }) => {
      const code = 'ERR_TSM_ELEMENT_UNKNOWN';
      return elementDetail(ports, await needRow(ports.store, 'elements', params.serial, code));
    },
  }),
  route({
    ...{ id: 'moveElement', method: 'POST', path: '/v1/elements/{serial}/state', tag: 'elements' },
    ...{ roles: ISSUERS, status: 200, errors: UNKNOWN },
    summary: { en: 'Issue, suspend, resume or retire', zh: '发放、暂停、恢复或报废' },
    params: ofElement,
    body: z.strictObject({ state: z.enum(['issued', 'active', 'suspended', 'retired']) }),
    response: schemas.elementSchema,
    handle: async ({ ports }, { params, body, actor }) =>
      elementView(await moveElement(ports, actor, { serial: params.serial, to: body.state })),
  }),
  route({
    ...{ id: 'transferElement', method: 'POST', path: '/v1/elements/{serial}/owner' },
    ...{ tag: 'elements', roles: ISSUERS, status: 200, errors: [...UNKNOWN, 'ERR_NOT_FOUND'] },
    summary: { en: 'Give an element to a cardholder', zh: '过户给持卡人' },
    ...{ params: ofElement, body: z.strictObject({ userId: schemas.id }) },
    response: schemas.elementSchema,
    handle: async ({ ports }, { params, body, actor }) =>
      elementView(await transferElement(ports, actor, { ...params, ...body })),
  }),
  route({
    ...{ id: 'addUser', method: 'POST', path: '/v1/users', tag: 'elements' },
    ...{ roles: ISSUERS, status: 201, errors: ['ERR_TSM_EXISTS'] },
    summary: { en: 'A new cardholder', zh: '新增持卡人' },
    body: z.strictObject({ id: schemas.id, name: schemas.line(100) }),
    response: schemas.userSchema,
    handle: ({ ports }, { body, actor }) => addUser(ports, actor, body),
  }),
];

const jobs: readonly Route[] = [
  route({
    ...{ id: 'createJob', method: 'POST', path: '/v1/elements/{serial}/jobs', tag: 'jobs' },
    ...{ roles: ISSUERS, status: 201 },
    errors: [
      ...UNKNOWN,
      ...(['ERR_NOT_FOUND', 'ERR_TSM_NO_RELEASE', 'ERR_TSM_REVOKED'] as const),
      ...(['ERR_TSM_HSM', 'ERR_LIMIT'] as const),
    ],
    summary: { en: 'Ask for a job; done at the next contact', zh: '创建任务，下次联络时执行' },
    ...{ params: ofElement, body: schemas.jobRequestSchema, response: schemas.jobSchema },
    handle: async ({ ports }, { params, body, actor }) =>
      jobView(await createJob(ports, actor, { ...params, ...body })),
  }),
  route({
    ...{ id: 'previewJob', method: 'POST', path: '/v1/elements/{serial}/preview', tag: 'jobs' },
    ...{ roles: OFFICE, status: 200, errors: [...UNKNOWN, 'ERR_NOT_FOUND', 'ERR_TSM_NO_RELEASE'] },
    summary: { en: 'What a job would do, with its commands', zh: '预演任务，列出命令脚本' },
    ...{ params: ofElement, body: schemas.jobRequestSchema },
    response: z.object({ steps: z.array(schemas.stepSchema) }),
    handle: async ({ ports }, { params, body }) => ({
      steps: await previewJob(ports, { ...params, ...body }),
    }),
  }),
  route({
    ...{ id: 'listJobs', method: 'GET', path: '/v1/jobs', tag: 'jobs' },
    ...{ roles: OFFICE, status: 200, errors: [] },
    summary: { en: 'Jobs', zh: '任务列表' },
    query: schemas.page.extend({
      serial: schemas.serial.optional(),
      state: z.string().max(20).optional(),
    }),
    response: schemas.listOf(schemas.jobSchema),
    handle: async ({ ports }, { query }) => {
      const rows = await ports.store.list('jobs', { ...query, parent: query.serial });
      return { data: rows.map(jobView), next: nextOf(rows, query.limit) };
    },
  }),
  route({
    ...{ id: 'getJob', method: 'GET', path: '/v1/jobs/{jobId}', tag: 'jobs' },
    ...{ roles: OFFICE, status: 200, errors: ['ERR_NOT_FOUND'] },
    summary: { en: 'A job with its steps', zh: '任务详情' },
    ...{ params: ofJob, response: schemas.jobSchema },
    handle: async ({ ports }, { params }) =>
      jobView(await needRow(ports.store, 'jobs', params.jobId)),
  }),
  route({
    ...{ id: 'cancelJob', method: 'POST', path: '/v1/jobs/{jobId}/cancel', tag: 'jobs' },
    ...{ roles: ISSUERS, status: 200, errors: ['ERR_NOT_FOUND', 'ERR_TSM_JOB_STATE'] },
    summary: { en: 'Call off a job that has not begun', zh: '取消未开始的任务' },
    ...{ params: ofJob, response: schemas.jobSchema },
    handle: async ({ ports }, { params, actor }) =>
      jobView(await cancelJob(ports, actor, params.jobId)),
  }),
  route({
    ...{ id: 'createScript', method: 'POST', path: '/v1/elements/{serial}/scripts', tag: 'jobs' },
    ...{ roles: ISSUERS, status: 201, errors: [...UNKNOWN, 'ERR_TSM_SCRIPT', 'ERR_TSM_REVOKED'] },
    summary: { en: 'Commands for an element that is away', zh: '为离线单元生成脚本' },
    params: ofElement,
    body: z.strictObject({ kind: z.enum(['lock', 'unlock']), applicationId: schemas.id }),
    response: z.object({ script: schemas.scriptSchema, steps: z.array(schemas.tsmStepSchema) }),
    handle: async ({ ports }, { params, body, actor }) => {
      const { script, steps } = await createScript(ports, actor, { ...params, ...body });
      return { script: scriptView(script), steps };
    },
  }),
  route({
    ...{ id: 'answerScript', method: 'POST', path: '/v1/scripts/{scriptId}/answers', tag: 'jobs' },
    ...{ roles: ISSUERS, status: 200, errors: ['ERR_NOT_FOUND', 'ERR_TSM_JOB_STATE'] },
    summary: { en: 'What the element answered to a script', zh: '提交脚本应答' },
    params: z.object({ scriptId: z.string().max(64) }),
    body: z.strictObject({ answers: z.array(z.string()).max(64) }),
    response: schemas.scriptSchema,
    handle: async ({ ports }, { params, body, actor }) => {
      const answers = checkShape(answersShape, body.answers, 'answers');
      return scriptView(await takeScriptAnswers(ports, actor, { ...params, answers }));
    },
  }),
];

/** All of them. */
export const ELEMENT_ROUTES: readonly Route[] = [contact, announcement, ...elements, ...jobs];

/** Where the next page begins. */
export function nextOf(rows: readonly { readonly id: string }[], limit: number): string | null {
  return rows.length < limit ? null : (rows.at(-1)?.id ?? null);
}
