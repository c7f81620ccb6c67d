/**
 * Errors as problem documents (RFC 9457): the code, its text in both languages, a link to what to
 * do, and nothing of what another system said. `code`, `message` and `data` are the form in which
 * errors cross every boundary of this system.
 */
import { WireError } from '@tapnpay/protocol/wire';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { clientFault } from '../../runtime/index.ts';
import { type BothTexts, errorTextOf, GatewayError } from '../errors.ts';
import { named } from './route.ts';

/** Where the documentation is; `type` links point into it. */
export const DOCS_PAGE = '/docs';
export const PROBLEM_TYPE = 'application/problem+json';
/** Seconds after which a request that met its twin may be repeated. */
const IN_FLIGHT_RETRY_SECONDS = 1;

const texts = z.object({ en: z.string(), zh: z.string() });

/** The document's schema. */
export const problemSchema: z.ZodType<Problem> = named(
  'Problem',
  z.object({
    type: z.url().describe('The row of the error table on the documentation page.'),
    title: z.string().describe('The same for every problem of this code, in English.'),
    status: z.number().int(),
    detail: z.string().describe('What was wrong this time, in English. Quotes no value.'),
    instance: z.string().describe('Names this answer in the log: tell it to the operator.'),
    code: z
      .string()
      .regex(/^ERR_[A-Z0-9_]+$/)
      .describe('What programs test.'),
    text: texts.describe('`title` in both languages.'),
    remedy: texts.describe('What to do.'),
    fieldPath: z.string().optional().describe('The first wrong field, as `lab.fault`.'),
    message: z.string().describe('The same as `detail`.'),
    data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  }),
);
/** A problem as it leaves. */
export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly code: string;
  readonly text: BothTexts;
  readonly remedy: BothTexts;
  readonly fieldPath?: string | undefined;
  readonly message: string;
  readonly data: Readonly<Record<string, string | number | boolean | null>>;
};

/** The document of a fault. `instance` is the request's id. */
export function problemOf(
  fault: GatewayError,
  at: { readonly publicUrl: string; readonly instance: string },
): Problem {
  const { code, message, data } = fault.toJSON();
  const { status, text, remedy } = errorTextOf(code);
  const { fieldPath } = data;
  return {
    type: `${at.publicUrl}${DOCS_PAGE}#${code}`,
    title: text.en,
    status,
    detail: message,
    instance: `urn:uuid:${at.instance}`,
    code,
    text,
    remedy,
    ...(typeof fieldPath === 'string' ? { fieldPath } : {}),
    message,
    data,
  };
}

/** Sends a fault as its problem document, with the headers its code asks for. */
export function sendProblem(
  reply: FastifyReply,
  request: FastifyRequest,
  fault: GatewayError,
  publicUrl: string,
): FastifyReply {
  const problem = problemOf(fault, { publicUrl, instance: request.id });
  const { retrySeconds } = fault.data;
  if (typeof retrySeconds === 'number') reply.header('retry-after', String(retrySeconds));
  if (fault.code === 'ERR_UNAUTHORIZED') reply.header('www-authenticate', 'Bearer');
  return reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem));
}

/** Any thrown value as a coded error without foreign text. */
export function asGatewayError(thrown: unknown, bodyBytesMax: number): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  if (thrown instanceof WireError) return new GatewayError('ERR_REQUEST', thrown.message);
  const fault = clientFault(thrown);
  if (fault === 'bodyTooLarge') {
    return new GatewayError('ERR_BODY_TOO_LARGE', `at most ${bodyBytesMax} bytes`);
  }
  if (fault === 'request') {
    return new GatewayError('ERR_REQUEST', 'the request is no JSON of this route');
  }
  return new GatewayError('ERR_INTERNAL', 'internal fault');
}

/** What a repeat is told while the first request runs. */
export function inFlight(): GatewayError {
  const message = 'the first request with this Idempotency-Key is still running';
  const data = { retrySeconds: IN_FLIGHT_RETRY_SECONDS };
  return new GatewayError('ERR_IDEMPOTENCY_IN_FLIGHT', message, data);
}

/** The checked value. @throws GatewayError naming the first wrong field, never its value. */
export function checked(schema: z.ZodType, value: unknown): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const fieldPath = issue?.path.join('.') ?? '';
  const code = fieldPath === 'amount' ? 'ERR_AMOUNT' : 'ERR_REQUEST';
  const message = `${fieldPath || 'body'}: ${wordsOf(issue)}`;
  throw new GatewayError(code, message, { fieldPath });
}

/** Zod's words, but for unknown members: it would quote their names. */
function wordsOf(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === 'unrecognized_keys') return 'has a member that the route does not know';
  return issue?.message ?? 'is wrong';
}
