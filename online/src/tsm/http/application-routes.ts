/** Routes about applications: the store for cardholders, providers, certification; keys, audit. */
import type { TsmStoreApplication } from '@tapnpay/protocol/wire';
import { z } from 'zod';
import { addApiKey, newKeyText, revokeApiKey } from '../api-keys.ts';
import { TsmError } from '../errors.ts';
import { newestRelease } from '../jobs/create.ts';
import {
  releaseVersion,
  reviewVersion,
  revokeVersion,
  uploadVersion,
} from '../lifecycle/certification.ts';
import { addApplication, addProvider } from '../lifecycle/directory.ts';
import { versionId } from '../model.ts';
import type { TsmPorts } from '../ports.ts';
import { allRows, needRow } from '../rows.ts';
import { nextOf } from './element-routes.ts';
import { ISSUERS, MAKERS, OFFICE, READERS, type Route, route } from './route.ts';
import * as schemas from './schemas.ts';
import { applicationView, providerView, versionView } from './views.ts';

const ofApplication = z.object({ applicationId: schemas.id });
const ofVersion = z.object({ applicationId: schemas.id, number: z.string().max(20) });

/** What cardholders may have: offered, and released. */
export async function storeApplications(ports: TsmPorts): Promise<readonly TsmStoreApplication[]> {
  const rows = await allRows(ports.store, 'applications', { state: 'active' });
  const offered = await Promise.all(
    rows
      .filter(({ isOffered }) => isOffered)
      .map(async (application) => {
        const provider = await needRow(ports.store, 'providers', application.parent);
        const version = await newestRelease(ports, application.id).catch((thrown: unknown) => {
          if (thrown instanceof TsmError && thrown.code === 'ERR_TSM_NO_RELEASE') return null;
          throw thrown;
        });
        if (!version) return [];
        const { name, summary, id } = application;
        const { number, hash, sizeBytes } = version;
        const facts = { name, summary, version: number, loadFileHash: hash, sizeBytes };
        return [{ applicationId: id, provider: provider.name, ...facts }];
      }),
  );
  return offered.flat();
}

const store: Route = route({
  ...{ id: 'listStore', method: 'GET', path: '/v1/store/applications', tag: 'store' },
  ...{ roles: [], status: 200, errors: [] },
  summary: { en: 'What cardholders may have on their element', zh: '持卡人可下载的应用' },
  response: z.object({ data: z.array(schemas.storeApplicationSchema) }),
  handle: async ({ ports }) => ({ data: await storeApplications(ports) }),
});

const directory: readonly Route[] = [
  route({
    ...{ id: 'addProvider', method: 'POST', path: '/v1/providers', tag: 'applications' },
    ...{ roles: ISSUERS, status: 201, errors: ['ERR_TSM_EXISTS'] },
    summary: { en: 'A new provider', zh: '新增服务提供方' },
    ...{ body: schemas.newProviderSchema, response: schemas.providerSchema },
    handle: async ({ ports }, { body, actor }) =>
      providerView(await addProvider(ports, actor, body)),
  }),
  route({
    ...{ id: 'listProviders', method: 'GET', path: '/v1/providers', tag: 'applications' },
    ...{ roles: READERS, status: 200, errors: [] },
    summary: { en: 'Providers', zh: '服务提供方列表' },
    ...{ query: schemas.page, response: schemas.listOf(schemas.providerSchema) },
    handle: async ({ ports }, { query }) => {
      const rows = await ports.store.list('providers', query);
      return { data: rows.map(providerView), next: nextOf(rows, query.limit) };
    },
  }),
  route({
    ...{ id: 'addApplication', method: 'POST', path: '/v1/applications', tag: 'applications' },
    ...{ roles: MAKERS, status: 201, errors: ['ERR_TSM_EXISTS', 'ERR_NOT_FOUND'] },
    summary: { en: 'A new application', zh: '新增应用' },
    ...{ body: schemas.newApplicationSchema, response: schemas.applicationSchema },
    handle: async ({ ports }, { body, actor }) => {
      const { providerId, ...made } = body;
      return applicationView(await addApplication(ports, actor, { ...made, parent: providerId }));
    },
  }),
  route({
    ...{ id: 'listApplications', method: 'GET', path: '/v1/applications', tag: 'applications' },
    ...{ roles: READERS, status: 200, errors: [] },
    summary: { en: 'Applications', zh: '应用列表' },
    ...{ query: schemas.page, response: schemas.listOf(schemas.applicationSchema) },
    handle: async ({ ports }, { query, actor }) => {
      // A provider sees its own.
      const parent = actor.role === 'provider' ? actor.providerId : undefined;
      const rows = await ports.store.list('applications', { ...query, parent });
      return { data: rows.map(applicationView), next: nextOf(rows, query.limit) };
    },
  }),
];

