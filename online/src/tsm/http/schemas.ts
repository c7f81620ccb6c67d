/** Schemas of what goes in and out. */
import { z } from 'zod';
import { JOB_KINDS } from '../model.ts';

/** Hex of some bytes, upper case. */
export function hex(bytes: { readonly min: number; readonly max: number }): z.ZodString {
  return z.string().regex(new RegExp(`^(?:[0-9A-F]{2}){${bytes.min},${bytes.max}}$`));
}

/** Text without control characters. */
export function line(charactersMax: number): z.ZodString {
  return z
    .string()
    .min(1)
    .max(charactersMax)
    .regex(/^[^\p{Cc}\p{Cs}]+$/u);
}

export const serial: z.ZodString = z.string().regex(/^[0-9A-Za-z-]{1,64}$/);
export const id: z.ZodString = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/);
export const aid: z.ZodString = hex({ min: 5, max: 16 });
export const timeMs: z.ZodNumber = z.number().int().min(0);
const texts: z.ZodObject<{ en: z.ZodString; zh: z.ZodString }> = z.strictObject({
  ...{ en: line(200), zh: line(200) },
});
const way = z.enum(['none', 'emv', 'visa2', 'kdf3']);

/** Query of every list; in the order of ids. */
export const page: z.ZodObject<{
  limit: z.ZodDefault<z.ZodCoercedNumber<unknown>>;
  after: z.ZodOptional<z.ZodString>;
}> = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  after: z.string().max(200).optional(),
});

/** Answer of every list; `next` is null behind the last row. */
export function listOf(row: z.ZodType): z.ZodObject {
  return z.object({ data: z.array(row), next: z.string().nullable() });
}

const keySet = z.object({
  domainAid: z.string(),
  keyVersionNumber: z.number(),
  master: z.string(),
  way,
});
const readEntry = z.object({
  aid: z.string(),
  lifeCycle: z.number().nullable(),
  domainAid: z.string().nullable(),
});
export const placementSchema: z.ZodObject = z.object({
  applicationId: z.string(),
  wanted: z.enum(['operable', 'locked', 'absent']),
  wantedVersionId: z.string().nullable(),
  actual: z.enum(['operable', 'locked', 'installed', 'loaded', 'absent', 'unknown']),
  lifeCycle: z.string().nullable(),
  actualVersionId: z.string().nullable(),
  isPersonalised: z.boolean(),
  drift: z.array(z.enum(['state', 'version', 'data'])),
});
export const elementSchema: z.ZodObject = z.object({
  serial: z.string(),
  state: z.enum(['manufactured', 'issued', 'active', 'suspended', 'retired']),
  ownerId: z.string().nullable(),
  keyDiversificationData: z.string(),
  keyType: z.enum(['aes', 'des']),
  cardState: z.string().nullable(),
  keySets: z.array(keySet),
  lastContactMs: timeMs.nullable(),
  createdAtMs: timeMs,
});
export const elementDetailSchema: z.ZodObject = elementSchema.extend({
  applications: z.array(placementSchema),
  reading: z
    .object({
      readAtMs: timeMs,
      entries: z.array(readEntry),
      loadFiles: z.array(readEntry),
      cplc: z.string().nullable(),
      isTruncated: z.boolean(),
    })
    .nullable(),
});
export const newElementSchema: z.ZodObject<{
  serial: z.ZodString;
  keyDiversificationData: z.ZodString;
  attestationKeySpki: z.ZodString;
  keyType: z.ZodDefault<z.ZodEnum<{ aes: 'aes'; des: 'des' }>>;
  commandBytesMax: z.ZodOptional<z.ZodNullable<z.ZodNumber>>;
  parameterI: z.ZodOptional<z.ZodNullable<z.ZodNumber>>;
}> = z.strictObject({
  serial,
  keyDiversificationData: hex({ min: 10, max: 10 }),
  attestationKeySpki: hex({ min: 32, max: 512 }),
  keyType: z.enum(['aes', 'des']).default('aes'),
  commandBytesMax: z.number().int().min(96).max(0x7fff).nullable().optional(),
  parameterI: z.number().int().min(0).max(0xff).nullable().optional(),
});

export const jobSchema: z.ZodObject = z.object({
  id: z.string(),
  serial: z.string(),
  kind: z.enum(JOB_KINDS as [(typeof JOB_KINDS)[number]]),
  state: z.enum(['waiting', 'running', 'done', 'failed', 'cancelled']),
  applicationIds: z.array(z.string()),
  actor: z.string(),
  attempts: z.number(),
  steps: z.array(z.object({ name: z.string(), subject: z.string(), atMs: timeMs })),
  fault: z.object({ code: z.string(), message: z.string() }).nullable(),
  createdAtMs: timeMs,
  endedAtMs: timeMs.nullable(),
});
export const jobRequestSchema: z.ZodObject<{
  kind: z.ZodEnum<{ [Kind in (typeof JOB_KINDS)[number]]: Kind }>;
  applicationIds: z.ZodDefault<z.ZodArray<z.ZodString>>;
}> = z.strictObject({
  kind: z.enum(JOB_KINDS as [(typeof JOB_KINDS)[number]]) as z.ZodEnum<{
    [Kind in (typeof JOB_KINDS)[number]]: Kind;
  }>,
  applicationIds: z.array(id).max(16).default([]),
});
export const stepSchema: z.ZodObject = z.object({
  name: z.string(),
  subject: z.string(),
  commands: z.array(z.string()),
  hidden: z.number(),
  note: z.string().nullable(),
});
export const tsmStepSchema: z.ZodObject = z.object({
  command: z.string(),
  allowed: z.array(z.string()),
});
export const scriptSchema: z.ZodObject = z.object({
  id: z.string(),
  serial: z.string(),
  state: z.enum(['open', 'done', 'failed']),
  kind: z.enum(['lock', 'unlock']),
  applicationId: z.string(),
  stoppedAt: z.number().nullable(),
  reason: z.string().nullable(),
  createdAtMs: timeMs,
});