const VERSIONS = '/v1/applications/{applicationId}/versions';
const versions: readonly Route[] = [
  route({
    ...{ id: 'uploadVersion', method: 'POST', path: VERSIONS, tag: 'applications' },
    ...{ roles: MAKERS, status: 201 },
    errors: ['ERR_NOT_FOUND', 'ERR_TSM_EXISTS', 'ERR_BODY_TOO_LARGE'],
    summary: { en: 'Upload a package; it is checked at once', zh: '上传应用包并立即检查' },
    ...{ params: ofApplication, body: schemas.uploadSchema, response: schemas.versionSchema },
    handle: async ({ ports }, { params, body, actor }) =>
      versionView(
        await uploadVersion(ports, actor, {
          ...{ ...params, number: body.number, declaredHash: body.hash },
          bytes: new Uint8Array(Buffer.from(body.packageBase64, 'base64')),
        }),
      ),
  }),
  route({
    ...{ id: 'listVersions', method: 'GET', path: VERSIONS, tag: 'applications' },
    ...{ roles: READERS, status: 200, errors: ['ERR_NOT_FOUND'] },
    summary: { en: 'Versions of an application', zh: '应用版本列表' },
    ...{ params: ofApplication, query: schemas.page },
    response: schemas.listOf(schemas.versionSchema),
    handle: async ({ ports }, { params, query, actor }) => {
      const { parent } = await needRow(ports.store, 'applications', params.applicationId);
      if (actor.role === 'provider' && actor.providerId !== parent) {
        throw new TsmError('ERR_ROLE', 'the application is of another provider');
      }
      const rows = await ports.store.list('versions', { ...query, parent: params.applicationId });
      return { data: rows.map(versionView), next: nextOf(rows, query.limit) };
    },
  }),
  route({
    ...{ id: 'reviewVersion', method: 'POST', path: `${VERSIONS}/{number}/review` },
    ...{ tag: 'applications', roles: ISSUERS, status: 200 },
    errors: ['ERR_NOT_FOUND', 'ERR_TSM_VERSION_STATE', 'ERR_TSM_OWN_REVIEW'],
    summary: { en: 'A person has read the code', zh: '人工审核结论' },
    params: ofVersion,
    body: z.strictObject({ isAccepted: z.boolean(), note: schemas.line(500) }),
    response: schemas.versionSchema,
    handle: async ({ ports }, { params, body, actor }) =>
      versionView(await reviewVersion(ports, actor, { versionId: idOf(params), ...body })),
  }),
  route({
    ...{ id: 'releaseVersion', method: 'POST', path: `${VERSIONS}/{number}/release` },
    ...{ tag: 'applications', roles: ISSUERS, status: 200 },
    errors: ['ERR_NOT_FOUND', 'ERR_TSM_VERSION_STATE', 'ERR_TSM_PACKAGE', 'ERR_TSM_HSM'],
    summary: { en: 'Sign and release', zh: '签名并发布' },
    ...{ params: ofVersion, response: schemas.versionSchema },
    handle: async ({ ports }, { params, actor }) =>
      versionView(await releaseVersion(ports, actor, idOf(params))),
  }),
  route({
    ...{ id: 'revokeVersion', method: 'POST', path: `${VERSIONS}/{number}/revoke` },
    ...{ tag: 'applications', roles: ISSUERS, status: 200 },
    errors: ['ERR_NOT_FOUND', 'ERR_TSM_VERSION_STATE'],
    summary: { en: 'Revoke; elements lock it at their next contact', zh: '吊销，下次联络时锁定' },
    ...{ params: ofVersion, body: z.strictObject({ reason: schemas.line(500) }) },
    response: schemas.versionSchema,
    handle: async ({ ports }, { params, body, actor }) =>
      versionView(await revokeVersion(ports, actor, { versionId: idOf(params), ...body })),
  }),
];

const keyView = z.object({ id: z.string(), role: z.enum(['issuer', 'provider', 'auditor']) });
const office: readonly Route[] = [
  route({
    ...{ id: 'addKey', method: 'POST', path: '/v1/keys', tag: 'office' },
    ...{ roles: ISSUERS, status: 201, errors: ['ERR_NOT_FOUND'] },
    summary: { en: 'A new API key, shown once', zh: '新建 API 密钥（仅显示一次）' },
    body: z.strictObject({
      role: z.enum(['issuer', 'provider', 'auditor']),
      name: schemas.line(100),
      providerId: schemas.id.or(z.literal('')).default(''),
    }),
    response: keyView.extend({ key: z.string() }),
    handle: async ({ ports }, { body, actor }) => {
      const key = newKeyText(ports.random);
      return { ...(await addApiKey(ports, actor, { ...body, text: key })), key };
    },
  }),
  route({
    ...{ id: 'revokeKey', method: 'POST', path: '/v1/keys/{keyId}/revoke', tag: 'office' },
    ...{ roles: ISSUERS, status: 200, errors: ['ERR_NOT_FOUND'] },
    summary: { en: 'End an API key', zh: '吊销 API 密钥' },
    ...{ params: z.object({ keyId: z.string().regex(/^[0-9a-f]{64}$/) }), response: keyView },
    handle: ({ ports }, { params, actor }) => revokeApiKey(ports, actor, params.keyId),
  }),
  route({
    ...{ id: 'listMasters', method: 'GET', path: '/v1/masters', tag: 'office' },
    ...{ roles: OFFICE, status: 200, errors: [] },
    summary: { en: 'Masters of key sets, by their check values', zh: '主密钥及校验值' },
    response: z.object({ data: z.array(schemas.masterSchema) }),
    handle: async ({ ports }) => {
      const rows = await allRows(ports.store, 'masters');
      return { data: rows.map((master) => ({ ...master, name: master.id })) };
    },
  }),
  route({
    ...{ id: 'readAudit', method: 'GET', path: '/v1/audit', tag: 'office' },
    ...{ roles: OFFICE, status: 200, errors: [] },
    summary: { en: 'The audit log, in its order', zh: '审计日志' },
    query: z.object({
      after: z.coerce.number().int().min(0).default(0),
      limit: z.coerce.number().int().min(1).max(500).default(100),
    }),
    response: z.object({ data: z.array(schemas.auditSchema) }),
    handle: async ({ ports }, { query }) => ({
      data: await ports.audit.read(query.after, query.limit),
    }),
  }),
];

function idOf(params: { readonly applicationId: string; readonly number: string }): string {
  return versionId(params.applicationId, params.number);
}

/** All of them. */
export const APPLICATION_ROUTES: readonly Route[] = [store, ...directory, ...versions, ...office];