export const providerSchema: z.ZodObject = z.object({
  id: z.string(),
  name: texts,
  domainAid: z.string(),
  aidPrefixes: z.array(z.string()),
});
export const newProviderSchema: z.ZodObject<{
  id: z.ZodString;
  name: typeof texts;
  domainAid: z.ZodString;
  aidPrefixes: z.ZodArray<z.ZodString>;
}> = z.strictObject({
  ...{ id, name: texts, domainAid: aid },
  aidPrefixes: z.array(aid).min(1).max(8),
});
export const applicationSchema: z.ZodObject = z.object({
  id: z.string(),
  providerId: z.string(),
  ...{ name: texts, summary: texts },
  ...{ loadFileAid: z.string(), moduleAid: z.string(), instanceAid: z.string() },
  ...{ needsPersonalisation: z.boolean(), isOffered: z.boolean() },
});
export const newApplicationSchema: z.ZodObject<{
  id: z.ZodString;
  providerId: z.ZodString;
  name: typeof texts;
  summary: typeof texts;
  loadFileAid: z.ZodString;
  moduleAid: z.ZodString;
  instanceAid: z.ZodString;
  installParameters: z.ZodDefault<z.ZodString>;
  persistentBytes: z.ZodDefault<z.ZodNullable<z.ZodNumber>>;
  needsPersonalisation: z.ZodDefault<z.ZodBoolean>;
  isOffered: z.ZodDefault<z.ZodBoolean>;
}> = z.strictObject({
  ...{ id, providerId: id, name: texts, summary: texts },
  ...{ loadFileAid: aid, moduleAid: aid, instanceAid: aid },
  installParameters: hex({ min: 0, max: 200 }).default(''),
  persistentBytes: z.number().int().min(1).max(8_388_608).nullable().default(null),
  needsPersonalisation: z.boolean().default(false),
  isOffered: z.boolean().default(false),
});
export const versionSchema: z.ZodObject = z.object({
  id: z.string(),
  applicationId: z.string(),
  number: z.string(),
  state: z.enum(['rejected', 'uploaded', 'checked', 'reviewed', 'released', 'revoked']),
  hash: z.string(),
  sizeBytes: z.number(),
  checks: z.array(z.object({ name: z.string(), isPassed: z.boolean(), detail: z.string() })),
  uploadedBy: z.string(),
  reviewedBy: z.string().nullable(),
  signatureKind: z.string().nullable(),
  releasedAtMs: timeMs.nullable(),
  createdAtMs: timeMs,
});
export const uploadSchema: z.ZodObject<{
  number: z.ZodString;
  hash: z.ZodString;
  packageBase64: z.ZodString;
}> = z.strictObject({
  number: z.string().regex(/^[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}$/),
  hash: hex({ min: 32, max: 32 }),
  packageBase64: z
    .string()
    .max(1_500_000)
    .regex(/^[A-Za-z0-9+/]+={0,2}$/),
});
export const storeApplicationSchema: z.ZodObject = z.object({
  applicationId: z.string(),
  ...{ provider: texts, name: texts, summary: texts },
  ...{ version: z.string(), loadFileHash: z.string(), sizeBytes: z.number() },
});
export const userSchema: z.ZodObject = z.object({ id: z.string(), name: z.string() });
export const auditSchema: z.ZodObject = z.object({
  ...{ seq: z.number(), atMs: timeMs, actor: z.string(), action: z.string() },
  ...{ subject: z.string(), facts: z.string(), previousHash: z.string(), hash: z.string() },
});
export const masterSchema: z.ZodObject = z.object({
  ...{ name: z.string(), state: z.enum(['factory', 'inUse']), keyType: z.enum(['aes', 'des']) },
  ...{ lengthBytes: z.number(), kcv: z.string(), createdAtMs: timeMs },
});
/** Errors as they cross boundaries, with the texts of their code. */
export const faultSchema: z.ZodObject = z.object({
  ...{ code: z.string(), message: z.string(), status: z.number(), text: texts },
  data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});
/** An element's message; checked more closely by its own shape. */
export const contactRequestSchema: z.ZodType = z.looseObject({
  type: z.enum(['hello', 'begin', 'answers']),
});
export const contactAnswerSchema: z.ZodType = z.looseObject({
  type: z.enum(['challenge', 'batch', 'end']),
  contactId: z.string(),
});
